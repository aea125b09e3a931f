"""Two members become one: whatever is one's becomes the other's, in one commit, on both chains.

Points leave the one member for the account `moved` and come from there to the other, account by account and lot by lot,
so both chains tell it and `moved` is zero again. A lot keeps its id, its order and its end; a pending transaction keeps its
points set aside. Facts go on to converge: an order's later events find its lot with the member who has it now.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import orjson

from adapter.book.elapsing import let_time_pass, plan_next
from adapter.book.enrolling import member_told
from adapter.book.idling import outlast
from adapter.book.inheriting import inherit_standing
from adapter.book.lots import order_of, take
from adapter.book.news import tell_member
from adapter.book.people import lead_by_address
from adapter.book.posting import finish
from adapter.book.refusals import member_refusal
from adapter.book.state import Account, Advice, Lot, Transaction
from adapter.book.transfers import Cause, Change, move
from adapter.book.working import Person, WorkingSet
from adapter.messages import MessageType
from adapter.outcome import Outcome
from adapter.program.redeeming import BLOCK

if TYPE_CHECKING:
    from adapter.book.working import BalanceKey
    from adapter.commands import MergeMembers

_PARTS = (Account.PENDING, Account.RESERVED, Account.AVAILABLE, Account.EXPIRED)


@dataclass(frozen=True, slots=True)
class _Held:
    """Points of one account, by the lots they are in."""

    account: Account
    parts: list[tuple[Lot, int]]
    transaction: int | None = None
    order: tuple[str, str] | None = None


def merge_members(work: WorkingSet, command: MergeMembers, event: int) -> Outcome:
    """Make all that is one member's another's. Merged once, a member is only a name for the other."""
    env, old, into = command.env, command.member, command.into
    if old == into:
        return Outcome(error="same_member", reason="A member cannot be merged into themselves.")
    refusal = member_refusal(work, env, old) or member_refusal(work, env, into)
    if refusal is not None:
        return refusal
    member, survivor = work.members.get((env, old)), work.members.get((env, into))
    assert member is not None
    assert survivor is not None
    cause = Cause("member.merged", work.now, event)
    for definition in sorted(
        balance.definition for balance in work.balances.values() if balance.key[:2] == (env, old)
    ):
        _merge_balance(work, (env, old, definition), (env, into, definition), cause)
    _hand_on(work, env, old, into)
    inherit_standing(work, env, old, into, cause)
    _merge_person(work, env, old, into)
    _merge_advice(work, env, old, into)
    member.state, member.merged_into, member.updated_at = "merged", into, work.now
    survivor.updated_at = work.now
    work.members.mark((env, old))
    work.members.mark((env, into))
    tell_member(work, MessageType.MEMBER_MERGED, member, None)
    return member_told(work, survivor, event, "merged")


def _merge_balance(work: WorkingSet, old: BalanceKey, into: BalanceKey, cause: Cause) -> None:
    given, taken = work.change(old, cause), work.change(into, cause)
    let_time_pass(work, given)
    let_time_pass(work, taken)
    theirs = (given.balance.idle_at, given.balance.remind_at)
    pending = _pending_of(work, old)
    lots = list(work.lots_of.get(old, {}).values())
    twins = {lot.id: lot.of(into[1]) for lot in lots}
    for held in _held(work, pending, lots):
        _move_over(given, taken, held, twins)
    _settle_debt(work, given, taken, twins)
    outlast(taken, *theirs)
    for lot in lots:
        lot.due_amount, lot.available_at = 0, None
    for transaction in pending:
        transaction.sequence = taken.balance.sequence
        work.transactions.put(transaction.id, transaction)
        work.set_aside[transaction.id] = [(twins[lot.id], n) for lot, n in work.set_aside[transaction.id]]
        work.deadlines.setdefault(into, {})[transaction.id] = transaction
    work.deadlines.pop(old, None)
    work.later.pop(old, None)
    work.keep_lots(given, lots)
    for change in (given, taken):
        change.transaction = change.order = None
        finish(work, change)
        work.balances.mark(change.balance.key)
        plan_next(work, change.balance.key)
    # Only now: what was earned before is no measure of today.
    taken.balance.earned, given.balance.earned = taken.balance.earned + given.balance.earned, 0


def _pending_of(work: WorkingSet, key: BalanceKey) -> list[Transaction]:
    """Return the pending transactions of a balance whose points are set aside, not those of orders' awards."""
    found = [one for one in work.transactions.values() if one.balance_key == key and one.state == "pending"]
    return sorted((one for one in found if one.id in work.set_aside), key=lambda one: one.id)


