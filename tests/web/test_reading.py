from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
from sqlalchemy import select

from adapter.clock import iso
from adapter.program.model import Program
from adapter.store import tables as t
from tests.shop import DAY, NOW, cancelled, customer, placed, publish, recorded, refunded, shipped

if TYPE_CHECKING:
    from tests.web.conftest import Web

SHIPPED_AT = NOW - 8 * DAY


@pytest.fixture
def shopper(web: Web) -> Web:
    """One order of 89.99: placed, shipped, 30.00 of it refunded; 89 points, of which 59 stay."""
    web.play(
        recorded(customer(email="jo@example.com", name="Jo")),
        recorded(placed()),
        recorded(shipped()),
        recorded(refunded()),
    )
    return web


def test_a_balance_has_the_native_shape(shopper: Web) -> None:
    expires = iso(NOW)  # twelve months after the shipment is later than now: checked against the lot
    with shopper.engine.connect() as connection:
        lot = connection.execute(select(t.lots)).one()
    told = shopper.get("/v1/members/shop:7000/balance")
    member = told["member"]
    assert told == {
        "member": member, "program": "main", "balance_definition": "points", "total": 59, "posted": 59,
        "available": 59, "pending": 0, "reserved": 0, "owed": 0,
        "expiring": {"amount": 0, "next_at": iso(lot.expires_at)}, "sequence": 3, "as_of": expires,
    }  # fmt: skip
    assert list(told)[:3] == ["member", "program", "balance_definition"]


@pytest.mark.parametrize("reference", ["shop:7000", "jo@example.com", "JO@Example.com ", "mem"])
def test_a_member_is_found_by_each_of_its_names(shopper: Web, reference: str) -> None:
    known = shopper.get("/v1/members/shop:7000")
    assert known["source_ids"] == ["shop:7000"]
    assert known["balances"][0]["available"] == 59
    named = known["id"] if reference == "mem" else reference
    assert shopper.get(f"/v1/members/{quote(named, safe='')}") == known


def test_a_shops_ids_may_have_slashes(sqlite_web: Web) -> None:
    odd = "gid://shop/Customer/7000?a=b#c"
    sqlite_web.play(recorded(customer(odd)), recorded(placed("gid://shop/Order/1", customer=odd)))
    reference = quote(f"shop:{odd}", safe="")
    assert sqlite_web.get(f"/v1/members/{reference}")["source_ids"] == [f"shop:{odd}"]
    assert sqlite_web.get(f"/v1/members/{reference}/balance")["pending"] == 89
    assert len(sqlite_web.get(f"/v1/members/{reference}/transactions")["data"]) == 1
    told = sqlite_web.get(f"/v1/orders/{quote('shop:gid://shop/Order/1', safe='')}/explain")
    assert told["order"] == "gid://shop/Order/1"


@pytest.mark.parametrize(
    "reference",
    [
        "shop:1",
        "nobody:7000",
        "who@example.com",
        "mem_0000000000000",
        "mem_x",
        "x",
        "@:jo@example.com",
        ":",
        "'--",
        "%00",
    ],
)
def test_nobody_is_404(sqlite_web: Web, reference: str) -> None:
    assert sqlite_web.get(f"/v1/members/{quote(reference)}", status=404)["code"] == "member_unknown"


def test_an_address_of_several_members_is_ambiguous(sqlite_web: Web) -> None:
    sqlite_web.play(
        recorded(customer("7000", email="jo@example.com")), recorded(customer("7001", email="jo@example.com"))
    )
    problem = sqlite_web.get("/v1/members/jo@example.com", status=409)
    assert problem["code"] == "member_ambiguous"
    assert problem["detail"].count("mem_") == 2


def test_deleted_members_are_hidden_until_asked_for(web: Web) -> None:
    web.play(recorded(customer()))
    with web.engine.begin() as connection:
        connection.execute(t.members.update().values(state="deleted", deleted_at=NOW))
    assert web.get("/v1/members/shop:7000", status=404)["code"] == "member_deleted"
    assert web.get("/v1/members")["data"] == []
    assert web.get("/v1/members/shop:7000", include_deleted="true")["deleted_at"] == iso(NOW)
    assert len(web.get("/v1/members", include_deleted="true")["data"]) == 1
    assert len(web.get("/v1/members", state="deleted")["data"]) == 1


def test_members_are_filtered(web: Web) -> None:
    web.play(
        *(recorded(customer(str(number), email=f"{number}@example.com")) for number in range(7000, 7003))
    )
    for query, found in (
        ({}, 3), ({"email": "7001@EXAMPLE.com"}, 1), ({"source": "shop"}, 3), ({"source": "shop:7002"}, 1),
        ({"source": "other"}, 0), ({"state": "erased"}, 0),
    ):  # fmt: skip
        assert len(web.ask("GET", "/v1/members", query=query)["data"]) == found, query


