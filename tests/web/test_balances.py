"""Balances over HTTP: many at once, and one that is polled."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import event

from adapter.program.model import Program
from adapter.store import tables as t
from tests.shop import DAY, NOW, customer, placed, publish, recorded, refunded, shipped
from tests.web.conftest import STRANGER, TOKEN

if TYPE_CHECKING:
    from werkzeug.test import TestResponse

    from tests.web.conftest import Web

BALANCES = "/v1/balances"
ONE = "/v1/members/shop:7000/balance"


@pytest.fixture
def shoppers(web: Web) -> Web:
    """Members 7000 to 7002 with 10, 20 and 30 points, 7003 with none; the last two share an address."""
    for number in range(3):
        order = str(1001 + number)
        amount = f"{10 * (number + 1)}.00"
        web.play(
            recorded(placed(order, customer=str(7000 + number), what=worth(amount))), recorded(shipped(order))
        )
    for number in (7002, 7003):
        web.play(recorded(customer(str(number), email="both@example.com")))
    web.play(recorded(customer("7000", email="jo@example.com")))
    return web


def worth(amount: str) -> Any:
    from tests.shop import line, totals

    return totals(line(amount=amount))


def reads(statements: list[str]) -> list[str]:
    """Leave out the look whether the configuration is still the same, and SQLite's BEGIN."""
    return [one for one in statements if "configuration" not in one and one != "BEGIN"]


def asked(web: Web, *members: str, status: int = 207, **query: str) -> Any:
    return web.ask("GET", BALANCES, query={"members": ",".join(members), **query}, status=status)


# --- many at once ---------------------------------------------------------------------------------


def test_each_member_has_an_entry_in_the_order_asked(shoppers: Web) -> None:
    first = shoppers.get("/v1/members/shop:7000")["id"]
    told = asked(
        shoppers, "shop:7001", "nobody@example.com", first, "jo@example.com", "shop:7003", "both@example.com"
    )
    assert [one["item"] for one in told["data"]] == [
        "shop:7001", "nobody@example.com", first, "jo@example.com", "shop:7003", "both@example.com",
    ]  # fmt: skip
    said = [
        one["result"]["available"] if "result" in one else (one["status"], one["problem"]["code"])
        for one in told["data"]
    ]
    assert said == [20, (404, "member_unknown"), 10, 10, 0, (409, "member_ambiguous")]
    assert (told["succeeded"], told["failed"]) == (4, 2)
    unknown = told["data"][1]["problem"]
    assert "'nobody@example.com'" in unknown["detail"]
    assert (unknown["status"], unknown["errors"][0]["field"]) == (404, "member")


def test_each_entry_is_what_asking_for_it_alone_answers(shoppers: Web) -> None:
    names = [
        "shop:7000",
        "shop:7002",
        "nobody:1",
        "both@example.com",
        "mem_0000000000000",
        "x",
        "@:y",
        "shop:7003",
    ]
    for days in (0, 340, 3000):  # as it is, soon to end, and over without the sweep having come by
        shoppers.now = NOW + days * DAY
        for name, one in zip(names, asked(shoppers, *names)["data"], strict=True):
            alone = shoppers.client.get(f"/v1/members/{name}/balance", headers={"api-key": TOKEN})
            assert one["status"] == alone.status_code
            mine, theirs = one.get("result") or one["problem"], alone.get_json()
            assert {**mine, "request_id": None} == {**theirs, "request_id": None}, (name, days)


def test_the_same_member_may_be_asked_for_twice(shoppers: Web) -> None:
    assert asked(shoppers, "shop:7000", "shop:7000")["succeeded"] == 2


def test_a_hundred_cost_as_many_queries_as_two(shoppers: Web) -> None:
    def cost(*members: str) -> int:
        asked(shoppers, *members)  # the key and the catalog are at hand afterwards
        statements: list[str] = []
        listen = lambda *told: statements.append(told[2])  # noqa: E731 - one that can be taken off again
        event.listen(shoppers.engine, "before_cursor_execute", listen)
        asked(shoppers, *members)
        event.remove(shoppers.engine, "before_cursor_execute", listen)
        return len(reads(statements))

    few = cost("shop:7000", "a@example.com")
    many = cost(*(f"shop:{7000 + n}" for n in range(60)), *(f"{n}@example.com" for n in range(40)))
    assert (few, many) == (5, 5)  # identities, people, members, balances, lots


@pytest.mark.parametrize("count", [0, 101])
def test_there_is_a_most(sqlite_web: Web, count: int) -> None:
    problem = asked(sqlite_web, *(f"shop:{n}" for n in range(count)), status=400)
    assert problem["errors"] == [{"field": "members", "message": f"Name 1 to 100 members, not {count}."}]
    assert sqlite_web.get(BALANCES, status=400)["errors"][0]["message"] == "This field is required."


def test_with_several_definitions_each_member_has_its_own(shoppers: Web) -> None:
    with shoppers.engine.begin() as connection:
        connection.execute(
            t.definitions.insert().values(env=1, id=2, program="main", name="cash", unit="EUR", decimals=2)
        )
        connection.execute(t.configuration.update().values(version=2))
    told = asked(shoppers, "shop:7000", "shop:7003")["data"]
    assert told[0]["result"]["balance_definition"] == "points"
    assert (told[1]["status"], told[1]["problem"]["errors"][0]["field"]) == (400, "program")
    told = asked(shoppers, "shop:7000", "shop:7003", balance_definition="cash")["data"]
    assert [one["result"]["total"] for one in told] == ["0.00", "0.00"]
    told = asked(shoppers, "shop:7000", program="none")["data"]
    assert (told[0]["status"], told[0]["problem"]["code"]) == (404, "not_found")


