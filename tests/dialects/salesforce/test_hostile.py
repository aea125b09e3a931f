"""Whatever a client sends is answered, and never with a failure of ours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.dialects.salesforce.conftest import DATA, MEMBER
from tests.web.conftest import STRANGER, TOKEN

if TYPE_CHECKING:
    from tests.dialects.salesforce.conftest import Org

JOURNAL = {"MemberId": MEMBER}
PROCESS = f"{DATA}/connect/loyalty/programs/main/program-processes/any"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/loyalty/transactions", {"memberId": MEMBER, "points": 10**30}),
        ("/loyalty/transactions", {"memberId": MEMBER, "points": "NaN"}),
        ("/loyalty/transactions", {"memberId": MEMBER, "points": 1e300}),
        ("/loyalty/transactions", {"memberId": MEMBER, "points": [1]}),
        ("/loyalty/transactions", {"memberId": {"a": 1}, "points": 1}),
        ("/loyalty/transactions", {"memberId": "x" * 5000, "points": 1}),
        ("/loyalty/transactions", {"memberId": MEMBER, "points": 1, "orderId": "\0"}),
        ("/loyalty/transactions", {"transactionType": "Reversal", "originalTransactionId": "rdm_!"}),
        (
            "/loyalty/transactions",
            {"transactionType": "Reversal", "originalTransactionId": "txn_0000000000000"},
        ),
        ("/loyalty/redemptions", {"memberId": MEMBER, "points": 1, "lockBalance": True, "lockTimeout": 0}),
        ("/loyalty/redemptions", {"memberId": MEMBER, "points": 0}),
        ("/loyalty/redemptions", {"memberId": MEMBER, "points": 1, "lastKnownBalance": "much"}),
        (f"{DATA}/composite", {"compositeRequest": []}),
        (f"{DATA}/composite", {"compositeRequest": [{"url": 5, "referenceId": "a"}]}),
        (PROCESS, {"processParameters": [{"TransactionJournal": JOURNAL, "PointsToCredit": {}}]}),
        (PROCESS, {"processParameters": {}}),
        (f"{DATA}/actions/standard/cancelAccrual", {"inputs": [{"TransactionJournalId": "1"}]}),
        (f"{DATA}/loyalty-programs/main/individual-member-enrollments", {"enrollmentDate": "yesterday"}),
        ("/services/oauth2/token", None),
    ],
)
def test_what_cannot_be_used_is_refused(sqlite_org: Org, path: str, body: Any) -> None:
    answer = sqlite_org.web.client.post(path, json=body, headers={"Authorization": f"Bearer {TOKEN}"})
    assert 400 <= answer.status_code < 500, answer.get_data(as_text=True)
    assert answer.get_json()
    assert sqlite_org.balance() == (0, 0, 0, 0)


def test_a_null_character_in_one_of_many_is_its_own_matter(org: Org) -> None:
    asked = [{"url": "/loyalty/members/a%00b/balance", "referenceId": "a"}]
    shown = org.post(f"{DATA}/composite", {"compositeRequest": asked}, status=200)
    assert [one["httpStatusCode"] for one in shown["compositeResponse"]] == [400]


def test_nobody_sees_or_moves_what_is_anothers(org: Org) -> None:
    award = org.award(100)["transactionId"]
    spent = org.redeem(40)["id"]
    headers = {"Authorization": f"Bearer {STRANGER}"}
    client = org.web.client
    for path in (
        f"/loyalty/members/{MEMBER}/balance",
        f"/loyalty/transactions/{award}",
        f"/loyalty/transactions/{spent}",
        f"/loyalty/redemptions/{spent}",
    ):
        assert client.get(path, headers=headers).status_code == 404
    for original in (award, spent):
        body = {"transactionType": "Reversal", "originalTransactionId": original}
        assert client.post("/loyalty/transactions", json=body, headers=headers).status_code == 404
    assert org.balance() == (60, 60, 0, 0)
