"""Programs written over HTTP: drafts, versions, and what is in force."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.web.conftest import keyed

if TYPE_CHECKING:
    from tests.web.conftest import Web

ASTRAY = {"name": "status", "measure": "balance", "balance_definition": "no", "tiers": [{"name": "a"}]}
CLUB: dict[str, Any] = {"name": "club", "title": "The club", "state": "draft", "earning": {"rate": "1"}}


def program(web: Web, name: str = "club", version: str | None = None) -> dict[str, Any]:
    query = {} if version is None else {"version": version}
    found: dict[str, Any] = web.ask("GET", f"/v1/programs/{name}", query=query)
    return found


def test_a_program_is_drafted_published_paused_and_ended(web: Web) -> None:
    made = web.post("/v1/programs", CLUB, status=201)
    assert (made["state"], made["version"], made["published_at"]) == ("draft", 1, None)
    changed = web.ask("PUT", "/v1/programs/club/draft", body={**CLUB, "earning": {"rate": "2"}})
    assert (changed["version"], changed["earning"]["rate"]) == (2, "2")
    assert web.post("/v1/programs/club/publish")["state"] == "published"
    assert program(web)["earning"]["rate"] == "2"
    web.ask("PUT", "/v1/programs/club/draft", body={**CLUB, "earning": {"rate": "3"}})
    assert program(web, version="active")["earning"]["rate"] == "2"
    assert program(web, version="draft")["earning"]["rate"] == "3"
    assert web.post("/v1/programs/club/pause")["state"] == "paused"
    assert program(web)["state"] == "paused"
    assert program(web, version="draft")["earning"]["rate"] == "3"  # still stands beside it
    assert web.post("/v1/programs/club/publish")["earning"]["rate"] == "3"
    assert web.post("/v1/programs/club/end")["state"] == "ended"
    assert web.post("/v1/programs/club/pause", status=422)["code"] == "program_ended"
    assert web.post("/v1/programs/club/publish")["state"] == "published"


def test_nobodys_work_is_lost(sqlite_web: Web) -> None:
    web = sqlite_web
    seen = web.post("/v1/programs", CLUB, status=201)["version"]
    address, query = "/v1/programs/club/draft", {"version": seen}
    mine = web.ask("PUT", address, query=query, body={**CLUB, "description": "mine"})
    assert mine["version"] == seen + 1
    late = web.ask("PUT", address, query=query, body={**CLUB, "description": "theirs"}, status=409)
    assert late["code"] == "version_conflict"
    assert program(web)["description"] == "mine"


def test_writing_what_is_there_is_no_new_version(sqlite_web: Web) -> None:
    sqlite_web.post("/v1/programs", CLUB, status=201)
    assert sqlite_web.ask("PUT", "/v1/programs/club/draft", body=CLUB)["version"] == 1


def test_a_repeat_under_its_key_creates_nothing(sqlite_web: Web) -> None:
    first = sqlite_web.post("/v1/programs", CLUB, status=201, Idempotency_Key="once")
    again = sqlite_web.post("/v1/programs", CLUB, status=201, Idempotency_Key="once")
    assert first == again
    assert sqlite_web.post("/v1/programs", CLUB, status=409)["code"] == "program_exists"


def test_an_archived_program_is_out_of_sight(sqlite_web: Web) -> None:
    web = sqlite_web
    web.post("/v1/programs", CLUB, status=201)
    web.ask("DELETE", "/v1/programs/club", status=204)
    assert [one["name"] for one in web.get("/v1/programs")["data"]] == ["main"]
    assert program(web)["archived"] is True
    web.post("/v1/programs/club/publish", status=404)
    web.post("/v1/programs", {**CLUB, "name": "other"}, status=201)  # its title is free again


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({**CLUB, "name": "Not A Name"}, "name"),
        ({**CLUB, "timezone": "Mars/Olympus"}, "timezone"),
        ({**CLUB, "state": "published", "balance_definitions": []}, "balance_definitions"),
        ({**CLUB, "unheard_of": 1}, "unheard_of"),
        ({**CLUB, "tier_groups": [ASTRAY]}, ""),
    ],
)
def test_the_field_at_fault_is_named(sqlite_web: Web, body: dict[str, Any], field: str) -> None:
    told = sqlite_web.post("/v1/programs", body, status=400)
    assert told["errors"][0]["field"].startswith(field)


def test_the_unit_of_the_book_stays(sqlite_web: Web) -> None:
    web = sqlite_web
    web.post("/v1/programs", {**CLUB, "state": "published"}, status=201)
    finer = web.ask(
        "PUT",
        "/v1/programs/club/draft",
        body={**CLUB, "balance_definitions": [{"decimals": 2}]},
        status=400,
    )
    assert finer["errors"][0]["field"] == "balance_definitions[0].decimals"
    other = {**CLUB, "balance_definitions": [{"name": "miles"}]}
    assert "keep it first" in web.ask("PUT", "/v1/programs/club/draft", body=other, status=400)["detail"]


def test_two_programs_have_two_titles(sqlite_web: Web) -> None:
    sqlite_web.post("/v1/programs", CLUB, status=201)
    told = sqlite_web.post("/v1/programs", {**CLUB, "name": "second"}, status=400)
    assert told["errors"][0]["field"] == "title"


def test_a_draft_without_a_balance_gets_the_usual_one(sqlite_web: Web) -> None:
    web = sqlite_web
    web.post("/v1/programs", {**CLUB, "balance_definitions": []}, status=201)
    assert web.get("/v1/members")["data"] == []
    assert web.get("/v1/rewards")["data"]
    assert [one["name"] for one in web.post("/v1/programs/club/publish")["balance_definitions"]] == ["points"]


def test_a_key_that_reads_does_not_write(sqlite_web: Web) -> None:
    keyed(sqlite_web.engine, 1, "sk_test_reader_000000000000000000000", "programs:read")
    told = sqlite_web.post("/v1/programs", CLUB, token="sk_test_reader_000000000000000000000", status=403)
    assert told["code"] == "scope_missing"


def test_a_draft_that_keeps_nothing_can_end(sqlite_web: Web) -> None:
    web = sqlite_web
    web.post("/v1/programs", {**CLUB, "balance_definitions": []}, status=201)
    web.ask("DELETE", "/v1/programs/club", status=204)
    assert program(web)["state"] == "ended"


def test_what_would_not_fit_is_never_written(sqlite_web: Web) -> None:
    """Points can be spent until then once it has ended, and a draft of that has not."""
    web = sqlite_web
    web.post("/v1/programs", {**CLUB, "state": "ended", "spend_until": "2027-01-31"}, status=201)
    assert "spend_until" in web.post("/v1/programs/club/publish", status=400)["detail"]
    assert program(web)["state"] == "ended"
