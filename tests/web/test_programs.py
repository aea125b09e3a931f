"""Programs over HTTP: the version in force, and the draft beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from adapter.program.model import Program
from adapter.store import tables as t
from tests.shop import NOW, customer, publish, recorded
from tests.web.conftest import PROGRAM

if TYPE_CHECKING:
    from tests.web.conftest import Web


def add(web: Web, version: int, **changes: Any) -> None:
    program = Program.model_validate(PROGRAM.model_dump() | changes)
    with web.engine.begin() as connection:
        publish(connection, program, version=version, at=NOW - 10 + version)
        connection.execute(t.configuration.update().values(version=t.configuration.c.version + 1))


SEEN = [
    # states of the versions → those of the version shown by `version=` none, active, draft
    (["published"], "published", "published", None),
    (["published", "draft"], "published", "published", "draft"),
    (["published", "draft", "published"], "published", "published", None),
    (["draft"], "draft", None, "draft"),
    (["draft", "ended"], "ended", "ended", None),
]


@pytest.mark.parametrize(("states", "usual", "active", "draft"), SEEN, ids=str)
def test_the_version_that_is_asked_for(
    web: Web, states: list[str], usual: str, active: str | None, draft: str | None
) -> None:
    with web.engine.begin() as connection:
        connection.execute(t.programs.delete().where(t.programs.c.env == 1))
    for number, state in enumerate(states, 1):
        add(web, number, name="main", state=state)
    for asked, wanted in ({}, usual), ({"version": "active"}, active), ({"version": "draft"}, draft):
        listed = [one["state"] for one in web.ask("GET", "/v1/programs", query=asked)["data"]]
        assert listed == ([] if wanted is None else [wanted])
        shown = web.ask("GET", "/v1/programs/main", query=asked, status=404 if wanted is None else 200)
        assert shown.get("state") == wanted
        if wanted == "draft":
            assert shown["published_at"] is None


def test_its_dates_are_shown(sqlite_web: Web) -> None:
    add(sqlite_web, 2, starts="2026-01-01", ends="2026-12-31T12:00:00", spend_until="2027-01-31")
    shown = sqlite_web.get("/v1/programs/main")
    assert [shown[name] for name in ("starts", "ends", "spend_until")] == [
        "2026-01-01",
        "2026-12-31T12:00:00",
        "2027-01-31",
    ]
    assert shown["expiry"]["months"] == 12


def test_limits_of_its_balances_are_shown(sqlite_web: Web) -> None:
    add(
        sqlite_web, 2, balance_definitions=[{"name": "points", "max_amount": "5000", "overtaking": "partial"}]
    )
    (shown,) = sqlite_web.get("/v1/programs/main")["balance_definitions"]
    assert (shown["max_amount"], shown["min_amount"], shown["overtaking"]) == ("5000", None, "partial")


@pytest.mark.parametrize(
    ("state", "code"), [("paused", "program_paused"), ("ended", "program_ended"), ("draft", None)]
)
def test_a_refusal_names_the_state(sqlite_web: Web, state: str, code: str | None) -> None:
    add(sqlite_web, 2, state=state)
    body = {"type": "credit", "amount": 5, "member": member_of(sqlite_web)}
    answer = sqlite_web.post("/v1/transactions", body, status=422 if code else 201)
    assert answer.get("code") == code


def member_of(web: Web) -> str:
    web.play(recorded(customer("7000")))
    return "shop:7000"
