"""What happened to an order's points, in plain words. Pure: rows in, sentences out."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from adapter.book.membership import read_kept
from adapter.book.orders import refund_elsewhere, totals_of
from adapter.book.parts import parts_of
from adapter.clock import Millis, iso
from adapter.events import Refund, RefundState
from adapter.points import points
from adapter.program.reasons import SENTENCES, Reason

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from adapter.book.facts import Facts
    from adapter.book.state import Lot, Order
    from adapter.catalog import Definition, ProgramVersion
    from adapter.program.model import Rule

_WAITS_FOR = {
    "order.placed": "the order is known",
    "payment.completed": "the order is paid",
    "order.shipped": "the order is shipped",
}
_ROUNDED = {"down": "down", "half_up": "half up", "up": "up"}


@dataclass(frozen=True, slots=True)
class Story:
    """An order with everything that its points depend on."""

    order: Order
    lot: Lot | None
    definition: Definition
    version: ProgramVersion | None
    now: Millis

    def amount(self, number: int) -> str:
        """Write an amount with its unit: `66 points`."""
        return f"{points(number, self.definition.decimals)} {self.definition.unit}"


def when(at: Millis) -> str:
    """Write an instant for people, to the minute: `2026-11-20 12:00 UTC`."""
    return f"{iso(at)[:10]} {iso(at)[11:16]} UTC"


def sentences_of(story: Story) -> list[str]:
    """Tell an order's story: what counted, what it earned, what went back, what waits, what is left."""
    return [*_earned(story), *_refunded(story), *_reasoned(story), *_now(story)]


def _earned(story: Story) -> Iterator[str]:
    order = story.order
    if order.placed_at is not None:
        yield f"It was placed on {when(order.placed_at)}."
    if order.basis is None or story.version is None:
        return
    counted = f"{_money(Decimal(order.basis))} {order.currency or ''}".strip()
    yield f"{counted} of it counts for the program {order.program} (version {story.version.version})."
    yield from _stood(story)
    if order.award:
        yield f"That earned {story.amount(order.award)}: {_rule(story)}."


def _stood(story: Story) -> Iterator[str]:
    """Say where the member stood when the order was settled first, as far as its rules asked."""
    kept = read_kept(story.order.standing)
    stood = None if kept is None else kept.stood
    if stood is None or story.version is None:
        return
    earning = story.version.program.earning
    told = []
    if earning.tiers_named and stood.tier is not None:
        told.append(f"the member was {stood.tier}")
    if any(rule.first_order for rule in earning.in_force):
        told.append(f"it was {'' if stood.first else 'not '}the member's first order")
    if stood.room is not None:
        told.append(f"the program's caps left room for {story.amount(stood.room)}")
    if told:
        yield f"When it was settled first, {' and '.join(told)}; the order keeps that."


def _rule(story: Story) -> str:
    """Say how the award was computed: by the only rule, or by which rules."""
    assert story.version is not None
    earning, order = story.version.program.earning, story.order
    rules = {rule.name: rule for rule in earning.in_force}
    gave = [(rules[name], number) for name, number in parts_of(order) if name in rules]
    currency = order.currency or ""
    if earning.rules:
        told = "; ".join(
            f"{story.amount(number)} by {rule.name} ({rule_text(rule, currency)})" for rule, number in gave
        )
        best = ", the best of the rules" if earning.combine == "best" else ""
    else:
        told, best = "; ".join(rule_text(rule, currency) for rule, _ in gave), ""
    cut = {
        Reason.CAPPED: ", cut to the cap for one order",
        Reason.WINDOW_CAPPED: ", cut to what its windows' caps left",
    }
    cap = next((text for reason, text in cut.items() if reason == order.reason), "")
    return f"{told}{best}, rounded {_ROUNDED[earning.rounding]}{cap}"


def rule_text(rule: Rule, currency: str) -> str:
    """Say what a rule gives: `1 for each 1.00 EUR and 50 for each unit of its lines, times 2`."""
    gives = [
        text
        for number, text in (
            (rule.rate_for(currency), f"{_plain(rule.rate_for(currency))} for each 1.00 {currency}"),
            (rule.per_item, f"{_plain(rule.per_item)} for each unit"),
            (rule.bonus, f"{rule.bonus} for the order"),
        )
        if number
    ]
    lines = " of its lines" if rule.selects else ""
    times = "" if rule.multiplier == 1 else f", times {_plain(rule.multiplier)}"
    first = " of the first order" if rule.first_order else ""
    most = "" if rule.cap is None else f", at most {rule.cap}"
    return f"{' and '.join(gives)}{lines}{first}{times}{most}"


