"""Idempotency-Keys: one effect and one answer, whatever is sent twice, late, together or by mistake."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import orjson
import pytest
from sqlalchemy import func, insert, select

from adapter.clock import iso
from adapter.engine.door import Door
from adapter.errors import Conflict
from adapter.store import tables as t
from adapter.web.openapi import document
from adapter.web.parts import WebSettings
from adapter.web.routing import Access, Call, Repeated, Route, Shown
from adapter.web.table import ROUTES
from tests.shop import DAY, NOW, customer, placed, recorded, shipped
from tests.web.conftest import STRANGER, TOKEN, serve_as_well
from tests.web.test_receiver import ORDER
from tests.web.test_service import figure

if TYPE_CHECKING:
    from collections.abc import Callable

    from werkzeug.test import TestResponse

    from tests.web.conftest import Web

ENDPOINT = "/v1/endpoints"
HOUR_MS = 3_600_000
HOOK = {"url": "https://example.com/hook"}
POSTS = [route for route in ROUTES if route.method == "POST"]
LABELS = {"tenant": "acme", "mode": "test"}


def send(web: Web, path: str, body: Any = None, *, key: str = "k", token: str = TOKEN) -> TestResponse:
    return web.client.post(path, json=body, headers={"api-key": token, "Idempotency-Key": key})


def count(web: Web, of: Any) -> int:
    with web.engine.connect() as connection:
        return int(connection.execute(select(func.count()).select_from(of)).scalar_one())


def together(number: int, ask: Callable[[], TestResponse]) -> list[TestResponse]:
    """Ask from so many threads at the same moment."""
    start, answers = threading.Barrier(number), []

    def run() -> None:
        start.wait()
        answers.append(ask())

    threads = [threading.Thread(target=run) for _ in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


# --- every POST -----------------------------------------------------------------------------------


@pytest.mark.parametrize("route", POSTS, ids=lambda route: route.name)
def test_every_post_takes_a_key_and_says_so(route: Route) -> None:
    assert route.access is not Access.READ, "what only reads is a GET"
    (operation,) = (one["post"] for path, one in document(ROUTES, "")["paths"].items() if path == route.path)
    assert "Idempotency-Key" in {one["name"] for one in operation["parameters"]}


WAYS: dict[str, tuple[str, Any]] = {
    "add_endpoint": (ENDPOINT, HOOK),
    "rotate_secret": (f"{ENDPOINT}/{{endpoint}}/rotate", {"overlap": 60}),
    "send_test": (f"{ENDPOINT}/{{endpoint}}/test", None),
    "enable_endpoint": (f"{ENDPOINT}/{{endpoint}}/enable", {}),
    "disable_endpoint": (f"{ENDPOINT}/{{endpoint}}/disable", None),
    "replay_delivery": ("/v1/deliveries/{delivery}/replay", None),
    "create_replay": ("/v1/replays", {"type": "balance.updated"}),
    "replay_event": ("/v1/events/{event}/replay", None),
    "begin_transaction": ("/v1/transactions", {"member": "shop:7000", "type": "credit", "amount": 5}),
    "complete_transaction": ("/v1/transactions/{first}/complete", {"reason": "done"}),
    "assign_tier": ("/v1/members/shop:7000/tier", {"group": "status", "tier": "silver"}),
    "cancel_transaction": ("/v1/transactions/{second}/cancel", {}),
    "reverse_transaction": ("/v1/transactions/{first}/reverse", {"reason": "a mistake"}),
    "place_order": (
        "/v1/orders",
        {"member": "shop:7000", "amount": 5, "source": "engine", "due_at": "2026-12-01T00:00:00Z"},
    ),
    "complete_order": ("/v1/orders/{third}/complete", {"reason": "paid"}),
    "cancel_order": ("/v1/orders/{fourth}/cancel", {}),
    "begin_redemption": ("/v1/redemptions", {"member": "shop:7000", "reward": "rwd_fivecredit"}),
    "apply_redemption": ("/v1/redemptions/{applied}/apply", {}),
    "release_redemption": ("/v1/redemptions/{released}/release", {"reason": "another cart"}),
    "fulfil_redemption": ("/v1/redemptions/{fulfilled}/fulfil", {"tracking": "1Z999"}),
    "reverse_redemption": ("/v1/redemptions/{reversed}/reverse", {"reason": "item_returned"}),
    "enrol_member": ("/v1/members", {"name": "Jo"}),
    "link_customer": ("/v1/members/shop:7000/link", {"source": "shop", "customer": "7099"}),
    "unlink_customer": ("/v1/members/shop:7000/unlink", {"source": "shop", "customer": "7099"}),
    "restore_member": ("/v1/members/{deleted}/restore", None),
    "erase_member": ("/v1/members/shop:7002/erase", None),
    "merge_members": ("/v1/members/shop:7003/merge", {"into": "shop:7004"}),
    "transfer_points": ("/v1/transfers", {"from": "shop:7004", "to": "shop:7000", "amount": 1}),
    "clear_redemption": ("/v1/redemptions/{flagged}/clear", {"note": "the till was offline"}),
    "attribute_voucher": ("/v1/vouchers", {"member": "shop:7000", "percent": "10"}),
    "redeem_voucher": ("/v1/vouchers/{used}/redeem", {}),
    "hold_voucher": ("/v1/vouchers/{unused}/hold", {"ttl": 60}),
    "release_voucher": ("/v1/vouchers/{unused}/release", {}),
    "revoke_voucher": ("/v1/vouchers/{unused}/revoke", {"reason": "a mistake"}),
    "create_program": ("/v1/programs", {"name": "vip", "state": "draft"}),
    "publish_program": ("/v1/programs/vip/publish", None),
    "pause_program": ("/v1/programs/vip/pause", None),
    "end_program": ("/v1/programs/vip/end", None),
}
"""How each POST is asked, so that it succeeds."""


@pytest.fixture
def furnished(web: Web) -> tuple[Web, dict[str, str]]:
    """An endpoint, a delivery and an event, by what they are called."""
    endpoint = web.post(ENDPOINT, HOOK, status=201)["id"]
    web.shop("order.created", ORDER)
    web.play(recorded(placed()), recorded(shipped()))
    web.play(*(recorded(customer(number)) for number in ("7001", "7002", "7003", "7004")))
    web.post(
        "/v1/transactions",
        {"member": "shop:7004", "type": "credit", "amount": 9, "complete": True},
        status=201,
    )
    deleted = web.ask("DELETE", "/v1/members/shop:7001")["id"]
    shop = web.get("/v1/events", type="order.created")["data"][0]["id"]
    path, body = WAYS["begin_transaction"]
    first, second = (web.post(path, body, status=201)["id"] for _ in range(2))
    path, body = WAYS["place_order"]
    third, fourth = (web.post(path, body, status=201)["id"] for _ in range(2))
    redeemed = {
        name: web.post("/v1/redemptions", {"member": "shop:7000", "reward": f"rwd_{reward}"}, status=201)["id"]
        for name, reward in (
            ("applied", "fivecredit"), ("released", "fivecredit"), ("fulfilled", "totebag"), ("reversed", "totebag"),
        )
    }  # fmt: skip
    granted = {"member": "shop:7000", "reward": "rwd_totebag", "last_known": {"available": 5}}
    flagged = web.post("/v1/redemptions", granted, status=201)["id"]
    path, body = WAYS["attribute_voucher"]
    used, unused = (web.post(path, body, status=201)["id"] for _ in range(2))
    return web, redeemed | {
        "endpoint": endpoint, "event": shop, "delivery": web.get("/v1/deliveries")["data"][0]["id"],
        "used": used, "unused": unused, "flagged": flagged,
        "first": first, "second": second, "third": third, "fourth": fourth,
        "deleted": deleted,
    }  # fmt: skip


def test_every_post_is_repeated_byte_for_byte(furnished: tuple[Web, dict[str, str]]) -> None:
    web, named = furnished
    for route in POSTS:
        path, body = WAYS[route.name]
        first, again = (send(web, path.format(**named), body, key=route.name) for _ in range(2))
        assert first.status_code == route.status, (route.name, first.get_data(as_text=True))
        assert (again.status_code, again.get_data()) == (first.status_code, first.get_data()), route.name
        assert "Idempotency-Replayed" not in first.headers
        assert again.headers["Idempotency-Replayed"] == "true"
        assert first.headers["Idempotency-Key"] == again.headers["Idempotency-Key"] == route.name
        assert again.headers["X-Request-ID"] != first.headers["X-Request-ID"]
    assert figure(web, "loyalty_requests_keyed_total", outcome="first", **LABELS) == len(POSTS)
    assert figure(web, "loyalty_requests_keyed_total", outcome="repeated", **LABELS) == len(POSTS)


def test_a_key_belongs_to_one_route_and_one_environment(furnished: tuple[Web, dict[str, str]]) -> None:
    web, named = furnished
    answers = [
        send(web, path.format(**named), body, key="shared").headers.get("Idempotency-Replayed")
        for path, body in (WAYS[route.name] for route in POSTS)
    ]
    assert answers == [None] * len(POSTS)
    assert "Idempotency-Replayed" not in send(web, ENDPOINT, HOOK, key="shared", token=STRANGER).headers


def test_another_request_under_a_key_is_refused_and_counted(furnished: tuple[Web, dict[str, str]]) -> None:
    web, named = furnished
    for path, body in ((ENDPOINT, {**HOOK, "timeout": 3}), (f"/v1/events/{named['event']}/replay", None)):
        send(web, path, HOOK if body else None)
        other = path if body else f"/v1/events/{web.get('/v1/events')['data'][0]['id']}/replay"
        problem = send(web, other, body)
        assert (problem.status_code, problem.get_json()["code"]) == (422, "idempotency_key_reused"), path
        assert problem.get_json()["errors"][0]["field"] == "Idempotency-Key"
    assert figure(web, "loyalty_requests_keyed_total", outcome="refused", **LABELS) == 2


def test_a_failure_does_not_burn_a_key(furnished: tuple[Web, dict[str, str]]) -> None:
    web, named = furnished
    path = f"/v1/events/{named['event']}/replay"
    web.submit_error = RuntimeError("a defect")
    assert send(web, path).status_code == 500
    web.submit_error = None
    first = send(web, path)
    assert (first.status_code, first.headers.get("Idempotency-Replayed")) == (200, None)
    assert send(web, ENDPOINT, {"url": "not a url"}, key="url").status_code == 400
    assert send(web, ENDPOINT, HOOK, key="url").status_code == 201  # even with another body: nothing was kept


# --- time -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("days", [1, 3])
def test_keys_are_remembered_as_long_as_set(web: Web, days: int) -> None:
    web.use(settings=WebSettings(idempotency_days=days))
    first = send(web, ENDPOINT, HOOK)
    web.now = NOW + days * DAY - 1
    assert send(web, ENDPOINT, HOOK).get_data() == first.get_data()
    web.now = NOW + days * DAY
    fresh = send(web, ENDPOINT, HOOK)
    assert (fresh.status_code, fresh.headers.get("Idempotency-Replayed")) == (201, None)
    assert fresh.get_json()["id"] != first.get_json()["id"]


@pytest.mark.parametrize(
    ("way", "named"), [("place_order", "expires_at"), ("begin_transaction", "points_expire_at")]
)
def test_what_has_passed_since_is_no_fault_of_a_repeat(web: Web, way: str, named: str) -> None:
    """An instant that was to come when it was asked first; a new request that names it is refused."""
    web.play(recorded(placed()))
    path, body = WAYS[way]
    asked = body | {named: iso(NOW + HOUR_MS)}
    first = send(web, path, asked)
    assert first.status_code == 201
    web.now = NOW + 2 * HOUR_MS
    again = send(web, path, asked)
    assert (again.status_code, again.headers.get("Idempotency-Replayed")) == (201, "true")
    assert again.get_data() == first.get_data()
    refused = send(web, path, asked, key="another")
    assert (refused.status_code, refused.get_json()["errors"][0]["field"]) == (400, named)


# --- together -------------------------------------------------------------------------------------


def test_twins_have_one_effect_and_one_answer(web: Web) -> None:
    web.get("/v1/members")
    answers = together(8, lambda: send(web, ENDPOINT, HOOK))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.get_data() for answer in answers}) == 1
    assert sum("Idempotency-Replayed" not in answer.headers for answer in answers) == 1
    assert count(web, t.endpoints) == 1


def test_twins_through_the_door_have_one_answer(furnished: tuple[Web, dict[str, str]]) -> None:
    web, named = furnished
    before = count(web, t.transfers)
    answers = together(6, lambda: send(web, f"/v1/events/{named['event']}/replay"))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.get_data() for answer in answers}) == 1
    assert (count(web, t.transfers), count(web, t.idempotency_keys)) == (before, 1)


def test_twins_that_book_have_one_effect_and_one_answer(web: Web) -> None:
    web.play(recorded(placed()))
    path, body = WAYS["begin_transaction"]
    before = count(web, t.transactions)
    with Door(web.engine, web.clock) as door:
        web.use(submit=door.submit)
        answers = together(8, lambda: send(web, path, body))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.get_data() for answer in answers}) == 1
    assert sum("Idempotency-Replayed" not in answer.headers for answer in answers) == 1
    assert count(web, t.transactions) == before + 1


class TakenShown(Shown):
    taken: str


def test_the_later_twin_is_not_told_that_the_earlier_was_first(
    web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What may be done once would be refused the second time: but a twin is not a second time."""

    def take(call: Call) -> dict[str, Any]:
        if call.database.execute(select(t.replays.c.id).where(t.replays.c.id == 1)).first():
            raise Conflict("It is taken.")
        call.database.execute(insert(t.replays).values(env=1, id=1, filter="", selected=0, created_at=0))
        return {"taken": call.request_id}

    route = Route("POST", "/v1/take", take, "x:write", "Take", TakenShown, "X", access=Access.WRITE)
    serve_as_well(monkeypatch, route)
    web.use()
    web.get("/v1/members")
    answers = together(6, lambda: send(web, "/v1/take"))
    assert [answer.status_code for answer in answers] == [200] * 6, [one.get_data() for one in answers]
    assert len({answer.get_data() for answer in answers}) == 1
    assert send(web, "/v1/take", key="another").status_code == 409


