"""Explain: why a balance is what it is, order by order, down to the events; and whether it adds up.

One explanation has two forms: the JSON that the API answers, and the text that the command line prints.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, func, select

from adapter import ids
from adapter.book import facts as order_facts
from adapter.book.news import balances_view
from adapter.book.parts import parts_of
from adapter.book.state import MEMBER_ACCOUNTS, Balance, Lot, Order, Transfer
from adapter.clock import Millis, iso
from adapter.errors import NotFound
from adapter.points import points
from adapter.store import tables as t
from adapter.store.explained import event_view, lot_view, standing_view, transfers_view
from adapter.store.reading.awards import parts_view
from adapter.store.reading.balances import accounts_of, balance_row, catch_up
from adapter.store.reading.events import events_of_orders
from adapter.store.reading.statement import TRANSFER_COLUMNS, Whose, accounts_at, net_of
from adapter.store.rows import LOT_COLUMNS, ORDER_COLUMNS, columns_of
from adapter.store.sentences import Story, balance_sentences, sentences_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from adapter.catalog import Catalog, Definition, ProgramVersion
    from adapter.store.reading.members import MemberRow

ORDERS_SHOWN = 100
_ORDER = columns_of(t.orders, ORDER_COLUMNS)
_LOT = columns_of(t.lots, LOT_COLUMNS)


def explain_member(
    connection: Connection,
    catalog: Catalog,
    member: MemberRow,
    definition: Definition,
    *,
    now: Millis,
) -> dict[str, Any]:
    """Explain one balance of a member, with the newest orders told in full and the others as one sum."""
    balance = balance_row(connection, member.env, member.id, definition.id)
    stored = accounts_of(balance)
    due = catch_up(connection, balance, now)
    orders, more = _orders_of(connection, member, definition)
    told = [
        _order_view(
            connection, catalog, order, definition=definition, due=due, idle_at=balance.idle_at, now=now
        )
        for order in orders
    ]
    whose = Whose(member.env, member.id, definition.id)
    summed = dict(
        zip((account.value for account in MEMBER_ACCOUNTS), accounts_at(connection, whose), strict=True)
    )
    others = _net_of_others(summed, told)
    return {
        "member": ids.show("mem", member.id),
        "source_ids": list(member.source_ids),
        "program": definition.program,
        "balance_definition": definition.name,
        "unit": definition.unit,
        "as_of": iso(now),
        "balances": balances_view(balance, definition.decimals),
        "sentences": [
            *balance_sentences(list(accounts_of(balance).items()), definition),
            *_overdue(due, balance, stored),
            _check(stored, summed, definition),
        ],
        "adds_up": stored == summed,
        "orders": [_without_net(one, definition) for one in told],
        "more_orders": more,
        "other_transfers": transfers_view(_transfers_without_order(connection, whose), definition),
        "other_changes": _shown(others, definition),
    }


def explain_order(
    connection: Connection, catalog: Catalog, env: int, reference: str, *, now: Millis
) -> dict[str, Any]:
    """Explain one order by `source:order`, whether or not it has found its member.

    Raises `NotFound`.
    """
    source, _, ref = reference.partition(":")
    orders = t.orders.c
    row = connection.execute(
        select(*_ORDER).where(orders.env == env, orders.source == source, orders.ref == ref),
    ).one_or_none()
    if row is None:
        raise NotFound(
            f"There is no order {reference[:80]!r} in this environment; name it `source:order`, with the "
            "shop's own order id.",
            field="order",
        )
    order = _order(row)
    definition = _definition_of(catalog, order)
    due: list[Lot] = []
    idle_at: Millis | None = None
    if order.member is not None:
        balance = balance_row(connection, env, order.member, definition.id)
        due = catch_up(connection, balance, now)
        idle_at = balance.idle_at
    view = _order_view(connection, catalog, order, definition=definition, due=due, idle_at=idle_at, now=now)
    return _without_net(view, definition)


def _definition_of(catalog: Catalog, order: Order) -> Definition:
    if order.definition is None:
        return catalog.definition_of(order.env, order.program)
    return catalog.definitions[order.env, order.definition]


def _order(row: Any) -> Order:
    return Order(**{**row._mapping, "facts": order_facts.load(row.facts)})  # noqa: SLF001 - public in SQLAlchemy


def _orders_of(connection: Connection, member: MemberRow, definition: Definition) -> tuple[list[Order], int]:
    """Return the member's newest orders, and how many more there are."""
    orders = t.orders.c
    query = select(*_ORDER).where(
        orders.env == member.env,
        orders.member == member.id,
        (orders.definition == definition.id)
        | (orders.definition.is_(None) & (orders.program == definition.program)),
    )
    newest = query.order_by(orders.created_at.desc(), orders.source, orders.ref).limit(ORDERS_SHOWN)
    found = [_order(row) for row in connection.execute(newest)]
    more = 0
    if len(found) == ORDERS_SHOWN:
        more = (
            connection.execute(select(func.count()).select_from(query.subquery())).scalar_one() - ORDERS_SHOWN
        )
    return found, more


