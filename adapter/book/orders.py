"""What an order's facts mean now: who bought, when it counts, what it is worth. Pure functions of the merged facts.

The *target* is the whole answer: how many points of the order should be pending and how many posted at `now`. Nothing
in it depends on what arrived first, because it never looks at anything but the facts, the program and the clock.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec

from adapter.clock import Millis
from adapter.events import Customer, PaymentState, Shipment, Totals
from adapter.program.award import Occasion, award_of, retained_of
from adapter.program.earning import counts, micros, takes
from adapter.program.ending import expires_at
from adapter.program.model import Program
from adapter.program.processing import posts_at
from adapter.program.reasons import Reason

if TYPE_CHECKING:
    from collections.abc import Iterator

    from adapter.book.facts import Facts, SourceFacts

DAY_MS = 86_400_000


class Target(msgspec.Struct, frozen=True, gc=False):
    """What the order should hold at one instant, in smallest units."""

    award: int
    retained: int
    pending: int
    posted: int
    due_at: Millis | None  # when `due_amount` of the pending points post by time alone
    due_amount: int
    expires_at: Millis | None
    earned_at: Millis
    basis: Decimal | None
    reason: Reason | None
    parts: tuple[tuple[str, int], ...] = ()  # (rule, points), where the program has a list of rules

    @property
    def parked(self) -> bool:
        """Return whether it waits for something that only another event can bring."""
        return self.reason in (Reason.TOTALS_UNKNOWN, Reason.UNKNOWN_MEMBER, Reason.NOT_ENROLLED)


def totals_of(facts: Facts, owner: str) -> Totals | None:
    """Return the totals: those of the order's own shop, else the best that another source told."""
    own = facts.sources.get(owner)
    if own is not None and own.totals is not None:
        return own.totals
    told = [(one.totals.rank, one.totals.version, name) for name, one in facts.sources.items() if one.totals]
    return facts.sources[max(told)[2]].totals if told else None


def customer_of(facts: Facts, owner: str) -> Customer:
    """Return who bought. Only the order's own shop can say: another source's customer ids are not its."""
    own = facts.sources.get(owner)
    return own.customer.customer if own is not None and own.customer is not None else Customer()


def name_of(facts: Facts, owner: str) -> str | None:
    """Return what people call the order."""
    own = facts.sources.get(owner)
    return own.name[1] if own is not None and own.name is not None else None


def placed_at(facts: Facts) -> Millis | None:
    """Return when the order was placed: the earliest that any source said."""
    return min([one.placed_at for one in facts.sources.values() if one.placed_at is not None], default=None)


def is_cancelled(facts: Facts) -> bool:
    """Return whether some source says, in its latest word, that the order is off."""
    return any(one.cancellation is not None and one.cancellation.cancelled for one in facts.sources.values())


def paid_at(facts: Facts, totals: Totals) -> Millis | None:
    """Return when the order was fully paid, or None while it is not."""
    return min(
        (at for one in facts.sources.values() if (at := _paid_at(one, totals)) is not None), default=None
    )


def _paid_at(one: SourceFacts, totals: Totals) -> Millis | None:
    done = [payment for payment in one.payments.values() if payment.state is PaymentState.COMPLETED]
    whole = min((payment.at for payment in done if payment.whole), default=None)
    missing = totals.total - totals.gift_cards - totals.points_paid
    for payment in sorted(done, key=lambda payment: (payment.at, payment.id)):
        if payment.whole or payment.amount is None or payment.currency not in (None, totals.currency):
            continue
        missing -= payment.amount
        if missing <= 0:
            return payment.at if whole is None else min(whole, payment.at)
    return whole


def shipped_at(facts: Facts, totals: Totals) -> Millis | None:
    """Return when everything that is shipped had been shipped, or None while something is missing.

    What was refunded need not be shipped any more. An order without anything to ship is shipped when it is paid.
    """
    if totals.lines and not any(line.ships for line in totals.lines):
        whole = _whole_shipments(facts)
        paid = paid_at(facts, totals)
        return min((*whole, *(() if paid is None else (paid,))), default=None)
    shipped = [_shipped_at(one, totals) for one in facts.sources.values()]
    return min([at for at in shipped if at is not None], default=None)


def _whole_shipments(facts: Facts) -> list[Millis]:
    return [
        shipment.at
        for one in facts.sources.values()
        for shipment in one.shipments.values()
        if not shipment.cancelled and shipment.lines is None
    ]


def _shipped_at(one: SourceFacts, totals: Totals) -> Millis | None:
    live = [shipment for shipment in one.shipments.values() if not shipment.cancelled]
    whole = min([shipment.at for shipment in live if shipment.lines is None], default=None)
    if not any(shipment.lines for shipment in live):
        return whole
    missing = {line.id: line.quantity for line in totals.lines if line.ships}
    for at, line, quantity in sorted([*_shipped_lines(live), *_refunded_lines(one, totals)]):
        if line in missing:
            missing[line] -= quantity
        if all(left <= 0 for left in missing.values()):
            last = max(at, min(shipment.at for shipment in live))
            return last if whole is None else min(whole, last)
    return whole


def _shipped_lines(shipments: list[Shipment]) -> Iterator[tuple[Millis, str, Decimal]]:
    for shipment in shipments:
        for line, quantity in shipment.lines or ():
            yield shipment.at, line, quantity


def _refunded_lines(one: SourceFacts, totals: Totals) -> Iterator[tuple[Millis, str, Decimal]]:
    for refund in one.refunds.values():
        if takes(refund, totals.currency):
            for line, quantity, _ in refund.lines:
                yield refund.at, line, quantity


