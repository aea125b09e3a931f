"""What every connector asks of a source's settings before they are applied."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from adapter.errors import ConfigurationError

if TYPE_CHECKING:
    from connectors.base import SourceSettings


class Options(BaseModel):
    """The options of a connector that has none; others derive from it. Unknown keys are refused by name."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


Model = TypeVar("Model", bound=Options)


def check_secrets(settings: SourceSettings) -> None:
    """Raise `ConfigurationError` where a secret is missing or blank: anybody can sign with an empty key."""
    if not settings.secrets or not all(secret.strip() for secret in settings.secrets):
        raise ConfigurationError(
            f"The source `{settings.name}` has no secret, or an empty one: set `secrets` to the shop's",
            field="secrets",
        )


def read_options(model: type[Model], settings: SourceSettings) -> Model:
    """Return the source's options. Raises `ConfigurationError` naming the first key that cannot be used."""
    try:
        return model.model_validate(dict(settings.options))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(str(part) for part in ("options", *first["loc"]))
        known = ", ".join(model.model_fields) or "none"
        raise ConfigurationError(
            f"`{key}` of the source `{settings.name}`: {first['msg']}. Known options: {known}",
            field=key,
        ) from None
