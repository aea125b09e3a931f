"""Contacts of a loyalty program, through Brevo's own client: subscriptions, tiers, rewards and vouchers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from brevo.errors import NotFoundError, UnprocessableEntityError
from brevo.program.types import GetParameterSubscriptionInfoResponse, SubscribeMemberToASubscriptionResponse
from brevo.program.types import SubscribeToLoyaltyProgramResponse as Subscribed
from brevo.reward.types import (
    CreateRewardResponse,
    CreateVoucherResponse,
    GetCodeCountResponse,
    GetLoyaltyOfferProgramsPidOffersResponse,
    GetLoyaltyOfferProgramsPidRewardsRidResponse,
    GetLoyaltyOfferProgramsPidVouchersResponse,
    ValidateRewardResponse,
)
from brevo.tier.types import (
    AddSubscriptionToTierResponse,
    GetListOfTierGroupsResponse,
    GetLoyaltyProgramTierResponse,
)
from brevo.types import Redeem, Tier, TierGroup

from adapter.clock import iso
from tests.dialects.brevo.conftest import strictly
from tests.dialects.brevo.test_programs import made, raw

if TYPE_CHECKING:
    from brevo import Brevo

    from tests.web.conftest import Web

OWNER, FRIEND = 12345, 678


@pytest.fixture
def pid(brevo: Brevo) -> str:
    """A program with a balance of points that is published, and a contact who is subscribed."""
    program = str(made(brevo).id)
    brevo.balance.create_balance_definition(program, name="Stars", unit="POINTS")
    brevo.program.publish_loyalty_program(program)
    brevo.program.subscribe_to_loyalty_program(program, contact_id=OWNER, loyalty_subscription_id="card-1")
    return program


def stars(brevo: Brevo, pid: str) -> str:
    (one,) = brevo.balance.get_balance_definition_list(pid).items or []
    return str(one.id)


def account(brevo: Brevo, pid: str, **asked: Any) -> GetParameterSubscriptionInfoResponse:
    answer = brevo.program.with_raw_response.get_parameter_subscription_info(pid, **asked)
    shown: GetParameterSubscriptionInfoResponse = strictly(GetParameterSubscriptionInfoResponse, raw(answer))
    return shown


# --- subscriptions ------------------------------------------------------------------------------------------------------


def test_a_contact_subscribes_once(brevo: Brevo, pid: str, sqlite_web: Web) -> None:
    def subscribe(**asked: Any) -> Subscribed:
        answer = brevo.program.with_raw_response.subscribe_to_loyalty_program(pid, **asked)
        shown: Subscribed = strictly(Subscribed, raw(answer))
        return shown

    first = subscribe(contact_id=77, meta={"till": 4, "vip": "yes"}, loyalty_subscription_id="card-77")
    assert (first.contact_id, first.loyalty_subscription_id, first.meta) == (
        77,
        "card-77",
        {"till": 4, "vip": "yes"},
    )
    assert subscribe(contact_id=77, loyalty_subscription_id="card-77") == first
    assert sqlite_web.get("/v1/members/brevo:77")["id"] == sqlite_web.get("/v1/members/brevo:card-77")["id"]
    with pytest.raises(UnprocessableEntityError):
        subscribe(contact_id=78, loyalty_subscription_id="card-77")
    with pytest.raises(UnprocessableEntityError):
        subscribe(contact_id=0)
    with pytest.raises(UnprocessableEntityError):
        subscribe(contact_id=79, creation_date=iso(sqlite_web.now + 60_000))
    with pytest.raises(UnprocessableEntityError):
        subscribe(contact_id=79, loyalty_subscription_id="79")  # that would be a contact's number


def test_who_comes_back_has_their_points(brevo: Brevo, pid: str) -> None:
    brevo.balance.begin_transaction(
        pid, contact_id=OWNER, balance_definition_id=stars(brevo, pid), amount=5, auto_complete=True
    )
    brevo.program.delete_contact_subscription(pid, OWNER)
    with pytest.raises(NotFoundError):
        brevo.program.delete_contact_subscription(pid, OWNER)
    brevo.program.subscribe_to_loyalty_program(pid, contact_id=OWNER)
    balance = account(brevo, pid, contact_id=str(OWNER)).balance
    assert [one.value for one in (balance and balance.balances) or []] == [5]


def test_contacts_share_a_subscription(brevo: Brevo, pid: str) -> None:
    answer = brevo.program.with_raw_response.subscribe_member_to_a_subscription(
        pid, contact_id=OWNER, member_contact_ids=[FRIEND, 679]
    )
    shown = strictly(SubscribeMemberToASubscriptionResponse, raw(answer))
    assert (shown.owner_contact_id, shown.member_contact_ids) == (OWNER, [FRIEND, 679])
    members = account(brevo, pid, contact_id=str(OWNER), params="members").members or []
    assert [one.member_contact_id for one in members] == [FRIEND, 679]
    with pytest.raises(UnprocessableEntityError):
        brevo.program.subscribe_member_to_a_subscription(pid, contact_id=OWNER, member_contact_ids=[OWNER])
    brevo.program.delete_contact_members(pid, member_contact_ids=f"{FRIEND},679")
    assert account(brevo, pid, contact_id=str(OWNER), params="members").members == []
    with pytest.raises(NotFoundError):
        brevo.program.delete_contact_members(pid, member_contact_ids=str(FRIEND))


def test_all_of_a_subscription_in_one_answer(brevo: Brevo, pid: str) -> None:
    shown = account(brevo, pid, loyalty_subscription_id="card-1")
    assert shown.loyalty_program_name == "VIP Club"
    assert shown.membership is not None
    assert shown.membership.loyalty_subscription_id == "card-1"
    assert shown.balance is not None
    assert [one.balance_definition_name for one in shown.balance.balances or []] == ["Stars"]
    assert (shown.tier, shown.reward, shown.members) == ([], [], [])
    with pytest.raises(UnprocessableEntityError):
        account(brevo, pid, contact_id="999")


# --- tiers --------------------------------------------------------------------------------------------------------------


def test_tiers_follow_a_balance(brevo: Brevo, pid: str) -> None:
    bdid = stars(brevo, pid)
    group = strictly(TierGroup, raw(brevo.tier.with_raw_response.create_tier_group(pid, name="Status")))
    gid = str(group.id)
    assert (group.tier_order, group.upgrade_strategy, group.downgrade_strategy) == (
        [],
        "real_time",
        "real_time",
    )
    rewards = [str(brevo.reward.create_reward(pid, name="A mug").id)]
    tiers = []
    for name, least in (("Gold", 500), ("Silver", 100)):
        answer = brevo.tier.with_raw_response.create_tier_for_tier_group(
            pid,
            gid,
            name=name,
            access_conditions=[{"balanceDefinitionId": bdid, "minimumValue": least}],
            tier_rewards=[{"rewardId": one} for one in rewards],
        )
        tier = strictly(Tier, raw(answer))
        assert tier.access_conditions is not None
        assert (tier.name, tier.group_id, tier.access_conditions[0].minimum_value) == (name, gid, least)
        tiers.append(str(tier.tier_id))
    gold, silver = tiers
    (listed,) = strictly(
        GetListOfTierGroupsResponse, raw(brevo.tier.with_raw_response.get_list_of_tier_groups(pid))
    ).items
    assert listed.tier_order == [silver, gold]
    with pytest.raises(UnprocessableEntityError):
        brevo.tier.update_tier_group(
            pid,
            gid,
            name="S",
            tier_order=[gold, silver],
            upgrade_strategy="real_time",
            downgrade_strategy="real_time",
        )
    changed = brevo.tier.with_raw_response.update_tier_group(
        pid,
        gid,
        name="Standing",
        tier_order=[silver, gold],
        upgrade_strategy="real_time",
        downgrade_strategy="membership_anniversary",
    )
    assert strictly(TierGroup, raw(changed)).downgrade_strategy == "membership_anniversary"
    brevo.program.publish_loyalty_program(pid)
    assert brevo.tier.get_tier_group(pid, gid, version="active").name == "Standing"
    assert account(brevo, pid, contact_id=str(OWNER)).tier == []  # none is reached
    brevo.balance.begin_transaction(
        pid, contact_id=OWNER, balance_definition_id=bdid, amount=150, auto_complete=True
    )
    shown = account(brevo, pid, contact_id=str(OWNER))
    assert [(one.tier_name, one.group_name) for one in shown.tier or []] == [("Silver", "Standing")]
    assert [one.reward_name for one in shown.reward or []] == ["A mug"]  # what the tier brought
    put = brevo.tier.with_raw_response.add_subscription_to_tier(pid, str(OWNER), gold)
    assert strictly(AddSubscriptionToTierResponse, raw(put)).group_id == gid
    assert [one.tier_name for one in account(brevo, pid, contact_id=str(OWNER)).tier or []] == ["Gold"]


def test_tiers_are_changed_and_deleted(brevo: Brevo, pid: str) -> None:
    bdid = stars(brevo, pid)
    gid = str(brevo.tier.create_tier_group(pid, name="Status").id)
    condition: Any = [{"balanceDefinitionId": bdid, "minimumValue": 10}]
    tid = str(
        brevo.tier.create_tier_for_tier_group(pid, gid, name="One", access_conditions=condition).tier_id
    )
    with pytest.raises(UnprocessableEntityError):  # two tiers for the same
        brevo.tier.create_tier_for_tier_group(pid, gid, name="Two", access_conditions=condition)
    changed = brevo.tier.with_raw_response.update_tier(
        pid, tid, name="Uno", access_conditions=[], tier_rewards=[], image_ref="https://example.com/1.png"
    )
    tier = strictly(Tier, raw(changed))
    assert (tier.name, tier.image_ref) == ("Uno", "https://example.com/1.png")
    (listed,) = strictly(
        GetLoyaltyProgramTierResponse, raw(brevo.tier.with_raw_response.get_loyalty_program_tier(pid))
    ).items
    assert listed.tier_id == tid
    brevo.tier.delete_tier(pid, tid)
    assert brevo.tier.get_loyalty_program_tier(pid).items == []
    brevo.tier.delete_tier_group(pid, gid)
    with pytest.raises(NotFoundError):
        brevo.tier.get_tier_group(pid, gid)


# --- rewards and vouchers -----------------------------------------------------------------------------------------------


@pytest.fixture
def rid(brevo: Brevo, pid: str) -> str:
    answer = brevo.reward.with_raw_response.create_reward(
        pid,
        name="mug-2026",
        public_name="A mug",
        public_description="Blue",
        public_image="https://example.com/m.png",
    )
    reward = strictly(CreateRewardResponse, raw(answer))
    assert (reward.name, reward.public_name, reward.public_description) == ("mug-2026", "A mug", "Blue")
    brevo.program.publish_loyalty_program(pid)
    return str(reward.id)


def test_rewards_are_shown(brevo: Brevo, pid: str, rid: str) -> None:
    page = strictly(
        GetLoyaltyOfferProgramsPidOffersResponse, raw(brevo.reward.with_raw_response.get_reward_page_api(pid))
    )
    assert [(one.id, one.name, one.state) for one in page.items] == [(rid, "mug-2026", "active")]
    assert page.total_count == 1
    shown = strictly(
        GetLoyaltyOfferProgramsPidRewardsRidResponse,
        raw(brevo.reward.with_raw_response.get_reward_information(pid, rid, version="active")),
    )
    assert (shown.public_name, shown.meta) == ("A mug", {})
    count = brevo.reward.with_raw_response.get_code_count(pid, str(shown.code_pool_id))
    assert strictly(GetCodeCountResponse, raw(count)).count == 0


def given(brevo: Brevo, pid: str, rid: str, **more: Any) -> CreateVoucherResponse:
    answer = brevo.reward.with_raw_response.create_voucher(pid, reward_id=rid, contact_id=OWNER, **more)
    voucher: CreateVoucherResponse = strictly(CreateVoucherResponse, raw(answer))
    return voucher


def authorized(brevo: Brevo, pid: str, **asked: Any) -> bool | None:
    answer = brevo.reward.with_raw_response.validate_reward(pid, **asked)
    shown: ValidateRewardResponse = strictly(ValidateRewardResponse, raw(answer))
    return shown.authorize


def test_a_voucher_is_used_in_two_steps(brevo: Brevo, pid: str, rid: str) -> None:
    voucher = given(brevo, pid, rid, code="SPRING-1", value=7.5, meta={"campaign": 9})
    assert (voucher.code, voucher.value, voucher.meta, voucher.consumed_at) == (
        "SPRING-1",
        7.5,
        {"campaign": 9},
        None,
    )
    assert authorized(brevo, pid, code="spring-1", contact_id=OWNER) is True
    begun = strictly(Redeem, raw(brevo.reward.with_raw_response.redeem_voucher(pid, code="SPRING-1", ttl=60)))
    assert (begun.status, begun.reward_attribution_id) == ("pending", voucher.id)
    assert authorized(brevo, pid, attributed_reward_id=voucher.id) is False  # somebody is about to use it
    with pytest.raises(UnprocessableEntityError):
        brevo.reward.redeem_voucher(pid, code="SPRING-1")
    done = strictly(
        Redeem, raw(brevo.reward.with_raw_response.complete_redeem_transaction(pid, str(begun.id)))
    )
    assert (done.id, done.status) == (begun.id, "completed")
    with pytest.raises(UnprocessableEntityError):  # once and for all
        brevo.reward.complete_redeem_transaction(pid, str(begun.id))
    with pytest.raises(NotFoundError):
        brevo.reward.complete_redeem_transaction(pid, "hld_0000000000000")


def test_a_hold_that_is_over_holds_nothing(brevo: Brevo, pid: str, rid: str, sqlite_web: Web) -> None:
    voucher = given(brevo, pid, rid)
    begun = brevo.reward.redeem_voucher(pid, attributed_reward_id=voucher.id, ttl=60)
    sqlite_web.now += 60_000
    with pytest.raises(UnprocessableEntityError):
        brevo.reward.complete_redeem_transaction(pid, str(begun.id))
    assert (
        brevo.reward.redeem_voucher(pid, reward_id=rid, contact_id=OWNER, auto_complete=True).status
        == "completed"
    )


def test_a_voucher_is_not_used_before_its_day(brevo: Brevo, pid: str, rid: str, sqlite_web: Web) -> None:
    at = iso(sqlite_web.now + 60_000)
    voucher = given(brevo, pid, rid, valid_from=at)
    assert (
        raw(brevo.reward.with_raw_response.get_voucher_for_a_contact(pid, contact_id=OWNER))[
            "contactRewards"
        ][0]["validFrom"]
        == at
    )
    assert authorized(brevo, pid, attributed_reward_id=voucher.id) is False
    with pytest.raises(UnprocessableEntityError):
        brevo.reward.redeem_voucher(pid, attributed_reward_id=voucher.id)
    sqlite_web.now += 60_000
    assert authorized(brevo, pid, attributed_reward_id=voucher.id) is True


def test_vouchers_of_a_contact_are_listed_and_revoked(
    brevo: Brevo, pid: str, rid: str, sqlite_web: Web
) -> None:
    made_ = [given(brevo, pid, rid, meta={"n": number}) for number in range(3)]

    def listed(**asked: Any) -> list[Any]:
        answer = brevo.reward.with_raw_response.get_voucher_for_a_contact(pid, contact_id=OWNER, **asked)
        shown = strictly(GetLoyaltyOfferProgramsPidVouchersResponse, raw(answer))
        assert (shown.contact_id, shown.loyalty_subscription_id) == (OWNER, "card-1")
        return [(one.meta or {})["n"] for one in shown.contact_rewards or []]

    assert listed(sort="asc", sort_field="createdAt") == [0, 1, 2]
    assert listed(sort="desc", sort_field="createdAt", limit=2) == [2, 1]
    assert listed(metadata_key_value="n:1") == [1]
    assert listed(reward_id="6f1c2a52-0000-4000-8000-000000000000") == []
    brevo.reward.revoke_vouchers(pid, attributed_reward_ids=f"{made_[0].id},{made_[1].id}")
    states = {one["id"]: one["state"] for one in sqlite_web.get("/v1/vouchers")["data"]}
    assert [states[str(one.id)] for one in made_] == ["revoked", "revoked", "active"]
    with pytest.raises(NotFoundError):
        brevo.reward.revoke_vouchers(pid, attributed_reward_ids="vou_0000000000000")
    with pytest.raises(UnprocessableEntityError):
        given(brevo, pid, rid, code=made_[2].code)
