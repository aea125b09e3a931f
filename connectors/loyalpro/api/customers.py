"""Customers: our members by LoyalPro's ids, created, found, changed, deleted."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Annotated, Any

from pydantic import Field

from adapter import ids
from adapter.book.news import balances_view
from adapter.errors import NotFound
from adapter.store.reading.balances import balance_now
from adapter.store.reading.members import MemberFilter, MemberRow, find_member, list_members
from adapter.store.reading.tiers import tier_now
from adapter.web.asking import shown_as
from adapter.web.dialects import Answered, definition_of, looking, number, settings_of
from adapter.web.enrolling import Email, MemberChanged, MemberEnrolled, Metadata, Name, change, enrol, turn
from adapter.web.errors import Problem
from adapter.web.members import member_view
from adapter.web.routing import Access, Call, Repeated
from connectors.loyalpro.api.routes import ITEMS_MOST, ItemShown, One, Page, Said, each_of, route
from connectors.loyalpro.ids import PREFIX, customer_id, external_id, member_reference
from connectors.loyalpro.vendor import NAME

Reference = Annotated[str, Field(min_length=1, max_length=200)]
READ, WRITE = "members:read", "members:write"
KNOWN = ("email", "name", "birthday", "metadata")


class CustomerAsked(Said, alias_generator=None):
    """Somebody who becomes a customer. `external_id` is the id that they have in the client's own system."""

    external_id: Reference | None = None
    email: Email | None = None
    name: Name | None = None
    birthday: date | None = None
    metadata: Metadata = Field(default_factory=dict)


class CustomerChanged(Said, alias_generator=None):
    """What is left out stays, null removes it; `metadata` is exchanged as a whole."""

    email: Email | None = None
    name: Name | None = None
    birthday: date | None = None
    metadata: Metadata | None = None


class CustomersAsked(Said, alias_generator=None):
    """Many who become customers, each with a result of its own."""

    customers: Annotated[tuple[Any, ...], Field(min_length=1, max_length=ITEMS_MOST)]


class CustomerQuery(One, alias_generator=None):
    """Whether a deleted customer is wanted too."""

    include_deleted: bool = False


class CustomersQuery(Page, alias_generator=None):
    """Which customers are wanted."""

    include_deleted: bool = False
    email: Reference | None = None
    external_id: Reference | None = None


class PointsShown(Answered, alias_generator=None):
    """A customer's points. `available` can be redeemed now, `pending` are not posted yet, `reserved` are under a hold."""

    total: Decimal
    posted: Decimal
    available: Decimal
    pending: Decimal
    reserved: Decimal
    owed: Decimal


class CustomerShown(Answered, alias_generator=None):
    """A customer. Only one that is asked for alone comes with `points` and `tier`."""

    id: str
    external_id: str | None
    email: str | None
    name: str | None
    birthday: str | None
    metadata: dict[str, str]
    status: str
    tier: str | None
    points: PointsShown | None
    created_at: str
    updated_at: str
    deleted_at: str | None


def create_customer(call: Call) -> dict[str, Any] | Repeated:
    """Create a customer."""
    return _created(call, call.body)


def create_customers(call: Call) -> dict[str, Any]:
    """Create many customers."""
    return each_of(call, call.body.customers, CustomerAsked, _created)


def customers(call: Call) -> dict[str, Any]:
    """List customers, newest first."""
    asked: CustomersQuery = call.query
    source = settings_of(call, NAME).customers_of
    known = None if asked.external_id is None else f"{source}:{asked.external_id}"
    chosen = MemberFilter(email=asked.email, source=known, include_deleted=asked.include_deleted)
    page = list_members(call.database, call.env, chosen, limit=asked.limit, cursor=asked.cursor)
    return paged(page.view(lambda row: _view(call, member_view(row))))


def customer(call: Call) -> dict[str, Any]:
    """Show a customer with their points and tier."""
    row = found(call, call.path["customer_id"], deleted=call.query.include_deleted)
    settings, definition = settings_of(call, NAME), definition_of(call, NAME)
    balance, _ = balance_now(call.database, call.env, row.id, definition.id, call.now)
    amounts = balances_view(balance, definition.decimals)
    tier = tier_now(call.database, call.catalog, (call.env, row.id), settings.program, call.now)
    points = {name: number(amount) for name, amount in amounts.items()}
    return _view(call, member_view(row)) | {"points": points, "tier": tier}


