"""Vouchers that orders use: an order that is on and has a voucher's code among its discount codes redeems it.

What the order says follows from its merged facts, so the same webhooks in any order end alike. An order that is cancelled,
or whose payments all failed, gives the voucher back: it is what it would be without that order. Where several orders use
one, it is redeemed while any of them is on. What the API moved stays as it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from adapter.book.links import Linked, links_of_order, read_linked, said_by, says_of
from adapter.book.vouchers import settle

if TYPE_CHECKING:
    from adapter.book.facts import Facts
    from adapter.book.state import Order
    from adapter.book.voucher import Voucher
    from adapter.book.working import WorkingSet


def use_vouchers(work: WorkingSet, order: Order, before: Facts) -> None:
    """Bring the vouchers that an order uses, or used by its facts of before, to what its facts say."""
    if not work.codes:
        return
    now, then = _codes(order, order.facts), _codes(order, before)
    for code in sorted(now | then):
        number = work.codes.get((order.env, code))
        voucher = None if number is None else work.vouchers.get(number)
        if voucher is not None:
            _hear(work, voucher, order, uses=code in now)
            settle(work, voucher)


def use_known(work: WorkingSet, voucher: Voucher) -> None:
    """Bring a voucher that was just given by hand to what is known already of the orders that use its code."""
    for key in sorted(work.naming.get((voucher.env, "code", voucher.code), ())):
        order = work.orders.get(key)
        if order is not None:
            _hear(work, voucher, order, uses=voucher.code in _codes(order, order.facts))
    settle(work, voucher)


def _codes(order: Order, facts: Facts) -> set[str]:
    return {name for _, kind, name in links_of_order(order.key, facts) if kind == "code"}


def _hear(work: WorkingSet, voucher: Voucher, order: Order, *, uses: bool) -> None:
    """Keep what an order says; forget it where the order does not use the voucher any more."""
    entry = Linked(source=order.source, ref=order.ref, says=says_of(order.facts, order.source))
    linked = said_by(order, voucher.linked, entry if uses else None)
    if linked == voucher.linked:
        return
    voucher.linked = linked
    if not voucher.decided:
        on = [one for one in read_linked(linked) if one.says != "cancelled"]
        voucher.order_source, voucher.order_ref = (on[0].source, on[0].ref) if on else (None, None)
    work.vouchers.mark(voucher.id)
