"""The file: its shape, and everything that can be said against it without a look at the database.

Errors name the place as one would write it, `tenants[0].sources[1].secrets`, and all of them come at once.
"""

from __future__ import annotations

import tomllib
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from adapter.clock import EPOCH, Millis
from adapter.delivery.fields import EndpointFields, check_url
from adapter.errors import ConfigurationError, Refused
from adapter.program.model import Program
from adapter.program.part import Name
from connectors import connector
from connectors.base import SourceSettings
from connectors.vendors import vendor

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

SHORTEST_TOKEN = 24
LONGEST_TOKEN = 256
HINT_LETTERS = 12
Fault = tuple[str, str]
"""A place in the file, and what is wrong there."""


class Entry(BaseModel):
    """A table of the file: frozen, and strict about unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class KeyEntry(Entry):
    """An API key. The token is never kept, only its hash."""

    token: Annotated[str, Field(min_length=SHORTEST_TOKEN, max_length=LONGEST_TOKEN, repr=False)]
    scopes: Annotated[
        tuple[Annotated[str, Field(pattern=r"^(\*|[a-z]+:(\*|[a-z]+))$")], ...], Field(min_length=1)
    ] = ("*",)
    expires_at: datetime | None = None

    @field_validator("token")
    @classmethod
    def _is_sendable(cls, token: str) -> str:
        if not token.isascii() or not token.isprintable() or " " in token:
            raise ValueError("it must be plain ASCII without spaces")
        return token

    @property
    def hint(self) -> str:
        """Return the letters by which a list tells keys apart."""
        return self.token[:HINT_LETTERS]

    @property
    def expires_ms(self) -> Millis | None:
        """Return the end; an instant without a zone is UTC."""
        if self.expires_at is None:
            return None
        at = self.expires_at if self.expires_at.tzinfo else self.expires_at.replace(tzinfo=UTC)
        return int((at - EPOCH).total_seconds()) * 1000


class SourceEntry(Entry):
    """A configured shop. A payment provider's names in `orders_of` the source whose orders it speaks of."""

    name: Name
    connector: str
    program: str
    secrets: Annotated[tuple[str, ...], Field(repr=False)]
    orders_of: str | None = None
    options: dict[str, Any] = Field(default_factory=dict)


class DialectEntry(Entry):
    """A vendor's dialect that an environment is spoken to in: which program its requests mean, whose customers."""

    name: str
    program: str
    balance_definition: str | None = None  # the program's first
    customers_of: Name | None = None  # the source whose customer ids the vendor's are; none: ids of its own
    options: dict[str, Any] = Field(default_factory=dict)


class TenantEntry(Entry):
    """A tenant in one mode. A list that is left out (None) is left alone in the database."""

    name: Name
    mode: Literal["test", "live"]
    keys: tuple[KeyEntry, ...] | None = None
    programs: tuple[Program, ...] | None = None
    sources: tuple[SourceEntry, ...] | None = None
    dialects: tuple[DialectEntry, ...] | None = None
    endpoints: tuple[EndpointFields, ...] | None = None

    @property
    def where(self) -> str:
        return f"{self.name}/{self.mode}"


class ApplyFile(Entry):
    """The whole file."""

    tenants: Annotated[tuple[TenantEntry, ...], Field(min_length=1)]


def read_file(path: Path) -> ApplyFile:
    """Return the checked content of a file. Raises `ConfigurationError` that names every place at fault."""
    return check_tree(read_tree(path))


def read_tree(path: Path) -> dict[str, Any]:
    """Return what a TOML file says, unchecked; numbers with a fraction are exact. Raises `ConfigurationError`."""
    try:
        return tomllib.loads(path.read_text("utf-8"), parse_float=Decimal)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigurationError(f"{path} cannot be read: {error}", field="file") from error


def check_tree(tree: dict[str, Any]) -> ApplyFile:
    """Return the checked file. Raises `ConfigurationError` that names every place at fault."""
    try:
        file = ApplyFile.model_validate(tree)
    except ValidationError as error:
        raise refusal(_faults_of_shape(error)) from None
    faults = [
        *_faults_between(file),
        *(fault for n, tenant in enumerate(file.tenants) for fault in _faults(n, tenant)),
    ]
    if faults:
        raise refusal(faults)
    return file


def refusal(faults: Iterable[Fault]) -> ConfigurationError:
    """Return the error that lists these faults, one a line."""
    listed = list(faults)
    return ConfigurationError("\n".join(f"{place}: {reason}" for place, reason in listed), field=listed[0][0])