def test_pages_are_stable_while_new_rows_come_in(web: Web) -> None:
    for number in range(5):
        web.play(recorded(customer(str(number))), now=NOW + number)
    first = web.get("/v1/members", limit=2)
    web.play(recorded(customer("99")), now=NOW + 100)
    second = web.get("/v1/members", limit=2, cursor=first["next_cursor"])
    third = web.get("/v1/members", limit=2, cursor=second["next_cursor"])
    names = [one["source_ids"][0] for page in (first, second, third) for one in page["data"]]
    assert names == [f"shop:{number}" for number in (4, 3, 2, 1, 0)]
    assert third["next_cursor"] is None


def test_only_the_fields_asked_for_are_answered(shopper: Web) -> None:
    assert shopper.get("/v1/members", fields="state, email")["data"] == [
        {"state": "active", "email": "jo@example.com"}
    ]
    assert shopper.get("/v1/members/shop:7000/balance", fields="available") == {"available": 59}


# --- time -----------------------------------------------------------------------------------------


def held(days: int = 5, **more: Any) -> Program:
    return Program.model_validate(
        {"name": "main", "earning": {"rate": "1", "hold_days": days}, "expiry": {"days": 40}, **more}
    )


@pytest.fixture
def waiting(web: Web) -> Web:
    """89 points, shipped eight days ago, held for ten: they post in two days and end 40 days after."""
    with web.engine.begin() as connection:
        publish(connection, held(10), version=2, at=1)
    web.play(recorded(placed()), recorded(shipped()))
    return web


@pytest.mark.parametrize(
    ("days", "pending", "available", "soon"),
    [
        (0, 89, 0, 0),
        (1.999, 89, 0, 0),
        (2, 0, 89, 0),  # the hold is over at exactly this instant
        (12.5, 0, 89, 89),  # within thirty days of the end, on day 42
        (41.999, 0, 89, 89),
        (42, 0, 0, 0),  # half-open: gone at exactly this instant
    ],
)
def test_a_balance_is_as_of_this_very_moment(
    waiting: Web, days: float, pending: int, available: int, soon: int
) -> None:
    waiting.now = NOW + int(days * DAY)
    told = waiting.get("/v1/members/shop:7000/balance")
    assert (told["pending"], told["available"], told["total"]) == (pending, available, pending + available)
    assert told["sequence"] == 1  # nothing was written for it
    if available and days > 2:
        assert told["expiring"]["amount"] in (0, soon)


def test_what_ends_within_thirty_days_is_expiring(web: Web) -> None:
    with web.engine.begin() as connection:
        publish(connection, held(0), version=2, at=1)
    web.play(recorded(placed()), recorded(shipped()))  # ends 32 days from now
    ends = SHIPPED_AT + 40 * DAY
    for at, amount in ((NOW, 0), (ends - 30 * DAY, 0), (ends - 30 * DAY + 1, 89), (ends - 1, 89)):
        web.now = at
        told = web.get("/v1/members/shop:7000/balance")["expiring"]
        assert told == {"amount": amount, "next_at": iso(ends)}


def test_what_is_owed_is_repaid_by_points_whose_wait_is_over(waiting: Web) -> None:
    with waiting.engine.begin() as connection:
        connection.execute(t.balances.update().values(owed=30))
    waiting.now = NOW + 2 * DAY
    told = waiting.get("/v1/members/shop:7000/balance")
    assert (told["available"], told["owed"], told["pending"]) == (59, 0, 0)


def test_the_read_and_the_sweep_agree(waiting: Web) -> None:
    from adapter.commands import Elapse

    for days in (2, 42):
        waiting.now = NOW + days * DAY
        before = waiting.get("/v1/members/shop:7000/balance")
        with waiting.engine.connect() as connection:
            row = connection.execute(select(t.balances)).one()
        waiting.play(Elapse(env=1, member=row.member, definition=row.definition))
        after = waiting.get("/v1/members/shop:7000/balance")
        assert {**after, "sequence": 0} == {**before, "sequence": 0}
        assert after["sequence"] == before["sequence"] + 1


# --- which balance --------------------------------------------------------------------------------


def test_a_balance_that_never_moved_is_zero(sqlite_web: Web) -> None:
    sqlite_web.play(recorded(customer()))
    told = sqlite_web.get("/v1/members/shop:7000/balance")
    assert (told["total"], told["sequence"], told["expiring"]) == (0, 0, {"amount": 0, "next_at": None})
    assert sqlite_web.get("/v1/members/shop:7000")["balances"] == []


