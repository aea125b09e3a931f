"""Fraud advice over HTTP: given, replaced, cleared; kept, and made again from the stored commands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select

from adapter.engine.audit import audit
from adapter.engine.rebuild import rebuild
from adapter.store import tables as t
from tests.engine.test_audit import corrupt, read
from tests.shop import customer, recorded
from tests.web.conftest import TOKEN

if TYPE_CHECKING:
    from tests.web.conftest import Web

URL = "/v1/members/shop:7000/advice"


@pytest.fixture
def member(web: Web) -> Web:
    web.play(recorded(customer("7000")))
    return web


def give(web: Web, advice: str, status: int = 200, **more: Any) -> Any:
    return web.ask("PUT", URL, body={"advice": advice, **more}, status=status)


def history(web: Web) -> list[tuple[str, str, bool]]:
    return [(one["advice"], one["state"], one["blocks"]) for one in web.get(URL)["data"]]


def test_an_advice_is_given_replaced_and_cleared(member: Web) -> None:
    given = give(member, "block", reason="three cards in an hour")
    assert (given["advice"], given["state"], given["blocks"]) == ("BLOCK", "outstanding", True)
    assert give(member, "REVIEW")["blocks"] is False
    cleared = member.ask("DELETE", URL)
    assert (cleared["advice"], cleared["state"]) == ("REVIEW", "cleared")
    assert history(member) == [("REVIEW", "cleared", False), ("BLOCK", "cleared", False)]
    assert member.get(URL)["data"][1]["cleared_reason"] == "replaced by REVIEW"
    assert give(member, "BLOCK")["state"] == "outstanding"
    assert [one[1] for one in history(member)] == ["outstanding", "cleared", "cleared"]
    assert audit(member.engine) == []
    assert rebuild(member.engine, read) == []


def test_the_same_advice_again_is_the_same_advice(member: Web) -> None:
    give(member, "BLOCK", reason="a guess")
    member.now += 1000
    again = give(member, "BLOCK", reason="now we know")
    assert again["reason"] == "now we know"
    assert history(member) == [("BLOCK", "outstanding", True)]


def test_nothing_outstanding_cannot_be_cleared(member: Web) -> None:
    assert member.ask("DELETE", URL, status=404)["code"] == "not_found"
    give(member, "BLOCK")
    member.ask("DELETE", URL)
    assert member.ask("DELETE", URL, status=404)["code"] == "not_found"


@pytest.mark.parametrize("body", [{}, {"advice": ""}, {"advice": "X" * 65}, {"advice": 5}])
def test_an_advice_is_a_word(member: Web, body: dict[str, Any]) -> None:
    answer = member.ask("PUT", URL, body=body, status=400)
    assert [one["field"] for one in answer["errors"]] == ["advice"]


def test_who_is_nobody_gets_none(member: Web) -> None:
    assert member.ask("PUT", "/v1/members/shop:1/advice", body={"advice": "BLOCK"}, status=404)["code"] == (
        "member_unknown"
    )


def test_a_repeat_under_its_key_is_the_first_answer(member: Web) -> None:
    sent = {"api-key": TOKEN, "Idempotency-Key": "k"}
    first, again = (member.client.put(URL, json={"advice": "BLOCK"}, headers=sent) for _ in range(2))
    assert first.data == again.data
    assert again.headers["Idempotency-Replayed"] == "true"


def test_audit_names_an_advice_that_outlived_its_successor(member: Web) -> None:
    give(member, "BLOCK")
    give(member, "REVIEW")
    corrupt(member.engine, "UPDATE advices SET cleared_at = NULL WHERE number = 1")
    assert ["advice 1 is outstanding" in line for line in audit(member.engine)] == [True]


def test_rebuild_names_an_advice_that_nobody_gave(member: Web) -> None:
    give(member, "BLOCK")
    corrupt(member.engine, "UPDATE advices SET advice = 'REVIEW'")
    with member.engine.connect() as connection:
        assert connection.execute(select(t.advices.c.advice)).scalar_one() == "REVIEW"
    assert len(rebuild(member.engine, read)) == 1
