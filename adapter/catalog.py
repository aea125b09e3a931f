"""What is configured, as one immutable snapshot: environments, programs, sources and endpoints.

The door, the web and the dispatcher each hold one and exchange it for a newer one when the version in the database has
moved on; `store/configuration.py` reads it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from adapter.clock import Millis
    from adapter.program.model import Program


@dataclass(frozen=True, slots=True)
class Environment:
    id: int
    tenant: str
    mode: str  # test | live

    @property
    def live(self) -> bool:
        return self.mode == "live"


@dataclass(frozen=True, slots=True)
class Definition:
    """A balance definition: `id` is what rows carry, `decimals` turns smallest units into what people read."""

    id: int
    program: str
    name: str
    unit: str
    decimals: int


@dataclass(frozen=True, slots=True)
class ProgramVersion:
    version: int
    published_at: Millis
    program: Program


@dataclass(frozen=True, slots=True)
class Source:
    env: int
    name: str
    connector: str
    program: str
    orders_of: str
    secrets: tuple[str, ...] = field(repr=False)
    options: Mapping[str, Any]


class EndpointSecret(msgspec.Struct, frozen=True):
    """One signing secret; `expires_at` is set once it is being rotated out."""

    secret: str
    expires_at: int | None = None


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A subscriber's URL with everything that delivery needs to know."""

    env: int
    id: int
    url: str
    secrets: tuple[EndpointSecret, ...] = field(repr=False)
    events: tuple[str, ...]
    format: str
    schedule: tuple[int, ...]
    timeout_s: int
    ordered: bool
    headers: Mapping[str, str]
    concurrency: int
    rate_per_s: int | None
    description: str
    state: str  # enabled | disabled
    disabled_reason: str | None

    def wants(self, message_type: str) -> bool:
        """Return whether its filter lets this message type through: `*`, `tier.*` or the exact name."""
        return any(
            pattern in ("*", message_type)
            or (pattern.endswith(".*") and message_type.startswith(pattern[:-1]))
            for pattern in self.events
        )


@dataclass(frozen=True, slots=True)
class Catalog:
    """Everything configured, at one version."""

    version: int
    environments: Mapping[int, Environment]
    programs: Mapping[tuple[int, str], tuple[ProgramVersion, ...]]  # by (env, name), oldest version first
    definitions: Mapping[tuple[int, int], Definition]  # by (env, id)
    sources: Mapping[str, Source]  # by name
    endpoints: Mapping[tuple[int, int], Endpoint]  # by (env, id)
    endpoints_of: Mapping[int, tuple[Endpoint, ...]]  # by env

    def definition_of(self, env: int, program: str) -> Definition:
        """Return the definition that the program's orders are awarded in: its first."""
        first = min(
            key for key, value in self.definitions.items() if key[0] == env and value.program == program
        )
        return self.definitions[first]

    def keeps_standing(self, env: int, program: str, at: Millis) -> bool:
        """Return whether some version of a program so far asked where its members stand."""
        versions = self.programs.get((env, program), ())
        return any(version.published_at <= at and version.program.has_standing for version in versions)

    def attributes_vouchers(self, env: int) -> bool:
        """Return whether some program of an environment attributes vouchers by rules, or did once."""
        return any(
            version.program.voucher_rules
            for (where, _), versions in self.programs.items()
            if where == env
            for version in versions
        )

    def version_at(self, env: int, program: str, at: Millis) -> ProgramVersion:
        """Return the version in force at an instant; before the first there is the first.

        A draft is in force only where nothing was published by then.
        """
        return in_force(self.programs[env, program], at)

    def draft_of(self, env: int, program: str) -> ProgramVersion | None:
        """Return the newest version where it is a draft: what would be published next."""
        newest = self.programs[env, program][-1]
        return newest if newest.program.state == "draft" else None


def in_force(versions: Sequence[ProgramVersion], at: Millis) -> ProgramVersion:
    """Return which of a program's versions, oldest first, is in force at an instant."""
    there = [version for version in versions if version.published_at <= at]
    published = [version for version in there if version.program.state != "draft"]
    return (published or there or versions[:1])[-1]