def update_customer(call: Call) -> dict[str, Any] | Repeated:
    """Change what is known of a customer."""
    with looking(call) as seen:
        member = found(seen, call.path["customer_id"]).id
    said = call.body.model_dump(include=set(KNOWN), exclude_unset=True)
    return _shown(call, change(call, member, MemberChanged.model_validate(said)))


def delete_customer(call: Call) -> dict[str, Any] | Repeated:
    """Delete a customer, softly: points and history stay."""
    with looking(call) as seen:
        member = found(seen, call.path["customer_id"], deleted=True).id
    return _shown(call, turn(call, member, "deleted"))


def found(call: Call, reference: str, *, deleted: bool = False) -> MemberRow:
    """Return the member that a customer's id means. Raises `Problem` (404) that says what may be wrong with it."""
    try:
        named = member_reference(reference, settings_of(call, NAME).customers_of)
        return find_member(call.database, call.env, named, deleted=deleted)
    except NotFound as error:
        if error.code == "member_deleted":
            why = f"The customer {reference[:80]!r} was deleted; include_deleted=true shows what is kept."
        else:
            why = (
                f"There is no customer {reference[:80]!r} here. Ids look like `{ids.show(PREFIX[:-1], 0)}`, and a key "
                "only sees its own tenant, and either test or live."
            )
        raise Problem(error.code, why, errors=(("customer_id", why),)) from error


def paged(view: dict[str, Any]) -> dict[str, Any]:
    """Return a page that says whether there are more."""
    return {**view, "has_more": view["next_cursor"] is not None}


def _created(call: Call, asked: CustomerAsked) -> dict[str, Any] | Repeated:
    said = MemberEnrolled.model_validate(asked.model_dump(include=set(KNOWN), exclude_unset=True))
    source = settings_of(call, NAME).customers_of
    known = None if asked.external_id is None else (source, asked.external_id)
    return _shown(call, enrol(call, said, known))


def _shown(call: Call, answer: dict[str, Any] | Repeated) -> dict[str, Any] | Repeated:
    return shown_as(answer, lambda view: _view(call, view))


def _view(call: Call, shown: dict[str, Any]) -> dict[str, Any]:
    """Return a member, as our own API shows them, as a customer."""
    kept = ("email", "name", "birthday", "metadata", "created_at", "updated_at", "deleted_at")
    return {
        "id": customer_id(shown["id"]),
        "external_id": external_id(shown["source_ids"], settings_of(call, NAME).customers_of),
        **{name: shown[name] for name in kept},
        "status": shown["state"],
        "tier": None,
        "points": None,
    }


ROUTES = (
    route(
        "POST customers",
        create_customer,
        WRITE,
        "Create a customer",
        response=CustomerShown,
        body=CustomerAsked,
        access=Access.DOOR,
        keeps=True,
        status=201,
    ),
    route(
        "POST customers/bulk",
        create_customers,
        WRITE,
        "Create up to a hundred customers, each with its result",
        response=ItemShown,
        body=CustomersAsked,
        access=Access.DOOR,
        keeps=True,
        bulk=True,
        status=207,
    ),
    route(
        "GET customers",
        customers,
        READ,
        "List customers, newest first",
        response=CustomerShown,
        query=CustomersQuery,
        listed=True,
    ),
    route(
        "GET customers/{customer_id}",
        customer,
        READ,
        "Show a customer with their points and tier",
        response=CustomerShown,
        query=CustomerQuery,
    ),
    route(
        "PATCH customers/{customer_id}",
        update_customer,
        WRITE,
        "Change a customer",
        response=CustomerShown,
        body=CustomerChanged,
        access=Access.DOOR,
        keeps=True,
    ),
    route(
        "DELETE customers/{customer_id}",
        delete_customer,
        WRITE,
        "Delete a customer: hidden from then on, points and history stay",
        response=CustomerShown,
        access=Access.DOOR,
        keeps=True,
    ),
)
