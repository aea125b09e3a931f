"""Many things in one request: what goes wrong with one of them never touches another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from pydantic import ConfigDict
from sqlalchemy import insert, select
from sqlalchemy.exc import OperationalError

from adapter.errors import Busy, Refused
from adapter.store import tables as t
from adapter.web.bulk import bulk
from adapter.web.errors import Problem
from adapter.web.routing import Access, Call, Given, Route, Shown
from tests.web.conftest import TOKEN, serve_as_well

if TYPE_CHECKING:
    from werkzeug.test import TestResponse

    from tests.web.conftest import Web

PATH = "/v1/notes"


class Notes(Given):
    model_config = ConfigDict(str_strip_whitespace=False)
    notes: list[str]


class NoteShown(Shown):
    note: str
    length: int


def write_note(call: Call, note: str) -> dict[str, Any]:
    """Write first, then find out that it may not be: what was written must go again."""
    if note == "gone":
        raise OperationalError("insert", {}, Exception("the server closed the connection"))
    call.database.execute(
        insert(t.replays).values(env=call.env, id=len(note), filter=note, selected=0, created_at=0)
    )
    if note == "refused":
        raise Refused("Not this one.", code="some_rule", field="note")
    if note == "wrong":
        raise Problem("request_invalid", "See errors.", errors=(("note", "No."),))
    if note == "busy":
        raise Busy
    if note == "defect":
        raise KeyError(note)
    return {"note": note, "length": len(note)}


def write_notes(call: Call) -> dict[str, Any]:
    return bulk(call, call.body.notes, lambda note: write_note(call, note), status=201)


def read_notes(call: Call) -> dict[str, Any]:
    return bulk(call, ["abc"], lambda note: {"note": note, "length": 3}, name=lambda _: None)


NOTES = (
    Route(
        "POST", PATH, write_notes, "notes:write", "Write notes", NoteShown, "Notes",
        access=Access.WRITE, body=Notes, status=207, bulk=True,
    ),
    Route("GET", PATH, read_notes, "notes:read", "Read notes", NoteShown, "Notes", status=207, bulk=True),
)  # fmt: skip


@pytest.fixture
def noting(web: Web, monkeypatch: pytest.MonkeyPatch) -> Web:
    """The application with a route that writes many things."""
    serve_as_well(monkeypatch, *NOTES)
    web.use()
    return web


def write(web: Web, *notes: str, key: str | None = None) -> TestResponse:
    headers = {"api-key": TOKEN} | ({} if key is None else {"Idempotency-Key": key})
    return web.client.post(PATH, json={"notes": notes}, headers=headers)


def written(web: Web) -> list[str]:
    with web.engine.connect() as connection:
        return list(connection.execute(select(t.replays.c.filter).order_by(t.replays.c.id)).scalars())


def test_each_item_has_its_status_and_the_good_ones_stay(noting: Web) -> None:
    answer = write(noting, "a", "refused", "bb", "defect", "wrong", "busy", "ccc", "a")
    told = answer.get_json()
    assert answer.status_code == 207
    assert [(one["index"], one["item"], one["status"]) for one in told["data"]] == [
        (0, "a", 201), (1, "refused", 422), (2, "bb", 201), (3, "defect", 500), (4, "wrong", 400), (5, "busy", 503),
        (6, "ccc", 201), (7, "a", 500),  # the second "a" breaks the primary key, and nobody foresaw it
    ]  # fmt: skip
    assert (told["succeeded"], told["failed"]) == (3, 5)
    assert told["data"][0]["result"] == {"note": "a", "length": 1}
    problems = {one["item"]: one["problem"] for one in told["data"] if "problem" in one}
    assert problems["refused"]["code"] == "some_rule"
    assert problems["refused"]["errors"] == [{"field": "note", "message": "Not this one."}]
    assert problems["wrong"]["errors"] == [{"field": "note", "message": "No."}]
    assert problems["defect"]["code"] == "internal"
    assert {one["request_id"] for one in problems.values()} == {answer.headers["X-Request-ID"]}
    assert written(noting) == ["a", "bb", "ccc"]


def test_a_database_that_does_not_answer_is_everybodys(noting: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "adapter.store.database.in_unit_of_work.__kwdefaults__", {"for_s": 0.0, "sleep": lambda _: None}
    )
    answer = write(noting, "a", "gone")
    assert (answer.status_code, answer.get_json()["code"]) == (503, "database_unavailable")
    assert written(noting) == []


def test_a_repeat_of_a_bulk_gets_the_same_entries(noting: Web) -> None:
    first, again = write(noting, "a", "refused", key="k"), write(noting, "a", "refused", key="k")
    assert again.get_data() == first.get_data()
    assert again.headers["Idempotency-Replayed"] == "true"
    assert written(noting) == ["a"]


def test_a_bulk_that_failed_whole_leaves_its_key_free(noting: Web) -> None:
    assert write(noting, "refused", "wrong", key="k").get_json()["succeeded"] == 0
    assert write(noting, "a", "refused", key="k").get_json()["succeeded"] == 1
    assert write(noting, "b", key="k").status_code == 422


def test_reading_many_needs_no_savepoints(noting: Web) -> None:
    answer = noting.client.get(PATH, headers={"api-key": TOKEN})
    assert answer.get_json()["data"] == [
        {"index": 0, "item": None, "status": 200, "result": {"note": "abc", "length": 3}}
    ]
