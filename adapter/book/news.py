"""What subscribers are told of a change: rendered here, in the batch that commits it, and frozen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from adapter import ids
from adapter.book.working import Member, Message, Person, WorkingSet
from adapter.clock import iso
from adapter.messages import MessageType, render
from adapter.points import points
from adapter.program.worth import EXPONENTS

if TYPE_CHECKING:
    from adapter.book.membership import TierChange
    from adapter.book.state import Balance, Redemption, Transaction
    from adapter.book.transfers import Change
    from adapter.book.voucher import Voucher
    from adapter.catalog import Definition
    from adapter.clock import Millis
    from adapter.program.tiers import TierGroup


def tell_balance(work: WorkingSet, change: Change) -> None:
    """Queue the `balance.updated` of a change: one for all of its transfers."""
    balance = change.balance
    definition = work.catalog.definitions[balance.env, balance.definition]
    decimals = definition.decimals
    data = _whose(work, balance, definition) | {
        "sequence": balance.sequence,
        "chain_head": balance.head.hex(),
        "cause": _cause(change),
        "changes": {account: points(amount, decimals) for account, amount in change.deltas().items()},
        "balances": balances_view(balance, decimals),
    }
    _queue(work, MessageType.BALANCE_UPDATED, data, balance.key, sequence=balance.sequence)


def tell_transaction(work: WorkingSet, transaction: Transaction) -> None:
    """Queue `transaction.pending`, `.completed` and so on, as it stands now."""
    if not wanted(work, transaction.env, f"transaction.{transaction.state}"):
        return
    definition = work.catalog.definitions[transaction.env, transaction.definition]
    key = (transaction.env, transaction.member, transaction.definition)
    data = _whose(work, work.balance(key), definition) | {
        "transaction": ids.show("txn", transaction.id),
        "kind": transaction.kind,
        "state": transaction.state,
        "amount": points(transaction.amount, definition.decimals),
        "source": transaction.order_source,
        "order": transaction.order_ref,
        "occurred_at": iso(transaction.occurred_at),
    }
    if transaction.state == "rejected":
        data["reason"] = transaction.reason
    _queue(work, f"transaction.{transaction.state}", data, key)


def tell_redemption(work: WorkingSet, redemption: Redemption, word: str) -> None:
    """Queue `redemption.created`, `.applied` and so on, as it stands now."""
    if not wanted(work, redemption.env, f"redemption.{word}"):
        return
    definition = work.catalog.definitions[redemption.env, redemption.definition]
    key = redemption.balance_key
    money = {"amount": redemption.value, "currency": redemption.currency}
    data = _whose(work, work.balance(key), definition) | {
        "redemption": ids.show("rdm", redemption.id),
        "reward": redemption.reward,
        "kind": redemption.kind,
        "state": redemption.state,
        "cost": points(redemption.cost, definition.decimals),
        "returned": points(redemption.returned, definition.decimals),
        "transaction": ids.show("txn", redemption.transaction),
        "discount": money | {"code": redemption.code} if redemption.kind == "discount" else None,
        "source": redemption.order_source,
        "order": redemption.order_ref,
        "payment": redemption.payment,
        "shipping": None if redemption.shipping is None else orjson.loads(redemption.shipping),
        "tracking": redemption.tracking,
        "reason": redemption.reason,
        "flagged": redemption.flagged,
    }
    _queue(work, f"redemption.{word}", data, key)


def tell_voucher(work: WorkingSet, voucher: Voucher, word: str) -> None:
    """Queue `voucher.attributed`, `.redeemed`, `.revoked` or `.expired`, as it stands now."""
    kind = f"voucher.{word}"
    if not wanted(work, voucher.env, kind):
        return
    data = {
        "member": ids.show("mem", voucher.member),
        "source_ids": sorted(work.source_ids.get((voucher.env, voucher.member), ())),
        "voucher": ids.show("vou", voucher.id),
        **voucher_view(voucher, work.now),
    }
    body = render(kind, work.now, data)
    message = Message(voucher.env, work.new_id(), kind, voucher.member, None, None, work.now, body)
    work.messages.append(message)


def voucher_view(voucher: Voucher, now: int) -> dict[str, Any]:
    """Return what a voucher is worth and how it stands, as it is shown everywhere."""
    exponent = None if voucher.currency is None else EXPONENTS[voucher.currency]
    value = None if voucher.value is None or exponent is None else str(points(voucher.value, exponent))
    return {
        "program": voucher.program,
        "code": voucher.code,
        "state": voucher.state_at(now),
        "rule": voucher.rule,
        "occasion": voucher.occasion,
        "reward": voucher.reward,
        "value": value,
        "currency": voucher.currency,
        "percent": voucher.percent,
        "reason": voucher.reason,
        "source": voucher.order_source,
        "order": voucher.order_ref,
        "attributed_at": iso(voucher.attributed_at),
        "expires_at": None if voucher.expires_at is None else iso(voucher.expires_at),
        **{
            name: None if (at := getattr(voucher, name)) is None else iso(at)
            for name in ("redeemed_at", "revoked_at")
        },
    }


def tell_expired(work: WorkingSet, change: Change, amount: int) -> None:
    """Queue `points.expired`: how many points of a member ran out at once."""
    balance = change.balance
    if not wanted(work, balance.env, MessageType.POINTS_EXPIRED):
        return
    definition = work.catalog.definitions[balance.env, balance.definition]
    data = _whose(work, balance, definition) | {"amount": points(amount, definition.decimals)}
    _queue(work, MessageType.POINTS_EXPIRED, data, balance.key)


def tell_tier(work: WorkingSet, change: TierChange, group: TierGroup, since: Millis) -> None:
    """Queue `tier.updated`: from which tier to which, by which measure, and what it brings."""
    if not wanted(work, change.env, MessageType.TIER_UPDATED):
        return
    key = (change.env, change.member)
    decimals = work.catalog.definition_of(change.env, change.program).decimals
    place = group.place(change.to_tier)
    tier = group.entry if place is None else group.tiers[place]
    data = {
        "member": ids.show("mem", change.member),
        "source_ids": sorted(work.source_ids.get(key, ())),
        "program": change.program,
        "group": change.tier_group,
        "from": change.from_tier,
        "to": change.to_tier,
        "since": iso(since),
        "measure": {"kind": group.measure, "value": group.shown(change.measure, decimals)},
        "threshold": group.shown(group.least(tier, decimals), decimals),
        "benefits": list(tier.benefits),
        "cause": change.kind,
        "event": None if change.event is None else ids.show("evt", change.event),
    }
    body = render(MessageType.TIER_UPDATED, work.now, data)
    number = work.new_id()
    work.messages.append(
        Message(change.env, number, MessageType.TIER_UPDATED, change.member, None, None, work.now, body)
    )


def tell_ending(work: WorkingSet, change: Change, ends: dict[Millis, int]) -> None:
    """Queue `points.expiring`: how many points of a member end soon, and how many of them when."""
    balance = change.balance
    if not wanted(work, balance.env, MessageType.POINTS_EXPIRING):
        return
    definition = work.catalog.definitions[balance.env, balance.definition]
    parts = [(at, amount) for at, amount in sorted(ends.items()) if amount]
    data = _whose(work, balance, definition) | {
        "amount": points(sum(amount for _, amount in parts), definition.decimals),
        "next_at": iso(parts[0][0]),
        "ends": [{"at": iso(at), "amount": points(amount, definition.decimals)} for at, amount in parts],
    }
    _queue(work, MessageType.POINTS_EXPIRING, data, balance.key)


def tell_member(work: WorkingSet, kind: MessageType, member: Member, person: Person | None) -> None:
    """Queue `member.created`, `.updated`, `.merged` or `.deleted`; nothing personal but the address and name."""
    if not wanted(work, member.env, kind):
        return
    data: dict[str, Any] = {
        "member": ids.show("mem", member.id),
        "source_ids": sorted(work.source_ids.get((member.env, member.id), ())),
        "state": member.state,
        "email": person.email if person else None,
        "name": person.name if person else None,
        "merged_into": None if member.merged_into is None else ids.show("mem", member.merged_into),
    }
    body = render(kind, work.now, data)
    work.messages.append(Message(member.env, work.new_id(), kind, member.id, None, None, work.now, body))


def balances_view(balance: Balance, decimals: int) -> dict[str, int | str]:
    """Return the balances as they are shown everywhere: `posted = available + reserved`, `total = posted + pending`."""
    posted = balance.available + balance.reserved
    shown = {
        "total": posted + balance.pending,
        "posted": posted,
        "available": balance.available,
        "pending": balance.pending,
        "reserved": balance.reserved,
        "owed": balance.owed,
    }
    return {name: points(amount, decimals) for name, amount in shown.items()}


def _whose(work: WorkingSet, balance: Balance, definition: Definition) -> dict[str, Any]:
    return {
        "member": ids.show("mem", balance.member),
        "source_ids": sorted(work.source_ids.get((balance.env, balance.member), ())),
        "program": definition.program,
        "balance_definition": definition.name,
    }


def _cause(change: Change) -> dict[str, Any]:
    cause = change.cause
    return {
        "kind": cause.kind,
        "event": None if cause.event is None else ids.show("evt", cause.event),
        "source": cause.source or (change.order[0] if change.order else None),
        "order": change.order[1] if change.order else None,
        "transaction": None if change.transaction is None else ids.show("txn", change.transaction),
    }


def wanted(work: WorkingSet, env: int, kind: str) -> bool:
    """Return whether some endpoint asks for this type. Balances are told in any case: they witness the ledger."""
    return any(endpoint.wants(kind) for endpoint in work.catalog.endpoints_of.get(env, ()))


def _queue(
    work: WorkingSet,
    kind: str,
    data: dict[str, Any],
    key: tuple[int, int, int],
    *,
    sequence: int | None = None,
) -> None:
    env, member, definition = key
    body = render(kind, work.now, data)
    work.messages.append(Message(env, work.new_id(), kind, member, definition, sequence, work.now, body))
