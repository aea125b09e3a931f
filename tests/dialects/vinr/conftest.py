"""A client of VINR's API, on an application that is really served."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
import requests

from adapter.program.model import Program
from adapter.store import tables as t
from connectors.vinr.api import DIALECT
from tests.web.conftest import TOKEN

if TYPE_CHECKING:
    from tests.web.conftest import Web

PROGRAM = Program.model_validate(
    {
        "name": "main",
        "earning": {"rate": "1", "award_on": "payment.completed"},
        "rewards": [
            {"id": "rwd_fivecredit", "kind": "discount", "cost": 500, "value": "5.00", "currency": "EUR", "title": "5 off"},
            {"id": "rwd_one", "kind": "discount", "cost": 100, "value": "1.00", "currency": "EUR"},
            {"id": "rwd_totebag", "kind": "item", "cost": 300, "title": "A tote bag"},
            {"id": "rwd_credit", "kind": "credit", "cost": 200, "value": "2.00", "currency": "EUR"},
        ],
        "tier_groups": [
            {
                "name": "status",
                "measure": "lifetime_points",
                "tiers": [{"name": "basic"}, {"name": "gold", "threshold": "1000"}],
            }
        ],
    }
)  # fmt: skip
_ROUTES = [
    (route, re.compile(re.sub(r"{\w+}", "[^/]+", route.path.removeprefix("/v1")))) for route in DIALECT.routes
]


@dataclass
class Vinr:
    """Asks as VINR's client would, and holds every answer against what its page says."""

    url: str
    token: str = TOKEN
    session: requests.Session = field(default_factory=requests.Session)

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        status: int = 200,
        key: str | None = None,
        **query: Any,
    ) -> Any:
        query = {name.removesuffix("_is"): value for name, value in query.items()}
        headers = {"X-Api-Key": self.token} | ({} if key is None else {"Idempotency-Key": key})
        answer = self.session.request(
            method, f"{self.url}/vinr/v1{path}", json=body, params=query or None, headers=headers, timeout=60
        )
        assert answer.status_code == status, answer.text
        shown = answer.json()
        if status >= 400:
            assert set(shown) == {"error"}
            assert set(shown["error"]) == {"code", "message", "type", "param", "doc_url", "request_id"}
            assert shown["error"]["request_id"] == answer.headers["X-Request-ID"]
            return shown["error"]
        route = next(one for one, form in _ROUTES if one.method == method and form.fullmatch(path))
        for thing in shown["data"] if route.listed else [shown]:
            route.response.model_validate(thing)
        return shown

    def get(self, path: str, *, status: int = 200, **query: Any) -> Any:
        return self.ask("GET", path, status=status, **query)

    def post(self, path: str, body: Any = None, *, status: int | None = None, key: str | None = None) -> Any:
        made = 201 if path.removeprefix("/loyalty").count("/") == 1 else 200
        return self.ask("POST", path, body or {}, status=made if status is None else status, key=key)

    def enrol(self, customer: str = "cust_abc123", points: int = 0) -> str:
        """Return the account of a customer who is given points."""
        account: str = self.post("/loyalty/accounts", {"customer": customer})["id"]
        if points:
            self.post("/loyalty/transactions", {"account": account, "amount": points})
        return account

    def balance(self, account: str) -> Any:
        return self.get(f"/loyalty/accounts/{account}")["balance"]

    def amounts(self, account: str) -> list[Any]:
        """Return the amounts of an account's points transactions, the first one first."""
        listed = self.get("/loyalty/transactions", account=account, limit=100)["data"]
        return [one["amount"] for one in reversed(listed)]


def furnish(web: Web) -> None:
    """Give the first environment the catalogue of VINR's guide."""
    with web.engine.begin() as connection:
        connection.execute(t.programs.update().values(body=PROGRAM.model_dump_json()))
        connection.execute(t.configuration.update().values(version=t.configuration.c.version + 1))


@pytest.fixture
def vinr(sqlite_web: Web, served: str) -> Vinr:
    """VINR's client over SQLite."""
    furnish(sqlite_web)
    return Vinr(served)
