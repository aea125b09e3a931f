"""Vouchers over HTTP: given by hand, found by their code, used once, revoked, over by time."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import orjson
import pytest
from sqlalchemy import select

from adapter.clock import parse
from adapter.engine.audit import audit
from adapter.engine.door import Door
from adapter.engine.rebuild import rebuild
from adapter.engine.sweep import due_vouchers
from adapter.program.model import Program
from adapter.store import tables as t
from tests.engine.test_audit import corrupt, read
from tests.shop import DAY, NOW, customer, play, publish, recorded
from tests.web.conftest import TOKEN

if TYPE_CHECKING:
    from tests.web.conftest import Web

URL = "/v1/vouchers"
REWARDS = [{"id": "mug", "kind": "item", "cost": 100}]


@pytest.fixture
def member(web: Web) -> Web:
    """Somebody in a program with a catalogue, and an endpoint that hears everything."""
    with web.engine.begin() as connection:
        publish(connection, Program.model_validate({"name": "main", "rewards": REWARDS}), version=2, at=1)
        connection.execute(t.configuration.update().values(version=t.configuration.c.version + 1))
    web.post("/v1/endpoints", {"url": "https://example.com/hook"}, status=201)
    web.play(recorded(customer("7000")))
    return web


def give(web: Web, status: int = 201, **more: Any) -> Any:
    body = {
        "member": "shop:7000",
        **({"percent": "10"} if not more.keys() & {"value", "reward"} else {}),
        **more,
    }
    return web.post(URL, body, status=status)


def told(web: Web) -> list[tuple[str, str]]:
    """Return what subscribers heard of vouchers: the type and the state."""
    query = select(t.messages.c.type, t.messages.c.body).order_by(t.messages.c.id)
    with web.engine.connect() as connection:
        rows = connection.execute(query.where(t.messages.c.type.like("voucher.%"))).all()
    return [(kind, orjson.loads(body)["data"]["state"]) for kind, body in rows]


def sound(web: Web) -> None:
    assert audit(web.engine) == []
    assert rebuild(web.engine, read) == []


@pytest.mark.parametrize(
    ("worth", "shown"),
    [
        ({"value": "5.00", "currency": "EUR"}, ("5.00", "EUR", None, None)),
        ({"value": 500, "currency": "JPY"}, ("500", "JPY", None, None)),
        ({"percent": "12.50"}, (None, None, "12.5", None)),
        ({"reward": "mug"}, (None, None, None, "mug")),
    ],
)
def test_what_a_voucher_is_worth(member: Web, worth: dict[str, Any], shown: tuple[Any, ...]) -> None:
    given = give(member, **worth)
    assert tuple(given[name] for name in ("value", "currency", "percent", "reward")) == shown
    assert (given["state"], given["rule"], given["code"][:5]) == ("active", None, "GIFT-")
    assert member.get(f"{URL}/{given['id']}") == given
    sound(member)


def test_a_voucher_is_used_once(member: Web) -> None:
    given = give(member, code="welcome-10")
    assert given["code"] == "WELCOME-10"
    used = member.post(f"{URL}/{given['id']}/redeem", {"source": "shop", "order": "1001"})
    assert (used["state"], used["source"], used["order"]) == ("redeemed", "shop", "1001")
    for verb in ("redeem", "revoke"):
        assert member.post(f"{URL}/{given['id']}/{verb}", status=409)["code"] == "voucher_redeemed"
    (found,) = member.get(URL, code="Welcome-10")["data"]
    assert found["state"] == "redeemed"
    assert told(member) == [
        ("voucher.attributed", "active"),
        ("voucher.redeemed", "redeemed"),
        ("voucher.refused", "redeemed"),
    ]
    sound(member)


def test_a_revoked_voucher_cannot_be_used(member: Web) -> None:
    given = give(member)
    assert member.post(f"{URL}/{given['id']}/revoke", {"reason": "a mistake"})["reason"] == "a mistake"
    assert member.post(f"{URL}/{given['id']}/redeem", status=409)["code"] == "voucher_revoked"
    sound(member)


def test_a_voucher_is_held_as_often_as_somebody_is_about_to_use_it(member: Web) -> None:
    url = f"{URL}/{give(member)['id']}"
    first = member.post(f"{url}/hold", {"ttl": 60})["hold"]
    assert member.post(f"{url}/hold", {"ttl": 60}, status=409)["code"] == "voucher_held"
    member.now += 60_000
    second = member.post(f"{url}/hold", {"ttl": 60})["hold"]
    for _ in range(2):
        member.post(f"{url}/release", {})
    third = member.post(f"{url}/hold", {"ttl": 60})["hold"]
    member.post(f"{url}/release", {"hold": third})
    assert len({first, second, third}) == 3
    assert member.post(f"{url}/redeem")["state"] == "redeemed"
    sound(member)


def test_past_its_end_it_has_expired(member: Web) -> None:
    """The end is half-open; the sweep writes down and tells what was so without it."""
    given = give(member, expires_at="2026-11-19T11:06:40Z")  # a day later
    member.now = NOW + DAY - 1
    assert member.get(f"{URL}/{given['id']}")["state"] == "active"
    member.now = NOW + DAY
    assert member.get(f"{URL}/{given['id']}")["state"] == "expired"
    assert [len(member.get(URL, state=state)["data"]) for state in ("active", "expired")] == [0, 1]
    assert member.post(f"{URL}/{given['id']}/redeem", status=409)["code"] == "voucher_expired"
    assert due_vouchers(member.engine, NOW + DAY - 1, 10) == []
    commands = due_vouchers(member.engine, NOW + DAY, 10)
    play(member.engine, commands, now=NOW + DAY)
    assert due_vouchers(member.engine, NOW + DAY, 10) == []
    assert told(member)[-2:] == [("voucher.expired", "expired"), ("voucher.refused", "expired")]
    sound(member)


def test_a_member_is_reminded_before_the_end(member: Web) -> None:
    """Ends on 28 November: reminded seven days and one day before, at nine; once it is used there is nothing to say."""
    with member.engine.begin() as connection:
        said = {"name": "main", "voucher_reminders": {"days_before": [1, 7]}}
        publish(connection, Program.model_validate(said), version=3, at=2)
        connection.execute(t.configuration.update().values(version=t.configuration.c.version + 1))
    used, _ = (give(member, expires_at="2026-11-28T12:00:00Z") for _ in range(2))
    give(member)  # this one never ends
    member.post(f"{URL}/{used['id']}/redeem")
    heard = []
    for number in range(12):
        now = parse("2026-11-18T09:00:00Z") + number * DAY
        play(member.engine, due_vouchers(member.engine, now, 10), now=now)
        assert due_vouchers(member.engine, now, 10) == []
        heard.append(told(member)[4:])
    new = [(number, more[-1]) for number, more in enumerate(heard) if more != ([], *heard)[number]]
    assert new == [
        (3, ("voucher.expiring", "active")),
        (9, ("voucher.expiring", "active")),
        (11, ("voucher.expired", "expired")),
    ]
    sound(member)


def test_what_is_refused_is_told(member: Web) -> None:
    given = give(member, code="ONCE")
    member.post(f"{URL}/{given['id']}/redeem")
    member.post(f"{URL}/{given['id']}/redeem", status=409)
    member.post(f"{URL}/{given['id']}/revoke", status=409)  # nobody wanted to use it
    give(member, status=409, code="ONCE")
    query = select(t.messages.c.type, t.messages.c.body).order_by(t.messages.c.id)
    with member.engine.connect() as connection:
        rows = connection.execute(query.where(t.messages.c.type.like("voucher.%"))).all()
    said = [(row.type, orjson.loads(row.body)["data"]) for row in rows]
    assert [(kind, data["code"], data.get("refusal")) for kind, data in said] == [
        ("voucher.attributed", "ONCE", None),
        ("voucher.redeemed", "ONCE", None),
        ("voucher.refused", "ONCE", "voucher_redeemed"),
        ("voucher.failed", "ONCE", "code_taken"),
    ]
    assert len({data["member"] for _, data in said}) == 1
    sound(member)


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ({}, 400, "reward"),
        ({"percent": "10", "reward": "mug"}, 400, "reward"),
        ({"value": "5.00"}, 400, "currency"),
        ({"percent": "5", "currency": "EUR"}, 400, "value"),
        ({"value": "5.001", "currency": "EUR"}, 400, "value"),
        ({"value": "5", "currency": "XXQ"}, 400, "currency"),
        ({"percent": "0"}, 400, "percent"),
        ({"percent": "101"}, 400, "percent"),
        ({"percent": "5", "code": "a b"}, 400, "code"),
        ({"percent": "5", "expires_at": "2026-11-01T00:00:00Z"}, 400, "expires_at"),
        ({"percent": "5", "program": "other"}, 404, "program"),
        ({"reward": "boat"}, 404, "reward"),
    ],
)
def test_the_field_at_fault_is_named(member: Web, body: dict[str, Any], status: int, field: str) -> None:
    answer = member.post(URL, {"member": "shop:7000", **body}, status=status)
    assert [one["field"] for one in answer["errors"]] == [field]
    assert member.get(URL)["data"] == []


def test_a_code_is_one_vouchers(member: Web) -> None:
    give(member, code="TAKEN")
    assert give(member, status=409, code="taken")["code"] == "code_taken"


def test_lists_are_narrowed(member: Web) -> None:
    member.play(recorded(customer("7001")))
    mine, other = give(member), give(member, member="shop:7001")
    member.post(f"{URL}/{other['id']}/revoke")
    assert [one["id"] for one in member.get(URL, member="shop:7000")["data"]] == [mine["id"]]
    assert [one["id"] for one in member.get(URL, state="revoked")["data"]] == [other["id"]]
    assert member.get(URL, rule="welcome")["data"] == []
    assert len(member.get(URL)["data"]) == 2


def test_a_repeat_under_its_key_is_the_first_answer(member: Web) -> None:
    sent = {"api-key": TOKEN, "Idempotency-Key": "k"}
    body = {"member": "shop:7000", "percent": "10"}
    first, again = (member.client.post(URL, json=body, headers=sent) for _ in range(2))
    assert first.data == again.data
    assert len(member.get(URL)["data"]) == 1


def test_of_many_at_once_one_uses_it(member: Web) -> None:
    """Ten tills with one code, and one who revokes it: exactly one of them wins."""
    given = give(member)
    verbs = ["redeem"] * 10 + ["revoke"]
    with Door(member.engine, member.clock) as door, ThreadPoolExecutor(len(verbs)) as pool:
        member.use(submit=door.submit)

        def ask(verb: str) -> int:
            path = f"{URL}/{given['id']}/{verb}"
            return member.client.post(path, json={}, headers={"api-key": TOKEN}).status_code

        statuses = list(pool.map(ask, verbs))
    assert sorted(statuses) == [200] + [409] * 10
    sound(member)


def test_rebuild_names_a_voucher_that_nobody_used(member: Web) -> None:
    give(member)
    corrupt(member.engine, "UPDATE vouchers SET state = 'redeemed'")
    assert len(rebuild(member.engine, read)) == 1
