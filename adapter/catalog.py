"""What is configured, as one immutable snapshot: environments, programs, sources and endpoints.

The door, the web and the dispatcher each hold one and exchange it for a newer one when the version in the database has
moved on; `store/configuration.py` reads it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from adapter.clock import Millis
    from adapter.program.model import Program
    from adapter.program.tiers import TierGroup


@dataclass(frozen=True, slots=True)
class Environment:
    id: int
    tenant: str
    mode: str  # test | live
    secret: bytes = field(repr=False)  # what codes of vouchers are derived from

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
class DialectSettings:
    """What an environment says of a vendor's dialect: which of its programs the vendor's requests mean, and so on."""

    env: int
    name: str
    program: str
    definition: int  # the balance that is meant where a request names none
    customers_of: str  # the source whose customer ids the vendor's are
    options: Mapping[str, Any]


@dataclass(frozen=True)
class Catalog:
    """Everything configured, at one version. What each event asks of it is worked out once."""

    version: int
    environments: Mapping[int, Environment]
    programs: Mapping[tuple[int, str], tuple[ProgramVersion, ...]]  # by (env, name), oldest version first
    definitions: Mapping[tuple[int, int], Definition]  # by (env, id)
    sources: Mapping[str, Source]  # by name
    endpoints: Mapping[tuple[int, int], Endpoint]  # by (env, id)
    endpoints_of: Mapping[int, tuple[Endpoint, ...]]  # by env
    dialects: Mapping[tuple[int, str], DialectSettings] = field(default_factory=dict)  # by (env, name)
    publishes: bool = False  # whether every message goes to a stream too
    names_lots: bool = True  # whether a transfer of one lot names it itself

    def dialect(self, env: int, name: str) -> DialectSettings | None:
        """Return what an environment says of a dialect; None where that is nothing, and it has several programs.

        Where nothing was said it is the only program there is, and the vendor's customer ids are nobody else's.
        """
        said = self.dialects.get((env, name))
        if said is not None:
            return said
        programs = [name for where, name in self.programs if where == env and self.goes_on(env, name)]
        if len(programs) != 1 or (env, programs[0]) not in self._first_definitions:
            return None
        return DialectSettings(env, name, programs[0], self.definition_of(env, programs[0]).id, name, {})

    def definition_of(self, env: int, program: str) -> Definition:
        """Return the definition that the program's orders are awarded in: its first."""
        return self._first_definitions[env, program]

    def measured_in(self, env: int, program: str, group: TierGroup) -> Definition | None:
        """Return the definition that a tier group's points are of; None for a draft that keeps no balance yet."""
        return self._named_definitions.get((env, program, group.balance_definition or ""))

    @cached_property
    def _named_definitions(self) -> Mapping[tuple[int, str, str], Definition]:
        """By (env, program, name); the first of a program has no name besides."""
        firsts = {(*key, ""): one for key, one in self._first_definitions.items()}
        return firsts | {(env, one.program, one.name): one for (env, _), one in self.definitions.items()}

    def goes_on(self, env: int, program: str) -> bool:
        """Return whether a program is not archived."""
        return not self.programs[env, program][-1].program.archived

    @cached_property
    def _first_definitions(self) -> Mapping[tuple[int, str], Definition]:
        ordered = [(env, self.definitions[env, number]) for env, number in sorted(self.definitions)]
        return {(env, one.program): one for env, one in reversed(ordered)}

    def keeps_standing(self, env: int, program: str, at: Millis) -> bool:
        """Return whether some version of a program so far asked where its members stand."""
        since = self._standing_since.get((env, program))
        return since is not None and since <= at

    @cached_property
    def _standing_since(self) -> Mapping[tuple[int, str], Millis]:
        return {
            key: min(asking)
            for key, versions in self.programs.items()
            if (asking := [one.published_at for one in versions if one.program.has_standing])
        }

    def redeems(self, env: int) -> bool:
        """Return whether points can be spent on something in some program of an environment, or could once."""
        return env in self._redeeming

    @cached_property
    def _redeeming(self) -> frozenset[int]:
        return frozenset(
            env
            for (env, _), versions in self.programs.items()
            if any(version.program.redeems for version in versions)
        )

    def attributes_vouchers(self, env: int) -> bool:
        """Return whether some program of an environment attributes vouchers by rules, or did once."""
        return env in self._with_vouchers

    @cached_property
    def _with_vouchers(self) -> frozenset[int]:
        return frozenset(
            env
            for (env, _), versions in self.programs.items()
            if any(version.program.voucher_rules for version in versions)
        )

    def version_at(self, env: int, program: str, at: Millis) -> ProgramVersion:
        """Return the version in force at an instant; before the first there is the first.

        A draft is in force only where nothing was published by then.
        """
        return in_force(self.programs[env, program], at)

    def program_of(self, env: int, definition: int, at: Millis) -> Program:
        """Return the program of a balance, as it is for it, in the version in force at an instant."""
        found = self.definitions[env, definition]
        return self.version_at(env, found.program, at).program.of_balance(found.name)

    def draft_of(self, env: int, program: str) -> ProgramVersion | None:
        """Return the newest version where it is a draft: what would be published next."""
        newest = self.programs[env, program][-1]
        return newest if newest.program.state == "draft" else None


def in_force(versions: Sequence[ProgramVersion], at: Millis) -> ProgramVersion:
    """Return which of a program's versions, oldest first, is in force at an instant."""
    for version in reversed(versions):
        if version.published_at <= at and version.program.state != "draft":
            return version
    return next((version for version in reversed(versions) if version.published_at <= at), versions[0])
