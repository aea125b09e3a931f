"""A shop for tests: events of an order's life, an environment to take them in, and a snapshot to compare."""

from __future__ import annotations

from decimal import Decimal
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import Engine, insert, select

from adapter.commands import (
    BeginTransaction,
    Command,
    EndTransaction,
    EnrolMember,
    MergeMembers,
    RecordEvent,
    TransferPoints,
    TurnMember,
    UpdateMember,
)
from adapter.engine.batch import Batcher
from adapter.events import (
    Cancellation,
    Customer,
    Event,
    EventType,
    Line,
    Payment,
    PaymentState,
    Refund,
    RefundState,
    Shipment,
    Totals,
)
from adapter.store import tables as t
from adapter.store.database import in_unit_of_work

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from adapter.catalog import Source
    from adapter.clock import Millis
    from adapter.outcome import Outcome
    from adapter.program.model import Program
    from connectors.base import RawEvent
    from connectors.vendor import Vendor

NOW: Millis = 1_795_000_000_000  # 2026-11-18
DAY: Millis = 86_400_000


def configure(
    engine: Engine, program: Program, *, live: bool = False, sources: Sequence[str] = ("shop",)
) -> None:
    """Set up environment 1 with one program; every source after the first speaks of the first one's orders."""
    mode = "live" if live else "test"
    with engine.begin() as connection:
        connection.execute(
            insert(t.environments).values(id=1, tenant="acme", mode=mode, created_at=0, secret=b"secret")
        )
        connection.execute(insert(t.configuration).values(id=1, version=1))
        publish(connection, program, version=1, at=0)
        for number, definition in enumerate(program.balance_definitions, 1):
            connection.execute(
                insert(t.definitions).values(
                    env=1,
                    id=number,
                    program=program.name,
                    name=definition.name,
                    unit=definition.unit,
                    decimals=definition.decimals,
                )
            )
        connection.execute(
            insert(t.endpoints).values(
                env=1,
                id=1,
                url="http://127.0.0.1:9/nobody",
                secrets="[]",
                events='["*"]',
                format="native",
                schedule="[5]",
                timeout_s=15,
                ordered=0,
                headers="{}",
                concurrency=8,
                state="enabled",
                created_at=0,
                updated_at=0,
            )
        )
        for name in sources:
            connection.execute(
                insert(t.sources).values(
                    env=1,
                    name=name,
                    connector="standard",
                    program=program.name,
                    orders_of=sources[0],
                    secrets='["whsec_x"]',
                    options="{}",
                )
            )


def tell_lots(engine: Engine, *, in_transfers: bool) -> None:
    """Have transfers of one lot name it themselves, or not: as long as older versions run beside this one."""
    with engine.begin() as connection:
        connection.execute(
            t.configuration.update().values(
                names_lots=int(in_transfers), version=t.configuration.c.version + 1
            )
        )


def publish(connection: Any, program: Program, *, version: int, at: Millis) -> None:
    """Add a version of a program."""
    connection.execute(
        insert(t.programs).values(
            env=1,
            name=program.name,
            version=version,
            published_at=at,
            body=program.model_dump_json(),
        )
    )


def recorded(*events: Event, source: str = "shop", received_at: Millis = NOW, salt: str = "") -> RecordEvent:
    """Return the command that a webhook with these events becomes; equal events give an equal key."""
    body = msgspec.json.encode(events)
    return RecordEvent(
        env=1,
        source=source,
        key=sha256(body + salt.encode()).digest(),
        topic="test",
        headers={},
        body=body,
        received_at=received_at,
        events=events,
    )


def numbered(number: int, events: tuple[Event, ...], now: Millis) -> RecordEvent:
    """Return a webhook like no other: its number is in its body."""
    body = msgspec.json.encode((number, events))
    return msgspec.structs.replace(recorded(*events, received_at=now), body=body, key=sha256(body).digest())


def read_numbered(_source: Source, raw: RawEvent) -> RecordEvent:
    """Read such a webhook again, as `rebuild` asks for it."""
    number, events = msgspec.json.decode(raw.body, type=tuple[int, tuple[Event, ...]])
    return numbered(number, events, raw.received_at)


