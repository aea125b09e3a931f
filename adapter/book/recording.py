"""Take a webhook's events into the book: merge the facts, find the member, settle the order.

Everything about one webhook happens in three passes. Facts and people first, because they are only known then; then
each order's target; then what moves. Nothing has moved while something can still be refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from adapter.book.facts import merge, weightiest
from adapter.book.linking import follow
from adapter.book.links import note_links
from adapter.book.occasions import note_order
from adapter.book.orders import Target, customer_of, refund_elsewhere, target_of, totals_of
from adapter.book.people import apply_customer, claimant_of, find_member, learn
from adapter.book.posting import post_order
from adapter.book.standing import keep_standing, leave_member, recount
from adapter.book.state import Order, OrderState
from adapter.book.transfers import Cause
from adapter.book.using import use_vouchers
from adapter.book.valuing import describe, setting_of
from adapter.book.working import StoredEvent, WorkingSet
from adapter.outcome import EventState
from adapter.program.reasons import Reason

if TYPE_CHECKING:
    from adapter.catalog import Source
    from adapter.commands import RecordEvent
    from adapter.events import Event


def record_event(work: WorkingSet, command: RecordEvent, event_id: int) -> StoredEvent:
    """Decide one webhook. Raises `NeedsLots` before anything moved where a clawback must see more lots."""
    if command.refusal is not None:
        state, reason = command.refusal
        return StoredEvent(event_id, state, reason, "", None, None, command.received_at)
    source = work.catalog.sources[command.source]
    about = [event for event in command.events if event.order is None]
    verdicts = [_customer_event(work, source, event, event_id) for event in about]
    grouped: dict[str, list[Event]] = {}
    for event in command.events:
        if event.order is not None:
            grouped.setdefault(event.order, []).append(event)
    verdicts += [take_order_events(work, source, ref, events, event_id) for ref, events in grouped.items()]
    return _stored(command, event_id, verdicts)


Verdict = tuple[Order | None, int | None, Reason | None]
"""An order or none, a member or none, and why it waits if it does."""


def _stored(command: RecordEvent, event_id: int, verdicts: list[Verdict]) -> StoredEvent:
    order: Order | None = None
    member: int | None = None
    reason: Reason | None = None
    for about, whose, why in verdicts:  # the first of each
        order, member, reason = order or about, member or whose, reason or why
    types = " ".join(dict.fromkeys([event.type for event in command.events]))
    return StoredEvent(
        event_id,
        EventState.PARKED if reason else EventState.APPLIED,
        reason,
        types,
        (order.source, order.ref) if order else None,
        member,
        weightiest(list(command.events)).occurred_at,
    )


def _customer_event(work: WorkingSet, source: Source, event: Event, event_id: int) -> Verdict:
    found = apply_customer(work, source, event)
    if isinstance(found, Reason):
        return None, None, found
    if found is not None:
        _claim(work, source, event, Cause(event.type.value, event.occurred_at, event_id, source.name))
    return None, found, None


def _claim(work: WorkingSet, source: Source, event: Event, cause: Cause) -> None:
    """Give guests' parked orders to the member that their address turned out to be."""
    member = None if event.customer is None else claimant_of(work, source, event.customer)
    if member is not None and event.customer is not None:
        claim_orders(work, source.env, event.customer.email, member, cause)


def claim_orders(work: WorkingSet, env: int, email: str | None, member: int, cause: Cause) -> None:
    """Give a member the parked orders with their address, of programs in which an address is a person."""
    for key in work.guests.pop((env, email or ""), []):
        order = work.orders.get(key)
        if order is None or order.member is not None or order.email != email:
            continue
        if work.catalog.version_at(env, order.program, work.now).program.members.match_email:
            _settle_order(work, order, member, cause)


def claim_awaited(work: WorkingSet, customer: tuple[int, str, str], member: int, cause: Cause) -> None:
    """Give a member the orders that they placed as the shop's customer (env, source, id) before they were one."""
    for key in work.awaited.pop(customer, []):
        order = work.orders.get(key)
        if order is not None and order.member is None and order.customer == customer[2]:
            _settle_order(work, order, member, cause)


