"""Balances, as of now: what is posted. Points that wait, or that a pending debit holds, change nothing of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from adapter import ids as our_ids
from adapter.clock import iso
from adapter.points import points
from adapter.store.reading.balances import balance_now, live_lots
from adapter.store.reading.customers import Part, balances_of_customers
from adapter.store.reading.members import source_ids
from adapter.web.dialects import Answered, Asked, view_of
from adapter.web.routing import Access, Route
from connectors.brevo import ids
from connectors.brevo.api.contacts import contact_named, contact_shown
from connectors.brevo.api.ids import customers_of, definition_in, program_in
from connectors.brevo.api.transaction import instant
from connectors.brevo.api.transactions import PATH
from connectors.brevo.messages import number, subscription_of

if TYPE_CHECKING:
    from adapter.book.state import Balance
    from adapter.catalog import Definition
    from adapter.web.routing import Call

Offset = Annotated[int, Field(ge=0, le=10**9)]
Limit = Annotated[int, Field(ge=1, le=500)]


class BalancesQuery(Asked):
    """Whether balances are shown that the program keeps for itself."""

    include_internal: bool = False


class BalanceItem(Answered):
    balance_definition_id: str
    value: float


class SubscriptionBalances(Answered):
    """All balances of a contact's subscription."""

    loyalty_program_id: str
    contact_id: int | None
    balance: list[BalanceItem]


class BalanceAsked(Asked):
    """The balance to begin: each subscription has all of them from the beginning."""

    balance_definition_id: str


class BalanceShown(Answered):
    """One balance of a contact."""

    id: str
    amount: float
    loyalty_program_id: str
    organization_id: int | None = None
    contact_id: int | None
    balance_definition_id: str
    created_at: str
    expires_at: str | None = None
    consumed_at: str | None = None


class ActiveQuery(BalancesQuery):
    """A contact, and one of the balances."""

    contact_id: int
    balance_definition_id: str
    sort_field: Literal["createdAt"] = "createdAt"
    sort: Literal["asc", "desc"] = "desc"
    limit: Limit = 25
    offset: Offset = 0


class ActiveItem(Answered):
    id: str
    amount: float
    created_at: str
    expires_at: str | None


class ActiveBalances(Answered):
    """What a balance is made of: points that were credited together and end together."""

    loyalty_program_id: str
    contact_id: int | None
    balance_definition_id: str
    count: int
    active_balances: list[ActiveItem]


class ContactsQuery(BalancesQuery):
    """One balance of all contacts."""

    balance_definition_id: str
    sort_field: Literal["updatedAt", "value"] | None = None
    sort: Literal["asc", "desc"] = "desc"
    limit: Limit = 25
    offset: Offset = 0


class ContactItem(Answered):
    contact_id: int | None
    loyalty_subscription_id: str | None
    value: float
    updated_at: str


class ContactBalances(Answered):
    """Contacts with what they have, and how many contacts there are."""

    loyalty_program_id: str
    balance_definition_id: str
    count: int
    balances: list[ContactItem]


ORDERS: dict[str | None, Literal["enrolment", "updated_at", "posted"]] = {
    None: "enrolment",
    "updatedAt": "updated_at",
    "value": "posted",
}


def subscription_balances(call: Call) -> dict[str, Any]:
    """Show all balances of a contact."""
    program = program_in(call)
    member = contact_named(call, call.path["cid"])
    kept = [
        one
        for (env, _), one in sorted(call.catalog.definitions.items())
        if (env, one.program) == (call.env, program)
        and (call.query.include_internal or not _internal(call, one))
    ]
    balance = [
        BalanceItem(
            balance_definition_id=ids.definition_id(call.env, program, one.name),
            value=_value(_now(call, member.id, one), one),
        )
        for one in kept
    ]
    shown = SubscriptionBalances(
        loyalty_program_id=ids.program_id(call.env, program),
        contact_id=contact_shown(call, member.source_ids),
        balance=balance,
    )
    return view_of(shown)


