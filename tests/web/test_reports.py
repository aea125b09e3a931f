"""Reports over HTTP: shaped as documented, the same as the readings, one environment each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from adapter.clock import iso
from tests.shop import NOW, placed, recorded, shipped
from tests.web.conftest import STRANGER, TOKEN, keyed

if TYPE_CHECKING:
    from tests.web.conftest import Web


def furnished(web: Web) -> None:
    web.play(recorded(placed()), recorded(shipped()), recorded(placed("1002", customer="7001")))


def test_liability(web: Web) -> None:
    furnished(web)
    told = web.get("/v1/reports/liability", program="main")
    (one,) = told["definitions"]
    assert (one["available"], one["pending"], one["outstanding"]) == (89, 89, 178)
    assert (told["as_of"], told["totals"]) == (iso(NOW), [])
    past = web.get("/v1/reports/liability", as_of=iso(NOW - 1))
    assert (past["as_of"], past["definitions"][0]["outstanding"]) == (iso(NOW - 1), 0)
    assert web.get("/v1/reports/liability", token=STRANGER)["definitions"][0]["outstanding"] == 0
    assert web.get("/v1/reports/liability", fields="totals") == {"totals": []}
    assert web.get("/v1/reports/liability", program="gold", status=404)["code"] == "not_found"


def test_holds_and_pending_credits_are_outstanding_and_spent_points_are_not(web: Web) -> None:
    """89 earned: 20 are held, 30 are spent; 5 more are a credit that waits."""
    web.play(recorded(placed()), recorded(shipped()))
    for kind, amount, complete in (("debit", 20, False), ("debit", 30, True), ("credit", 5, False)):
        body = {"member": "shop:7000", "type": kind, "amount": amount, "complete": complete}
        web.post("/v1/transactions", body, status=201)
    moments: list[dict[str, Any]] = [{}, {"as_of": iso(NOW)}]
    for asked in moments:
        (one,) = web.get("/v1/reports/liability", **asked)["definitions"]
        parts = {name: one[name] for name in ("pending", "available", "reserved", "owed", "outstanding")}
        assert parts == {"pending": 5, "available": 39, "reserved": 20, "owed": 0, "outstanding": 64}
        assert sum(held["points"] for held in one["by_expiry"]) == 64
        assert one["by_month"][-1]["redeemed"] == 30
    accounts = web.get("/v1/reports/trial-balance")["accounts"]
    assert {row["account"]: row["balance"] for row in accounts} == {
        "available": -39, "pending": -5, "reserved": -20, "issued": 94, "redeemed": -30, "total": 0,
    }  # fmt: skip


def test_transfers_page_by_page(web: Web) -> None:
    furnished(web)
    found: list[dict[str, Any]] = []
    cursor: dict[str, Any] = {}
    while True:
        page = web.get("/v1/reports/transfers", limit=1, **cursor)
        found += page["data"]
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}
    assert found == web.get("/v1/reports/transfers")["data"]
    assert [one["account"] for one in found] == [
        "issued",
        "pending",
        "pending",
        "available",
        "issued",
        "pending",
    ]
    assert web.get("/v1/reports/transfers", since=iso(NOW + 1))["data"] == []
    assert web.get("/v1/reports/transfers", token=STRANGER)["data"] == []
    web.get("/v1/reports/transfers", cursor="WzFd", status=400)


def test_trial_balance(web: Web) -> None:
    furnished(web)
    told = web.get("/v1/reports/trial-balance", since=iso(NOW), until=iso(NOW + 1))["accounts"]
    assert [(one["account"], one["balance"]) for one in told] == [
        ("available", -89), ("pending", -89), ("issued", 178), ("total", 0),
    ]  # fmt: skip
    assert web.get("/v1/reports/trial-balance", token=STRANGER) == {"accounts": []}


def test_reports_have_a_scope_of_their_own(sqlite_web: Web) -> None:
    token = TOKEN.replace("0", "9")
    keyed(sqlite_web.engine, 1, token, "members:read")
    for name in ("liability", "transfers", "trial-balance"):
        sqlite_web.get(f"/v1/reports/{name}", token=token, status=403)
