"""A member as Salesforce numbers them, and short ways to ask; every answer is held against its model."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from adapter.engine.audit import audit
from adapter.engine.rebuild import rebuild
from adapter.program.model import Program
from adapter.store import tables as t
from connectors.salesforce.api import DIALECT
from tests.engine.test_audit import read
from tests.shop import enrol, publish
from tests.web.conftest import PROGRAM, TOKEN

if TYPE_CHECKING:
    from tests.web.conftest import Web

MEMBER = "LM-00123456"
DATA = "/services/data/v62.0"


@dataclass
class Org:
    """The application as a client of Salesforce sees it."""

    web: Web

    def get(self, path: str, *, status: int = 200, **headers: str) -> Any:
        return self.ask("GET", path, None, status, headers)

    def post(self, path: str, body: Any = None, *, status: int = 201, **headers: str) -> Any:
        return self.ask("POST", path, body, status, headers)

    def ask(self, method: str, path: str, body: Any, status: int, headers: dict[str, str]) -> Any:
        sent = {"Authorization": f"Bearer {TOKEN}"}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        answer = self.web.client.open(path, method=method, json=body, headers=sent)
        assert answer.status_code == status, answer.get_data(as_text=True)
        shown = answer.get_json()
        if status < 400:
            _check(method, path, shown)
        return shown

    def award(self, points: float, **more: Any) -> Any:
        """Credit points; they can be used at once."""
        body = {"memberId": MEMBER, "points": points, "processImmediately": True, "journalType": "Accrual"}
        return self.post("/loyalty/transactions", body | more)

    def redeem(self, points: float, *, status: int = 201, key: str | None = None, **more: Any) -> Any:
        body = {"memberId": MEMBER, "points": points, "validateBalance": True, **more}
        headers = {} if key is None else {"X_Request_Id": key}
        return self.post("/loyalty/redemptions", body, status=status, **headers)

    def balance(self) -> tuple[int, int, int, int]:
        """Return total, available, pending, reserved."""
        found = self.get(f"/loyalty/members/{MEMBER}/balance")
        names = ("totalBalance", "availableBalance", "pendingBalance", "reservedBalance")
        return tuple(found[name] for name in names)

    def program(self, **said: Any) -> None:
        """Publish a program in the place of the one there is."""
        program = PROGRAM.model_dump(mode="json") | said
        configuration = t.configuration
        with self.web.engine.begin() as connection:
            version = connection.execute(configuration.select()).one().version + 1
            publish(connection, Program.model_validate(program), version=version, at=version)
            connection.execute(configuration.update().values(version=version))

    def sound(self) -> None:
        """Check every invariant, and that the book can be made again."""
        assert audit(self.web.engine) == []
        assert rebuild(self.web.engine, read) == []


def _check(method: str, path: str, shown: Any) -> None:
    place = path.partition("?")[0]
    for route in DIALECT.routes:
        pattern = re.sub(r"{\w+}", "[^/]+", route.path)
        if route.method == method and re.fullmatch(pattern, place) and _fits(route.response, shown):
            return
    raise AssertionError(f"{method} {path} is not answered as its route says: {shown}")


def _fits(model: Any, shown: Any) -> bool:
    for one in shown if isinstance(shown, list) else [shown]:
        if one.get("status") != "rejected":
            model.model_validate(one)
    return True


def org_of(web: Web) -> Org:
    """Return the application with a member `LM-00123456` who has nothing yet."""
    web.play(enrol(5, customer=("salesforce", MEMBER)))
    return Org(web)


@pytest.fixture
def org(web: Web) -> Org:
    """Over each kind of database."""
    return org_of(web)


@pytest.fixture
def sqlite_org(sqlite_web: Web) -> Org:
    """For what does not depend on the database."""
    return org_of(sqlite_web)
