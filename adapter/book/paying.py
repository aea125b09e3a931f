"""Payments that are rehearsed: an order that is one payment, told by commands as a shop's webhooks would tell it.

Nobody is charged. What is known of such a payment are an order's facts, so it earns, uses redemptions and lets go of them
by the same rules as every other order:

    pending  → completed | failed | cancelled | expired

Unlike an order's webhooks a command can still be refused: a redemption is taken off one payment only.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec

from adapter import ids
from adapter.book.enrolling import enrol_member
from adapter.book.news import tell_payment
from adapter.book.recording import take_order_events
from adapter.book.state import RedemptionState
from adapter.catalog import Source
from adapter.commands import BeginPayment, EndPayment, EnrolMember
from adapter.events import Cancellation, Customer, Event, EventType, Line, Payment, PaymentState, Totals
from adapter.outcome import Outcome
from adapter.program.worth import EXPONENTS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from adapter.book.state import Order, Redemption
    from adapter.book.working import WorkingSet
    from adapter.clock import Millis

EXPIRED = "expired"
_STATES = {
    "pending": PaymentState.PENDING,
    "completed": PaymentState.COMPLETED,
    "failed": PaymentState.FAILED,
    "cancelled": PaymentState.CANCELLED,
    EXPIRED: PaymentState.CANCELLED,
}
"""What each state is among an order's facts; why it is off tells the last two apart."""
_TAKEN_BACK = (RedemptionState.REVERSED, RedemptionState.RELEASED)


def order_of(command: BeginPayment | EndPayment) -> tuple[str, str]:
    """Return the order that a payment is: (source, ref)."""
    number = command.id if isinstance(command, BeginPayment) else command.payment
    return command.source, ids.show("pay", number)


def begin_payment(work: WorkingSet, command: BeginPayment, event: int) -> Outcome:
    """Tell of a new payment, and how far it got at once. Refused where a redemption cannot be taken off it."""
    if work.catalog.environments[command.env].live:
        why = "Payments are rehearsed in test environments; a live one hears of real ones by a source's webhooks."
        return Outcome(error="payment_in_live", reason=why)
    found = []
    for number in command.redemptions:
        redemption = work.redemptions.get(number)
        refusal = _unusable(work, command, number, redemption)
        if refusal is not None:
            return refusal
        assert redemption is not None
        found.append(redemption)
    _enrol(work, command, event)
    told = [_placed(work.now, command, sum(one.value or 0 for one in found))]
    if command.state == "pending":
        told.append(_paid(work.now, command, "pending"))
    else:
        told += _ended(work.now, command, command.state)
    return _told(work, command, told, event, ["created", command.state])


def end_payment(work: WorkingSet, command: EndPayment, event: int) -> Outcome:
    """Tell how a payment ended that was pending."""
    order = work.orders.get((command.env, *order_of(command)))
    payment = None if order is None else payment_of(order)
    if payment is None:
        return Outcome(error="not_found", reason="There is no such payment.")
    state = payment["state"]
    if state != "pending":
        return Outcome(error=f"payment_{state}", reason=f"It is {state} already.")
    assert order is not None
    at = max(work.now, payment["updated_at"])  # another machine's clock may be ahead
    told = _ended(at, command, command.state)
    if command.state == "completed":
        told = [*_charged_whole(work, order, payment, at), *told]
    return _told(work, command, told, event, [command.state])


def _charged_whole(work: WorkingSet, order: Order, payment: dict[str, Any], at: Millis) -> Iterator[Event]:
    """Yield what there is to pay without the discounts that were reversed or released by hand since."""
    found = [one for number in payment["redemptions"] if (one := work.redemptions.get(number)) is not None]
    left = [one for one in found if not (one.decided and one.state in _TAKEN_BACK)]
    totals = order.facts.sources[order.source].totals
    if len(left) == len(found) or totals is None:
        return
    whole = totals.total + totals.discount
    off = min(Decimal(sum(one.value or 0 for one in left)).scaleb(-EXPONENTS[totals.currency]), whole)
    fresh = msgspec.structs.replace(
        totals,
        version=max(at, totals.version + 1),
        discount=off,
        total=whole - off,
        codes=tuple(ids.show("rdm", one.id) for one in left),
    )
    yield Event(
        type=EventType.ORDER_UPDATED, occurred_at=at, version=fresh.version, order=order.ref, totals=fresh
    )


