"""The loyalty resources: balances, transactions, redemptions, as the documents have their fields."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from adapter.store import tables as t
from tests.dialects.salesforce.conftest import DATA, MEMBER
from tests.shop import DAY, NOW, begin
from tests.web.conftest import keyed

if TYPE_CHECKING:
    from tests.dialects.salesforce.conftest import Org

BALANCE = f"/loyalty/members/{MEMBER}/balance"
TILL = "sk_test_1111111111111111"


def waiting(org: Org, available: int, pending: int) -> None:
    """Let the member have so many points that can be used, and so many that wait: 850 = 450 + 400."""
    org.award(available)
    member = org.web.get(f"/v1/members/salesforce:{MEMBER}")["id"]
    org.web.post("/v1/transactions", {"member": member, "type": "credit", "amount": pending}, status=201)


@pytest.mark.parametrize(
    ("query", "kind", "headline"),
    [
        ("", "TOTAL", 850),
        ("?balanceType=TOTAL", "TOTAL", 850),
        ("?balanceType=AVAILABLE", "AVAILABLE", 450),
        ("?balanceType=available", "AVAILABLE", 450),
        ("?balanceType=PENDING", "PENDING", 400),
        ("?balanceType=RESERVED", "RESERVED", 0),
    ],
)
def test_the_headline_is_the_balance_that_is_asked_for(
    sqlite_org: Org, query: str, kind: str, headline: int
) -> None:
    waiting(sqlite_org, 450, 400)
    assert sqlite_org.get(f"{BALANCE}{query}") == {
        "memberId": MEMBER,
        "programName": "main",
        "programCurrency": "points",
        "balanceType": kind,
        "balance": headline,
        "totalBalance": 850,
        "availableBalance": 450,
        "pendingBalance": 400,
        "reservedBalance": 0,
        "asOf": "2026-11-18T11:06:40.000Z",
    }


def test_a_balance_type_that_is_unknown_is_refused_by_name(sqlite_org: Org) -> None:
    (error,) = sqlite_org.get(f"{BALANCE}?balanceType=SPENDABLE", status=400)
    assert (error["errorCode"], error["fields"]) == ("INVALID_API_INPUT", ["balanceType"])


def test_what_ends_soon_is_said_where_it_is_asked_for(sqlite_org: Org) -> None:
    """100 end in 29 days, 50 in 31: 100 are expiring, on the day of the first."""
    member = 5
    sqlite_org.web.play(
        begin(member, 1, "credit", 100, complete=True, points_end_at=NOW + 29 * DAY),
        begin(member, 2, "credit", 50, complete=True, points_end_at=NOW + 31 * DAY),
    )
    shown = sqlite_org.get(f"{BALANCE}?balanceType=AVAILABLE&includeExpiring=true", Cache_Control="no-cache")
    assert (shown["balance"], shown["expiringBalance"], shown["nextExpiryDate"]) == (150, 100, "2026-12-17")
    nothing = sqlite_org.get(f"{BALANCE}?includeExpiring=false")
    assert not {"expiringBalance", "nextExpiryDate"} & set(nothing)


def test_nothing_ends_where_nothing_is(sqlite_org: Org) -> None:
    shown = sqlite_org.get(f"{BALANCE}?includeExpiring=true")
    assert (shown["expiringBalance"], shown["nextExpiryDate"]) == (0, None)


def test_a_balance_is_never_older_than_the_last_write(org: Org) -> None:
    for total in (10, 20, 30):
        org.award(10)
        answer = org.web.client.get(BALANCE, headers={"api-key": "sk_test_0123456789abcdef0123456789abcdef"})
        assert answer.get_json()["totalBalance"] == total
        assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("member", ["LM-00123456", "salesforce:LM-00123456"])
def test_one_member_is_seen_by_both_apis(sqlite_org: Org, member: str) -> None:
    sqlite_org.award(100)
    own = sqlite_org.web.get("/v1/members/salesforce:LM-00123456/balance")
    assert own["available"] == 100
    assert sqlite_org.get(f"/loyalty/members/{own['member']}/balance")["memberId"] == MEMBER
    unknown = sqlite_org.get(f"/loyalty/members/{member[:-1]}/balance", status=404)
    assert (unknown[0]["errorCode"], unknown[0]["fields"]) == ("NOT_FOUND", ["memberId"])


def test_an_award_keeps_what_it_is_told(sqlite_org: Org) -> None:
    body = {
        "memberId": MEMBER,
        "points": 100,
        "transactionType": "Purchase",
        "orderId": "A-1001",
        "processImmediately": True,
        "journalSubType": "Purchase",
        "somethingElse": "is not looked at",
    }
    made = sqlite_org.post("/loyalty/transactions", body, X_Request_Id="A-1001")
    assert made["transactionId"].startswith("txn_")
    assert made == {
        "transactionId": made["transactionId"],
        "memberId": MEMBER,
        "points": 100,
        "journalType": "Accrual",
        "journalSubType": "Purchase",
        "transactionType": "Purchase",
        "orderId": "A-1001",
        "status": "Processed",
        "processingStatus": "Processed",
        "originalTransactionId": None,
        "activityDate": "2026-11-18T11:06:40.000Z",
        "createdDate": "2026-11-18T11:06:40.000Z",
        "availableDate": "2026-11-18T11:06:40.000Z",
    }
    assert sqlite_org.get(f"/loyalty/transactions/{made['transactionId']}") == made
    own = sqlite_org.web.get(f"/v1/transactions/{made['transactionId']}")
    assert own["metadata"]["orderId"] == "A-1001"


def test_a_transaction_is_polled_until_it_is_processed(org: Org) -> None:
    """Posted in batches every 300 s: pending, and 300 s later processed; nothing has to come by."""
    org.program(processing_mode="batch", batch_interval_s=300)
    queued = org.award(100, processImmediately=False)
    assert (queued["status"], org.balance()) == ("Pending", (100, 0, 100, 0))
    path = f"/loyalty/transactions/{queued['transactionId']}"
    org.web.now = NOW + 300_000
    assert org.get(path)["processingStatus"] == "Processed"
    assert org.balance() == (100, 100, 0, 0)
    assert org.award(50)["status"] == "Processed"  # processImmediately wins over the mode
    assert org.balance() == (150, 150, 0, 0)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"memberId": None}, "memberId"),
        ({"points": None}, "points"),
        ({"points": -5}, "points"),
        ({"points": 1.5}, "points"),
        ({"points": True}, "points"),
        ({"journalType": "Gift"}, "journalType"),
        ({"processImmediately": "perhaps"}, "processImmediately"),
        ({"transactionType": "Reversal"}, "originalTransactionId"),
    ],
)
def test_the_field_at_fault_is_named(sqlite_org: Org, change: dict[str, Any], field: str) -> None:
    body = {"memberId": MEMBER, "points": 100, **change}
    (error,) = sqlite_org.post("/loyalty/transactions", body, status=400)
    assert (error["errorCode"], error["fields"]) == ("INVALID_API_INPUT", [field])


def test_points_are_numbers_where_a_balance_has_decimals(sqlite_org: Org) -> None:
    with sqlite_org.web.engine.begin() as connection:
        connection.execute(t.definitions.update().values(decimals=2))
        connection.execute(t.configuration.update().values(version=t.configuration.c.version + 1))
    assert sqlite_org.award(12.5)["points"] == 12.5
    (error,) = sqlite_org.redeem(20, status=422)
    assert (error["requested"], error["available"]) == (20.0, 12.5)


def test_a_redemption_is_one_step(org: Org) -> None:
    org.award(850)
    made = org.redeem(
        500, key="redeem-A-1001", orderId="A-1001", failOnInsufficientBalance=True, redemptionType="Checkout"
    )
    assert made == {
        "id": made["id"],
        "transactionId": made["id"],
        "status": "processed",
        "memberId": MEMBER,
        "points": 500,
        "orderId": "A-1001",
        "redemptionType": "Checkout",
        "discountAmount": 500,
        "currencyIsoCode": "EUR",
        "discountCode": made["discountCode"],
        "lockExpiresAt": None,
        "needsReconciliation": False,
        "createdDate": "2026-11-18T11:06:40.000Z",
    }
    assert org.get(f"/loyalty/redemptions/{made['id']}") == made
    assert org.get(f"/loyalty/transactions/{made['id']}")["status"] == "Processed"
    assert org.web.get(f"/v1/redemptions/{made['id']}")["state"] == "applied"
    assert org.balance() == (350, 350, 0, 0)
    org.sound()


def test_too_few_points_are_told_with_their_three_figures(org: Org) -> None:
    """850 on the dashboard, 400 of them still processing: 500 cannot be redeemed."""
    waiting(org, 450, 400)
    (error,) = org.redeem(500, status=422, failOnInsufficientBalance=True)
    assert error == {
        "errorCode": "INSUFFICIENT_LOYALTY_BALANCE",
        "message": "Requested: 500 points. Available: 450 points. Member ID: LM-00123456.",
        "requested": 500,
        "available": 450,
        "pending": 400,
        "reserved": 0,
        "memberId": "LM-00123456",
    }
    assert org.balance() == (850, 450, 400, 0)


def test_who_asks_not_to_be_refused_is_told_it_was_rejected(org: Org) -> None:
    org.award(450)
    told = org.redeem(500, status=200, key="again", failOnInsufficientBalance=False, validateBalance=False)
    assert told == {
        "id": None,
        "status": "rejected",
        "errorCode": "INSUFFICIENT_LOYALTY_BALANCE",
        "message": "450 are available, 50 too few.",
        "memberId": MEMBER,
        "requested": 500,
        "available": 450,
        "orderId": None,
        "redemptionType": None,
    }
    assert org.web.get("/v1/redemptions")["data"] == []
    org.award(50)
    made = org.redeem(500, key="again", failOnInsufficientBalance=False, validateBalance=False)
    assert (made["status"], org.balance()) == ("processed", (0, 0, 0, 0))


def test_a_lock_keeps_other_redemptions_back_for_its_time(org: Org) -> None:
    """60 seconds unless it says otherwise: at 59.999 s it holds, at 60 s the next one passes."""
    org.award(850)
    made = org.redeem(500, lockBalance=True)
    assert made["lockExpiresAt"] == "2026-11-18T11:07:40.000Z"
    org.web.now = NOW + 59_999
    (error,) = org.redeem(100, status=409)
    assert error["errorCode"] == "UNABLE_TO_LOCK_ROW"
    org.web.now = NOW + 60_000
    org.redeem(100, lockBalance=True, lockTimeout=5)
    org.web.now = NOW + 65_000
    org.redeem(100)
    assert org.balance() == (150, 150, 0, 0)
    org.sound()


def test_a_redemption_waits_for_its_order_where_the_file_says_so(org: Org) -> None:
    """850 - 200 held: 650 can be used, and 850 are still there until it is applied."""
    with org.web.engine.begin() as connection:
        connection.execute(
            t.dialects.insert().values(
                env=1,
                name="salesforce",
                program="main",
                definition=1,
                customers_of="salesforce",
                options='{"redemptions": "held"}',
            )
        )
        connection.execute(t.configuration.update().values(version=t.configuration.c.version + 1))
    org.award(850)
    made = org.redeem(200)
    assert (made["status"], org.balance()) == ("pending", (850, 650, 0, 200))
    org.web.post(f"/v1/redemptions/{made['id']}/apply")
    assert org.get(f"/loyalty/redemptions/{made['id']}")["status"] == "processed"
    assert org.balance() == (650, 650, 0, 0)
    reversed_by = org.post(
        "/loyalty/transactions",
        {"transactionType": "Reversal", "originalTransactionId": org.redeem(100)["id"]},
    )
    assert reversed_by["status"] == "Cancelled"
    assert org.balance() == (650, 650, 0, 0)


def test_a_till_that_could_not_ask_is_believed_up_to_what_it_knew(org: Org) -> None:
    """450 were known: 451 is refused, 450 booked although 100 are there, and a person is to look at it."""
    org.award(100)
    (error,) = org.redeem(451, status=422, lastKnownBalance=450)
    assert error["errorCode"] == "OVER_LAST_KNOWN"
    made = org.redeem(450, lastKnownBalance=450)
    assert made["needsReconciliation"] is True
    flagged = org.web.get("/v1/redemptions", flagged="true")["data"]
    assert [one["id"] for one in flagged] == [made["id"]]
    keyed(org.web.engine, 1, TILL, "redemptions:write")
    headers = {"Authorization": f"Bearer {TILL}"}
    body = {"memberId": MEMBER, "points": 1, "lastKnownBalance": 450}
    refused = org.web.client.post("/loyalty/redemptions", json=body, headers=headers)
    assert (refused.status_code, refused.get_json()[0]["errorCode"]) == (403, "INSUFFICIENT_ACCESS")
    org.sound()


def test_a_journal_of_the_type_redemption_redeems(sqlite_org: Org) -> None:
    sqlite_org.award(100)
    made = sqlite_org.post(
        "/loyalty/transactions", {"memberId": MEMBER, "points": 60, "journalType": "Redemption"}
    )
    assert (made["journalType"], made["status"]) == ("Redemption", "Processed")
    assert sqlite_org.balance() == (40, 40, 0, 0)


def test_balances_of_many_are_one_request(org: Org) -> None:
    """Three ids, three entries; what is wrong with one is told in its own."""
    org.award(450)
    asked = [
        {"method": "GET", "url": f"{DATA}/loyalty/members/{MEMBER}/balance", "referenceId": "first"},
        {"method": "GET", "url": "/loyalty/members/LM-1/balance", "referenceId": "nobody"},
        {"method": "GET", "url": f"/loyalty/members/{MEMBER}/balance?balanceType=X", "referenceId": "wrong"},
        {
            "method": "GET",
            "url": f"/loyalty/members/{MEMBER}/balance?balanceType=AVAILABLE&includeExpiring=true",
            "referenceId": "ending",
        },
        {"method": "POST", "url": "/loyalty/redemptions", "referenceId": "other"},
    ]
    shown = org.post(f"{DATA}/composite", {"allOrNone": False, "compositeRequest": asked}, status=200)
    answers = {one["referenceId"]: one for one in shown["compositeResponse"]}
    assert [one["referenceId"] for one in shown["compositeResponse"]] == [one["referenceId"] for one in asked]
    alone = org.get(f"/loyalty/members/{MEMBER}/balance")
    assert answers["first"] == {
        "referenceId": "first",
        "httpStatusCode": 200,
        "httpHeaders": {},
        "body": alone,
    }
    assert answers["ending"]["body"]["balance"] == 450
    assert "nextExpiryDate" in answers["ending"]["body"]
    problems = {
        name: (one["httpStatusCode"], one["body"][0]["errorCode"])
        for name, one in answers.items()
        if one["httpStatusCode"] != 200
    }
    assert problems == {
        "nobody": (404, "NOT_FOUND"),
        "wrong": (400, "INVALID_API_INPUT"),
        "other": (400, "INVALID_API_INPUT"),
    }