def create_subscription_balance(call: Call) -> dict[str, Any]:
    """Begin a balance of a contact: it has been there since the subscription, so it is shown as it is."""
    program = program_in(call)
    definition = definition_in(call, program, call.body.balance_definition_id)
    member = contact_named(call, call.path["cid"])
    shown = BalanceShown(
        id=our_ids.uuid_of(call.env, "balance", str(member.id), f"{program}/{definition.name}"),
        amount=_value(_now(call, member.id, definition), definition),
        loyalty_program_id=ids.program_id(call.env, program),
        contact_id=contact_shown(call, member.source_ids),
        balance_definition_id=ids.definition_id(call.env, program, definition.name),
        created_at=iso(member.created_at),
    )
    return view_of(shown)


def active_balances(call: Call) -> dict[str, Any]:
    """List what a contact's balance is made of."""
    asked: ActiveQuery = call.query
    program = program_in(call)
    definition = definition_in(call, program, asked.balance_definition_id)
    member = contact_named(call, str(asked.contact_id), "contactId")
    hidden = _internal(call, definition) and not asked.include_internal
    lots = [] if hidden else live_lots(call.database, call.env, member.id, definition.id, call.now)
    if asked.sort == "desc":
        lots.reverse()
    items = [
        ActiveItem(
            id=our_ids.show("lot", lot.id),
            amount=number(points(lot.available + lot.reserved, definition.decimals)),
            created_at=iso(lot.earned_at),
            expires_at=instant(lot.expires_at),
        )
        for lot in lots[asked.offset : asked.offset + asked.limit]
    ]
    shown = ActiveBalances(
        loyalty_program_id=ids.program_id(call.env, program),
        contact_id=contact_shown(call, member.source_ids),
        balance_definition_id=ids.definition_id(call.env, program, definition.name),
        count=len(lots),
        active_balances=items,
    )
    return view_of(shown)


def contact_balances(call: Call) -> dict[str, Any]:
    """List one balance of all contacts; in the order of their subscriptions unless another one is asked for."""
    asked: ContactsQuery = call.query
    program = program_in(call)
    definition = definition_in(call, program, asked.balance_definition_id)
    found, count = balances_of_customers(
        call.database,
        call.env,
        customers_of(call),
        definition.id,
        Part(ORDERS[asked.sort_field], asked.sort == "asc", asked.limit, asked.offset),
        now=call.now,
    )
    names = source_ids(call.database, call.env, [balance.member for balance, _ in found])
    items = [
        ContactItem(
            contact_id=contact_shown(call, names.get(balance.member, ())),
            loyalty_subscription_id=subscription_of(names.get(balance.member, ()), customers_of(call)),
            value=_value(balance, definition),
            updated_at=iso(changed_at),
        )
        for balance, changed_at in found
    ]
    shown = ContactBalances(
        loyalty_program_id=ids.program_id(call.env, program),
        balance_definition_id=ids.definition_id(call.env, program, definition.name),
        count=count,
        balances=items,
    )
    return view_of(shown)


def _now(call: Call, member: int, definition: Definition) -> Balance:
    return balance_now(call.database, call.env, member, definition.id, call.now)[0]


def _value(balance: Balance, definition: Definition) -> int | float:
    return number(points(balance.available + balance.reserved, definition.decimals))


def _internal(call: Call, definition: Definition) -> bool:
    """Return whether a program keeps a balance for itself: contacts are not shown it unless it is asked for."""
    version = call.catalog.version_at(call.env, definition.program, call.now)
    kept = (one for one in version.program.balance_definitions if one.name == definition.name)
    return any(one.metadata.get("isInternal") is True for one in kept)


ROUTES = (
    Route(
        "GET",
        f"{PATH}/subscriptions/{{cid}}/balances",
        subscription_balances,
        "members:read",
        "Show all balances of a contact",
        SubscriptionBalances,
        "Balances",
        query=BalancesQuery,
    ),
    Route(
        "POST",
        f"{PATH}/subscriptions/{{cid}}/balances",
        create_subscription_balance,
        "members:read",
        "Begin a balance of a contact",
        BalanceShown,
        "Balances",
        access=Access.READ,
        body=BalanceAsked,
    ),
    Route(
        "GET",
        f"{PATH}/active-balance",
        active_balances,
        "members:read",
        "List what a contact's balance is made of",
        ActiveBalances,
        "Balances",
        query=ActiveQuery,
    ),
    Route(
        "GET",
        f"{PATH}/contact-balances",
        contact_balances,
        "members:read",
        "List one balance of all contacts",
        ContactBalances,
        "Balances",
        query=ContactsQuery,
    ),
)