def _order_view(
    connection: Connection,
    catalog: Catalog,
    order: Order,
    *,
    definition: Definition,
    due: Iterable[Lot],
    idle_at: Millis | None,
    now: Millis,
) -> dict[str, Any]:
    lot = _lot_of(connection, order, definition, due)
    if lot is not None and lot.available and idle_at is not None:  # it ends with its member's doing nothing
        lot.expires_at = min(lot.expires_at or idle_at, idle_at)
    version = _version_of(catalog, order)
    transfers = _transfers_of(connection, order, definition)
    return {
        "source": order.source,
        "order": order.ref,
        "name": order.name,
        "member": None if order.member is None else ids.show("mem", order.member),
        "state": order.state,
        "reason": order.reason,
        "sentences": sentences_of(Story(order, lot, definition, version, now)),
        "currency": order.currency,
        "basis": order.basis,
        "program_version": order.program_version,
        "award": points(order.award, definition.decimals),
        "parts": parts_view(parts_of(order), definition.decimals),
        "standing": standing_view(order, definition),
        "retained": points(order.retained, definition.decimals),
        "lot": None if lot is None else lot_view(lot, definition),
        "events": [
            event_view(row) for row in events_of_orders(connection, order.env, (order.source, order.ref))
        ],
        "transfers": transfers_view(transfers, definition),
        "net": net_of(transfers),
    }


def _version_of(catalog: Catalog, order: Order) -> ProgramVersion | None:
    versions = catalog.programs.get((order.env, order.program), ())
    return next((one for one in versions if one.version == order.program_version), None)


def _lot_of(connection: Connection, order: Order, definition: Definition, due: Iterable[Lot]) -> Lot | None:
    """Return the order's lot as it is now: a due one has had its time pass already."""
    if order.lot is None or order.member is None:
        return None
    passed = next((lot for lot in due if lot.id == order.lot), None)
    if passed is not None:
        return passed
    lots = t.lots.c
    row = connection.execute(
        select(*_LOT).where(
            lots.env == order.env,
            lots.member == order.member,
            lots.definition == definition.id,
            lots.id == order.lot,
        )
    ).one_or_none()
    return None if row is None else Lot(*row)


def _transfers_of(connection: Connection, order: Order, definition: Definition) -> list[Transfer]:
    if order.member is None:
        return []
    transfers = t.transfers.c
    query = select(*TRANSFER_COLUMNS).where(
        *Whose(order.env, order.member, definition.id).conditions(),
        transfers.order_source == order.source,
        transfers.order_ref == order.ref,
    )
    return [Transfer(*row) for row in connection.execute(query.order_by(transfers.sequence, transfers.n))]


def _transfers_without_order(connection: Connection, whose: Whose) -> list[Transfer]:
    """Return the newest transfers that belong to no order, oldest first."""
    transfers = t.transfers.c
    query = select(*TRANSFER_COLUMNS).where(*whose.conditions(), transfers.order_ref.is_(None))
    newest = query.order_by(transfers.sequence.desc(), transfers.n.desc()).limit(ORDERS_SHOWN)
    return [Transfer(*row) for row in reversed(connection.execute(newest).all())]


def _net_of_others(summed: dict[str, int], told: Iterable[dict[str, Any]]) -> dict[str, int]:
    """Return what is in the accounts besides what the listed orders brought and took."""
    listed: dict[str, int] = defaultdict(int)
    for one in told:
        for account, amount in one["net"].items():
            listed[account] += amount
    return {account: amount - listed[account] for account, amount in summed.items()}


def _without_net(view: dict[str, Any], definition: Definition) -> dict[str, Any]:
    return {**view, "net": _shown(view["net"], definition)}


def _shown(accounts: dict[str, int], definition: Definition) -> dict[str, Any]:
    return {account: points(amount, definition.decimals) for account, amount in accounts.items() if amount}


def _overdue(due: Sequence[Lot], balance: Balance, stored: dict[str, int]) -> list[str]:
    if not due or accounts_of(balance) == stored:
        return []
    return ["Time has done something that the sweep has yet to write down; it is counted here already."]


def _check(stored: dict[str, int], summed: dict[str, int], definition: Definition) -> str:
    if stored == summed:
        return "The transfers add up to the balance."
    wrong = ", ".join(
        f"{account} is {points(stored[account], definition.decimals)} but its transfers give "
        f"{points(summed[account], definition.decimals)}"
        for account in stored
        if stored[account] != summed[account]
    )
    return f"THE TRANSFERS DO NOT ADD UP to the balance: {wrong}. Run `loyalty-adapter audit`."


def as_text(explanation: dict[str, Any]) -> str:
    """Write a member's explanation for a terminal."""
    head = (
        f"{explanation['member']} ({', '.join(explanation['source_ids']) or 'no shop id'}), "
        f"{explanation['program']}/{explanation['balance_definition']}"
    )
    lines = [head, *(f"  {sentence}" for sentence in explanation["sentences"])]
    for order in explanation["orders"]:
        lines += ["", *order_lines(order)]
    if explanation["more_orders"]:
        lines += [
            "",
            f"… and {explanation['more_orders']} older orders, which changed {explanation['other_changes']}.",
        ]
    for one in explanation["other_transfers"]:
        lines.append(_transfer_line(one))
    return "\n".join(lines)


def order_lines(order: dict[str, Any]) -> list[str]:
    """Write one order's explanation, a line each."""
    name = f" ({order['name']})" if order["name"] and order["name"] != order["order"] else ""
    return [
        f"Order {order['source']}:{order['order']}{name}, {order['state']}",
        *(f"  {sentence}" for sentence in order["sentences"]),
        *(
            f"  {_short(one['received_at'])}  event {one['id']}  {one['source']} {one['topic']}"
            f"{'' if one['state'] == 'applied' else ', ' + one['state']}"
            for one in order["events"]
        ),
        *(_transfer_line(one) for one in order["transfers"]),
    ]


def _transfer_line(one: dict[str, Any]) -> str:
    because = f" ({one['event']})" if one["event"] else ""
    return (
        f"  {_short(one['posted_at'])}  {one['kind']} {one['amount']}: {one['from']} → {one['to']}{because}"
    )


def _short(instant: str) -> str:
    return instant[:16].replace("T", " ")
