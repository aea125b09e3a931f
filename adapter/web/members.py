"""Members over HTTP: who they are, what they have, and how it came to be."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

import orjson
from pydantic import Field

from adapter import ids
from adapter.book.news import balances_view
from adapter.book.state import Balance
from adapter.clock import iso
from adapter.points import points
from adapter.store.explain import explain_member, explain_order
from adapter.store.reading.balances import balance_row, choose_definition, definitions_of
from adapter.store.reading.members import MemberFilter, MemberRow, find_member, list_members
from adapter.store.reading.statement import Accounts, Line, Whose, accounts_at, statement
from adapter.web.balances import balance_of
from adapter.web.queries import Instant, Listing, OneDefinition, Reference, Selection
from adapter.web.routing import Call, Route
from adapter.web.shown import ExplanationShown, MemberShown, OrderExplained, StatementShown

if TYPE_CHECKING:
    from adapter.catalog import Definition

_DELETED = "Also find members that were deleted."


class MembersQuery(Listing):
    state: Literal["active", "deleted", "erased", "merged"] | None = None
    email: Reference | None = Field(None, description="Exactly this e-mail address.")
    source: Reference | None = Field(
        None, description="A source's name, or one of its customers: `shop:7000`."
    )
    include_deleted: bool = Field(default=False, description=_DELETED)


class MemberQuery(Selection):
    include_deleted: bool = Field(default=False, description=_DELETED)


class StatementQuery(OneDefinition):
    limit: Annotated[int, Field(ge=1, le=200)] = 50
    cursor: str | None = Field(None, max_length=200)
    as_of: Instant | None = Field(None, description="Only what was posted at or before this instant.")


def members(call: Call) -> dict[str, Any]:
    """List members."""
    asked: MembersQuery = call.query
    chosen = MemberFilter(asked.state, asked.email, asked.source, asked.include_deleted)
    page = list_members(call.database, call.env, chosen, limit=asked.limit, cursor=asked.cursor)
    return page.view(member_view)


def member(call: Call) -> dict[str, Any]:
    """Show one member with all balances."""
    row = find_member(call.database, call.env, call.path["member"], deleted=call.query.include_deleted)
    kept = definitions_of(call.database, call.env, row.id)
    balances = [balance_of(call, row.id, call.definition(number)) for number in kept]
    return {**member_view(row), "balances": balances}


def member_statement(call: Call) -> dict[str, Any]:
    """List the transfers of one balance in order, with running balances."""
    asked: StatementQuery = call.query
    row = find_member(call.database, call.env, call.path["member"])
    definition = _definition(call, row)
    whose = Whose(call.env, row.id, definition.id, asked.as_of)
    page = statement(call.database, whose, limit=asked.limit, cursor=asked.cursor)
    shown = page.view(lambda line: _line_view(line, definition.decimals))
    closing = _closing(call, whose)
    return {
        **_whose(row, definition),
        "as_of": iso(call.now if asked.as_of is None else asked.as_of),
        **shown,
        "closing": _accounts_view(closing, definition.decimals),
    }


def _closing(call: Call, whose: Whose) -> Accounts:
    """Return the accounts that a statement ends with: the balance as it is written, or the sum up to an instant."""
    if whose.as_of is not None:
        return accounts_at(call.database, whose)
    balance = balance_row(call.database, whose.env, whose.member, whose.definition)
    return balance.pending, balance.available, balance.reserved, balance.owed


def explain(call: Call) -> dict[str, Any]:
    """Tell in plain words why a balance is what it is."""
    row = find_member(call.database, call.env, call.path["member"], deleted=True)
    definition = _definition(call, row)
    return explain_member(call.database, call.catalog, row, definition, now=call.now)


def explain_one_order(call: Call) -> dict[str, Any]:
    """Tell in plain words what became of one order's points."""
    return explain_order(call.database, call.catalog, call.env, call.path["order"], now=call.now)


def member_view(row: MemberRow) -> dict[str, Any]:
    """Return a member as it is shown."""
    return {
        "id": ids.show("mem", row.id),
        "state": row.state,
        "email": row.email,
        "name": row.name,
        "birthday": row.birthday,
        "metadata": {} if row.metadata is None else orjson.loads(row.metadata),
        "merged_into": None if row.merged_into is None else ids.show("mem", row.merged_into),
        "source_ids": list(row.source_ids),
        "created_at": iso(row.created_at),
        "updated_at": iso(row.updated_at),
        "deleted_at": None if row.deleted_at is None else iso(row.deleted_at),
    }


def _definition(call: Call, row: MemberRow) -> Definition:
    return choose_definition(
        call.database,
        call.catalog,
        call.env,
        row.id,
        program=call.query.program,
        name=call.query.balance_definition,
    )


def _whose(row: MemberRow, definition: Definition) -> dict[str, Any]:
    return {
        "member": ids.show("mem", row.id),
        "program": definition.program,
        "balance_definition": definition.name,
    }


def _line_view(line: Line, decimals: int) -> dict[str, Any]:
    transfer = line.transfer
    return {
        "sequence": transfer.sequence,
        "n": transfer.n,
        "kind": transfer.kind,
        "from": transfer.from_account,
        "to": transfer.to_account,
        "amount": points(transfer.amount, decimals),
        "source": transfer.order_source,
        "order": transfer.order_ref,
        "transaction": None if transfer.transaction is None else ids.show("txn", transfer.transaction),
        "event": None if transfer.event is None else ids.show("evt", transfer.event),
        "occurred_at": iso(transfer.occurred_at),
        "posted_at": iso(transfer.posted_at),
        "hash": transfer.hash.hex(),
        "balances": _accounts_view(line.after, decimals),
    }


def _accounts_view(accounts: tuple[int, int, int, int], decimals: int) -> dict[str, Any]:
    """Return the balances that four accounts make, as they are shown everywhere."""
    return dict(balances_view(Balance(0, 0, 0, *accounts), decimals))


ROUTES = (
    Route(
        "GET",
        "/v1/members",
        members,
        "members:read",
        "List members",
        MemberShown,
        "Members",
        query=MembersQuery,
        listed=True,
        text="Newest first. Filter by e-mail address or by a shop's customer id.",
    ),
    Route(
        "GET",
        "/v1/members/{member}",
        member,
        "members:read",
        "Show a member",
        MemberShown,
        "Members",
        query=MemberQuery,
        text="With the balance of every balance definition that the member has points of.",
    ),
    Route(
        "GET",
        "/v1/members/{member}/statement",
        member_statement,
        "members:read",
        "Show a statement",
        StatementShown,
        "Members",
        query=StatementQuery,
        text="Every transfer in order, oldest first, with the balances that it left. The last line of the "
        "last page, `closing` and the balance agree.",
    ),
    Route(
        "GET",
        "/v1/members/{member}/explain",
        explain,
        "members:read",
        "Explain a balance",
        ExplanationShown,
        "Members",
        query=OneDefinition,
        text="Order by order: what counted, what it earned, what went back, what waits and until when, which "
        "events told of it, and why there are no points where there are none.",
    ),
    Route(
        "GET",
        "/v1/orders/{order}/explain",
        explain_one_order,
        "members:read",
        "Explain an order",
        OrderExplained,
        "Members",
        query=Selection,
        text="The same for one order, named `source:order`; also for one that has not found its member.",
    ),
)
