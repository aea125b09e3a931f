"""What orders say of the redemptions that they use, and what becomes of those.

An order uses a redemption that was begun for it or for one of its payments, or whose code or id is among its discount
codes. What the order says follows from its merged facts alone, so the same webhooks in any order end alike:

    paid        the redemption is applied, less what refunds return
    cancelled   released
    open        the redemption waits, until its deadline

One that had been released, or had expired, and is paid after all is taken once more; a person is told by a flag. Where
several orders use one, the first of these that any of them says holds. What the API moved stays as it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from adapter.book.elapsing import let_time_pass, plan_next
from adapter.book.links import SAYINGS, Linked, links_of_order, read_linked, said_by, says_of, write_linked
from adapter.book.orders import totals_of
from adapter.book.posting import finish, tell_redemptions
from adapter.book.redemptions import come_back, hold_again, let_go, move_on, take_again, use_held
from adapter.book.settle import NeedsLots
from adapter.book.state import RedemptionState
from adapter.program.offers import returned_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from adapter.book.facts import Facts
    from adapter.book.state import Order, Redemption
    from adapter.book.transfers import Cause, Change
    from adapter.book.working import Link, OrderKey, WorkingSet

_WANTED = {
    "paid": RedemptionState.APPLIED,
    "open": RedemptionState.PENDING,
    "cancelled": RedemptionState.RELEASED,
}
_OVER = (RedemptionState.RELEASED, RedemptionState.EXPIRED)
TAKEN_AGAIN = "its points had gone back before its order was paid, and were taken once more"
OWED = "its points were taken once more, and what was not there of them is owed"
NOT_HELD_AGAIN = "its order is on again, and its points are not there to be held once more"
USED_ANYWAY = "an order that was paid uses it, although it was released by hand"
SEVERAL_ORDERS = "several orders that were paid use it"


def know_links(work: WorkingSet, redemption: Redemption) -> None:
    """Let the orders of this batch find a redemption."""
    if redemption.kind != "discount":
        return
    for link in _links_of(redemption):
        work.linked.setdefault(link, {})[redemption.id] = None


def _links_of(redemption: Redemption) -> Iterator[Link]:
    env = redemption.env
    yield (env, "id", str(redemption.id))
    yield (env, "code", redemption.code or "")
    if redemption.payment is not None:
        yield (env, "payment", redemption.payment)
    if redemption.order_source is not None:
        yield (env, "order", f"{redemption.order_source}:{redemption.order_ref}")


def follow(work: WorkingSet, order: Order, before: Facts, cause: Cause) -> None:
    """Bring the redemptions that an order uses, or used by its facts of before, to what its facts say."""
    if not work.linked:
        return
    links = set(links_of_order(order.key, order.facts))
    either = links.union(links_of_order(order.key, before))
    for number in sorted({number for link in either for number in work.linked.get(link, ())}):
        redemption = work.redemptions.get(number)
        if redemption is not None:
            _hear(work, redemption, order, links)
            _settle(work, redemption, cause)


def follow_known(work: WorkingSet, redemption: Redemption, cause: Cause) -> None:
    """Bring a redemption that was just begun to what is known already of the orders that use it."""
    keys: dict[OrderKey, None] = {}
    if redemption.order_source is not None and redemption.order_ref is not None:
        entry = Linked(source=redemption.order_source, ref=redemption.order_ref, asked=True)
        redemption.linked = write_linked([entry])
        keys[redemption.env, entry.source, entry.ref] = None
    for link in _links_of(redemption):
        keys |= work.naming.get(link, {})
    orders = [order for key in sorted(keys) if (order := work.orders.get(key)) is not None]
    if redemption.kind != "discount" or not orders:
        return
    for order in orders:
        _hear(work, redemption, order, set(links_of_order(order.key, order.facts)))
    _settle(work, redemption, cause)


def _hear(work: WorkingSet, redemption: Redemption, order: Order, links: set[Link]) -> None:
    """Keep what an order says; forget it where the order does not use the redemption any more."""
    told = {(one.source, one.ref): one for one in read_linked(redemption.linked)}
    known = told.get((order.source, order.ref))
    asked = known is not None and known.asked
    uses = asked or any(link in links for link in _links_of(redemption) if link[1] != "order")
    entry = Linked(
        source=order.source,
        ref=order.ref,
        says=says_of(order.facts, order.source),
        returned=_returned(work, redemption, order),
        asked=asked,
    )
    linked = said_by(order, redemption.linked, entry if uses else None)
    if linked != redemption.linked:
        redemption.linked = linked
        first = min(
            read_linked(linked), key=lambda one: (not one.asked, SAYINGS.index(one.says)), default=None
        )
        redemption.order_source, redemption.order_ref = (first.source, first.ref) if first else (None, None)
        know_links(work, redemption)
        work.redemptions.mark(redemption.id)


def _returned(work: WorkingSet, redemption: Redemption, order: Order) -> int:
    """Return how many of the points come back for the order's refunds, by the program of when they were spent."""
    version = work.catalog.version_at(redemption.env, redemption.program, redemption.created_at)
    totals = totals_of(order.facts, order.source)
    if version.program.redeeming.return_on_refund == "never" or totals is None:
        return 0
    refunds = (one.refunds.values() for one in order.facts.sources.values())
    return returned_of(redemption.cost, refunds, totals)


