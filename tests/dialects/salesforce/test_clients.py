"""Clients that others wrote, over HTTP: simple-salesforce, and the documents' own JavaScript, run by node."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import requests
from requests.adapters import HTTPAdapter
from simple_salesforce.api import Salesforce
from simple_salesforce.exceptions import (
    SalesforceAuthenticationFailed,
    SalesforceExpiredSession,
    SalesforceGeneralError,
    SalesforceMalformedRequest,
    SalesforceResourceNotFound,
)

from tests.dialects.salesforce.conftest import MEMBER
from tests.web.conftest import TOKEN

if TYPE_CHECKING:
    from tests.dialects.salesforce.conftest import Org

INSTANCE = "https://acme.my.salesforce.com"
FLOW = Path(__file__).with_name("flow.mjs")


class Rehosted(HTTPAdapter):
    """Sends what is meant for an org of Salesforce's to us."""

    def __init__(self, served: str) -> None:
        super().__init__()
        self._served = served

    def send(self, request: requests.PreparedRequest, *args: Any, **more: Any) -> requests.Response:
        request.url = (request.url or "").replace(INSTANCE, self._served)
        return super().send(request, *args, **more)


@pytest.fixture
def session(served: str) -> requests.Session:
    session = requests.Session()
    session.mount(INSTANCE, Rehosted(served))
    return session


def salesforce(session: requests.Session, token: str = TOKEN) -> Salesforce:
    return Salesforce(instance_url=INSTANCE, session_id=token, session=session, version="62.0")


def post(client: Salesforce, path: str, body: dict[str, Any], *, key: str | None = None) -> Any:
    headers = {} if key is None else {"X-Request-Id": key}
    return client.restful(path, method="POST", json=body, headers=headers)


def get(client: Salesforce, path: str, **query: str) -> Any:
    return client.restful(path, query or None)


def test_simple_salesforce_awards_redeems_and_reverses(sqlite_org: Org, session: requests.Session) -> None:
    client = salesforce(session)
    award = {"memberId": MEMBER, "points": 850, "processImmediately": True}
    made = post(client, "loyalty/transactions", award, key="order-1")
    assert post(client, "loyalty/transactions", award, key="order-1") == made
    assert get(client, f"loyalty/transactions/{made['transactionId']}")["status"] == "Processed"
    redeemed = post(client, "loyalty/redemptions", {"memberId": MEMBER, "points": 500}, key="redeem-order-1")
    shown = get(client, f"loyalty/members/{MEMBER}/balance", balanceType="AVAILABLE")
    assert shown["balance"] == 350
    back = {"transactionType": "Reversal", "originalTransactionId": redeemed["id"]}
    post(client, "loyalty/transactions", back)
    many = [{"method": "GET", "url": f"/loyalty/members/{MEMBER}/balance", "referenceId": "one"}]
    (entry,) = post(client, "composite", {"compositeRequest": many})["compositeResponse"]
    assert entry["body"]["availableBalance"] == 850
    process = {"processParameters": [{"TransactionJournal": {"MemberId": MEMBER}, "PointsToCredit": 50}]}
    path = "connect/loyalty/programs/main/program-processes/CreditPointsToMembers"
    assert post(client, path, process)["status"] is True
    assert sqlite_org.balance() == (900, 900, 0, 0)


def test_simple_salesforce_raises_what_it_knows(sqlite_org: Org, session: requests.Session) -> None:
    client = salesforce(session)
    sqlite_org.award(450)
    with pytest.raises(SalesforceGeneralError) as short:
        post(client, "loyalty/redemptions", {"memberId": MEMBER, "points": 500})
    answered: Any = short.value
    (told,) = answered.content
    assert answered.status == 422
    assert told["errorCode"] == "INSUFFICIENT_LOYALTY_BALANCE"
    assert (told["requested"], told["available"], told["memberId"]) == (500, 450, MEMBER)
    with pytest.raises(SalesforceMalformedRequest) as malformed:
        post(client, "loyalty/redemptions", {"memberId": MEMBER})
    answered = malformed.value
    assert answered.content[0]["fields"] == ["points"]
    with pytest.raises(SalesforceResourceNotFound):
        get(client, "loyalty/members/LM-1/balance")
    with pytest.raises(SalesforceExpiredSession):
        get(salesforce(session, "sk_test_wrong"), f"loyalty/members/{MEMBER}/balance")


def test_simple_salesforce_logs_in_with_a_key_as_its_secret(
    sqlite_org: Org, session: requests.Session, served: str
) -> None:
    client = Salesforce(consumer_key="any", consumer_secret=TOKEN, domain="acme.my", session=session)
    assert client.session_id == TOKEN
    client.base_url = f"{INSTANCE}/services/data/v62.0/"  # as where the address in the token is an org's
    assert get(client, f"loyalty/members/{MEMBER}/balance")["totalBalance"] == 0
    with pytest.raises(SalesforceAuthenticationFailed):
        Salesforce(consumer_key="any", consumer_secret="sk_test_no", domain="acme.my", session=session)


def test_the_documents_own_flow_runs_in_node(sqlite_org: Org, served: str) -> None:
    """Award, poll, balance, redeem, handle the refusal, reverse, and redeem while the balance cannot be read."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed: the JavaScript of the documents was not run")
    settings = {"LOYALTY_URL": served, "LOYALTY_KEY": TOKEN, "MEMBER": MEMBER}
    ran = subprocess.run(
        [node, str(FLOW)], env=os.environ | settings, capture_output=True, text=True, timeout=60, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert ran.stdout.splitlines()[-1] == "8 steps"
    assert sqlite_org.balance() == (350, 350, 0, 0)
    flagged = sqlite_org.web.get("/v1/redemptions", flagged="true")["data"]
    assert [one["cost"] for one in flagged] == [450]
    sqlite_org.sound()