def test_only_the_fields_asked_for_are_answered_of_each(shoppers: Web) -> None:
    told = asked(shoppers, "shop:7000", "nobody:1", fields="available,sequence")["data"]
    assert told[0]["result"] == {"available": 10, "sequence": 2}
    assert told[1]["problem"]["code"] == "member_unknown"


def test_deleted_members_are_not_told_of(shoppers: Web) -> None:
    with shoppers.engine.begin() as connection:
        connection.execute(t.members.update().values(state="deleted", deleted_at=NOW))
    assert asked(shoppers, "shop:7000")["data"][0]["problem"]["code"] == "member_deleted"


# --- polling --------------------------------------------------------------------------------------


def poll(web: Web, tag: str | None = None, path: str = ONE, **query: str) -> TestResponse:
    headers = {"api-key": TOKEN} | ({} if tag is None else {"If-None-Match": tag})
    return web.client.get(path, headers=headers, query_string=query)


def test_a_poller_hears_nothing_until_something_changes(shoppers: Web) -> None:
    first = poll(shoppers)
    tag = first.headers["ETag"]
    assert (first.status_code, first.get_json()["sequence"], tag[:3]) == (200, 2, 'W/"')
    assert first.headers["Cache-Control"] == "private, no-cache"
    shoppers.now += 60_000
    again = poll(shoppers, tag)
    assert (again.status_code, again.get_data(), again.headers["ETag"]) == (304, b"", tag)
    assert again.headers["X-Request-ID"].startswith("req_")
    shoppers.play(recorded(refunded("1001", amount="4.00")))
    changed = poll(shoppers, tag)
    assert (changed.status_code, changed.get_json()["sequence"], changed.get_json()["available"]) == (
        200,
        3,
        6,
    )
    assert poll(shoppers, changed.headers["ETag"]).status_code == 304


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        ("{tag}", 304),
        ("{strong}", 304),  # compared weakly
        ('"other", {tag}', 304),
        ("*", 304),
        ('"other"', 200),
        ("W/{strong}x", 200),
        ("", 200),
    ],
)
def test_tags_are_compared_as_http_says(sqlite_web: Web, sent: str, status: int) -> None:
    sqlite_web.play(recorded(placed()))
    tag = poll(sqlite_web).headers["ETag"]
    asked_with = sent.format(tag=tag, strong=tag.removeprefix("W/"))
    assert poll(sqlite_web, asked_with).status_code == status


def test_a_tag_is_of_one_member_and_one_balance(shoppers: Web) -> None:
    tags = {
        poll(shoppers, path=f"/v1/members/shop:{number}/balance").headers["ETag"]
        for number in range(7000, 7004)
    }
    assert len(tags) == 4
    with shoppers.engine.begin() as connection:
        connection.execute(
            t.definitions.insert().values(env=1, id=2, program="main", name="cash", unit="EUR", decimals=2)
        )
        connection.execute(t.configuration.update().values(version=2))
    tag = poll(shoppers, balance_definition="points").headers["ETag"]
    assert poll(shoppers, tag, balance_definition="cash").status_code == 200
    assert shoppers.client.get(ONE, headers={"api-key": STRANGER, "If-None-Match": tag}).status_code == 404


def test_what_time_alone_changes_is_never_304(web: Web) -> None:
    """89 points, held until two days from now, end 40 days later; nothing is written meanwhile."""
    program = {"name": "main", "earning": {"rate": "1", "hold_days": 10}, "expiry": {"days": 40}}
    with web.engine.begin() as connection:
        publish(connection, Program.model_validate(program), version=2, at=1)
    web.play(recorded(placed()), recorded(shipped()))
    first = poll(web)
    assert first.get_json()["pending"] == 89
    for days, status, available in ((1, 200, 0), (2, 200, 89), (42, 200, 0)):
        web.now = NOW + days * DAY
        later = poll(web, first.headers["ETag"])
        assert (later.status_code, later.get_json()["available"]) == (status, available), days
        assert ("ETag" in later.headers) == (days < 2)  # what is due has no tag until the sweep has come by


def test_the_outlook_is_told_at_least_once_a_day(web: Web) -> None:
    web.play(recorded(placed()), recorded(shipped()))  # 89 points that end in a year, less eight days
    tag, amounts = None, []
    for days in range(320, 330):
        web.now = NOW + days * DAY
        answer = poll(web, tag)
        tag = answer.headers["ETag"]
        amounts.append(answer.get_json()["expiring"]["amount"])
    assert amounts[0] == 0
    assert amounts[-1] == 89


def test_an_unchanged_balance_costs_two_rows(shoppers: Web) -> None:
    member = shoppers.get("/v1/members/shop:7000")["id"]
    path = f"/v1/members/{member}/balance"
    tag = poll(shoppers, path=path).headers["ETag"]
    statements: list[str] = []
    event.listen(shoppers.engine, "before_cursor_execute", lambda *told: statements.append(told[2]))
    assert poll(shoppers, tag, path=path).status_code == 304
    members, balances = reads(statements)
    assert " members" in members
    assert " balances" in balances
