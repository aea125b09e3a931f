"""Brevo's own client, on an application that is really served."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

import pytest
from brevo import Brevo
from pydantic import BaseModel

from tests.web.conftest import TOKEN

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def brevo_as(served: str, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Brevo]:
    """Returns Brevo's SDK, asking us with a key."""
    for name in ("BREVO_CLIENT_ID", "BREVO_CLIENT_SECRET"):
        monkeypatch.delenv(name, raising=False)
    return lambda key: Brevo(base_url=f"{served}/v3", api_key=key, max_retries=0)


@pytest.fixture
def brevo(brevo_as: Callable[[str], Brevo]) -> Brevo:
    return brevo_as(TOKEN)


def strictly(model: type[BaseModel], raw: Any) -> Any:
    """Return an answer as the SDK's own model, which the SDK itself does not hold it to: types, names and literals."""
    parsed = model.model_validate(raw)
    _check(parsed)
    return parsed


def _check(parsed: Any) -> None:
    if isinstance(parsed, list):
        for one in parsed:
            _check(one)
    if isinstance(parsed, BaseModel):
        assert not parsed.model_extra, f"{type(parsed).__name__} has no {sorted(parsed.model_extra or {})}"
        for name, field in type(parsed).model_fields.items():
            value = getattr(parsed, name)
            _check(value)
            words = _literals(field.annotation)
            assert value is None or not words or value in words, f"{name}: {value!r} is none of {words}"


def _literals(annotation: Any) -> tuple[Any, ...]:
    """Return the literals that an annotation such as `Optional[Union[Literal["a", "b"], Any]]` names."""
    if get_origin(annotation) is Literal:
        return get_args(annotation)
    return tuple(word for part in get_args(annotation) for word in _literals(part))