def _refunded(story: Story) -> Iterator[str]:
    order = story.order
    for refund in counted_refunds(order.facts):
        currency = refund.currency or order.currency or ""
        yield f"{_money(refund.amount)} {currency} was refunded on {when(refund.at)}."
    if order.award > order.retained > 0:
        back = order.award - order.retained
        yield f"{story.amount(order.retained)} are kept after refunds, {story.amount(back)} went back."
    totals = totals_of(order.facts, order.source)
    if (
        totals is not None
        and refund_elsewhere(order.facts, totals)
        and order.reason != Reason.REFUND_CURRENCY
    ):
        yield SENTENCES[Reason.REFUND_CURRENCY]


def counted_refunds(facts: Facts) -> list[Refund]:
    """Return the refunds that happened, oldest first, of the source that told of most: never of two."""
    told = [
        [refund for refund in one.refunds.values() if refund.state is RefundState.COMPLETED]
        for one in facts.sources.values()
    ]
    fullest: list[Refund] = max(told, key=lambda refunds: len(refunds)) if told else []  # noqa: PLW0108 - mypy cannot infer `len`
    return sorted(fullest, key=lambda refund: (refund.at, refund.id))


def _reasoned(story: Story) -> Iterator[str]:
    order = story.order
    if order.reason is None:
        return
    yield SENTENCES.get(order.reason, order.reason)
    if (
        order.reason == Reason.BELOW_MINIMUM
        and story.version is not None
        and story.version.program.earning.minimum
    ):
        yield f"The minimum is {_money(story.version.program.earning.minimum)} {order.currency}."


def _now(story: Story) -> Iterator[str]:
    """Say where the order's points are at this moment."""
    lot, order = story.lot, story.order
    if lot is None:
        return
    if lot.pending:
        yield f"{story.amount(lot.pending)} are pending: {_waiting(story, lot)}."
    if lot.available:
        yield f"{story.amount(lot.available)} are available; {_ending(lot)}."
    if lot.reserved:
        yield f"{story.amount(lot.reserved)} are reserved by a hold."
    if lot.expired > lot.idled:
        on = "" if lot.expires_at is None else f" on {when(lot.expires_at)}"
        yield f"{story.amount(lot.expired - lot.idled)} expired{on}."
    if lot.idled:
        yield f"{story.amount(lot.idled)} expired because the member had done nothing for so long."
    if order.taken:
        yield f"{story.amount(order.taken)} were taken back in all."
    elsewhere = order.held - lot.pending - lot.available - lot.reserved - lot.expired
    if elsewhere > 0:
        yield f"{story.amount(elsewhere)} of it were used: spent, or taken for a clawback or a debt."


def _waiting(story: Story, lot: Lot) -> str:
    if lot.available_at is not None and lot.due_amount:
        rest = lot.pending - lot.due_amount
        later = f", the other {story.amount(rest)} wait for the next shipment" if rest > 0 else ""
        return f"they become available on {when(lot.available_at)}{later}"
    award_on = story.version.program.earning.award_on if story.version is not None else "order.shipped"
    return f"they wait until {_WAITS_FOR[award_on]}"


def _ending(lot: Lot) -> str:
    return "they never expire" if lot.expires_at is None else f"they expire on {when(lot.expires_at)}"


def _money(amount: Decimal) -> str:
    """Write money with at least two decimals and no trailing zeros beyond them."""
    cents = amount.quantize(Decimal("0.01"))
    return f"{cents:f}" if cents == amount else f"{amount.normalize():f}"


def _plain(number: Decimal) -> str:
    return f"{number.normalize():f}"


def balance_sentences(accounts: Sequence[tuple[str, int]], definition: Definition) -> list[str]:
    """Say what a balance holds, account by account; accounts with nothing in them are left out."""
    words = {
        "available": "can be used now",
        "pending": "are earned and wait",
        "reserved": "are reserved by holds",
        "owed": "are owed: they were taken back after they had been used, and the next ones repay them",
    }
    told = [
        f"{points(amount, definition.decimals)} {definition.unit} {words[account]}."
        for account, amount in accounts
        if amount
    ]
    return told or [f"There are no {definition.unit}."]
