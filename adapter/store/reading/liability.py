"""The liability report: what is outstanding, when it ends, and what it is worth; and what ran out unused.

Outstanding are the pending, available and reserved points, less what members owe. What is over counts as over, whether
or not the sweep has come by (`lapsed`). Money is summed exactly and rounded once in each figure shown, so a total
is that of the points, not of the rounded rows above it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from adapter.book.state import Account
from adapter.clock import iso
from adapter.errors import NotFound
from adapter.points import points
from adapter.program.worth import Worth, rounded, worth_of
from adapter.store.reading.outstanding import NEVER, PARTS, Sums, add_up

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from sqlalchemy import Connection

    from adapter.catalog import Catalog, Definition
    from adapter.clock import Millis

UNDECIDED = "undecided"
MONTHLY = (Account.ISSUED, Account.REDEEMED, Account.EXPIRED, Account.REVOKED, Account.ADJUSTED)


@dataclass(frozen=True, slots=True)
class Asked:
    """What a report covers. Without `as_of`: this very moment."""

    env: int
    now: Millis
    as_of: Millis | None = None
    program: str | None = None

    @property
    def at(self) -> Millis:
        return self.now if self.as_of is None else self.as_of


def liability(
    connection: Connection,
    catalog: Catalog,
    asked: Asked,
    progress: Callable[[int], None] = lambda _done: None,
) -> dict[str, Any]:
    """Return the report. Raises `NotFound` for a program that is not here."""
    meant = _definitions(catalog, asked)
    versions = {one.program: catalog.version_at(asked.env, one.program, asked.at).program for one in meant}
    zones = {one.id: versions[one.program].timezone for one in meant}
    sums = add_up(connection, asked.env, zones, now=asked.now, as_of=asked.as_of, progress=progress)
    worths = {one.id: worth_of(versions[one.program], one.name) for one in meant}
    return {
        "as_of": iso(asked.at),
        "definitions": [
            _Told(
                one, worths[one.id], sums[one.id], ends=versions[one.program].of_balance(one.name).expiry.ends
            ).view()
            for one in meant
        ],
        "totals": _totals(meant, worths, sums),
    }


def _definitions(catalog: Catalog, asked: Asked) -> list[Definition]:
    known = [one for (env, _), one in sorted(catalog.definitions.items()) if env == asked.env]
    meant = [one for one in known if asked.program in (None, one.program)]
    if asked.program is not None and not meant:
        names = ", ".join(sorted({one.program for one in known})) or "none"
        raise NotFound(
            f"There is no program {asked.program[:64]!r} here; there are: {names}.", field="program"
        )
    return meant


def outstanding(sums: Sums) -> int:
    """Return what is outstanding of a definition, in smallest units."""
    return sum(sums.total(part) for part in PARTS) - sums.account(Account.OWED)


def _totals(
    meant: list[Definition], worths: Mapping[int, Worth | None], sums: Mapping[int, Sums]
) -> list[dict[str, Any]]:
    """Return the money by currency; what has no value is in none of them."""
    money: dict[str, Decimal] = defaultdict(Decimal)
    for one in meant:
        worth = worths[one.id]
        if worth is not None:
            money[worth.currency] += worth.exactly(outstanding(sums[one.id]), one.decimals)
    return [{"currency": code, "value": rounded(money[code], code)} for code in sorted(money)]


@dataclass(frozen=True, slots=True)
class _Told:
    """One definition's part of the report."""

    definition: Definition
    worth: Worth | None
    sums: Sums
    ends: bool  # whether the program's points expire

    def view(self) -> dict[str, Any]:
        sums, owed = self.sums, self.sums.account(Account.OWED)
        issued, expired = -sums.account(Account.ISSUED), sums.account(Account.EXPIRED)
        return {
            "program": self.definition.program,
            "balance_definition": self.definition.name,
            "unit": self.definition.unit,
            "point_value": None if self.worth is None else str(self.worth.point_value),
            "currency": None if self.worth is None else self.worth.currency,
            **{part: self._points(sums.total(part)) for part in PARTS},
            "owed": self._points(owed),
            "outstanding": self._points(outstanding(sums)),
            "value": self._value(outstanding(sums)),
            "lapsed": self._points(sums.lapsed),
            "by_expiry": list(self._by_expiry()),
            "issued": self._points(issued),
            "expired": self._points(expired),
            "revoked": self._points(sums.account(Account.REVOKED)),
            "breakage_rate": None
            if issued <= 0
            else str((Decimal(expired) / issued).quantize(Decimal("0.0001"))),
            "by_month": [self._month(name) for name in sorted(sums.flows)],
        }

    def _by_expiry(self) -> Iterator[dict[str, Any]]:
        """Yield what each month ends, then what never ends, then what waits for a fact to know."""
        waiting = Counter(pending=self.sums.undecided)
        held = {**self.sums.expiring, UNDECIDED: waiting}
        if not self.ends:
            held[NEVER] = held.get(NEVER, Counter()) + held.pop(UNDECIDED)
        for name in sorted(held):  # a month's digits sort before the words
            if any(held[name].values()):
                yield self._held(name, held[name])

    def _held(self, name: str, parts: Mapping[str, int]) -> dict[str, Any]:
        amounts = {part: parts.get(part, 0) for part in PARTS}
        together = sum(amounts.values())
        shown = {part: self._points(amount) for part, amount in amounts.items()}
        return {"expires": name, **shown, "points": self._points(together), "value": self._value(together)}

    def _month(self, name: str) -> dict[str, Any]:
        net = self.sums.flows[name]
        amounts = {one.value: -net[one] if one is Account.ISSUED else net[one] for one in MONTHLY}
        return {"month": name, **{account: self._points(amount) for account, amount in amounts.items()}}

    def _points(self, amount: int) -> int | str:
        return points(amount, self.definition.decimals)

    def _value(self, amount: int) -> str | None:
        return None if self.worth is None else self.worth.shown(amount, self.definition.decimals)


COLUMNS = (
    "program", "balance_definition", "expires", "pending", "available", "reserved", "owed", "outstanding",
    "value", "currency",
)  # fmt: skip


def rows(report: Mapping[str, Any]) -> Iterator[tuple[Any, ...]]:
    """Yield the report as lines of a table whose points add up: by expiry, then what is owed, as less."""
    for one in report["definitions"]:
        whose = (one["program"], one["balance_definition"])
        for held in one["by_expiry"]:
            parts = (held["pending"], held["available"], held["reserved"], 0)
            yield (*whose, held["expires"], *parts, held["points"], held["value"], one["currency"])
        yield (*whose, "owed", 0, 0, 0, one["owed"], _less(one["owed"]), None, one["currency"])
        parts = (one["pending"], one["available"], one["reserved"], one["owed"])
        yield (*whose, "total", *parts, one["outstanding"], one["value"], one["currency"])


def _less(amount: int | str) -> int | str:
    return -amount if isinstance(amount, int) else str(-Decimal(amount))
