"""Loyalty accounts: our members, each with the balance that VINR's requests mean."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pydantic import Field

from adapter import ids
from adapter.commands import EnrolMember
from adapter.points import points
from adapter.store.reading.balances import balance_now
from adapter.store.reading.members import MemberFilter, find_member, list_members
from adapter.store.reading.roster import Roster
from adapter.store.reading.tiers import tier_now
from adapter.web import enrolling
from adapter.web.asking import once_of, shown_as
from adapter.web.dialects import Asked, definition_of
from adapter.web.members import member_view
from adapter.web.routing import checked
from connectors.vinr.api.asking import (
    Id,
    Listing,
    account_named,
    after,
    changing,
    each_place,
    listed,
    reading,
    said,
)
from connectors.vinr.api.shown import AccountShown
from connectors.vinr.words import NAME, account_status, customer_of, renamed, seconds

if TYPE_CHECKING:
    from adapter.book.state import Balance
    from adapter.web.routing import Call, Repeated, Route


class AccountBegun(Asked):
    """Whose customer becomes a member. The program is the one that the environment's settings name."""

    customer: Id
    email: str | None = None
    name: str | None = None
    metadata: dict[str, str] = Field(default_factory=dict)


class AccountChanged(Asked):
    """What is left out stays; null removes it."""

    email: str | None = None
    name: str | None = None
    metadata: dict[str, str] | None = None


class AccountsQuery(Listing):
    customer: Id | None = None


def create_account(call: Call) -> dict[str, Any] | Repeated:
    """Enrol a customer."""
    asked: AccountBegun = call.body
    settings = said(call)
    given = checked(enrolling.MemberEnrolled, asked.model_dump(include={"email", "name", "metadata"}), "body")
    command = EnrolMember(
        env=call.env,
        id=ids.new_id(call.now),
        joined_at=call.now,
        customer=(settings.customers_of, asked.customer),
        email=given.email,
        name=given.name,
        metadata=given.metadata,
        program=settings.program,
        received_at=call.now,
        once=once_of(call),
    )
    return shown_as(enrolling.submit_member(call, command), lambda view: _as_it_is(call, view))


def update_account(call: Call) -> dict[str, Any] | Repeated:
    """Change what is known of an account's customer."""
    asked: AccountChanged = call.body
    given = checked(enrolling.MemberChanged, asked.model_dump(include=asked.model_fields_set), "body")
    path = {"member": account_named(call, call.path["account"])}
    return shown_as(
        enrolling.update_member(replace(call, path=path, body=given)), lambda view: _as_it_is(call, view)
    )


def show_account(call: Call) -> dict[str, Any]:
    """Show one account, with its balance and tier."""
    row = find_member(call.database, call.env, account_named(call, call.path["account"]), deleted=True)
    return _whole(call, member_view(row))


def list_accounts(call: Call) -> dict[str, Any]:
    """List accounts, newest first."""
    asked: AccountsQuery = call.query
    settings = said(call)
    source = None if asked.customer is None else f"{settings.customers_of}:{asked.customer}"
    start = after("loy", asked.starting_after)
    page = list_members(call.database, call.env, MemberFilter(source=source), limit=asked.limit, cursor=start)
    definition = definition_of(call, NAME)
    roster = Roster(call.database, call.catalog, call.env, now=call.now, horizon=call.now)
    names = [ids.show("mem", row.id) for row in page.rows]
    roster.read(names)
    named = {"program": definition.program, "name": definition.name}
    shown = [
        _shown(call, member_view(row), roster.entry(name, **named).balance)
        for row, name in zip(page.rows, names, strict=True)
    ]
    return listed(shown, page.next_cursor)


def _as_it_is(call: Call, view: dict[str, Any]) -> dict[str, Any]:
    """Show the account of a member that was just changed."""
    with call.parts.engine.connect() as connection:
        return _whole(replace(call, connection=connection), view)


def _whole(call: Call, view: dict[str, Any]) -> dict[str, Any]:
    definition = definition_of(call, NAME)
    number = ids.read("mem", view["id"]) or 0
    balance, _ = balance_now(call.database, call.env, number, definition.id, call.now)
    tier = tier_now(call.database, call.catalog, (call.env, number), definition.program, call.now)
    return _shown(call, view, balance) | {"tier": tier}


def _shown(call: Call, view: dict[str, Any], balance: Balance) -> dict[str, Any]:
    definition = definition_of(call, NAME)
    return {
        "id": renamed(view["id"], "loy"),
        "object": "loyalty_account",
        "program": definition.program,
        "customer": customer_of(view["source_ids"], said(call).customers_of),
        "status": account_status(view["state"]),
        "balance": points(balance.available, definition.decimals),
        "pending_points": points(balance.pending, definition.decimals),
        "lifetime_points": points(balance.earned, definition.decimals),
        "email": view["email"],
        "name": view["name"],
        "metadata": view["metadata"],
        "created": seconds(view["created_at"]),
    }


def _routes(place: str) -> tuple[Route, ...]:
    one = f"{place}/{{account}}"
    change = (AccountChanged, AccountShown)
    return (
        changing(f"POST {place}", create_account, "members:write", "Enrol a customer",
                 (AccountBegun, AccountShown), status=201),
        reading(place, list_accounts, "members:read", "List accounts", AccountShown, query=AccountsQuery, listed=True),
        reading(one, show_account, "members:read", "Show an account with its balance", AccountShown),
        changing(f"PUT {one}", update_account, "members:write", "Change an account", change),
        changing(f"PATCH {one}", update_account, "members:write", "Change an account", change),
    )  # fmt: skip


ROUTES = each_place(("/v1/loyalty/accounts", "/v1/loyalty-accounts"), _routes)
