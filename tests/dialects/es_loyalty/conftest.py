"""A member at a till that speaks ES Loyalty."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from adapter import ids
from adapter.program.model import Program
from connectors.es_loyalty.api.dialect import DIALECT
from tests.dialects.speaking import held_to_shape, published, sold_at, told
from tests.shop import begin, enrol, member_of
from tests.web.conftest import TOKEN, sqlite_web, web

if TYPE_CHECKING:
    from werkzeug.test import TestResponse

    from tests.web.conftest import Web

__all__ = ["sqlite_web", "web"]

TENS = {"burn_rate": "0.01", "increment": "10.00", "minimum": "10.00", "currency": "USD"}
SESSION = "0b9c2e5e-9d4a-4d0c-8a3b-3d8f5b1f6a10"


@dataclass
class Till:
    """Asks as a till does, in sessions."""

    web: Web
    credits: int = 100

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        status: int = 200,
        query: Any = None,
        **headers: Any,
    ) -> TestResponse:
        sent = {
            "Authorization": f"Bearer {TOKEN}",
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }
        answer = self.web.client.open(path, method=method, json=body, headers=sent, query_string=query)
        assert answer.status_code == status, answer.get_data(as_text=True)
        if status == 200:
            held_to_shape(DIALECT, answer, method, path)
        else:
            assert set(answer.get_json()) == {"statusCode", "errorMessage", "errorCode"}
            assert answer.get_json()["statusCode"] == status
        return answer

    def refused(self, method: str, path: str, body: Any = None, *, status: int = 400, **headers: Any) -> str:
        """Return the sentence of a refusal."""
        answer = self.ask(method, path, body, status=status, **headers).get_json()
        if status == 400:
            assert answer["errorCode"] == "INVALID_REQUEST"
        return str(answer["errorMessage"])

    def start(self, name: str = SESSION, identifier: str = "7000", **headers: Any) -> Any:
        body = {"correlationId": name, "channel": "POS"}
        return self.ask("POST", f"/client/users/{identifier}/sessions", body, **headers).get_json()

    def balance(self, name: str = SESSION) -> Any:
        return self.ask("GET", f"/client/users/{name}/balance").get_json()

    def reserve(self, points: Any, name: str = SESSION, **more: Any) -> Any:
        body = {"reservationAmount": points, **more}
        return self.ask("POST", f"/client/users/{name}/reservations/", body).get_json()

    def program(self, rules: dict[str, Any] | None = None, *, version: int = 2, **program: Any) -> None:
        said = {"name": "main", "earning": {"rate": "1"}, "redeeming": rules or TENS, **program}
        published(self.web, Program.model_validate(said), version=version)

    def member(self, points: int, customer: str = "7000", **person: Any) -> int:
        """Enrol somebody who has so many points."""
        self.credits += 1
        self.web.play(enrol(self.credits, customer=("till", customer), **person))
        member = member_of(self.web.engine, customer, "till")
        if points:
            self.web.play(begin(member, 1000 + self.credits, "credit", points, complete=True))
        return member

    def shown(self, member: int) -> Any:
        """Return the balance as our own API has it."""
        return self.web.get(f"/v1/members/{ids.show('mem', member)}/balance")


def furnished(web: Web, rules: dict[str, Any] | None = None) -> Till:
    """Return a till at which customers of the source `till` buy."""
    sold_at(web)
    told(web, DIALECT.name)
    till = Till(web)
    till.program(rules)
    return till


@pytest.fixture
def till(sqlite_web: Web) -> Till:
    return furnished(sqlite_web)


@pytest.fixture
def each_till(web: Web) -> Till:
    """The same on each kind of database."""
    return furnished(web)