# --- commands whose answer the door keeps ------------------------------------------------------------


def test_a_command_may_keep_its_answer_itself(sqlite_web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[bytes, bytes, int]] = []

    def ask_the_door(call: Call) -> Any:
        assert call.repeat is not None
        first = not seen
        seen.append((call.repeat.key, call.repeat.request, call.repeat.expires_at))
        if len(seen) > 2:
            raise Conflict("Used for another.", code="idempotency_key_reused")
        return {"taken": "once"} if first else Repeated({"taken": "once"})

    route = Route(
        "POST", "/v1/ask", ask_the_door, "x:write", "Ask", TakenShown, "X", access=Access.DOOR, keeps=True
    )  # fmt: skip
    serve_as_well(monkeypatch, route)
    sqlite_web.use()
    first, again, other = (
        send(sqlite_web, "/v1/ask"),
        send(sqlite_web, "/v1/ask"),
        send(sqlite_web, "/v1/ask"),
    )
    assert first.get_data() == again.get_data() == orjson.dumps({"taken": "once"})
    assert "Idempotency-Replayed" not in first.headers
    assert (again.headers["Idempotency-Key"], again.headers["Idempotency-Replayed"]) == ("k", "true")
    assert other.status_code == 422
    assert len(set(seen)) == 1
    assert seen[0][2] == NOW + DAY
    assert count(sqlite_web, t.idempotency_keys) == 0  # the door's to keep
    for outcome in ("first", "repeated", "refused"):
        assert figure(sqlite_web, "loyalty_requests_keyed_total", outcome=outcome, **LABELS) == 1
