"""Points: awarded, and listed by what became of them."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from adapter import ids
from adapter.book.state import MEMBER_ACCOUNTS, Account, Transaction
from adapter.clock import iso
from adapter.commands import BeginTransaction
from adapter.points import points, smallest
from adapter.store.reading.statement import Whose, statement
from adapter.web.asking import ask, at_fault, once_of, shown_as, unless_rejected
from adapter.web.dialects import Answered, definition_of, looking, number
from adapter.web.enrolling import Metadata
from adapter.web.queries import Instant
from adapter.web.routing import Access, Call, Repeated
from adapter.web.transactions import decided_view
from connectors.loyalpro.api.customers import Reference, found, paged
from connectors.loyalpro.api.routes import ITEMS_MOST, ItemShown, Page, Said, each_of, route
from connectors.loyalpro.ids import customer_id
from connectors.loyalpro.vendor import NAME

if TYPE_CHECKING:
    from adapter.catalog import Definition
    from adapter.store.reading.statement import Line

Kind = Literal["earned", "redeemed", "expired", "adjusted"]
_GONE = {Account.REDEEMED: "redeemed", Account.EXPIRED: "expired"}


class AwardAsked(Said, alias_generator=None):
    """Points to award. `type` is a word of the client's own, and kept with them."""

    customer_id: Reference
    points: int | str
    type: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    reason: Annotated[str, Field(max_length=500)] | None = None
    metadata: Metadata = Field(default_factory=dict)
    expires_at: Instant | None = None


class AwardsAsked(Said, alias_generator=None):
    """Many awards, each with a result of its own."""

    awards: Annotated[tuple[Any, ...], Field(min_length=1, max_length=ITEMS_MOST)]


class PointsQuery(Page, alias_generator=None):
    """Whose points are listed, and which of them."""

    customer_id: Reference
    type: Kind | None = None


class AwardShown(Answered, alias_generator=None):
    """Points that were awarded. Until `available_at` they are pending."""

    id: str
    customer_id: str
    points: Decimal
    type: str
    status: str
    reason: str | None
    metadata: dict[str, str]
    available_at: str | None
    created_at: str


class EntryShown(Answered, alias_generator=None):
    """One change of a customer's points. `balance_after` are the posted ones, `pending_after` those not posted yet."""

    id: str
    customer_id: str
    type: Kind
    points: Decimal
    balance_after: Decimal
    pending_after: Decimal
    transaction_id: str | None
    order_id: str | None
    created_at: str


def award(call: Call) -> dict[str, Any] | Repeated:
    """Award points."""
    return _awarded(call, call.body)


def award_each(call: Call) -> dict[str, Any]:
    """Award points to many."""
    return each_of(call, call.body.awards, AwardAsked, _awarded)


def entries(call: Call) -> dict[str, Any]:
    """List what became of a customer's points, oldest first."""
    asked: PointsQuery = call.query
    member = found(call, asked.customer_id, deleted=True).id
    definition = definition_of(call, NAME)
    whose = Whose(call.env, member, definition.id)
    page = statement(call.database, whose, limit=asked.limit, cursor=asked.cursor)
    kept = [
        _entry(kind, line, definition)
        for line in page.rows
        if (kind := _kind(line)) is not None and asked.type in (None, kind)
    ]
    return paged({"data": kept, "next_cursor": page.next_cursor})


def _awarded(call: Call, asked: AwardAsked) -> dict[str, Any] | Repeated:
    definition = definition_of(call, NAME)
    with looking(call) as seen:
        member = found(seen, asked.customer_id).id
    try:
        amount = smallest(asked.points, definition.decimals)
    except ValueError as error:
        raise at_fault("points", str(error)) from error
    if asked.expires_at is not None and asked.expires_at <= call.now:
        raise at_fault("expires_at", "it has passed already")
    command = BeginTransaction(
        env=call.env,
        id=ids.new_id(call.now),
        member=member,
        definition=definition.id,
        kind="credit",
        amount=amount,
        complete=True,
        occurred_at=call.now,
        received_at=call.now,
        points_end_at=asked.expires_at,
        reason=asked.reason,
        metadata=asked.metadata if asked.type is None else {**asked.metadata, "type": asked.type},
        once=once_of(call),
    )
    answer = ask(
        call,
        command,
        lambda row: decided_view(call, Transaction(**row)),
        decimals=definition.decimals,
    )
    return shown_as(unless_rejected(answer), _award_view)


def _award_view(shown: dict[str, Any]) -> dict[str, Any]:
    """Return a credit, as our own API shows it, in LoyalPro's words."""
    return {
        "id": shown["id"],
        "customer_id": customer_id(shown["member"]),
        "points": number(shown["amount"]),
        "type": "earned",
        "status": shown["state"],
        **{name: shown[name] for name in ("reason", "metadata", "available_at", "created_at")},
    }


def _kind(line: Line) -> str | None:
    """Return what a transfer means to the customer; None for one between accounts of their own."""
    transfer = line.transfer
    if {transfer.from_account, transfer.to_account} <= set(MEMBER_ACCOUNTS):
        return None
    if transfer.from_account == Account.ISSUED:
        return "earned"
    return next((kind for account, kind in _GONE.items() if transfer.to_account == account), "adjusted")


def _entry(kind: str, line: Line, definition: Definition) -> dict[str, Any]:
    transfer = line.transfer
    pending, available, reserved, _ = line.after
    amount = points(transfer.amount, definition.decimals)
    return {
        "id": f"{customer_id(ids.show('mem', transfer.member))}_{transfer.sequence}_{transfer.n}",
        "customer_id": customer_id(ids.show("mem", transfer.member)),
        "type": kind,
        "points": number(amount if transfer.to_account in MEMBER_ACCOUNTS else f"-{amount}"),
        "balance_after": number(points(available + reserved, definition.decimals)),
        "pending_after": number(points(pending, definition.decimals)),
        "transaction_id": None if transfer.transaction is None else ids.show("txn", transfer.transaction),
        "order_id": transfer.order_ref,
        "created_at": iso(transfer.posted_at),
    }


ROUTES = (
    route(
        "POST points/award",
        award,
        "transactions:write",
        "Award points to a customer",
        response=AwardShown,
        body=AwardAsked,
        access=Access.DOOR,
        keeps=True,
        status=201,
    ),
    route(
        "POST points/award/bulk",
        award_each,
        "transactions:write",
        "Award points up to a hundred times, each with its result",
        response=ItemShown,
        body=AwardsAsked,
        access=Access.DOOR,
        keeps=True,
        bulk=True,
        status=207,
    ),
    route(
        "GET points",
        entries,
        "transactions:read",
        "List what became of a customer's points, oldest first; of one type a page may have fewer than its limit",
        response=EntryShown,
        query=PointsQuery,
        listed=True,
    ),
)
