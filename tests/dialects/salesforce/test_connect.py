"""The Connect resources: processes, cancellations, members, and where a client begins."""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING, Any

import pytest

from tests.dialects.salesforce.conftest import DATA, MEMBER
from tests.web.conftest import TOKEN

if TYPE_CHECKING:
    from tests.dialects.salesforce.conftest import Org

PROCESS = f"{DATA}/connect/loyalty/programs/main/program-processes"
JOURNAL = {
    "ActivityDate": "2026-11-17T00:00:00Z",
    "ExternalTransactionNumber": "1",
    "InvoiceDate": "2026-11-17",
    "JournalTypeName": "Accrual",
    "MemberId": MEMBER,
    "TransactionAmount": "45.0",
    "CurrencyIsoCode": "USD",
    "Status": "Processed",
}
MEMBERS = f"{DATA}/loyalty-programs/main"


def run(org: Org, process: str, points: dict[str, Any], *, status: int = 200, **journal: Any) -> Any:
    body = {"processParameters": [{"TransactionJournal": JOURNAL | journal, **points}]}
    return org.post(f"{PROCESS}/{process}", body, status=status)


def results(shown: Any) -> Any:
    assert (shown["message"], shown["status"], shown["simulationDetails"]) == (None, True, {})
    (result,) = shown["outputParameters"]["outputParameters"]["results"]
    return result


def cancel(org: Org, action: str, *journals: str) -> list[dict[str, Any]]:
    inputs = [{"TransactionJournalId": one, "CancellationReason": "Duplicate"} for one in journals]
    shown: list[dict[str, Any]] = org.post(
        f"{DATA}/actions/standard/{action}",
        {"inputs": inputs},
        status=200,
        X_Request_Id=f"{action}{journals}",
    )
    return shown


def test_points_are_credited_and_debited_by_processes(org: Org) -> None:
    credited = results(run(org, "CreditPointsToMembers", {"PointsToCredit": 100.0}))
    assert credited["PointsCredited"] == 100
    debited = results(
        run(org, "DebitPointsFromMembers", {"PointsToDebit": 30.0}, JournalTypeName="Redemption")
    )
    assert debited["PointsDebited"] == 30
    assert org.balance() == (70, 70, 0, 0)
    journal = org.get(f"/loyalty/transactions/{credited['TransactionJournalId']}")
    assert (journal["orderId"], journal["activityDate"]) == ("1", "2026-11-17T00:00:00.000Z")
    (error,) = run(org, "DebitPointsFromMembers", {"PointsToDebit": 71}, status=422)
    assert (error["errorCode"], error["memberId"]) == ("INSUFFICIENT_LOYALTY_BALANCE", MEMBER)
    org.sound()


def test_a_membership_number_is_as_good_as_an_id(sqlite_org: Org) -> None:
    journal = {name: value for name, value in JOURNAL.items() if name != "MemberId"}
    body = {
        "processParameters": [
            {"TransactionJournal": journal | {"MembershipNumber": MEMBER}, "PointsToCredit": 1}
        ]
    }
    results(sqlite_org.post(f"{PROCESS}/credit Points", body, status=200))
    assert sqlite_org.balance() == (1, 1, 0, 0)


@pytest.mark.parametrize(
    ("points", "journal", "field"),
    [
        ({}, {}, "processParameters.0.PointsToCredit"),
        ({"PointsToCredit": 1, "PointsToDebit": 1}, {}, "processParameters.0.PointsToCredit"),
        ({"PointsToCredit": 0}, {}, "processParameters.0.PointsToCredit"),
        ({"PointsToDebit": "many"}, {}, "processParameters.0.PointsToDebit"),
        (
            {"PointsToCredit": 1},
            {"ActivityDate": "2027-01-01T00:00:00Z"},
            "processParameters.0.TransactionJournal.ActivityDate",
        ),
        (
            {"PointsToCredit": 1},
            {"Status": "Cancelled"},
            "processParameters.0.TransactionJournal.Status",
        ),
    ],
)
def test_the_field_of_a_process_at_fault_is_named(
    sqlite_org: Org, points: dict[str, Any], journal: dict[str, Any], field: str
) -> None:
    (error,) = run(sqlite_org, "any", points, status=400, **journal)
    assert (error["errorCode"], error["fields"]) == ("INVALID_API_INPUT", [field])


def test_a_program_or_member_that_is_not_there_is_not_found(sqlite_org: Org) -> None:
    (nobody,) = run(sqlite_org, "any", {"PointsToCredit": 1}, status=404, MemberId="LM-1")
    assert nobody["fields"] == ["processParameters.0.TransactionJournal.MemberId"]
    path = f"{DATA}/loyalty-programs/other/members?membershipNumber={MEMBER}"
    assert sqlite_org.get(path, status=404)[0]["fields"] == ["programName"]


