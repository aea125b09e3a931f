"""Our balances against somebody else's figures: who differs, who is unknown on either side, and why, as far as we know.

Figures come a few hundred at a time; each lot of them costs a fixed number of queries, and only members that differ are
looked at one by one. What stays in memory is the number of each member that was named.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any, Literal

from sqlalchemy import Connection, func, select

from adapter.book.state import MEMBER_ACCOUNTS, Balance, OrderState, Transfer
from adapter.clock import iso
from adapter.errors import AdapterError
from adapter.points import points
from adapter.store import tables as t
from adapter.store.reading.balances import balance_now
from adapter.store.reading.holders import ranges
from adapter.store.reading.members import find_members
from adapter.store.reading.statement import TRANSFER_COLUMNS, Whose, net_of, sum_into

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from adapter.catalog import Definition
    from adapter.clock import Millis

Account = Literal["available", "posted", "total"]
COUNTED: Mapping[Account, tuple[str, ...]] = {
    "available": ("available",),
    "posted": ("available", "reserved"),
    "total": ("available", "reserved", "pending"),
}
LOOKED_BACK = 50
WORDS = {"pending": "pending", "reserved": "under a hold", "owed": "owed"}


@dataclass(frozen=True, slots=True)
class Against:
    """What figures are compared with. Without `as_of`: balances as of `now`; else what was posted until then."""

    env: int
    definition: Definition
    account: Account
    now: Millis
    as_of: Millis | None = None


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that does not agree; amounts in smallest units, None where a side has none."""

    kind: Literal["differs", "unknown here", "missing there", "named twice"]
    member: int | None
    who: str | None
    line: int | None
    theirs: int | None
    ours: int | None
    why: tuple[str, ...]


Figure = tuple[int, str, int]
"""The line of a file, whom it names, and how many points."""


def _holding(env: int, member: int, definition: int, amounts: Sequence[Any]) -> Balance:
    pending, available, reserved, owed = (int(one) for one in amounts)  # as `MEMBER_ACCOUNTS` orders them
    return Balance(env, member, definition, pending, available, reserved, owed)


