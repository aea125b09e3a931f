"""What an order and a redemption or voucher have in common, and what the order says of it by its merged facts alone.

    paid        it was paid in full
    cancelled   it is off, or its payments failed
    open        neither, so far

While an order's totals are not known, only a payment that says to be the whole of it pays it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from adapter import ids
from adapter.book.orders import is_cancelled, paid_at, totals_of
from adapter.events import PaymentState

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from adapter.book.facts import Facts
    from adapter.book.state import Order
    from adapter.book.working import Link, OrderKey, WorkingSet
    from adapter.events import Event, Payment

SAYINGS = ("paid", "open", "cancelled")
"""What an order can say; of several orders the first counts."""
_GONE = {PaymentState.FAILED, PaymentState.CANCELLED}


class Linked(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """What one order says of what it uses. `asked`: that was begun for this order, whatever the order's codes are."""

    source: str
    ref: str
    says: str = "open"
    returned: int = 0  # of a redemption's cost, for refunds
    asked: bool = False


_decoder = msgspec.json.Decoder(tuple[Linked, ...])


def read_linked(text: str | None) -> tuple[Linked, ...]:
    """Return what a row keeps of the orders that use it."""
    return () if text is None else _decoder.decode(text)


def write_linked(entries: Iterable[Linked]) -> str | None:
    """Write what `read_linked` reads, in one order however it came about."""
    said = sorted(entries, key=lambda one: (one.source, one.ref))
    return msgspec.json.encode(said).decode() if said else None


def said_by(order: Order, linked: str | None, entry: Linked | None) -> str | None:
    """Return what a row keeps once an order said this; None: it does not use it, or no more."""
    others = [one for one in read_linked(linked) if (one.source, one.ref) != (order.source, order.ref)]
    return write_linked(others if entry is None else [*others, entry])


def says_of(facts: Facts, owner: str) -> str:
    """Return what the order of the shop `owner` says of what it uses."""
    if is_cancelled(facts):
        return "cancelled"
    if _is_paid(facts, owner):
        return "paid"
    states = {payment.state for one in facts.sources.values() for payment in one.payments.values()}
    return "cancelled" if states and states <= _GONE else "open"


def _is_paid(facts: Facts, owner: str) -> bool:
    totals = totals_of(facts, owner)
    if totals is not None:
        return paid_at(facts, totals) is not None
    payments = (payment for one in facts.sources.values() for payment in one.payments.values())
    return any(payment.whole and payment.state is PaymentState.COMPLETED for payment in payments)


# --- by what they find each other ---------------------------------------------------------------------------------------


def links_of_order(key: OrderKey, facts: Facts, *, redeems: bool = True) -> Iterator[Link]:
    """Yield everything by which an order may name a redemption or voucher; without `redeems` only the codes.

    Where no points can be spent there are vouchers only, and an order without a code costs nothing more.
    """
    env, source, ref = key
    if redeems:
        yield (env, "order", f"{source}:{ref}")
    for one in facts.sources.values():
        if one.totals is not None and one.totals.codes:
            yield from _links_of_codes(env, one.totals.codes)
        for payment in one.payments.values():
            yield from _links_of_payment(env, payment, redeems=redeems)


def links_of_event(key: OrderKey, event: Event, *, redeems: bool) -> Iterator[Link]:
    """Yield everything by which an event of an order may name a redemption or voucher; as `links_of_order`."""
    env, source, ref = key
    if redeems:
        yield (env, "order", f"{source}:{ref}")
    if event.totals is not None and event.totals.codes:
        yield from _links_of_codes(env, event.totals.codes)
    if event.payment is not None:
        yield from _links_of_payment(env, event.payment, redeems=redeems)


def _links_of_payment(env: int, payment: Payment, *, redeems: bool) -> Iterator[Link]:
    if redeems:
        yield (env, "payment", payment.id)
    if payment.codes:
        yield from _links_of_codes(env, payment.codes)


def _links_of_codes(env: int, codes: Iterable[str]) -> Iterator[Link]:
    """Yield the links that codes are; a redemption's own id is as good as its code."""
    for code in codes:
        number = ids.read("rdm", code.strip().lower())
        yield (env, "code", code.strip().upper()) if number is None else (env, "id", str(number))


def code_taken(work: WorkingSet, env: int, code: str) -> bool:
    """Return whether another voucher or redemption has this code: an order that names it would use both."""
    return (env, code) in work.codes or (env, "code", code) in work.linked


def note_links(work: WorkingSet, order: Order, before: Facts) -> None:
    """Remember what an order names since `before`: what is begun later finds it by that."""
    if order.facts is before:
        return
    redeems = work.catalog.redeems(order.env)
    known = set(links_of_order(order.key, before, redeems=redeems))
    for link in links_of_order(order.key, order.facts, redeems=redeems):
        if link[1] in ("code", "payment") and link not in known:
            work.named[link, order.key] = None
            work.naming.setdefault(link, {})[order.key] = None
