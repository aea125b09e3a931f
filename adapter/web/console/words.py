"""A program in plain words: how points are earned, when they can be used and when they end, what they buy. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from adapter.store.sentences import rule_text

if TYPE_CHECKING:
    from collections.abc import Iterator
    from decimal import Decimal

    from adapter.program.ending import Expiry
    from adapter.program.model import Earning, Program, Redeeming, Rule, Selection
    from adapter.program.rewards import Reward
    from adapter.program.tiers import TierGroup
    from adapter.program.vouchers import VoucherRule

Section = tuple[str, list[str]]

_AWARDED = {
    "order.placed": "as soon as the order is placed",
    "payment.completed": "once the order is paid",
    "order.shipped": "once the order is shipped",
}
_ROUNDED = {"down": "down", "half_up": "half up", "up": "up"}
_OCCASION = {
    "enrolled": "for becoming a member",
    "tier_reached": "for reaching {rule.tier}",
    "points_earned": "for each {rule.every_points} points earned",
    "order_completed": "for an order of at least {rule.minimum} whose points are posted",
}


def told(program: Program) -> list[Section]:
    """Return the sections of a program, each with its sentences; what it has nothing of is left out."""
    sections = [
        ("Earning", list(_earning(program.earning))),
        ("When points can be used", list(_usable(program))),
        ("When points end", list(_ending(program.expiry))),
        ("Redeeming", list(_redeeming(program.redeeming))),
        ("Rewards", [_reward(reward) for reward in program.rewards]),
        ("Tiers", [sentence for group in program.tier_groups for sentence in _tiers(group)]),
        ("Bonuses", list(_bonuses(program))),
        ("Vouchers", [_voucher(rule) for rule in program.voucher_rules]),
        ("Refunds and cancellations", [_clawback(program)]),
    ]
    return [(title, sentences) for title, sentences in sections if sentences]


def _earning(earning: Earning) -> Iterator[str]:
    for rule in earning.in_force:
        yield f"{rule.name}: {_rule(rule)}." if earning.rules else f"{_capital(_rule(rule))}."
    if len(earning.rules) > 1:
        yield "The rules add up." if earning.combine == "sum" else "Only the rule that gives most counts."
    yield f"What they give is rounded {_ROUNDED[earning.rounding]}, once."
    if earning.minimum:
        yield f"An order of less than {_money(earning.minimum)} earns nothing."
    if earning.cap is not None:
        yield f"One order earns at most {earning.cap}."
    for cap in earning.caps:
        span = "in a lifetime" if cap.window == "lifetime" else f"in a {cap.window}"
        yield f"A member earns at most {cap.points} {span}."
    counted = [
        name
        for name, counts in (("tax", earning.include_tax), ("shipping", earning.include_shipping))
        if counts
    ]
    yield f"What is paid for goods counts{', with ' + ' and '.join(counted) if counted else ', without tax and shipping'}."
    yield from _never(earning)


def _never(earning: Earning) -> Iterator[str]:
    if earning.exclude.gift_cards:
        yield "Gift cards earn nothing."
    if not earning.exclude.empty:
        yield f"Nothing is earned by {_lines(earning.exclude)}."


def _rule(rule: Rule) -> str:
    if rule.rates:
        gives = "; ".join(rule_text(rule, currency) for currency in rule.rates)
    else:
        gives = rule_text(rule, "of the order's currency")
    conditions = [
        f"by {_lines(rule.only)}" if not rule.only.empty else "",
        f"not by {_lines(rule.exclude)}" if not rule.exclude.empty else "",
        f"in {', '.join(rule.currencies)}" if rule.currencies else "",
        f"from {_money(rule.minimum)}" if rule.minimum else "",
        f"for orders since {rule.starts}" if rule.starts else "",
        f"for orders until {rule.ends}" if rule.ends else "",
        *(f"times {_plain(times)} on {tier}" for tier, times in rule.tier_multipliers.items()),
    ]
    return ", ".join([gives, *filter(None, conditions)])


def _lines(selection: Selection) -> str:
    named = [
        f"{what} {', '.join(names)}"
        for what, names in (
            ("SKU", selection.skus),
            ("product", selection.products),
            ("category", selection.categories),
        )
        if names
    ]
    return " or ".join(named)


def _usable(program: Program) -> Iterator[str]:
    earning = program.earning
    hold = f", {earning.hold_days} days later" if earning.hold_days else ""
    yield f"Points of an order are pending at first; they can be used {_AWARDED[earning.award_on]}{hold}."
    if earning.award_on == "order.shipped" and earning.partial_shipments == "pro_rata":
        yield "What is shipped in part can be used in part."
    if program.processing_mode == "batch":
        yield f"They are posted in batches, every {program.batch_interval_s} s."


def _ending(expiry: Expiry) -> Iterator[str]:
    if not expiry.ends:
        yield "Points never end."
    terms = [
        f"{number} {unit}" for number, unit in ((expiry.months, "months"), (expiry.days, "days")) if number
    ]
    if terms and expiry.end_of:
        yield f"Points end with the {expiry.end_of} in which {' and '.join(terms)} have passed."
    elif terms:
        yield f"Points end {' and '.join(terms)} after they became available."
    elif expiry.end_of:
        yield f"Points end with the {expiry.end_of} in which they became available."
    if expiry.on:
        yield f"Points end on {expiry.on} (day and month)."
    if expiry.by_inactivity:
        spans = ((expiry.inactive_months, "months"), (expiry.inactive_days, "days"))
        idle = " and ".join(f"{number} {unit}" for number, unit in spans if number)
        yield f"All points end when their member does nothing for {idle} ({' and '.join(expiry.activity)} counts)."


def _redeeming(redeeming: Redeeming) -> Iterator[str]:
    if redeeming.currency is None:
        yield "Points buy rewards, not money off."
        return
    currency = redeeming.currency
    yield f"1 point is worth {_plain(redeeming.burn_rate)} {currency}."
    for amount, words in (
        (redeeming.increment, "in whole multiples of {}"),
        (redeeming.minimum, "at least {} at once"),
        (redeeming.per_transaction, "at most {} at once"),
        (redeeming.per_day, "at most {} a day"),
    ):
        if amount:
            yield f"{_capital(words.format(f'{_money(amount)} {currency}'))}."
    for tier, limits in redeeming.tiers.items():
        for amount, words in ((limits.per_transaction, "at once"), (limits.per_day, "a day")):
            if amount is not None:
                yield f"On {tier} at most {_money(amount)} {currency} {words}."


def _reward(reward: Reward) -> str:
    worth = (
        ""
        if reward.value is None
        else f", worth {_money(reward.value)} {reward.currency or reward.credits or ''}"
    )
    return f"{reward.title or reward.id} ({reward.kind}{worth.rstrip()}): {reward.cost} points."


def _tiers(group: TierGroup) -> Iterator[str]:
    measure = group.measure.replace("_", " ")
    window = f" of the last {group.window_months} months" if group.window_months else ""
    currency = f" in {group.currency}" if group.currency else ""
    steps = ", ".join(f"{tier.name} from {_plain(tier.threshold)}" for tier in group.tiers)
    yield f"{group.name}, by {measure}{window}{currency}: {steps}."
    down = "never down" if group.downgrade == "never" else f"down {_moves(group.downgrade)}"
    yield f"Members of {group.name} move up {_moves(group.upgrade)}, {down}."


def _moves(moves: str) -> str:
    return "at once" if moves == "real_time" else f"on the {moves.replace('_', ' ')}"


def _bonuses(program: Program) -> Iterator[str]:
    if program.bonuses.sign_up:
        yield f"{program.bonuses.sign_up} for becoming a member."
    if program.bonuses.birthday:
        yield f"{program.bonuses.birthday} on each birthday."


def _voucher(rule: VoucherRule) -> str:
    worth = (
        f"reward {rule.reward}"
        if rule.reward
        else f"{_plain(rule.percent)} %"
        if rule.percent
        else f"{rule.value} {rule.currency}"
    )
    valid = f", valid for {rule.valid_days} days" if rule.valid_days else ""
    limit = f", at most {rule.limit_per_member} a member" if rule.limit_per_member else ""
    return f"{rule.name}: {worth} {_OCCASION[rule.when].format(rule=rule)}{valid}{limit}."


def _clawback(program: Program) -> str:
    then = "is owed, and the next points repay it" if program.clawback.shortfall == "owed" else "is waived"
    return f"Points of what is refunded or cancelled are taken back; what the balance cannot cover {then}."


def _money(amount: Decimal) -> str:
    return f"{amount:.2f}" if amount == round(amount, 2) else _plain(amount)


def _plain(number: Decimal) -> str:
    return f"{number.normalize():f}"


def _capital(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]
