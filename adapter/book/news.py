"""What subscribers are told of a change: rendered here, in the batch that commits it, and frozen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from adapter import ids
from adapter.book.working import Member, Message, Person, WorkingSet
from adapter.clock import iso
from adapter.messages import MessageType, render
from adapter.points import points
from connectors.vendor import Told

if TYPE_CHECKING:
    from collections.abc import Mapping

    from adapter.book.membership import Membership, Standing, TierChange
    from adapter.book.state import Balance, Order, Redemption, Transaction
    from adapter.book.transfers import Change
    from adapter.catalog import Definition
    from adapter.clock import Millis
    from adapter.program.anniversaries import Anniversary
    from adapter.program.tiers import TierGroup
    from connectors.vendor import Vendor


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
    tell(work, MessageType.BALANCE_UPDATED, data, balance.key, sequence=balance.sequence)


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
        "redemption": None if transaction.redemption is None else ids.show("rdm", transaction.redemption),
        "occurred_at": iso(transaction.occurred_at),
    }
    if transaction.state == "rejected":
        data["reason"] = transaction.reason
    tell(work, f"transaction.{transaction.state}", data, key)


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
        "credit": _credit(work, redemption) if redemption.kind == "credit" else None,
        "source": redemption.order_source,
        "order": redemption.order_ref,
        "payment": redemption.payment,
        "shipping": None if redemption.shipping is None else orjson.loads(redemption.shipping),
        "tracking": redemption.tracking,
        "reason": redemption.reason,
        "flagged": redemption.flagged,
        "created_at": iso(redemption.created_at),
    }
    tell(work, f"redemption.{word}", data, key)


def _credit(work: WorkingSet, redemption: Redemption) -> dict[str, Any]:
    """Return what a credit gave: of a balance of ours, or money that is the subscriber's to grant."""
    if redemption.credited is None:
        return {"amount": redemption.value, "currency": redemption.currency, "balance_definition": None}
    definition = work.catalog.definitions[redemption.env, redemption.credited]
    amount = points(redemption.value or 0, definition.decimals)
    return {"amount": amount, "currency": None, "balance_definition": definition.name}


def tell_payment(work: WorkingSet, order: Order, payment: Mapping[str, Any], word: str) -> None:
    """Queue `payment.created`, `.completed` and so on, of a payment that is rehearsed, as it stands now."""
    kind = f"payment.{word}"
    if not wanted(work, order.env, kind):
        return
    whose = () if order.member is None else work.source_ids.get((order.env, order.member), ())
    data = payment_view(payment) | {
        "member": None if order.member is None else ids.show("mem", order.member),
        "source_ids": sorted(whose),
        "program": order.program,
    }
    tell(work, kind, data, (order.env, order.member, None))


def payment_view(payment: Mapping[str, Any]) -> dict[str, Any]:
    """Return a payment that is rehearsed as it is shown everywhere."""
    return {
        **payment,
        "payment": ids.show("pay", payment["payment"]),
        "redemptions": [ids.show("rdm", number) for number in payment["redemptions"]],
        "created_at": iso(payment["created_at"]),
        "updated_at": iso(payment["updated_at"]),
    }


def tell_expired(work: WorkingSet, change: Change, amount: int) -> None:
    """Queue `points.expired`: how many points of a member ran out at once."""
    balance = change.balance
    if not wanted(work, balance.env, MessageType.POINTS_EXPIRED):
        return
    definition = work.catalog.definitions[balance.env, balance.definition]
    data = _whose(work, balance, definition) | {"amount": points(amount, definition.decimals)}
    tell(work, MessageType.POINTS_EXPIRED, data, balance.key)


def tell_tier(work: WorkingSet, change: TierChange, group: TierGroup, since: Millis) -> None:
    """Queue `tier.updated`: from which tier to which, by which measure, and what it brings."""
    if not wanted(work, change.env, MessageType.TIER_UPDATED):
        return
    key = (change.env, change.member)
    measured = work.catalog.measured_in(change.env, change.program, group)
    decimals = measured.decimals if measured else 0
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
    tell(work, MessageType.TIER_UPDATED, data, (change.env, change.member, None))


