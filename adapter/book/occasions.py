"""Vouchers that rules attribute: in the commit that gave occasion to them, one for each occasion.

After each command what gives occasion is compared with what did before it. So repeats attribute nothing twice; and where
a rule lets an unused voucher be taken back, it is there exactly while its occasion is, in whatever order facts arrive.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from adapter import ids
from adapter.book.state import OrderState
from adapter.book.voucher import Voucher, VoucherState
from adapter.book.voucher_news import tell_voucher
from adapter.book.vouchers import lapse, plan_reminder, settle

if TYPE_CHECKING:
    from collections.abc import Iterator

    from adapter.book.state import Order
    from adapter.book.working import Occasion, WorkingSet
    from adapter.program.vouchers import VoucherRule

DAY_MS = 86_400_000


class NeedsVouchers(Exception):
    """Something gave occasion to a voucher, or did no more: whether there is one has to be looked up first."""

    def __init__(self, occasions: set[Occasion]) -> None:
        super().__init__(f"{len(occasions)} occasions")
        self.occasions = occasions


@dataclass(frozen=True, slots=True)
class _Turn:
    """Something that begins or ends to give occasion to a voucher of a rule."""

    rule: VoucherRule
    key: Occasion
    holds: bool


def vouch(work: WorkingSet) -> None:
    """Attribute and take back what a command gave or ended occasion to. Raises `NeedsVouchers`."""
    if not (work.welcomed or work.earned_before or work.completed_before or work.tier_changes):
        return
    turns = [*_of_members(work), *_of_tiers(work), *_of_points(work), *_of_orders(work)]
    work.welcomed.clear()
    work.tiers_told = len(work.tier_changes)
    work.earned_before.clear()
    work.completed_before.clear()
    seen = work.looked_up | work.occasions.keys()
    unknown = {one.key for one in turns if one.key not in seen and one.key[:2] not in work.newcomers}
    if unknown:
        raise NeedsVouchers(unknown)
    for turn in turns:
        if turn.holds:
            _attribute(work, turn)
        elif turn.rule.revocable:
            _take_back(work, turn)


def note_order(work: WorkingSet, order: Order) -> None:
    """Remember how an order stood before a command changes it."""
    if work.catalog.attributes_vouchers(order.env):
        work.completed_before.setdefault(order.key, (order.member, _completed(order)))


def _completed(order: Order) -> Decimal | None:
    """Return what counts of an order whose points are posted; None of any other."""
    return Decimal(order.basis or 0) if order.state == OrderState.POSTED else None


def _rules(work: WorkingSet, env: int, program: str, when: str) -> tuple[VoucherRule, ...]:
    found = work.catalog.version_at(env, program, work.now).program
    return tuple(rule for rule in found.voucher_rules if rule.when == when)


def _of_members(work: WorkingSet) -> Iterator[_Turn]:
    for env, member, program in work.welcomed:
        work.newcomers.add((env, member))
        for rule in _rules(work, env, program, "enrolled"):
            yield _Turn(rule, (env, member, program, rule.name, "enrolled"), holds=True)


def _of_tiers(work: WorkingSet) -> Iterator[_Turn]:
    for change in work.tier_changes[work.tiers_told :]:
        for rule in _rules(work, change.env, change.program, "tier_reached"):
            if rule.tier in (change.from_tier, change.to_tier):
                occasion = f"tier:{change.tier_group}:{rule.tier}"
                key = (change.env, change.member, change.program, rule.name, occasion)
                yield _Turn(rule, key, holds=rule.tier == change.to_tier)


def _of_points(work: WorkingSet) -> Iterator[_Turn]:
    for (env, member, definition), before in work.earned_before.items():
        after = work.balance((env, member, definition)).earned
        kept = work.catalog.definitions[env, definition]
        if before == after or work.catalog.definition_of(env, kept.program).id != definition:
            continue
        for rule in _rules(work, env, kept.program, "points_earned"):
            step = (rule.every_points or 1) * 10**kept.decimals
            was, now = max(before, 0) // step, max(after, 0) // step
            for number in range(min(was, now) + 1, max(was, now) + 1):
                occasion = f"points:{number * (rule.every_points or 1)}"
                yield _Turn(rule, (env, member, kept.program, rule.name, occasion), holds=now > was)


def _of_orders(work: WorkingSet) -> Iterator[_Turn]:
    for key, (whose, before) in work.completed_before.items():
        order = work.orders.get(key)
        if order is None:
            continue
        for member, counted, holds in ((whose, before, False), (order.member, _completed(order), True)):
            for rule in _rules(work, order.env, order.program, "order_completed"):
                if member is None or counted is None or counted < rule.minimum:
                    continue
                occasion = (order.env, member, order.program, rule.name, f"order:{order.source}:{order.ref}")
                if holds or not _still(order, rule, member):
                    yield _Turn(rule, occasion, holds)


def _still(order: Order, rule: VoucherRule, member: int) -> bool:
    counted = _completed(order)
    return order.member == member and counted is not None and counted >= rule.minimum


def _attribute(work: WorkingSet, turn: _Turn) -> None:
    rule, (env, member, program, name, occasion) = turn.rule, turn.key
    number = work.occasions.get(turn.key)
    known = None if number is None else work.vouchers.get(number)
    if known is not None:
        counts = known.state != VoucherState.REVOKED
        if known.withdrawn and not known.decided and _has_room(work, turn, besides=counts):
            known.withdrawn = 0
            work.vouchers.mark(known.id)
            settle(work, known)
        return
    if not _has_room(work, turn):
        return
    voucher = Voucher(
        env,
        work.new_id(),
        member,
        program,
        _code_of(work, turn),
        VoucherState.ACTIVE,
        work.now,
        work.now,
        rule=name,
        occasion=occasion,
        reward=rule.reward,
        value=rule.units,
        currency=rule.currency,
        percent=None if rule.percent is None else f"{rule.percent.normalize():f}",
        expires_at=None if rule.valid_days is None else work.now + rule.valid_days * DAY_MS,
    )
    plan_reminder(work, voucher)
    work.occasions[turn.key] = voucher.id
    work.codes[env, voucher.code] = voucher.id
    work.vouchers.put(voucher.id, voucher)
    work.voucher_counts[turn.key[:4]] = work.voucher_counts.get(turn.key[:4], 0) + 1
    tell_voucher(work, voucher, "attributed")


def _has_room(work: WorkingSet, turn: _Turn, *, besides: bool = False) -> bool:
    """Return whether the member may have one more of this rule; `besides` one that counts already."""
    limit = turn.rule.limit_per_member
    return limit is None or work.voucher_counts.get(turn.key[:4], 0) - besides < limit


def _code_of(work: WorkingSet, turn: _Turn) -> str:
    """Return the voucher's code: the same one wherever the same occasion is told of the same member."""
    secret = work.catalog.environments[turn.key[0]].secret
    return ids.derived_code(turn.rule.code_prefix, secret, "\n".join(map(str, turn.key[1:])))


def _take_back(work: WorkingSet, turn: _Turn) -> None:
    number = work.occasions.get(turn.key)
    voucher = None if number is None else work.vouchers.get(number)
    if voucher is None:
        return
    lapse(work, voucher)
    if voucher.state in (VoucherState.ACTIVE, VoucherState.REDEEMED) and not voucher.decided:
        voucher.withdrawn = 1  # one that an order uses goes once that order gives it back
        work.vouchers.mark(voucher.id)
        settle(work, voucher)
