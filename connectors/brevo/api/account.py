"""All that there is of one subscription, in one answer: balances, tiers, vouchers, who shares it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from adapter.clock import iso
from adapter.points import points
from adapter.store.reading.balances import balance_now
from adapter.store.reading.tiers import places_of
from adapter.store.reading.vouchers import vouchers_of
from adapter.web.dialects import Answered, Asked, view_of
from adapter.web.routing import Route
from connectors.brevo import ids
from connectors.brevo.api.contacts import contact_shown, subscribed
from connectors.brevo.api.ids import customers_of
from connectors.brevo.api.meta import Meta
from connectors.brevo.api.programs import ONE
from connectors.brevo.api.shown import Programmed, program_meant
from connectors.brevo.api.subscriptions import contacts_sharing
from connectors.brevo.api.worth import worth_of
from connectors.brevo.messages import number, subscription_of

if TYPE_CHECKING:
    from adapter.book.tiers import Place
    from adapter.book.voucher import Voucher
    from adapter.store.reading.members import MemberRow
    from adapter.web.routing import Call

PARTS = ("balance", "tier", "reward", "members", "membership")


class AccountQuery(Asked):
    """Whose it is. `params` names the parts that are wanted, comma-separated; all of them without it."""

    contact_id: int | None = None
    loyalty_subscription_id: str | None = None
    params: str | None = None
    include_internal: bool = False


class BalanceItem(Answered):
    balance_definition_id: str
    balance_definition_name: str
    value: float


class BalancesShown(Answered):
    contact_id: int | None
    loyalty_program_id: str
    balances: list[BalanceItem]


class TierItem(Answered):
    contact_id: int | None
    group_id: str
    group_name: str
    loyalty_program_id: str
    meta: Meta
    tier_id: str
    tier_name: str
    created_at: str
    updated_at: str


class RewardItem(Answered):
    id: str
    code: str
    contact_id: int | None
    loyalty_program_id: str
    reward_id: str | None
    reward_name: str | None
    public_description: str | None
    meta: Meta
    unit: str | None
    value: float | None
    expiration_date: str | None
    valid_from: str | None
    created_at: str
    updated_at: str


class MemberItem(Answered):
    member_contact_id: int
    created_at: str
    updated_at: str


class MembershipShown(Answered):
    loyalty_subscription_id: str | None
    created_at: str
    updated_at: str


class AccountShown(Answered):
    loyalty_program_name: str
    balance: BalancesShown | None = None
    tier: list[TierItem] | None = None
    reward: list[RewardItem] | None = None
    members: list[MemberItem] | None = None
    membership: MembershipShown | None = None


def account_info(call: Call) -> dict[str, Any]:
    """Show all of a subscription."""
    asked: AccountQuery = call.query
    meant = program_meant(call)
    row = subscribed(call, asked.contact_id, asked.loyalty_subscription_id)
    wanted = {one.strip().lower() for one in (asked.params or ",".join(PARTS)).split(",")}
    wanted |= {one.rstrip("s") for one in wanted}
    shown = {
        "balance": _balances if "balance" in wanted else None,
        "tier": _tiers if "tier" in wanted else None,
        "reward": _rewards if "reward" in wanted else None,
        "members": _members if {"members", "member"} & wanted else None,
        "membership": _membership if "membership" in wanted else None,
    }
    parts: dict[str, Any] = {name: make(call, meant, row) for name, make in shown.items() if make is not None}
    return view_of(AccountShown(loyalty_program_name=meant.program.title or meant.program.name, **parts))


def _balances(call: Call, meant: Programmed, row: MemberRow) -> BalancesShown:
    said = {one.name: one for one in meant.program.balance_definitions}
    items = []
    for (env, _), one in sorted(call.catalog.definitions.items()):
        kept = said.get(one.name)
        if env != call.env or one.program != meant.program.name or kept is None or kept.retired:
            continue
        if kept.metadata.get("isInternal") is True and not call.query.include_internal:
            continue
        balance, _ = balance_now(call.database, call.env, row.id, one.id, call.now)
        items.append(
            BalanceItem(
                balance_definition_id=ids.definition_id(call.env, one.program, one.name),
                balance_definition_name=kept.title or kept.name,
                value=number(points(balance.available + balance.reserved, one.decimals)),
            )
        )
    return BalancesShown(
        contact_id=contact_shown(call, row.source_ids), loyalty_program_id=meant.id, balances=items
    )


def _tiers(call: Call, meant: Programmed, row: MemberRow) -> list[TierItem]:
    places = places_of(call.database, call.catalog, (call.env, row.id), call.now)
    items = (_tier(call, meant, row, one) for one in places if one.program == meant.program.name)
    return [one for one in items if one is not None]


def _tier(call: Call, meant: Programmed, row: MemberRow, place: Place) -> TierItem | None:
    name = meant.program.name
    active = call.catalog.version_at(call.env, name, call.now).program
    group = next(one for one in active.tier_groups if one.name == place.group)
    tier = group.tiers[group.place(place.tier) or 0]
    if tier.unlisted:
        return None
    return TierItem(
        contact_id=contact_shown(call, row.source_ids),
        group_id=ids.group_id(call.env, name, group.name),
        group_name=group.title or group.name,
        loyalty_program_id=meant.id,
        meta=tier.metadata,
        tier_id=ids.tier_id(call.env, name, group.name, tier.name),
        tier_name=tier.title or tier.name,
        created_at=iso(place.since),
        updated_at=iso(place.since),
    )


def _rewards(call: Call, meant: Programmed, row: MemberRow) -> list[RewardItem]:
    vouchers = vouchers_of(call.database, (call.env, row.id), meant.program.name)
    return [_reward(call, meant, row, one) for one in vouchers if one.state_at(call.now) == "active"]


def _reward(call: Call, meant: Programmed, row: MemberRow, voucher: Voucher) -> RewardItem:
    reward = meant.program.reward(voucher.reward or "")
    worth = worth_of(meant, voucher)
    return RewardItem(
        id=worth.id,
        code=voucher.code,
        contact_id=contact_shown(call, row.source_ids),
        loyalty_program_id=meant.id,
        reward_id=worth.reward_id,
        reward_name=None if reward is None else reward.title or reward.id,
        public_description=None if reward is None else reward.description,
        meta=worth.meta,
        unit=worth.unit,
        value=worth.value,
        expiration_date=worth.expiration_date,
        valid_from=worth.valid_from,
        created_at=iso(voucher.attributed_at),
        updated_at=iso(voucher.updated_at),
    )


def _members(call: Call, _meant: Programmed, row: MemberRow) -> list[MemberItem]:
    at = {"created_at": iso(row.created_at), "updated_at": iso(row.updated_at)}
    return [MemberItem(member_contact_id=one, **at) for one in contacts_sharing(call, row)]


def _membership(call: Call, _meant: Programmed, row: MemberRow) -> MembershipShown:
    return MembershipShown(
        loyalty_subscription_id=subscription_of(row.source_ids, customers_of(call)),
        created_at=iso(row.created_at),
        updated_at=iso(row.updated_at),
    )


ROUTES = (
    Route(
        "GET",
        f"{ONE}/account-info",
        account_info,
        "members:read",
        "Show all of a subscription",
        AccountShown,
        "Subscriptions",
        query=AccountQuery,
    ),
)