def payment_of(order: Order) -> dict[str, Any] | None:
    """Return a payment as its order's facts have it, money in the currency's smallest unit; None for other orders."""
    facts = order.facts.sources.get(order.source)
    number = ids.read("pay", order.ref)
    if number is None or facts is None or facts.totals is None or order.ref not in facts.payments:
        return None
    totals, payment = facts.totals, facts.payments[order.ref]
    places = EXPONENTS[totals.currency]
    off = facts.cancellation
    run_out = payment.state is PaymentState.CANCELLED and off is not None and off.reason == EXPIRED
    customer = facts.customer
    return {
        "payment": number,
        "source": order.source,
        "customer": None if customer is None else customer.customer.id,
        "state": EXPIRED if run_out else payment.state.value,
        "amount": int((totals.total + totals.discount).scaleb(places)),
        "discount": int(totals.discount.scaleb(places)),
        "charged": int(totals.total.scaleb(places)),
        "currency": totals.currency,
        "redemptions": [number for code in totals.codes if (number := ids.read("rdm", code)) is not None],
        "created_at": totals.version if facts.placed_at is None else facts.placed_at,
        "updated_at": payment.version,
    }


def _unusable(
    work: WorkingSet, command: BeginPayment, number: int, redemption: Redemption | None
) -> Outcome | None:
    """Return why a redemption cannot be taken off a payment, None where it can."""
    if redemption is None:
        return _refused("discount_unusable", f"There is no redemption {ids.show('rdm', number)}.")
    if redemption.kind != "discount":
        return _refused(
            "discount_unusable", f"This redemption is no discount: it is of kind {redemption.kind}."
        )
    state = redemption.state_at(work.now)
    if state != RedemptionState.PENDING:
        return _refused(f"redemption_{state}", f"The redemption is {state} already.")
    if redemption.order_ref is not None:
        return _refused(
            "redemption_in_use", f"The order {redemption.order_ref} uses this redemption already."
        )
    if redemption.currency != command.currency:
        why = f"The discount is in {redemption.currency}, the payment in {command.currency}."
        return _refused("discount_unusable", why)
    return None


def _refused(code: str, why: str) -> Outcome:
    return Outcome(error=code, reason=why, field="discounts")


def _enrol(work: WorkingSet, command: BeginPayment, event: int) -> None:
    """Make the customer a member under the drawn id, where the program does so by itself."""
    if command.customer is None or (command.env, command.source, command.customer) in work.identities:
        return
    program = work.catalog.version_at(command.env, command.program, work.now).program
    if program.members.auto_enrol:
        enrolled = EnrolMember(
            env=command.env,
            received_at=command.received_at,
            id=command.member,
            joined_at=work.now,
            customer=(command.source, command.customer),
            program=command.program,
        )
        enrol_member(work, enrolled, event)


def _placed(now: Millis, command: BeginPayment, discount: int) -> Event:
    """Return what was bought: one line that is never shipped, less the discount."""
    places = -EXPONENTS[command.currency]
    line = Line(id="payment", amount=Decimal(command.amount).scaleb(places), ships=False)
    off = Decimal(min(discount, command.amount)).scaleb(places)
    totals = Totals(
        version=now,
        currency=command.currency,
        lines=(line,),
        discount=off,
        total=line.amount - off,
        codes=tuple(ids.show("rdm", number) for number in command.redemptions),
    )
    return Event(
        type=EventType.ORDER_PLACED,
        occurred_at=now,
        version=now,
        order=order_of(command)[1],
        placed_at=now,
        customer=None if command.customer is None else Customer(id=command.customer),
        totals=totals,
    )


def _paid(at: Millis, command: BeginPayment | EndPayment, state: str) -> Event:
    _, ref = order_of(command)
    payment = Payment(id=ref, version=at, state=_STATES[state], at=at)
    return Event(type=EventType.PAYMENT_COMPLETED, occurred_at=at, version=at, order=ref, payment=payment)


def _ended(at: Millis, command: BeginPayment | EndPayment, state: str) -> list[Event]:
    """Return how it ended: where no money came, the order that it was is off."""
    told = [_paid(at, command, state)]
    if state != "completed":
        off = Cancellation(version=at, reason=state, at=at)
        ref = order_of(command)[1]
        told.append(
            Event(type=EventType.ORDER_CANCELLED, occurred_at=at, version=at, order=ref, cancellation=off)
        )
    return told


def _told(
    work: WorkingSet,
    command: BeginPayment | EndPayment,
    events: list[Event],
    number: int,
    words: list[str],
) -> Outcome:
    """Take the events in, and tell subscribers of the payment; return it as it is then."""
    source, ref = order_of(command)
    teller = Source(command.env, source, "", command.program, source, (), {})
    order, _, _ = take_order_events(work, teller, ref, events, number)
    payment = None if order is None else payment_of(order)
    assert order is not None
    assert payment is not None
    for word in words:
        if word != "pending":
            tell_payment(work, order, payment, word)
    return Outcome(event=number, state=words[-1], row={**payment, "member": order.member})
