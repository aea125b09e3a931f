"""Money that went back: refunds one by one, a charge's running total, and what a bank took for a dispute."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from adapter.errors import Rejected
from adapter.events import Event, EventType, Refund, RefundState
from connectors.payload import required_id
from connectors.stripe.money import amount_of, currency_of
from connectors.stripe.notice import Notice, Thing, order_of, reference

STATES: Mapping[str | None, RefundState] = {
    None: RefundState.COMPLETED,  # API versions before 2014 had no status: a refund was done when it was made
    "pending": RefundState.PENDING,
    "requires_action": RefundState.PENDING,
    "succeeded": RefundState.COMPLETED,
    "failed": RefundState.FAILED,
    "canceled": RefundState.FAILED,
}


def refund(notice: Notice) -> Iterator[Event]:
    """Read one refund and how it stands."""
    yield _refunded(notice, _single(notice, notice.thing))


def charge(notice: Notice) -> Iterator[Event]:
    """Read a charge of which something was refunded.

    Old API versions list its refunds, and then each is told. Newer ones say only the running total, and of a
    long list only the beginning is there; then the running total is told. Both kinds name the charge, so the
    book can take the greater of the two instead of adding them.
    """
    told = notice.thing.get("refunds")
    listed = told if isinstance(told, Mapping) else {}
    refunds = listed.get("data") or []
    if not isinstance(refunds, list) or not all(isinstance(one, Mapping) for one in refunds):
        raise Rejected("`refunds.data` is not a list of refunds", field="refunds.data")
    for one in refunds:
        yield _refunded(notice, _single(notice, one))
    if not refunds or listed.get("has_more"):
        yield _refunded(notice, _running_total(notice))


def withdrawn(notice: Notice) -> Iterator[Event]:
    """Read a dispute for which the bank took the money."""
    yield _refunded(notice, _dispute(notice, RefundState.COMPLETED))


def reinstated(notice: Notice) -> Iterator[Event]:
    """Read a dispute whose money came back."""
    yield _refunded(notice, _dispute(notice, RefundState.FAILED))


def _refunded(notice: Notice, fact: Refund) -> Event:
    return notice.event(EventType.ORDER_REFUNDED, order=order_of(notice), refund=fact)


def _single(notice: Notice, one: Thing) -> Refund:
    status = one.get("status")
    if not isinstance(status, str | None) or status not in STATES:
        raise Rejected(f"The refund's status `{status}` is not known here", field="status")
    currency = currency_of(one)
    return Refund(
        id=required_id(one.get("id"), "id"),
        payment=reference(one, "charge") or reference(one, "payment_intent"),
        version=notice.created,
        state=STATES[status],
        currency=currency,
        amount=amount_of(one, "amount", currency),
        at=notice.instant(one),
    )


def _running_total(notice: Notice) -> Refund:
    currency, charged = currency_of(notice.thing), required_id(notice.thing.get("id"), "id")
    return Refund(
        id=f"charge:{charged}",
        payment=charged,
        cumulative=True,
        version=notice.created,
        currency=currency,
        amount=amount_of(notice.thing, "amount_refunded", currency),
        at=notice.at,
    )


def _dispute(notice: Notice, state: RefundState) -> Refund:
    """Return the dispute as a refund; not naming its charge, whose running total leaves disputes out."""
    currency = currency_of(notice.thing)
    return Refund(
        id=f"dispute:{required_id(notice.thing.get('id'), 'id')}",
        version=notice.created,
        state=state,
        currency=currency,
        amount=amount_of(notice.thing, "amount", currency),
        at=notice.at,
    )
