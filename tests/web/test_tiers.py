"""Tiers over HTTP: where a member stands, how it came about, and putting somebody on one by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import insert, select

from adapter.store import tables as t
from tests.shop import DAY, customer, line, placed, recorded, shipped
from tests.web.conftest import PROGRAM

if TYPE_CHECKING:
    from tests.web.conftest import Web

MEMBER = "/v1/members/shop:7000"


@pytest.fixture
def member(web: Web) -> Web:
    """A member with 120 points, in a program with points, and with spend of the last 12 months."""
    spend = {
        "name": "club", "measure": "rolling_spend", "window_months": 12, "currency": "EUR", "downgrade": "real_time",
        "tiers": [{"name": "guest"}, {"name": "friend", "threshold": "100.00", "benefits": ["a coffee"]}],
    }  # fmt: skip
    status = {
        "name": "status", "measure": "lifetime_points", "upgrade": "membership_anniversary",
        "tiers": [{"name": "basic"}, {"name": "silver", "threshold": "200"}],
    }  # fmt: skip
    change(web, tier_groups=[status, spend])
    web.play(recorded(customer("7000", email="jo@example.com")))
    web.play(recorded(placed("1", line(amount="120.00")), shipped("1")))
    return web


def change(web: Web, **rules: Any) -> None:
    program = type(PROGRAM).model_validate(PROGRAM.model_dump() | rules)
    with web.engine.begin() as connection:
        connection.execute(
            t.programs.update().where(t.programs.c.env == 1).values(body=program.model_dump_json())
        )
        connection.execute(t.configuration.update().values(version=t.configuration.c.version + 1))


def test_where_a_member_stands(member: Web) -> None:
    told = member.get(f"{MEMBER}/tiers")
    assert told["member"] == member.get(MEMBER)["id"]
    assert told["tiers"] == [
        {
            "program": "main", "group": "status", "tier": "basic", "since": "2026-11-18T11:06:40.000Z",
            "assigned": False, "assigned_until": None, "benefits": [],
            "measure": {"kind": "lifetime_points", "value": 120, "currency": None, "window_months": None},
            "next": {"tier": "silver", "threshold": 200, "missing": 80},
            "next_review_at": "2027-11-18T00:00:00.000Z",  # a year after the member joined
        },
        {
            "program": "main", "group": "club", "tier": "friend", "since": "2026-11-18T11:06:40.000Z",
            "assigned": False, "assigned_until": None, "benefits": ["a coffee"],
            "measure": {"kind": "rolling_spend", "value": "120.00", "currency": "EUR", "window_months": 12},
            "next": None,
            "next_review_at": "2027-11-10T00:00:00.000Z",  # shipped on 10 November: then it drops out
        },
    ]  # fmt: skip
    assert member.get(f"{MEMBER}/tiers", program="other")["tiers"] == []


def test_how_it_came_about(member: Web) -> None:
    first, *others = member.get(f"{MEMBER}/tiers/history")["data"]
    assert (first["group"], first["from"], first["to"]) == ("club", "guest", "friend")
    assert (first["cause"], first["measure"], first["at"]) == (
        "order.shipped",
        "120.00",
        "2026-11-18T11:06:40.000Z",
    )
    assert member.get(f"/v1/events/{first['event']}")["order"] == "1"
    assert [(one["group"], one["from"], one["to"]) for one in others] == [
        ("club", None, "guest"),
        ("status", None, "basic"),
    ]


def test_a_read_is_as_of_now_whether_or_not_the_sweep_came_by(member: Web) -> None:
    member.now += 360 * DAY
    assert member.get(f"{MEMBER}/tiers")["tiers"][1]["tier"] == "guest"
    with member.engine.connect() as connection:
        assert "friend" in connection.execute(select(t.standings.c.tier)).scalars().all()


def test_a_tier_is_assigned_until_its_time_is_over(member: Web) -> None:
    until = "2026-12-01T00:00:00Z"
    asked = {"group": "status", "tier": "silver", "until": until, "reason": "an apology"}
    made = member.post(f"{MEMBER}/tier", asked)
    assert (made["tier"], made["assigned"], made["assigned_until"]) == (
        "silver",
        True,
        "2026-12-01T00:00:00.000Z",
    )
    assert member.get(f"{MEMBER}/tiers")["tiers"][0] == made
    (line_,) = [one for one in member.get(f"{MEMBER}/tiers/history")["data"] if one["reason"]]
    assert (line_["from"], line_["to"], line_["cause"], line_["reason"]) == (
        "basic", "silver", "tier.assigned", "an apology",
    )  # fmt: skip
    member.now += 13 * DAY
    back = member.get(f"{MEMBER}/tiers")["tiers"][0]
    assert (back["tier"], back["assigned"]) == ("basic", False)


def test_an_assignment_for_good_ends_by_hand(member: Web) -> None:
    made = member.post(f"{MEMBER}/tier", {"group": "status", "tier": "silver"})
    assert (made["assigned"], made["assigned_until"]) == (True, None)
    back = member.post(f"{MEMBER}/tier", {"group": "status"})
    assert (back["tier"], back["assigned"]) == ("basic", False)


FAULTS: list[tuple[dict[str, Any], int, str]] = [
    ({"tier": "silver"}, 400, "group"),
    ({"group": "none", "tier": "silver"}, 404, "group"),
    ({"group": "status", "tier": "ruby"}, 400, "tier"),
    ({"group": "status", "tier": "silver", "until": "2026-11-01T00:00:00Z"}, 400, "until"),
    ({"group": "status", "until": "2027-11-01T00:00:00Z"}, 400, "until"),
    ({"group": "status", "tier": "silver", "program": "other"}, 404, "group"),
    ({"group": "status", "tier": "silver", "strange": 1}, 400, "strange"),
]


@pytest.mark.parametrize(("body", "status", "field"), FAULTS)
def test_a_fault_is_named(member: Web, body: dict[str, Any], status: int, field: str) -> None:
    answer = member.post(f"{MEMBER}/tier", body, status=status)
    assert answer["errors"][0]["field"] == field


def test_where_two_programs_have_a_group_of_a_name_the_program_is_asked_for(member: Web) -> None:
    with member.engine.begin() as connection:
        connection.execute(
            insert(t.programs).values(
                env=1, name="other", version=1, published_at=0,
                body=PROGRAM.model_copy(update={"name": "other"}).model_dump_json(),
            )
        )  # fmt: skip
        row = {"env": 1, "id": 2, "program": "other", "name": "points", "unit": "points", "decimals": 0}
        connection.execute(insert(t.definitions).values(**row))
        connection.execute(t.configuration.update().values(version=t.configuration.c.version + 1))
    answer = member.post(f"{MEMBER}/tier", {"group": "status", "tier": "silver"}, status=400)
    assert answer["errors"][0]["field"] == "program"
    made = member.post(f"{MEMBER}/tier", {"group": "status", "tier": "silver", "program": "main"})
    assert (made["program"], made["tier"]) == ("main", "silver")


def test_a_program_shows_its_tiers_and_bonuses(member: Web) -> None:
    shown = member.get("/v1/programs/main")
    assert [group["name"] for group in shown["tier_groups"]] == ["status", "club"]
    assert shown["bonuses"] == {"sign_up": 0, "birthday": 0}