def _settle(work: WorkingSet, redemption: Redemption, cause: Cause) -> None:
    """Move a redemption and its points to where its orders want them."""
    entries = read_linked(redemption.linked)
    says = min((one.says for one in entries), key=SAYINGS.index, default="open")
    wanted = RedemptionState(redemption.state) if redemption.decided else _WANTED[says]
    returned = min((one.returned for one in entries if one.says == "paid"), default=0)
    if _takes_more(redemption, wanted, returned) and work.other_lots(redemption.balance_key) is None:
        raise NeedsLots(redemption.balance_key)  # before anything has moved
    change = work.change(redemption.balance_key, cause)
    let_time_pass(work, change)
    _bring(work, change, redemption, wanted)
    if redemption.state == RedemptionState.APPLIED and redemption.returned != returned:
        _return(work, change, redemption, returned)
    if redemption.decided and redemption.state == RedemptionState.RELEASED and says == "paid":
        _flag(work, redemption, USED_ANYWAY)
    if sum(one.says == "paid" for one in entries) > 1:
        _flag(work, redemption, redemption.flagged or SEVERAL_ORDERS)
    finish(work, change)
    tell_redemptions(work)
    plan_next(work, change.balance.key)


def _takes_more(redemption: Redemption, wanted: RedemptionState, returned: int) -> bool:
    """Return whether points may have to be taken or held that it does not have now."""
    if redemption.state == RedemptionState.APPLIED:
        return wanted == RedemptionState.PENDING or returned < redemption.returned
    return redemption.state in _OVER and wanted in (RedemptionState.APPLIED, RedemptionState.PENDING)


def _bring(work: WorkingSet, change: Change, redemption: Redemption, wanted: RedemptionState) -> None:
    state = redemption.state
    if wanted == RedemptionState.APPLIED and state == RedemptionState.PENDING:
        use_held(work, change, redemption)
    elif wanted == RedemptionState.APPLIED and state in _OVER:
        short = take_again(work, change, redemption, redemption.cost)
        _flag(work, redemption, OWED if short else TAKEN_AGAIN)
        move_on(work, change, redemption, wanted)
    elif wanted == RedemptionState.RELEASED and state == RedemptionState.PENDING:
        let_go(work, change, redemption, wanted)
    elif wanted != state and state == RedemptionState.APPLIED:
        come_back(work, change, redemption, redemption.cost - redemption.returned)
        redemption.returned = 0
        _wait_again(work, change, redemption, wanted)
    elif wanted == RedemptionState.PENDING and state == RedemptionState.RELEASED:
        _wait_again(work, change, redemption, wanted)


def _wait_again(work: WorkingSet, change: Change, redemption: Redemption, wanted: RedemptionState) -> None:
    """Hold the points once more for an order that is open again, if there is time and they are there."""
    if wanted != RedemptionState.PENDING:
        move_on(work, change, redemption, wanted)
    elif redemption.expires_at is not None and redemption.expires_at <= work.now:
        move_on(work, change, redemption, RedemptionState.EXPIRED)
    elif not hold_again(work, change, redemption):
        _flag(work, redemption, NOT_HELD_AGAIN)
        if redemption.state != RedemptionState.RELEASED:
            move_on(work, change, redemption, RedemptionState.RELEASED)


def _return(work: WorkingSet, change: Change, redemption: Redemption, returned: int) -> None:
    """Give points back for refunds, or take them once more where a refund did not happen after all."""
    more = returned - redemption.returned
    if more > 0:
        come_back(work, change, redemption, more)
    elif take_again(work, change, redemption, -more):
        _flag(work, redemption, OWED)
    redemption.returned, redemption.updated_at = returned, work.now
    work.redemptions.mark(redemption.id)


def _flag(work: WorkingSet, redemption: Redemption, why: str) -> None:
    """Ask a person to look at it, even if somebody had looked at it for another reason."""
    if redemption.flagged != why:
        redemption.flagged, redemption.flag_cleared_at, redemption.flag_note = why, None, None
    work.redemptions.mark(redemption.id)