def _faults_of_shape(error: ValidationError) -> Iterator[Fault]:
    """Tell what pydantic found; a list counts as too short for it already when one of its items is wrong."""
    found = error.errors(include_url=False)
    for one in found:
        place = one["loc"]
        inner = any(other["loc"][: len(place)] == place for other in found if other is not one)
        if not (one["type"] == "too_short" and inner):
            yield _place(place), _reason(one["msg"])


def _place(parts: Sequence[int | str]) -> str:
    return (
        "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts).lstrip(".") or "file"
    )


def _reason(message: str) -> str:
    return (
        "there is no such key"
        if message == "Extra inputs are not permitted"
        else message.removeprefix("Value error, ")
    )


def _faults_between(file: ApplyFile) -> Iterator[Fault]:
    """Tell what may be in the file only once: environments, and over all of them source names and tokens."""
    yield from _repeats((f"tenants[{n}]", tenant.where) for n, tenant in enumerate(file.tenants))
    yield from _repeats(
        (f"tenants[{n}].sources[{i}].name", source.name)
        for n, tenant in enumerate(file.tenants)
        for i, source in enumerate(tenant.sources or ())
    )
    tokens = [
        (f"tenants[{n}].keys[{i}].token", key.token)
        for n, tenant in enumerate(file.tenants)
        for i, key in enumerate(tenant.keys or ())
    ]
    for place, _ in _repeats(tokens):
        yield place, "this token is in the file twice; each key is one environment's"


def _repeats(named: Iterable[tuple[str, str]]) -> Iterator[Fault]:
    seen: dict[str, str] = {}
    for place, name in named:
        if name in seen:
            yield place, f"{name} is in the file already, at {seen[name]}"
        seen.setdefault(name, place)


def _faults(number: int, tenant: TenantEntry) -> Iterator[Fault]:
    here = f"tenants[{number}]"
    for i, key in enumerate(tenant.keys or ()):
        if not key.token.startswith(f"sk_{tenant.mode}_"):
            yield (
                f"{here}.keys[{i}].token",
                f"a key of a {tenant.mode} environment begins with sk_{tenant.mode}_",
            )
    programs = [
        (f"{here}.programs[{i}].name", program.name) for i, program in enumerate(tenant.programs or ())
    ]
    yield from _repeats(programs)
    for i, program in enumerate(tenant.programs or ()):
        yield from _program_faults(f"{here}.programs[{i}]", program)
    for i, source in enumerate(tenant.sources or ()):
        yield from _source_faults(f"{here}.sources[{i}]", source, tenant)
    yield from _repeats(
        (f"{here}.endpoints[{i}].url", one.url) for i, one in enumerate(tenant.endpoints or ())
    )
    yield from _repeats(
        (f"{here}.dialects[{i}].name", one.name) for i, one in enumerate(tenant.dialects or ())
    )
    for i, dialect in enumerate(tenant.dialects or ()):
        yield from _dialect_faults(f"{here}.dialects[{i}]", dialect)
    for i, endpoint in enumerate(tenant.endpoints or ()):
        try:
            check_url(endpoint.url, live=tenant.mode == "live")
        except Refused as refused:
            yield f"{here}.endpoints[{i}].url", refused.message.removeprefix("url: ")


def _program_faults(here: str, program: Program) -> Iterator[Fault]:
    if (
        not program.balance_definitions
    ):  # a draft may do without, but a file may name it as a source's program
        yield f"{here}.balance_definitions", "a program keeps at least one; leave it out for points"


def _dialect_faults(here: str, dialect: DialectEntry) -> Iterator[Fault]:
    try:
        vendor(dialect.name).options.model_validate(dialect.options)
    except ConfigurationError as error:
        yield f"{here}.{error.field}", error.message
    except ValidationError as error:
        yield from ((f"{here}.options.{place}", reason) for place, reason in _faults_of_shape(error))


def _source_faults(here: str, source: SourceEntry, tenant: TenantEntry) -> Iterator[Fault]:
    try:
        connector(source.connector).check_settings(
            SourceSettings(source.name, source.secrets, source.options)
        )
    except ConfigurationError as error:
        yield f"{here}.{error.field or 'connector'}", error.message
    if tenant.programs is not None and source.program not in {program.name for program in tenant.programs}:
        yield f"{here}.program", f"{tenant.where} has no program {source.program!r} in this file"
    if source.orders_of is None:
        return
    owner = next((one for one in tenant.sources or () if one.name == source.orders_of), None)
    if owner is None:
        yield f"{here}.orders_of", f"{tenant.where} has no source {source.orders_of!r} in this file"
    elif owner.orders_of not in (None, owner.name):
        yield (
            f"{here}.orders_of",
            f"{owner.name!r} has no orders of its own: it speaks of those of {owner.orders_of!r}",
        )