def _held(work: WorkingSet, pending: list[Transaction], lots: list[Lot]) -> list[_Held]:
    """Return all that is in the lots: what is set aside by its transaction, the rest by account and order."""
    found, rest = [], {(part, lot.id): getattr(lot, part) for part in _PARTS for lot in lots}
    for transaction in pending:
        account = Account.PENDING if transaction.kind == "credit" else Account.RESERVED
        parts = list(work.set_aside[transaction.id])
        found.append(_Held(account, parts, transaction=transaction.id))
        for lot, amount in parts:
            rest[account, lot.id] -= amount
    for order, some in _by_order(lots).items():
        for part in _PARTS:
            parts = [(lot, rest[part, lot.id]) for lot in some if rest[part, lot.id]]
            found.append(_Held(part, parts, order=order))
    return found


def _by_order(lots: list[Lot]) -> dict[tuple[str, str] | None, list[Lot]]:
    """Return the lots of each order, and together those of none."""
    found: dict[tuple[str, str] | None, list[Lot]] = {}
    for lot in lots:
        found.setdefault(order_of(lot), []).append(lot)
    return found


def _move_over(given: Change, taken: Change, held: _Held, twins: dict[int, Lot]) -> None:
    """Move some of one member's lots to the other's. What ran out is usable for that moment, and then over again."""
    theirs = [(twins[lot.id], amount) for lot, amount in held.parts]
    away = [(held.account, Account.MOVED)]
    if held.account is Account.EXPIRED:
        away = [(Account.EXPIRED, Account.AVAILABLE), (Account.AVAILABLE, Account.MOVED)]
    for change, parts, routes, kind in (
        (given, held.parts, away, "merge_out"),
        (taken, theirs, [(to, origin) for origin, to in reversed(away)], "merge_in"),
    ):
        for route in routes:
            move(change, route, parts, kind=kind, order=held.order, transaction=held.transaction)


def _settle_debt(work: WorkingSet, given: Change, taken: Change, twins: dict[int, Lot]) -> None:
    """Take the debt over too; what is available then repays it, whoever's it was."""
    owed = given.balance.owed
    if owed:
        move(given, (Account.MOVED, Account.OWED), [(None, owed)], kind="merge_out")
        move(taken, (Account.OWED, Account.MOVED), [(None, owed)], kind="merge_in")
    work.keep_lots(taken, twins.values())
    both = min(taken.balance.owed, taken.balance.available)
    if both:
        parts = take(work.next_lots(taken.balance.key), both)
        move(taken, (Account.AVAILABLE, Account.OWED), parts, kind="repay")
        work.keep_lots(taken, [lot for lot, _ in parts])


def _hand_on(work: WorkingSet, env: int, old: int, into: int) -> None:
    """Make the other member's what is loaded; `merged` says it of all the rows that are not."""
    work.merged[env, old] = into
    for order in work.orders.values():
        if (order.env, order.member) == (env, old):
            order.member = into
            work.orders.mark(order.key)
    for transaction in work.transactions.values():
        if (transaction.env, transaction.member) == (env, old):
            waits = (
                transaction.state == "pending" and transaction.id in work.set_aside
            )  # its points went over
            transaction.chain = None if waits else transaction.chain or old
            transaction.member = into
    work.placed = [
        replace(order, member=into) if (order.env, order.member) == (env, old) else order
        for order in work.placed
    ]
    _hand_on_names(work, env, old, into)
    _hand_on_redemptions(work, env, old, into)
    _hand_on_vouchers(work, env, old, into)