def take_order_events(
    work: WorkingSet, source: Source, ref: str, events: list[Event], event_id: int
) -> Verdict:
    """Take in what a source tells of one order: its facts, its member, its points, the redemptions that it uses."""
    key = (source.env, source.orders_of, ref)
    order = work.orders.get(key) or Order(
        *key, program=_owner_of(work, source.orders_of, source).program, created_at=work.now
    )
    known = facts = order.facts
    told = []
    for event in events:
        merged = merge(facts, source.name, event)
        if merged is not facts:
            told.append(event)
        facts = merged
    order.facts = facts
    work.orders.put(key, order)
    main = weightiest(told or events)
    cause = Cause(main.type.value, main.occurred_at, event_id, source.name)
    found = _member_of(
        work,
        source,
        order,
        events,
        moved=customer_of(facts, order.source) != customer_of(known, order.source),
    )
    target = _settle_order(work, order, found, cause)
    note_links(work, order, known)
    follow(work, order, known, cause)
    use_vouchers(work, order, known)
    for event in events if source.name == order.source else ():
        _claim(work, source, event, cause)
    return order, order.member, _waits(order, target, events)


def _owner_of(work: WorkingSet, order_source: str, source: Source) -> Source:
    """Return the source whose order it is; the one that tells of it where no source of that name is configured here."""
    owner = work.catalog.sources.get(order_source)
    return owner if owner is not None and owner.env == source.env else source


def _member_of(
    work: WorkingSet,
    source: Source,
    order: Order,
    events: list[Event],
    *,
    moved: bool,
) -> int | Reason:
    """Return whose order it is. One that has its member keeps it, unless the shop now names somebody else."""
    customer = customer_of(order.facts, order.source)
    owner = _owner_of(work, order.source, source)
    # Of a guest the facts have the address, and teach nothing: what an older guest wrote is somebody else's.
    named = [
        event
        for event in (events if source.name == order.source and customer.id is not None else ())
        if event.customer is not None and event.customer.id == customer.id
    ]
    if named:
        customer = max(named, key=lambda event: event.version).customer or customer
    found: int | Reason = order.member if order.member is not None else Reason.UNKNOWN_MEMBER
    if order.member is None or moved:
        found = find_member(work, owner, order.source, customer)
    if isinstance(found, int):
        for event in named:
            learn(work, order.env, found, event.customer or customer, event.version)
    return found


def _waits(order: Order, target: Target, events: list[Event]) -> Reason | None:
    if target.parked:
        return target.reason
    totals = totals_of(order.facts, order.source)
    if totals is not None and refund_elsewhere(order.facts, totals):
        strange = any(
            e.refund is not None and e.refund.currency not in (None, totals.currency) for e in events
        )
        return Reason.REFUND_CURRENCY if strange else None
    return None


def _settle_order(work: WorkingSet, order: Order, found: int | Reason, cause: Cause) -> Target:
    """Find the target and move what it asks for; the order's row is brought up to date."""
    note_order(work, order)
    settled_before = order.program_version is not None
    waited = settled_before and order.state in (OrderState.WAITING, OrderState.PARKED)
    if order.member not in (None, found):
        _hand_over(work, order, cause)
    setting = setting_of(work, order, None if isinstance(found, int) else found)
    if isinstance(found, int):
        setting = keep_standing(work, order, found, setting)
    target = target_of(order.facts, setting, work.now)
    if isinstance(found, int):
        post_order(work, order, found, target, setting=setting, cause=cause)
        order.member, order.email, order.customer = found, None, None
    else:
        customer = customer_of(order.facts, order.source)
        order.member, order.email, order.customer = None, customer.email, customer.id
        if order.email:
            work.guests.setdefault((order.env, order.email), []).append(order.key)
        if order.customer:
            awaited = (order.env, order.source, order.customer)
            work.awaited.setdefault(awaited, []).append(order.key)
    describe(order, target, setting)
    recount(work, order, target, setting, cause)
    if waited and not target.parked:
        work.unparked[order.key] = order.member
    work.orders.mark(order.key)
    return target


def _hand_over(work: WorkingSet, order: Order, cause: Cause) -> None:
    """Take everything back from the member that the order turned out not to be of."""
    setting = setting_of(work, order, Reason.UNKNOWN_MEMBER)
    assert order.member is not None
    nothing = target_of(order.facts, setting, work.now)
    post_order(work, order, order.member, nothing, setting=setting, cause=cause)
    leave_member(work, order, cause)
    order.credited = order.taken = 0
    order.lot = order.award_transaction = None