def test_journals_are_cancelled_each_once(org: Org) -> None:
    """100 + 50 - 30: the 100 and the 30 are undone, 50 stay; what cannot be undone says so in its own result."""
    first, second = (org.award(points)["transactionId"] for points in (100, 50))
    spent = org.redeem(30)["id"]
    (redemption,) = cancel(org, "cancelRedemption", spent)
    accrual, wrong, nothing = cancel(org, "cancelAccrual", first, spent, "txn_nothing")
    assert redemption["outputValues"]["CancellationTransactionJournalId"].startswith("txn_")
    assert (redemption["actionName"], redemption["errors"]) == ("cancelRedemption", None)
    assert [one["isSuccess"] for one in (accrual, wrong, nothing)] == [True, False, False]
    assert [one["errors"][0]["statusCode"] for one in (wrong, nothing)] == ["INVALID_API_INPUT", "NOT_FOUND"]
    assert org.balance() == (50, 50, 0, 0)
    repeated, again = cancel(org, "cancelAccrual", first), cancel(org, "cancelAccrual", first, second)
    assert repeated[0]["errors"][0]["statusCode"] == "TRANSACTION_REVERSED"
    assert [one["isSuccess"] for one in again] == [False, True]
    assert cancel(org, "cancelAccrual", first, second)[1] == again[1]
    assert org.balance() == (0, 0, 0, 0)
    org.sound()


def test_somebody_is_enrolled_and_has_a_profile(org: Org) -> None:
    body = {
        "enrollmentDate": "2026-11-01T00:00:00",
        "membershipNumber": "Member1",
        "associatedContactDetails": {
            "firstName": "Jo",
            "lastName": "Doe",
            "email": "jo@example.com",
            "allowDuplicateRecords": "false",
        },
        "memberStatus": "Active",
        "createTransactionJournals": "true",
        "enrollmentChannel": "Email",
        "canReceivePromotions": "true",
    }
    path = f"{MEMBERS}/individual-member-enrollments"
    enrolled = org.post(path, body, X_Request_Id="enrol-1")
    assert (enrolled["membershipNumber"], enrolled["loyaltyProgramName"]) == ("Member1", "main")
    assert org.post(path, body, X_Request_Id="enrol-1") == enrolled
    (error,) = org.post(path, body, status=409)
    assert error["errorCode"] == "DUPLICATE_VALUE"
    org.post("/loyalty/transactions", {"memberId": "Member1", "points": 70})
    for query in (f"memberId={enrolled['loyaltyProgramMemberId']}", "membershipNumber=Member1"):
        shown = org.get(f"{MEMBERS}/members?{query}&programCurrencyName=points")
        assert shown == {
            "loyaltyProgramMemberId": enrolled["loyaltyProgramMemberId"],
            "loyaltyProgramName": "main",
            "membershipNumber": "Member1",
            "memberStatus": "Active",
            "memberType": "Individual",
            "enrollmentDate": shown["enrollmentDate"],
            "associatedContact": {
                "contactId": enrolled["contactId"],
                "firstName": "Jo",
                "lastName": "Doe",
                "email": "jo@example.com",
            },
            "memberCurrencies": [
                {
                    "loyaltyProgramCurrencyName": "points",
                    "programCurrency": "points",
                    "pointsBalance": 70,
                    "escrowPointsBalance": 0,
                    "expirablePoints": 0,
                }
            ],
            "memberTiers": shown["memberTiers"],
        }
        assert [one["loyaltyMemberTierName"] for one in shown["memberTiers"]] == ["basic"]
    assert org.get(f"{MEMBERS}/members", status=400)[0]["fields"] == ["membershipNumber"]
    org.sound()


def test_the_versions_are_listed(sqlite_org: Org) -> None:
    versions = sqlite_org.get("/services/data")
    assert {"label": "Version 62", "url": "/services/data/v62.0", "version": "62.0"} in versions


BASIC = b64encode(f"a client:{TOKEN}".encode()).decode()


@pytest.mark.parametrize(
    ("form", "headers"),
    [
        ({"client_id": "a client", "client_secret": TOKEN}, {}),
        ({}, {"Authorization": f"Basic {BASIC}"}),
    ],
)
def test_a_clients_secret_is_a_token(sqlite_org: Org, form: dict[str, str], headers: dict[str, str]) -> None:
    asked = {"grant_type": "client_credentials", **form}
    answer = sqlite_org.web.client.post("/services/oauth2/token", data=asked, headers=headers)
    given = answer.get_json()
    assert (answer.status_code, given["access_token"], given["token_type"]) == (200, TOKEN, "Bearer")
    assert given["instance_url"] == "http://127.0.0.1:8000"


@pytest.mark.parametrize(
    ("form", "error"),
    [
        ({"grant_type": "password", "client_secret": TOKEN}, "unsupported_grant_type"),
        ({"grant_type": "client_credentials", "client_secret": "sk_test_wrong"}, "invalid_client"),
        ({"grant_type": "client_credentials"}, "invalid_client"),
    ],
)
def test_a_wrong_secret_is_refused_as_oauth_says(sqlite_org: Org, form: dict[str, str], error: str) -> None:
    answer = sqlite_org.web.client.post("/services/oauth2/token", data=form)
    assert (answer.status_code, answer.get_json()["error"]) == (400, error)
    basic = sqlite_org.web.client.post(
        "/services/oauth2/token",
        data={"grant_type": "client_credentials"},
        headers={"Authorization": "Basic !!!"},
    )
    assert basic.status_code == 400