def test_with_several_definitions_the_one_with_points_is_meant(shopper: Web) -> None:
    with shopper.engine.begin() as connection:
        connection.execute(
            t.definitions.insert().values(env=1, id=2, program="main", name="cash", unit="EUR", decimals=2)
        )
        connection.execute(t.configuration.update().values(version=2))
    path = "/v1/members/shop:7000/balance"
    assert shopper.get(path)["balance_definition"] == "points"
    assert shopper.get(path, balance_definition="cash")["total"] == "0.00"
    assert shopper.get(path, program="main", balance_definition="points")["total"] == 59
    assert "main/cash" in shopper.get(path, program="nope", status=404)["detail"]
    shopper.play(recorded(customer("1")))
    unclear = shopper.get("/v1/members/shop:1/balance", status=400)
    assert unclear["errors"][0]["field"] == "program"
    unclear = shopper.get("/v1/members/shop:1/balance", balance_definition="none", status=404)
    assert unclear["errors"][0]["field"] == "balance_definition"


# --- statement and transactions -------------------------------------------------------------------


def test_a_statement_runs_from_zero_to_the_balance(shopper: Web) -> None:
    told = shopper.get("/v1/members/shop:7000/statement")
    steps = [
        (one["kind"], one["from"], one["to"], one["amount"], one["balances"]["total"]) for one in told["data"]
    ]
    assert steps == [
        ("earn", "issued", "pending", 89, 89),
        ("activate", "pending", "available", 89, 89),
        ("reverse", "available", "revoked", 30, 59),  # floor(89 * 59.99 / 89.99) = 59
    ]
    assert told["closing"] == told["data"][-1]["balances"]
    assert told["closing"]["available"] == shopper.get("/v1/members/shop:7000/balance")["available"]
    assert [one["sequence"] for one in told["data"]] == [1, 2, 3]


def test_pages_of_a_statement_carry_the_balances_on(shopper: Web) -> None:
    whole = shopper.get("/v1/members/shop:7000/statement")["data"]
    lines, cursor = [], None
    for _ in range(3):
        page = shopper.get(
            "/v1/members/shop:7000/statement", limit=1, **({"cursor": cursor} if cursor else {})
        )
        lines += page["data"]
        cursor = page["next_cursor"]
    assert (lines, cursor) == (whole, None)


def test_a_statement_as_of_an_instant_ends_there(web: Web) -> None:
    web.play(recorded(placed()), now=NOW)
    web.play(recorded(shipped()), now=NOW + 10)
    for at, lines, available in ((NOW - 1, 0, 0), (NOW, 1, 0), (NOW + 9, 1, 0), (NOW + 10, 2, 89)):
        told = web.get("/v1/members/shop:7000/statement", as_of=iso(at))
        assert (len(told["data"]), told["closing"]["available"], told["as_of"]) == (lines, available, iso(at))


def test_a_debt_is_shown_from_the_members_side(web: Web) -> None:
    web.play(recorded(placed()), recorded(shipped()))
    with web.engine.begin() as connection:  # as if the points had been spent
        connection.execute(t.balances.update().values(available=0))
        connection.execute(t.lots.update().values(available=0))
    web.play(recorded(cancelled()))
    last = web.get("/v1/members/shop:7000/statement")["data"][-1]
    assert (last["from"], last["to"], last["balances"]["owed"]) == ("owed", "revoked", 89)


def test_transactions_are_listed_and_shown(shopper: Web) -> None:
    page = shopper.get("/v1/members/shop:7000/transactions")
    assert [(one["type"], one["state"], one["amount"]) for one in page["data"]] == [
        ("debit", "completed", 30), ("credit", "completed", 89),
    ]  # fmt: skip
    one = page["data"][0]
    assert shopper.get(f"/v1/transactions/{one['id']}") == one
    for query, found in (
        ({}, 2), ({"type": "debit"}, 1), ({"state": "pending"}, 0), ({"source": "shop"}, 2),
        ({"source": "x"}, 0), ({"since": iso(NOW)}, 2),
        ({"until": iso(NOW)}, 0), ({"since": iso(NOW + 1)}, 0),
        ({"member": "jo@example.com"}, 2),
    ):  # fmt: skip
        assert len(shopper.ask("GET", "/v1/transactions", query=query)["data"]) == found, query
    first = shopper.get("/v1/transactions", limit=1)
    assert shopper.get("/v1/transactions", limit=1, cursor=first["next_cursor"])["data"] == [page["data"][1]]


def test_programs_are_shown_in_force(sqlite_web: Web) -> None:
    with sqlite_web.engine.begin() as connection:
        publish(connection, held(3), version=2, at=NOW + 5)
    (program,) = sqlite_web.get("/v1/programs")["data"]
    assert (program["version"], program["earning"]["rate"]) == (1, "1")
    assert program == sqlite_web.get("/v1/programs/main")
    sqlite_web.now = NOW + 1500
    with sqlite_web.engine.begin() as connection:
        connection.execute(t.configuration.update().values(version=2))
    assert sqlite_web.get("/v1/programs/main")["version"] == 2
    assert sqlite_web.get("/v1/programs/none", status=404)["errors"][0]["field"] == "program"


def test_amounts_with_decimals_are_text() -> None:
    from adapter.points import points

    assert (points(1250, 2), points(1250, 0)) == ("12.50", 1250)
    assert Decimal(str(points(1, 4))) == Decimal("0.0001")
