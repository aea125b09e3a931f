"""Brevo's `meta`: any JSON by name, kept as texts. A text is kept as it is, unless it would read as something else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from adapter.web.asking import at_fault

if TYPE_CHECKING:
    from collections.abc import Mapping

Meta = dict[str, Any]
NAMES_MOST = 50
VALUE_MOST = 500


def kept(meta: Mapping[str, Any] | None) -> dict[str, str]:
    """Return what is kept of a `meta`. Raises `Problem` where that is too much."""
    texts = {name: _text(value) for name, value in (meta or {}).items()}
    if len(texts) > NAMES_MOST or any(len(one) > VALUE_MOST for one in texts.values()):
        raise at_fault("meta", f"give at most {NAMES_MOST} names, each with at most {VALUE_MOST} characters")
    return texts


def shown(metadata: str | None) -> Meta:
    """Return a `meta` of what is kept of it, as JSON."""
    return {} if metadata is None else {name: _value(text) for name, text in orjson.loads(metadata).items()}


def _text(value: Any) -> str:
    plain = isinstance(value, str) and _value(value) == value
    return value if plain else orjson.dumps(value).decode()


def _value(text: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return text