def refund_elsewhere(facts: Facts, totals: Totals) -> bool:
    """Return whether a refund is in another currency than the order's, and so is set aside."""
    return any(
        refund.currency not in (None, totals.currency)
        for one in facts.sources.values()
        for refund in one.refunds.values()
    )


def available_at(awarded_at: Millis, program: Program) -> Millis:
    """Return when points awarded then can be used: after the hold days, and in batch mode at the next boundary."""
    return posts_at(awarded_at + program.earning.hold_days * DAY_MS, program)


class Setting(msgspec.Struct, frozen=True, gc=False):
    """Everything besides the facts that a target depends on."""

    owner: str  # the source whose order it is
    program: Program  # the version in force when the order was placed
    decimals: int
    live: bool
    known: Reason | None  # None when the order has its member, else why it has none
    tier: str | None = None  # the member's, when the order was settled first
    first: bool = False  # whether it was the member's first order then
    room: int | None = None  # what the caps of its windows left for it then, in smallest units


def target_of(facts: Facts, setting: Setting, now: Millis) -> Target:
    """Return what the order should hold at `now`."""
    totals = totals_of(facts, setting.owner)
    if totals is None:
        return _nothing(Reason.TOTALS_UNKNOWN, now)
    program = setting.program
    placed = placed_at(facts) or totals.version
    occasion = Occasion(placed, program.timezone, setting.decimals, setting.tier, setting.first, setting.room)
    worth = award_of(totals, program.earning, occasion)
    award, reason = worth.points, worth.reason
    retained = min([retained_of(worth, one.refunds.values(), totals) for one in facts.sources.values()])
    veto = _veto(facts, setting, placed)
    if veto is not None:
        award, retained, reason = (0 if veto is not Reason.CANCELLED else award), 0, veto
    elif award and not retained:
        reason = Reason.FULLY_REFUNDED
    elif reason is None and refund_elsewhere(facts, totals):
        reason = Reason.REFUND_CURRENCY
    counted = Decimal(worth.basis.counted).scaleb(-6)
    target = _split(facts, totals, program, now, (award, retained, counted, reason))
    if not program.earning.rules:
        return target
    parts = tuple((one.rule, one.points) for one in worth.shares if one.points and award)
    return msgspec.structs.replace(target, parts=parts)


def _veto(facts: Facts, setting: Setting, placed: Millis) -> Reason | None:
    """Return what forbids any points, whatever the rules say; the first that holds."""
    if setting.live and any(one.test for one in facts.sources.values()):
        return Reason.TEST_ORDER
    if is_cancelled(facts):
        return Reason.CANCELLED
    if setting.known is not None:
        return setting.known
    return STOPPED.get(setting.program.state_at(placed))


STOPPED = {
    "draft": Reason.PROGRAM_NOT_PUBLISHED,
    "paused": Reason.PROGRAM_PAUSED,
    "ended": Reason.PROGRAM_ENDED,
}
"""Why an order earns nothing that was placed while its program was in such a state."""


def _nothing(reason: Reason, now: Millis) -> Target:
    return Target(0, 0, 0, 0, None, 0, None, now, None, reason)


def _split(
    facts: Facts,
    totals: Totals,
    program: Program,
    now: Millis,
    worth: tuple[int, int, Decimal, Reason | None],
) -> Target:
    """Divide what is retained into posted and pending points."""
    award, retained, basis, reason = worth
    steps = _steps(facts, totals, program, retained)
    posted = max([amount for at, amount in steps if at <= now], default=0)
    later = [(at, amount) for at, amount in steps if at > now and amount > posted]
    due_at = min(later)[0] if later else None
    due = max([amount for at, amount in later if at == due_at], default=posted)
    ends = expires_at(min(steps)[0], program.expiry, program.timezone) if steps else None
    earned = placed_at(facts) or totals.version
    return Target(
        award, retained, retained - posted, posted, due_at, due - posted, ends, earned, basis, reason
    )


def _steps(facts: Facts, totals: Totals, program: Program, retained: int) -> list[tuple[Millis, int]]:
    """Return the instants at which points can be used, each with how many of the retained by then."""
    at = awarded_at(facts, totals, program)
    steps = [] if at is None else [(available_at(at, program), retained)]
    if program.earning.award_on == "order.shipped" and program.earning.partial_shipments == "pro_rata":
        steps += [
            (available_at(shipped, program), retained * value // whole)
            for shipped, value, whole in _shipped_values(facts, totals, program)
        ]
    return steps


def awarded_at(facts: Facts, totals: Totals, program: Program) -> Millis | None:
    """Return when the fact was that the program awards points on, or None while it is not known."""
    if program.earning.award_on == "order.placed":
        return placed_at(facts) or totals.version
    if program.earning.award_on == "payment.completed":
        return paid_at(facts, totals)
    return shipped_at(facts, totals)


def _shipped_values(facts: Facts, totals: Totals, program: Program) -> Iterator[tuple[Millis, int, int]]:
    """Yield, for each shipment of some lines, the value of the counting lines shipped by then, and of all of them."""
    lines = {
        line.id: line for line in totals.lines if counts(line, program.earning.exclude) and line.quantity > 0
    }
    whole = sum(micros(line.amount) for line in lines.values())
    if whole <= 0:
        return
    for one in facts.sources.values():
        shipped: dict[str, Decimal] = {}
        live = [shipment for shipment in one.shipments.values() if not shipment.cancelled]
        for at, line, quantity in sorted(_shipped_lines(live)):
            if line in lines:
                shipped[line] = min(shipped.get(line, Decimal(0)) + quantity, lines[line].quantity)
            value = sum(
                int(micros(lines[key].amount) * done / lines[key].quantity) for key, done in shipped.items()
            )
            yield at, min(value, whole), whole
