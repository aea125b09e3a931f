"""A client of LoyalPro."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from adapter import ids
from adapter.program.model import Program
from connectors.loyalpro.api.dialect import DIALECT
from tests.dialects.speaking import held_to_shape, published, told
from tests.shop import begin
from tests.web.conftest import TOKEN, sqlite_web, web

if TYPE_CHECKING:
    from werkzeug.test import TestResponse

    from tests.web.conftest import Web

__all__ = ["sqlite_web", "web"]

V1 = "/loyalpro/v1"
PROGRAM = {
    "name": "main",
    "earning": {"rate": "1"},
    "redeeming": {"burn_rate": "5", "currency": "NGN", "code_prefix": "REDEEM"},
    "rewards": [
        {"id": "off1000", "kind": "discount", "cost": 200, "value": "1000.00", "currency": "NGN"},
        {"id": "mug", "kind": "item", "cost": 300, "title": "A mug"},
    ],
    "tier_groups": [
        {
            "name": "status",
            "measure": "lifetime_points",
            "tiers": [{"name": "basic"}, {"name": "gold", "threshold": "1000"}],
        }
    ],
}
ERROR = {"type", "code", "message", "errors", "request_id"}


@dataclass
class Shop:
    """Asks as a shop's server does."""

    web: Web
    booked: int = 100

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        status: int = 200,
        query: Any = None,
        token: str = TOKEN,
        **headers: Any,
    ) -> TestResponse:
        sent = {
            "Authorization": f"Bearer {token}",
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }
        answer = self.web.client.open(V1 + path, method=method, json=body, headers=sent, query_string=query)
        assert answer.status_code == status, answer.get_data(as_text=True)
        if status >= 400:
            error = answer.get_json()["error"]
            assert set(error) >= ERROR
            assert error["request_id"] == answer.headers["X-Request-ID"]
        elif "fields" not in (query or {}):
            held_to_shape(DIALECT, answer, method, V1 + path)
        return answer

    def get(self, path: str, **query: Any) -> Any:
        return self.ask("GET", path, query=query).get_json()

    def post(self, path: str, body: Any, *, status: int = 201, **headers: Any) -> Any:
        return self.ask("POST", path, body, status=status, **headers).get_json()

    def refused(self, method: str, path: str, body: Any = None, *, status: int = 400, **more: Any) -> Any:
        return self.ask(method, path, body, status=status, **more).get_json()["error"]

    def customer(self, points: int = 0, **said: Any) -> str:
        """Create a customer who has so many points, and return the id."""
        created = self.post("/customers", said)["id"]
        if points:
            self.booked += 1
            number = ids.read("cus", created)
            assert number is not None
            self.web.play(begin(number, self.booked, "credit", points, complete=True))
        return str(created)


def furnished(web: Web) -> Shop:
    told(web, DIALECT.name, customers_of="loyalpro")
    published(web, Program.model_validate(PROGRAM))
    return Shop(web)


@pytest.fixture
def shop(sqlite_web: Web) -> Shop:
    return furnished(sqlite_web)


@pytest.fixture
def each_shop(web: Web) -> Shop:
    """The same on each kind of database."""
    return furnished(web)