class Comparison:
    """Takes figures and tells what differs; at the end, whom nobody named."""

    def __init__(self, connection: Connection, against: Against) -> None:
        self._connection = connection
        self._against = against
        self._named: dict[int, int] = {}
        self.agree = 0

    def take(self, figures: Sequence[Figure]) -> Iterator[Difference]:
        """Yield what differs among some figures."""
        members = find_members(self._connection, self._against.env, [who for _, who, _ in figures])
        ours = self._balances({one for one in members.values() if isinstance(one, int)})
        for line, who, theirs in figures:
            member = members[who]
            if isinstance(member, AdapterError):
                yield Difference("unknown here", None, who, line, theirs, None, (member.message,))
            elif (first := self._named.setdefault(member, line)) != line:
                why = f"line {first} names the same member"
                yield Difference("named twice", member, who, line, theirs, None, (why,))
            else:
                yield from self._compared((line, who, theirs), ours.get(member) or self._none(member))

    def missing(self) -> Iterator[Difference]:
        """Yield everyone who has points here and was not named."""
        for after, upto in ranges(self._connection, self._against.env):
            columns = t.balances.c
            here = select(columns.member).where(
                columns.env == self._against.env, columns.member > after, columns.member <= upto,
                columns.definition == self._against.definition.id,
            )  # fmt: skip
            left = [one for one in self._connection.execute(here).scalars() if one not in self._named]
            for member, balance in sorted(self._balances(left).items()):
                if figure := self._figure(balance):
                    yield Difference("missing there", member, None, None, None, figure, ())

    def _none(self, member: int) -> Balance:
        return Balance(self._against.env, member, self._against.definition.id)

    def _figure(self, balance: Balance) -> int:
        return sum(getattr(balance, part) for part in COUNTED[self._against.account])

    def _compared(self, figure: Figure, balance: Balance) -> Iterator[Difference]:
        line, who, theirs = figure
        ours = self._figure(balance)
        if theirs == ours:
            self.agree += 1
            return
        yield Difference(
            "differs", balance.member, who, line, theirs, ours, tuple(self._reasons(balance, theirs))
        )

    def _balances(self, members: Iterable[int]) -> dict[int, Balance]:
        wanted = sorted(members)
        return self._posted(wanted) if self._against.as_of is not None else self._current(wanted)

    def _current(self, members: list[int]) -> dict[int, Balance]:
        """Return balances as they are now, also where the sweep has not come by."""
        env, number, now = self._against.env, self._against.definition.id, self._against.now
        columns = t.balances.c
        query = select(
            columns.member, columns.next_due_at, *(columns[account.value] for account in MEMBER_ACCOUNTS)
        ).where(columns.env == env, columns.member.in_(members), columns.definition == number)
        found = {}
        for member, due, *amounts in self._connection.execute(query).all():
            late = due is not None and due <= now
            found[member] = (
                balance_now(self._connection, env, member, number, now)[0]
                if late
                else _holding(env, member, number, amounts)
            )
        return found

    def _posted(self, members: list[int]) -> dict[int, Balance]:
        """Return balances as they were, from the transfers."""
        moved, asked = t.transfers.c, self._against
        query = (
            select(moved.member, *(sum_into(account) for account in MEMBER_ACCOUNTS))
            .where(moved.env == asked.env, moved.member.in_(members), moved.definition == asked.definition.id)
            .where(moved.posted_at <= asked.as_of)
            .group_by(moved.member)
        )
        return {
            member: _holding(asked.env, member, asked.definition.id, amounts)
            for member, *amounts in self._connection.execute(query)
        }

    # --- why ------------------------------------------------------------------------------------------------------

    def _reasons(self, balance: Balance, theirs: int) -> Iterator[str]:
        yield from self._counted_otherwise(balance, theirs)
        yield from self._earlier(balance, theirs)
        if orders := self._waiting(balance.member):
            yield f"{orders} of their orders wait for their totals"
        if flagged := self._flagged(balance):
            yield f"{flagged} of their redemptions are flagged, for a person to look at"
        if messages := self._undelivered(balance.member):
            yield f"{messages} of the newest {LOOKED_BACK} messages about them are not delivered"

    def _counted_otherwise(self, balance: Balance, theirs: int) -> Iterator[str]:
        """Find the fewest of our accounts that, counted or left out, make their figure of ours."""
        counted = COUNTED[self._against.account]
        signs = {"pending": 1, "reserved": 1, "owed": -1}
        terms = {
            name: -sign if name in counted else sign for name, sign in signs.items() if getattr(balance, name)
        }
        apart = theirs - self._figure(balance)
        for size in range(1, len(terms) + 1):
            for chosen in combinations(terms, size):
                if sum(terms[name] * getattr(balance, name) for name in chosen) == apart:
                    said = [self._said(name, getattr(balance, name), terms[name]) for name in chosen]
                    yield f"they {' and '.join(said)}"
                    return

    def _said(self, name: str, amount: int, sign: int) -> str:
        verb = "count" if sign > 0 else "take off" if name == "owed" else "leave out"
        return f"{verb} {points(amount, self._against.definition.decimals)} that are {WORDS[name]}"

    def _earlier(self, balance: Balance, theirs: int) -> Iterator[str]:
        """Go back over the newest transfers to where our figure was theirs."""
        whose = Whose(balance.env, balance.member, balance.definition, self._against.as_of)
        moved = t.transfers.c
        newest = (
            select(*TRANSFER_COLUMNS)
            .where(*whose.conditions())
            .order_by(moved.sequence.desc(), moved.n.desc())
            .limit(LOOKED_BACK)
        )
        figure = self._figure(self._posted_balance(whose))
        changes: set[int] = set()
        for row in self._connection.execute(newest):
            one = Transfer(*row)
            changes.add(one.sequence)
            net = net_of([one])
            figure -= sum(net[part] for part in COUNTED[self._against.account])
            if figure == theirs and one.n == 0:
                yield f"it is our figure of before {iso(one.posted_at)}; {len(changes)} changes came since"
                return

    def _posted_balance(self, whose: Whose) -> Balance:
        amounts = self._connection.execute(
            select(*(sum_into(account) for account in MEMBER_ACCOUNTS)).where(*whose.conditions())
        ).one()
        return _holding(whose.env, whose.member, whose.definition, amounts)

    def _waiting(self, member: int) -> int:
        orders = t.orders.c
        query = select(func.count()).where(
            orders.env == self._against.env, orders.member == member, orders.state == OrderState.WAITING
        )
        return int(self._connection.execute(query).scalar_one())

    def _flagged(self, balance: Balance) -> int:
        redemptions = t.redemptions.c
        query = select(func.count()).where(
            redemptions.env == balance.env,
            redemptions.member == balance.member,
            redemptions.definition == balance.definition,
            redemptions.flagged.is_not(None),
            redemptions.flag_cleared_at.is_(None),
        )
        return int(self._connection.execute(query).scalar_one())

    def _undelivered(self, member: int) -> int:
        messages, deliveries = t.messages.c, t.deliveries.c
        newest = (
            select(messages.id)
            .where(messages.env == self._against.env, messages.member == member)
            .order_by(messages.id.desc())
            .limit(LOOKED_BACK)
            .subquery()
        )
        query = (
            select(func.count(func.distinct(deliveries.message)))
            .select_from(newest)
            .join(t.deliveries, (deliveries.env == self._against.env) & (deliveries.message == newest.c.id))
            .where(deliveries.state != "delivered")
        )
        return int(self._connection.execute(query).scalar_one())
