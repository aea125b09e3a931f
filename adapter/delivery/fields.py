"""What may be said about an endpoint, checked: every error names the field and what to do."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator

from adapter.delivery import guard, signing
from adapter.delivery.settings import DEFAULT_SCHEDULE_S
from adapter.errors import Refused
from adapter.messages import MessageType
from connectors.vendors import VENDORS

if TYPE_CHECKING:
    from collections.abc import Mapping

SECRETS_MAX = 10
HEADERS_MAX = 20
_LONGEST_WAIT_S = 30 * 86_400
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}")
_HEADER_VALUE = re.compile(r"[\x21-\x7e](?:[\t\x20-\x7e]{0,998}[\x21-\x7e])?")
_RESERVED_HEADERS = frozenset(
    {
        "host",
        "connection",
        "transfer-encoding",
        "te",
        "trailer",
        "upgrade",
        "expect",
        "keep-alive",
        "accept-encoding",
        "user-agent",
    }
)
_RESERVED_PREFIXES = ("webhook-", "content-", "proxy-")
_PATTERN = re.compile(r"[a-z_]+(\.[a-z_]+)*(\.\*)?")
Wait = Annotated[int, Field(ge=0, le=_LONGEST_WAIT_S)]


class EndpointFields(BaseModel):
    """What an operator says about an endpoint; everything but the URL has a default."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: Annotated[str, Field(max_length=2048)]
    secrets: Annotated[tuple[str, ...], Field(max_length=SECRETS_MAX)] = ()  # newest first; none: one is made
    format: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,31}$")] = (
        "native"  # whose messages: ours, or a vendor's
    )
    events: Annotated[tuple[str, ...], Field(min_length=1, max_length=100)] = ("*",)
    schedule: Annotated[tuple[Wait, ...], Field(max_length=50)] = DEFAULT_SCHEDULE_S
    timeout: Annotated[int, Field(ge=1, le=30)] = 15
    ordered: bool = False
    headers: Annotated[dict[str, str], Field(max_length=HEADERS_MAX)] = Field(default_factory=dict)
    concurrency: Annotated[int, Field(ge=1, le=256)] = 8
    rate_per_s: Annotated[int, Field(ge=1, le=10_000)] | None = None
    description: Annotated[str, Field(max_length=500)] = ""

    @field_validator("secrets")
    @classmethod
    def _secrets_are_usable(cls, secrets: tuple[str, ...]) -> tuple[str, ...]:
        for secret in secrets:
            try:
                signing.decode_secret(secret)
            except Refused as refused:
                raise ValueError(refused.message.removeprefix("secrets: ")) from None
        return secrets

    @field_validator("format")
    @classmethod
    def _format_exists(cls, form: str) -> str:
        if form != "native" and form not in VENDORS:
            known = ", ".join(("native", *(name for name, vendor in VENDORS.items() if vendor.events)))
            raise ValueError(f"there is no format {form!r}; there are {known}")
        return form

    @field_validator("events")
    @classmethod
    def _events_exist(cls, events: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        known = _events_of(info.data.get("format", "native"))
        for pattern in events:
            if not _matches(pattern, known):
                listed = ", ".join(known)
                raise ValueError(
                    f"{pattern!r} matches no message type; use '*', 'balance.*' or one of {listed}"
                )
        return events

    @field_validator("headers")
    @classmethod
    def _headers_are_allowed(cls, headers: dict[str, str]) -> dict[str, str]:
        for name, value in headers.items():
            lower = name.lower()
            if not _HEADER_NAME.fullmatch(name):
                raise ValueError(f"{name!r} is not a header's name")
            if lower in _RESERVED_HEADERS or lower.startswith(_RESERVED_PREFIXES):
                raise ValueError(f"{name!r} is set by the adapter and cannot be chosen")
            if not _HEADER_VALUE.fullmatch(value):
                raise ValueError(
                    f"the value of {name!r} must be 1 to 1000 printable ASCII characters on one line"
                )
        return headers


def _events_of(form: str) -> tuple[str, ...]:
    """Return what an endpoint of a format can hear of."""
    return tuple(MessageType) if form == "native" else tuple(VENDORS[form].event_types())


def checked(given: Mapping[str, Any], *, live: bool) -> EndpointFields:
    """Return the fields, or raise `Refused` (code `endpoint_invalid`) that names the first one at fault."""
    try:
        fields = EndpointFields.model_validate(dict(given))
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "endpoint"
        raise _invalid(field.split(".")[0], first["msg"].removeprefix("Value error, ")) from None
    check_url(fields.url, live=live)
    return fields


def check_url(url: str, *, live: bool) -> None:
    """Raise `Refused` where nothing should ever be sent to this URL.

    Names are judged when a connection is made (`guard.py`); what is refused here could not work then either.
    """
    try:
        parts = urlsplit(url)
        host, _port = parts.hostname or "", parts.port
    except ValueError as error:
        raise _invalid("url", f"this is not a URL: {error}") from None
    if not url.isascii() or not url.isprintable() or " " in url:
        raise _invalid("url", "it must be plain ASCII without spaces; write other letters percent-encoded")
    if parts.scheme not in ("http", "https") or not host:
        raise _invalid("url", "it must look like https://example.com/path")
    if parts.username is not None or parts.password is not None:
        raise _invalid("url", "it must not carry a user name or password; use a header instead")
    if parts.fragment:
        raise _invalid("url", "it must not have a fragment (#…); nothing sends it")
    if live:
        _check_live(parts.scheme, host)


def _check_live(scheme: str, host: str) -> None:
    if scheme != "https":
        raise _invalid("url", "a live environment sends over https only")
    address = guard.literal_address(host)
    local = host.rstrip(".") == "localhost" or host.rstrip(".").endswith(".localhost")
    if local or (address is not None and not guard.is_public(address)):
        raise _invalid("url", f"{host} is not a public address, and a live environment reaches no other")


def _matches(pattern: str, known: tuple[str, ...]) -> bool:
    if pattern == "*":
        return True
    if not _PATTERN.fullmatch(pattern):
        return False
    if pattern.endswith(".*"):
        return any(name.startswith(pattern[:-1]) for name in known)
    return pattern in known


def _invalid(field: str, reason: str) -> Refused:
    return Refused(f"{field}: {reason}", code="endpoint_invalid", field=field)