def _hand_on_names(work: WorkingSet, env: int, old: int, into: int) -> None:
    """Let everything that led to the one member lead to the other; those who were merged before, as well."""
    for member in work.members.values():
        if (member.env, member.merged_into) == (env, old):
            member.merged_into = into
            work.members.mark((env, member.id))
    for key, whose in list(work.identities.items()):
        if (key[0], whose) == (env, old):
            work.identities.amend(key, into)
    for address, whose in work.by_email.items():
        if (address[0], whose) == (env, old):
            work.by_email[address] = into
    work.source_ids.setdefault((env, into), []).extend(work.source_ids.pop((env, old), []))


def _hand_on_redemptions(work: WorkingSet, env: int, old: int, into: int) -> None:
    """Let loaded redemptions go on with the other member, and what was spent on them go back to their lots."""
    for redemption in work.redemptions.values():
        if (redemption.env, redemption.member) == (env, old):
            redemption.member = into
            spent = work.spent.get(redemption.id, [])
            spent[:] = [
                (work.lots.get((*redemption.balance_key, lot.id)) if lot else None, n) for lot, n in spent
            ]
    work.redemptions.regroup()


def _hand_on_vouchers(work: WorkingSet, env: int, old: int, into: int) -> None:
    """Let vouchers be the other's. Where both had one for the same occasion, theirs is the occasion's from now on.

    In the order of the occasions: one that was another's before ("… merged") finds its name taken or free by what they are,
    not by the order in which they were read.
    """
    gone = [voucher for voucher in work.vouchers.values() if (voucher.env, voucher.member) == (env, old)]
    for voucher in sorted(gone, key=lambda one: one.occasion or ""):
        if voucher.rule is not None and voucher.occasion is not None:
            what = (voucher.program, voucher.rule)
            work.occasions.pop((env, old, *what, voucher.occasion), None)
            while work.occasions.get((env, into, *what, voucher.occasion)) is not None:
                voucher.occasion = f"{voucher.occasion} merged"
            work.occasions[env, into, *what, voucher.occasion] = voucher.id
        voucher.member = into
        work.vouchers.mark(voucher.id)


def _merge_person(work: WorkingSet, env: int, old: int, into: int) -> None:
    """Fill what is not known of the one member with what was known of the other, and forget the rest of it."""
    gone = work.people.get((env, old))
    if gone is None:
        return
    person = work.people.get((env, into)) or Person(env, into, None, None, 0)
    person.email = person.email or gone.email
    person.name = person.name or gone.name
    person.birthday = person.birthday or gone.birthday
    if gone.metadata is not None:
        both = {**orjson.loads(gone.metadata), **orjson.loads(person.metadata or "{}")}
        person.metadata = orjson.dumps(both, option=orjson.OPT_SORT_KEYS).decode()
    work.people.put((env, into), person)
    work.people.drop((env, old))
    lead_by_address(work, env, gone.email, into)


def _merge_advice(work: WorkingSet, env: int, old: int, into: int) -> None:
    """Let the advice about the one member be one about the other; BLOCK is not lost to any other word."""
    gone, theirs = work.newest_advice.get((env, old)), work.newest_advice.get((env, into))
    if gone is None or gone.cleared_at is not None:
        return
    gone.cleared_at, gone.cleared_reason = work.now, "merged"
    work.advices.mark(gone.key)
    if theirs is not None and theirs.cleared_at is None:
        if gone.advice != BLOCK or theirs.advice == BLOCK:
            return
        theirs.cleared_at, theirs.cleared_reason = work.now, f"replaced by {gone.advice}"
        work.advices.mark(theirs.key)
    number = 1 if theirs is None else theirs.number + 1
    given = Advice(env, into, number, gone.advice, gone.reason, work.now)
    work.newest_advice[env, into] = work.advices.put(given.key, given)