def play(
    engine: Engine,
    commands: Sequence[Command],
    *,
    now: Millis = NOW,
    sizes: Iterable[int] = (1,),
    vendors: Mapping[str, Vendor] | None = None,
) -> list[Outcome]:
    """Take commands in, in batches of the given sizes (the last size repeats)."""
    batcher = Batcher(lambda: now, vendors or {})
    outcomes: list[Outcome] = []
    todo = list(commands)
    steps = iter(sizes)
    size = 1
    while todo:
        size = next(steps, size)
        batch, todo = todo[:size], todo[size:]
        outcomes += in_unit_of_work(engine, partial(batcher, commands=batch))
    return outcomes


def snapshot(engine: Engine) -> dict[str, Any]:
    """Return what must not depend on the way things arrived: balances, lots and orders, by names that the shop knows."""
    with engine.connect() as connection:
        names: dict[int, list[str]] = {}
        for row in connection.execute(select(t.identities).where(t.identities.c.source != "@")):
            names.setdefault(row.member, []).append(f"{row.source}:{row.customer}")
        whose = {member: tuple(sorted(ids)) for member, ids in names.items()}
        balances = {
            (whose.get(row.member), row.definition): (
                row.pending,
                row.available,
                row.reserved,
                row.owed,
                row.earned,
            )
            for row in connection.execute(select(t.balances))
        }
        lots: dict[Any, list[Any]] = {}
        for row in connection.execute(select(t.lots)):
            if row.pending or row.available or row.reserved:
                held = (row.pending, row.available, row.reserved, row.available_at or 0, row.expires_at or 0)
                lots.setdefault((whose.get(row.member), row.order_source, row.order_ref), []).append(held)
        orders = {
            (row.source, row.ref): (
                whose.get(row.member),
                row.state,
                row.reason,
                row.award,
                row.retained,
                row.credited - row.taken,
                row.facts,
                row.basis,
                row.placed_at,
            )
            for row in connection.execute(select(t.orders))
        }
    zero = (0, 0, 0, 0, 0)
    return {
        "balances": {key: value for key, value in balances.items() if value != zero},
        "lots": {key: sorted(held) for key, held in lots.items()},
        "orders": orders,
    }


# --- what a program does with a member's points ----------------------------------------------------------------------


def member_of(engine: Engine, customer: str = "7000", source: str = "shop") -> int:
    """Return the member behind a shop's customer."""
    columns = t.identities.c
    query = select(columns.member).where(columns.source == source, columns.customer == customer)
    with engine.connect() as connection:
        return int(connection.execute(query).scalar_one())


def begin(
    member: int, number: int, kind: str, amount: int, *, complete: bool = False, **more: Any
) -> BeginTransaction:
    """Return the command that credits or debits; `number` is the transaction's id."""
    fields: dict[str, Any] = {"env": 1, "definition": 1, "occurred_at": NOW, "received_at": NOW, **more}
    return BeginTransaction(id=number, member=member, kind=kind, amount=amount, complete=complete, **fields)


def end(member: int, number: int, state: str, **more: Any) -> EndTransaction:
    """Return the command that completes or cancels."""
    fields: dict[str, Any] = {"env": 1, "definition": 1, "received_at": NOW, **more}
    return EndTransaction(transaction=number, member=member, state=state, **fields)


def enrol(number: int, **more: Any) -> EnrolMember:
    """Return the command that makes somebody a member; `number` is their id."""
    fields: dict[str, Any] = {"env": 1, "joined_at": NOW, "received_at": NOW, **more}
    return EnrolMember(id=number, **fields)


def update(number: int, member: int, **changes: Any) -> UpdateMember:
    """Return the command that changes what is known of a member; `number` tells it from others."""
    return UpdateMember(env=1, received_at=NOW, id=number, member=member, **changes)


def turn(number: int, member: int, state: str) -> TurnMember:
    """Return the command that deletes, restores or erases a member."""
    return TurnMember(env=1, received_at=NOW, id=number, member=member, state=state)


def merge(member: int, into: int) -> MergeMembers:
    """Return the command that makes one member's everything another's."""
    return MergeMembers(env=1, received_at=NOW, member=member, into=into)


