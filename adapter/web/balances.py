"""Balances over HTTP: one, to be polled cheaply, or those of many members at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, field_validator

from adapter import ids
from adapter.book.news import balances_view
from adapter.clock import iso
from adapter.points import points
from adapter.store.reading.balances import balance_now, balance_row, choose_definition, expiring
from adapter.store.reading.members import find_member_id
from adapter.store.reading.roster import Entry, Roster
from adapter.web.bulk import bulk
from adapter.web.queries import Names, OneDefinition
from adapter.web.routing import Call, Route, Versioned
from adapter.web.shown import NativeBalance

if TYPE_CHECKING:
    from adapter.book.state import Balance
    from adapter.catalog import Definition

DAY_MS = 86_400_000
MEMBERS_MOST = 100


class BalancesQuery(OneDefinition):
    members: Annotated[
        Names,
        Field(
            description=f"1 to {MEMBERS_MOST} members, comma-separated: `mem_…`, `source:customer` or an e-mail address. "
            "One with a comma in its name is asked for alone."
        ),
    ]

    @field_validator("members")
    @classmethod
    def _are_some_but_not_too_many(cls, members: tuple[str, ...]) -> tuple[str, ...]:
        if not 1 <= len(members) <= MEMBERS_MOST:
            raise ValueError(f"name 1 to {MEMBERS_MOST} members, not {len(members)}")
        return members


def balance(call: Call) -> Versioned:
    """Show one balance as it is now."""
    member = _member(call)
    asked: OneDefinition = call.query
    definition = choose_definition(
        call.database, call.catalog, call.env, member, program=asked.program, name=asked.balance_definition
    )
    stored = balance_row(call.database, call.env, member, definition.id)
    return Versioned(etag(stored, call.now), lambda: balance_of(call, member, definition))


def balances(call: Call) -> dict[str, Any]:
    """Show the balances of many members, in the order in which they were asked for."""
    asked: BalancesQuery = call.query
    roster = Roster(call.database, call.catalog, call.env, now=call.now, horizon=horizon(call))
    roster.read(asked.members)

    def one(reference: str) -> dict[str, Any]:
        return balance_view(
            call, roster.entry(reference, program=asked.program, name=asked.balance_definition)
        )

    return bulk(call, asked.members, one)


def balance_of(call: Call, member: int, definition: Definition, *, ending: bool = True) -> dict[str, Any]:
    """Return one balance of a member as it is shown; without `ending` nothing is said of what ends soon."""
    found, passed = balance_now(call.database, call.env, member, definition.id, call.now)
    ends = expiring(call.database, found, passed, call.now, horizon(call)) if ending else None
    return balance_view(call, Entry(definition, found, ends))


def horizon(call: Call) -> int:
    """Return until when points end soon."""
    return call.now + call.parts.settings.expiring_days * DAY_MS


def etag(stored: Balance, now: int) -> str | None:
    """Return the tag of a balance: the same as long as everything that is shown of it but `as_of` is the same.

    The sequence and the chain say so of the accounts, and the day of `expiring`, whose horizon moves on: that
    is told at least once a day (UTC). Where time has changed a balance and the sweep has not come by, there is none.
    """
    if stored.next_due_at is not None and stored.next_due_at <= now:
        return None
    whose = f"{ids.show('mem', stored.member)[4:]}.{stored.definition}"
    return f'W/"{whose}.{stored.sequence}.{stored.head[:4].hex()}.{now // DAY_MS}"'


def _member(call: Call) -> int:
    """Return whose balance is asked for: fewer queries than showing them would take."""
    return find_member_id(call.database, call.env, call.path["member"])


def balance_view(call: Call, entry: Entry) -> dict[str, Any]:
    """Return a balance as it is shown."""
    definition, ends = entry.definition, entry.expiring
    view: dict[str, Any] = {
        "member": ids.show("mem", entry.balance.member),
        "program": definition.program,
        "balance_definition": definition.name,
        **balances_view(entry.balance, definition.decimals),
        "sequence": entry.balance.sequence,
        "as_of": iso(call.now),
    }
    if ends is not None:
        next_at = None if ends.next_at is None else iso(ends.next_at)
        view["expiring"] = {"amount": points(ends.amount, definition.decimals), "next_at": next_at}
    return view


ROUTES = (
    Route(
        "GET",
        "/v1/members/{member}/balance",
        balance,
        "members:read",
        "Show a balance",
        NativeBalance,
        "Balances",
        query=OneDefinition,
        versioned=True,
        text="As of this very moment: points whose wait is over are available, those whose time is over are "
        "not, whether or not the sweep has come by. `expiring.amount` ends within 30 days. Send the answer's "
        "`ETag` as `If-None-Match`, and while nothing has changed the answer is 304 without a body.",
    ),
    Route(
        "GET",
        "/v1/balances",
        balances,
        "members:read",
        "Show the balances of many members",
        NativeBalance,
        "Balances",
        query=BalancesQuery,
        status=207,
        bulk=True,
        example_query="?members=$MEMBER,shop:7000,nobody@example.com",
        text="As many queries for a hundred as for one. The answer has an entry for each member in the order asked, "
        "with the balance, or with the problem that asking for this one alone would meet.",
    ),
)
