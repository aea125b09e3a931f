"""Locks over HTTP, and what a till granted while it could not ask: told later, flagged, cleared by a person."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from adapter.engine.audit import audit
from adapter.engine.rebuild import rebuild
from adapter.program.model import Program
from adapter.store import tables as t
from tests.engine.test_audit import read
from tests.shop import NOW, begin, customer, member_of, publish, recorded
from tests.web.conftest import keyed

if TYPE_CHECKING:
    from tests.web.conftest import Web

URL = "/v1/redemptions"
TILL = "sk_test_1111111111111111"
CLERK = "sk_test_2222222222222222"
REWARDS = [{"id": "mug", "kind": "item", "cost": 300}]


@pytest.fixture
def member(web: Web) -> Web:
    """Somebody with 450 points, worth 4.50."""
    said = {"name": "main", "rewards": REWARDS, "redeeming": {"currency": "EUR"}}
    with web.engine.begin() as connection:
        publish(connection, Program.model_validate(said), version=2, at=1)
        connection.execute(t.configuration.update().values(version=t.configuration.c.version + 1))
    web.play(recorded(customer("7000")))
    web.play(begin(member_of(web.engine), 1, "credit", 450, complete=True))
    keyed(web.engine, 1, TILL, "redemptions:write", "redemptions:read", "redemptions:degraded")
    keyed(web.engine, 1, CLERK, "redemptions:write", "redemptions:read")
    return web


def redeem(web: Web, points: int, *, status: int = 201, token: str = TILL, **more: Any) -> Any:
    return web.post(URL, {"member": "shop:7000", "points": points, **more}, status=status, token=token)


def balance(web: Web) -> tuple[int, int]:
    found = web.get("/v1/members/shop:7000/balance")
    return found["available"], found["owed"]


def sound(web: Web) -> None:
    assert audit(web.engine) == []
    assert rebuild(web.engine, read) == []


@pytest.mark.parametrize(
    ("points", "known", "status", "left"),
    [
        # 450 are there
        (450, 450, 201, (0, 0)),
        (451, 450, 422, (450, 0)),
        (600, 600, 201, (0, 150)),
        (600, 599, 422, (450, 0)),
        (100, 5000, 201, (350, 0)),
    ],
)
def test_up_to_the_last_known_balance(
    member: Web, points: int, known: int, status: int, left: tuple[int, int]
) -> None:
    answer = redeem(member, points, status=status, last_known={"available": known})
    assert balance(member) == left
    if status == 422:
        assert answer["code"] == "over_last_known"
        assert answer["figures"] == {"requested": points, "last_known": known}
    else:
        assert (answer["state"], answer["cost"]) == ("applied", points)
    sound(member)


def test_what_was_granted_is_flagged_until_a_person_clears_it(member: Web) -> None:
    granted = redeem(
        member, 600, last_known={"available": 600, "sequence": 0}, occurred_at="2026-11-18T10:00:00Z"
    )
    assert (
        granted["flagged"]
        == "granted by the last known balance (sequence 0, now 1); 150 of 600 were not there"
    )
    other = redeem(member, 100, last_known={"available": 600})
    assert [one["id"] for one in member.get(URL, flagged="true")["data"]] == [other["id"], granted["id"]]
    cleared = member.post(f"{URL}/{granted['id']}/clear", {"note": "spoke to the shop"})
    assert (cleared["flag_note"], cleared["flag_cleared_at"]) == (
        "spoke to the shop",
        "2026-11-18T11:06:40.000Z",
    )
    assert [one["id"] for one in member.get(URL, flagged="true")["data"]] == [other["id"]]
    assert [one["id"] for one in member.get(URL, flagged="false")["data"]] == [granted["id"]]
    again = member.post(f"{URL}/{granted['id']}/clear", {"note": "again"}, status=409)
    assert again["code"] == "redemption_not_flagged"
    sound(member)


def test_only_some_keys_may_grant_offline(member: Web) -> None:
    refused = redeem(member, 100, token=CLERK, status=403, last_known={"available": 450})
    assert (refused["code"], refused["errors"][0]["message"]) == ("scope_missing", "redemptions:degraded")
    assert redeem(member, 100, token=CLERK)["state"] == "pending"
    assert balance(member) == (350, 0)


def test_an_item_that_was_handed_out_waits_for_its_shipment(member: Web) -> None:
    body = {"member": "shop:7000", "reward": "mug", "last_known": {"available": 300}}
    assert member.post(URL, body, status=201, token=TILL)["state"] == "fulfillment_pending"
    assert balance(member) == (150, 0)
    sound(member)


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"occurred_at": "2026-11-18T10:00:00Z"}, "occurred_at"),
        ({"last_known": {"available": 450}, "occurred_at": "2026-11-19T10:00:00Z"}, "occurred_at"),
        ({"last_known": {"available": -1}}, "last_known.available"),
        ({"last_known": {"available": 450}, "lock_s": 60}, "lock_s"),
        ({"lock_s": 0}, "lock_s"),
        ({"lock_s": 3601}, "lock_s"),
    ],
)
def test_the_field_at_fault_is_named(member: Web, more: dict[str, Any], field: str) -> None:
    answer = redeem(member, 100, status=400, **more)
    assert [one["field"] for one in answer["errors"]] == [field]
    assert balance(member) == (450, 0)


def test_a_locked_balance_says_when_to_ask_again(member: Web) -> None:
    locking = redeem(member, 100, lock_s=60)
    assert locking["locks_until"] == "2026-11-18T11:07:40.000Z"
    member.now = NOW + 1500
    sent = {"Authorization": f"Bearer {TILL}"}
    refused = member.client.post(URL, json={"member": "shop:7000", "points": 100}, headers=sent)
    assert (refused.status_code, refused.get_json()["code"]) == (409, "balance_locked")
    assert refused.headers["Retry-After"] == "59"
    assert locking["id"] in refused.get_json()["detail"]
    member.now = NOW + 60_000
    assert redeem(member, 100)["state"] == "pending"
    sound(member)


def test_a_lock_ends_with_its_redemption(member: Web) -> None:
    locking = redeem(member, 100, lock_s=3600)
    redeem(member, 100, status=409)
    member.post(f"{URL}/{locking['id']}/apply")
    assert redeem(member, 100)["state"] == "pending"


def test_an_item_locks_nothing(member: Web) -> None:
    body = {"member": "shop:7000", "reward": "mug", "lock_s": 60}
    assert member.post(URL, body, status=400)["errors"][0]["field"] == "lock_s"


def test_a_failed_checkout_gives_the_points_back_at_once(member: Web) -> None:
    """A reversal is available at once, and happens once."""
    begun = redeem(member, 100, lock_s=60)
    member.post(f"{URL}/{begun['id']}/reverse", {"reason": "the checkout failed"})
    assert balance(member) == (450, 0)
    assert member.post(f"{URL}/{begun['id']}/reverse", status=409)["code"] == "redemption_reversed"
    assert balance(member) == (450, 0)