def transfer(number: int, member: int, to: int, amount: int, **more: Any) -> TransferPoints:
    """Return the command that gives points away; `number` is the debit's id, the next one the credit's."""
    fields: dict[str, Any] = {"env": 1, "definition": 1, "received_at": NOW, **more}
    return TransferPoints(id=number, credit=number + 1, member=member, to=to, amount=amount, **fields)


# --- the events of an order's life -----------------------------------------------------------------------------------


def line(number: int = 1, amount: str = "10.00", *, quantity: str = "1", **more: Any) -> Line:
    return Line(id=str(number), amount=Decimal(amount), quantity=Decimal(quantity), **more)


def totals(
    *lines: Line, version: Millis = NOW, currency: str = "EUR", total: str | None = None, **more: Any
) -> Totals:
    worth = Decimal(total) if total is not None else sum((one.amount for one in lines), Decimal(0))
    return Totals(version=version, currency=currency, lines=lines, total=worth, **more)


def placed(
    order: str = "1001",
    *lines: Line,
    at: Millis = NOW - 10 * DAY,
    customer: str | None = "7000",
    email: str | None = None,
    version: Millis | None = None,
    what: Totals | None = None,
    test: bool = False,
) -> Event:
    stamp = at if version is None else version
    return Event(
        type=EventType.ORDER_PLACED if version is None else EventType.ORDER_UPDATED,
        occurred_at=at,
        version=stamp,
        order=order,
        placed_at=at,
        customer=Customer(id=customer, email=email),
        totals=what or totals(*(lines or (line(amount="89.99"),)), version=stamp),
        test=test,
    )


def paid(
    order: str = "1001",
    payment: str = "p1",
    *,
    at: Millis = NOW - 9 * DAY,
    amount: str | None = None,
    state: PaymentState = PaymentState.COMPLETED,
    version: Millis | None = None,
) -> Event:
    fact = Payment(
        id=payment,
        version=at if version is None else version,
        state=state,
        whole=amount is None,
        at=at,
        amount=None if amount is None else Decimal(amount),
    )
    return Event(
        type=EventType.PAYMENT_COMPLETED, occurred_at=at, version=fact.version, order=order, payment=fact
    )


def shipped(
    order: str = "1001",
    shipment: str = "s1",
    *,
    lines: Sequence[tuple[str, str]] | None = None,
    at: Millis = NOW - 8 * DAY,
    cancelled: bool = False,
    version: Millis | None = None,
) -> Event:
    parts = None if lines is None else tuple((name, Decimal(quantity)) for name, quantity in lines)
    fact = Shipment(
        id=shipment, version=at if version is None else version, cancelled=cancelled, lines=parts, at=at
    )
    return Event(
        type=EventType.ORDER_SHIPPED, occurred_at=at, version=fact.version, order=order, shipment=fact
    )


def refunded(
    order: str = "1001",
    refund: str = "r1",
    amount: str = "30.00",
    *,
    at: Millis = NOW - 7 * DAY,
    lines: Sequence[tuple[str, str, str]] = (),
    state: RefundState = RefundState.COMPLETED,
    version: Millis | None = None,
    **more: Any,
) -> Event:
    parts = tuple((name, Decimal(quantity), Decimal(worth)) for name, quantity, worth in lines)
    goods = sum((worth for _, _, worth in parts), Decimal(0)) if parts else None
    fact = Refund(
        id=refund,
        version=at if version is None else version,
        state=state,
        amount=Decimal(amount),
        lines=parts,
        at=at,
        **{"merchandise": goods, **more},
    )
    return Event(
        type=EventType.ORDER_REFUNDED, occurred_at=at, version=fact.version, order=order, refund=fact
    )


def cancelled(order: str = "1001", *, at: Millis = NOW - 6 * DAY, off: bool = True) -> Event:
    fact = Cancellation(version=at, cancelled=off, at=at)
    return Event(type=EventType.ORDER_CANCELLED, occurred_at=at, version=at, order=order, cancellation=fact)


def customer(
    number: str = "7000",
    *,
    email: str | None = None,
    at: Millis = NOW - 20 * DAY,
    name: str | None = None,
    type: EventType = EventType.CUSTOMER_CREATED,  # noqa: A002 - the event's own word
) -> Event:
    return Event(type=type, occurred_at=at, version=at, customer=Customer(id=number, email=email, name=name))