def tell_anniversary(
    work: WorkingSet, membership: Membership, standing: Standing | None, one: Anniversary
) -> None:
    """Queue `member.anniversary` or, of the tier of a standing, `tier.anniversary`; before the day `…_coming`."""
    of_member, of_tier = MessageType.MEMBER_ANNIVERSARY, MessageType.TIER_ANNIVERSARY
    if one.days_before:
        of_member, of_tier = MessageType.MEMBER_ANNIVERSARY_COMING, MessageType.TIER_ANNIVERSARY_COMING
    kind = of_member if standing is None else of_tier
    if not wanted(work, membership.env, kind):
        return
    key = (membership.env, membership.member)
    data = {
        "member": ids.show("mem", membership.member),
        "source_ids": sorted(work.source_ids.get(key, ())),
        "program": membership.program,
        **({} if standing is None else {"group": standing.tier_group, "tier": standing.tier}),
        "since": iso(membership.joined_at if standing is None else standing.since),
        "months": one.months,
        "in_days": one.days_before,
    }
    tell(work, kind, data, (*key, None))


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
    tell(work, MessageType.POINTS_EXPIRING, data, balance.key)


def tell_member(work: WorkingSet, kind: MessageType, member: Member, person: Person | None) -> None:
    """Queue `member.created`, `.updated`, `.merged` or `.deleted`; nothing personal but the address and name."""
    if not wanted(work, member.env, kind):
        return
    data: dict[str, Any] = {
        "member": ids.show("mem", member.id),
        "source_ids": sorted(work.source_ids.get((member.env, member.id), ())),
        "state": member.state,
        "created_at": iso(member.created_at),
        "email": person.email if person else None,
        "name": person.name if person else None,
        "merged_into": None if member.merged_into is None else ids.show("mem", member.merged_into),
    }
    tell(work, kind, data, (member.env, member.id, None))


def tell_link(work: WorkingSet, key: tuple[int, str, str], member: int, kind: MessageType) -> None:
    """Queue `member.linked` or `.unlinked`: which customer id of which source began or ceased to be a member's."""
    env, source, customer = key
    if not wanted(work, env, kind):
        return
    row = work.members.get((env, member))
    data = {
        "member": ids.show("mem", member),
        "source_ids": sorted(work.source_ids.get((env, member), ())),
        "source": source,
        "customer": customer,
        "created_at": None if row is None else iso(row.created_at),
    }
    tell(work, kind, data, (env, member, None))


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
    return bool(work.audience(env, kind))


def tell(
    work: WorkingSet,
    kind: str,
    data: dict[str, Any],
    whose: tuple[int, int | None, int | None],
    *,
    sequence: int | None = None,
) -> None:
    """Queue a message in every format in which some endpoint asks for it."""
    env, member, definition = whose
    audience = work.audience(env, kind)
    if audience.native or sequence is not None:
        body = render(kind, work.now, data)
        work.messages.append(Message(env, work.new_id(), kind, member, definition, sequence, work.now, body))
    for vendor, event in audience.events:
        _tell_as(work, vendor, event, (kind, data, whose))


def _tell_as(
    work: WorkingSet,
    vendor: Vendor,
    event: str,
    said: tuple[str, dict[str, Any], tuple[int, int | None, int | None]],
) -> None:
    """Queue a vendor's event, where this change is an occasion for it."""
    kind, data, (env, member, definition) = said
    settings = work.catalog.dialect(env, vendor.name)
    if settings is None:
        return
    number = work.new_id()
    told = Told(number, kind, work.now, env, member, data, work.catalog, settings)
    body = vendor.write(event, told)
    if body is not None:
        frozen = orjson.dumps(body)
        work.messages.append(
            Message(env, number, event, member, definition, None, work.now, frozen, vendor.name)
        )
