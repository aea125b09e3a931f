"""What can be done in the console: each action once, by the API's own rules, and told to whoever asked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import func, select, update

from adapter.clock import iso
from adapter.delivery.replay import feed
from adapter.store import tables as t
from adapter.store.database import in_unit_of_work
from tests.shop import DAY, NOW, placed, recorded, shipped
from tests.web.conftest import STRANGER
from tests.web.console.conftest import Browser, some_of_everything
from tests.web.test_receiver import ORDER, Tripping

if TYPE_CHECKING:
    from tests.web.conftest import Web

HOOK = "http://127.0.0.1:9/hook"


def dead_letters(web: Web) -> list[dict[str, Any]]:
    """Return three dead deliveries, the newest first; two of them are of balances."""
    web.post("/v1/endpoints", {"url": HOOK, "events": ["balance.updated", "member.created"]}, status=201)
    web.play(recorded(placed()), recorded(shipped()))
    with web.engine.begin() as connection:
        connection.execute(update(t.deliveries).values(state="dead"))
    return list(web.get("/v1/deliveries", state="dead")["data"])


def count(web: Web, table: Any) -> int:
    with web.engine.connect() as connection:
        return int(connection.execute(select(func.count()).select_from(table)).scalar_one())


def test_one_delivery_is_sent_again_once_however_often_the_button_is_pressed(browser: Browser) -> None:
    one = dead_letters(browser.web)[0]["id"]
    form = browser.open(f"/console/deliveries/{one}").form(f"/console/deliveries/{one}/replay")
    first, second = (browser.send(form.action, form.fields) for _ in range(2))
    assert first.headers["Location"] == second.headers["Location"]
    assert count(browser.web, t.replays) == 1
    again = browser.submit(f"/console/deliveries/{one}", form.action)
    assert again.headers["Location"] != first.headers["Location"]


@pytest.mark.parametrize(
    ("query", "number"),
    [
        ("state=dead", 3),
        ("state=dead&type=balance.updated", 2),
        ("type=member.created", 1),
        (f"state=dead&since={iso(NOW + DAY)[:16]}", 0),
        (f"since={iso(NOW - DAY)[:16]}", 3),
        ("state=held", 0),
    ],
)
def test_a_replay_says_how_many_before_it_begins(browser: Browser, query: str, number: int) -> None:
    letters = dead_letters(browser.web)
    endpoint = letters[0]["endpoint"]
    listed = browser.open(f"/console/deliveries?{query}&endpoint={endpoint}")
    assert len([link for link in listed.links if link.startswith("/console/deliveries/dlv_")]) == number
    form = listed.form("/console/replays/new")
    page = browser.client.get(form.action, query_string=form.fields)
    text = page.get_data(as_text=True)
    assert f"Send {number} deliver" in text
    assert count(browser.web, t.replays) == 0, "asking how many begins nothing"
    if not number:
        assert 'action="/console/replays"' not in text
        return
    begun = browser.submit(page.request.full_path, "/console/replays")
    progress = browser.open(begun.headers["Location"])
    assert f"0 of {number} done" in progress.text
    assert browser.web.get("/v1/replays")["data"][0]["selected"] == number


def test_the_page_of_a_replay_looks_again_until_it_is_finished(browser: Browser) -> None:
    web = browser.web
    dead_letters(web)
    replay = web.post("/v1/replays", {"state": "dead"}, status=202)["id"]
    refreshing = ("meta", {"http-equiv": "refresh", "content": "3"})
    address = f"/console/replays/{replay}"
    assert refreshing in browser.open(address).tags
    number = in_unit_of_work(
        web.engine,
        lambda connection: feed(
            connection, 1, connection.execute(select(t.replays.c.id)).scalar_one(), now=NOW, chunk=2
        ),
    )
    assert number == 2
    assert "Waiting 1 Queued 2 Sent 0 Failed 0" in " ".join(browser.open(address).text.split())
    with web.engine.begin() as connection:
        connection.execute(update(t.replay_items).values(state="sent"))
        connection.execute(update(t.replays).values(finished_at=NOW))
    done = browser.open(address)
    assert refreshing not in done.tags
    assert "3 of 3 done" in done.text


def test_an_endpoint_has_its_own_log_and_is_switched(browser: Browser) -> None:
    web = browser.web
    letters = dead_letters(web)
    other = web.post("/v1/endpoints", {"url": "http://127.0.0.1:9/other"}, status=201)["id"]
    web.play(recorded(placed("1002")))
    endpoint = letters[0]["endpoint"]
    page = f"/console/endpoints/{endpoint}"
    own = {one["id"] for one in web.get("/v1/deliveries", endpoint=endpoint)["data"]}
    shown = browser.open(page)
    assert {link.rpartition("/")[2] for link in shown.links if "/dlv_" in link} == own
    assert own.isdisjoint(one["id"] for one in web.get("/v1/deliveries", endpoint=other)["data"])
    browser.submit(page, f"{page}/disable")
    assert "Nothing is sent here" in browser.open(page).text
    browser.submit(page, f"{page}/enable")
    assert web.get(f"/v1/endpoints/{endpoint}")["state"] == "enabled"
    browser.submit(page, f"{page}/test")
    assert web.get("/v1/messages", type="endpoint.test")["data"]


def test_an_attempt_is_shown_with_its_answer(browser: Browser) -> None:
    named = some_of_everything(browser.web)
    text = browser.open(f"/console/deliveries/{named['dead']}").text
    assert "1 2026-11-18 11:06:40 UTC 7 ms 500" in text


def test_a_rejected_event_is_taken_in_again_after_a_fix(browser: Browser) -> None:
    web = browser.web
    web.use(connectors={"woocommerce": Tripping("normalize")})
    browser.client.application = web.app
    event = web.shop("order.created", ORDER).get_json()["event"]
    page = f"/console/events/{event}"
    listed = browser.open("/console/events?state=rejected")
    assert page in listed.links
    web.use(connectors=web.connectors)
    browser.client.application = web.app
    done = browser.submit(page, f"{page}/replay").headers["Location"]
    assert "Taken in again: it was applied" in browser.open(done).text
    assert web.get(f"/v1/events/{event}")["state"] == "applied"


def test_an_event_of_the_api_cannot_be_taken_in_again(browser: Browser) -> None:
    web = browser.web
    web.post("/v1/members", {"email": "jo@example.com"}, status=201)
    event = web.get("/v1/events", source="@api")["data"][0]["id"]
    page = browser.open(f"/console/events/{event}")
    assert [form.action for form in page.forms] == ["/console/sign-out"]
    answer = browser.send(f"/console/events/{event}/replay", page.forms[0].fields, status=409)
    assert "a command of the API" in answer.get_data(as_text=True)


def test_bytes_that_are_no_text_are_shown_as_base64(sqlite_browser: Browser) -> None:
    event = sqlite_browser.web.shop("order.created", b"\xff").get_json()["event"]
    assert "Raw body, base64 /w==" in sqlite_browser.open(f"/console/events/{event}").text


def test_a_flag_is_cleared_with_what_was_found(browser: Browser) -> None:
    flagged = some_of_everything(browser.web)["flagged"]
    page = f"/console/redemptions/{flagged}"
    assert page in browser.open("/console/redemptions?flagged=true").links
    browser.submit(page, f"{page}/clear", note="the till was <b>offline</b>")
    assert "What was found the till was <b>offline</b>" in browser.open(page).text
    assert page not in browser.open("/console/redemptions?flagged=true").links
    assert page in browser.open("/console/redemptions?flagged=false").links


def test_nothing_of_another_environment_is_seen_or_touched(browser: Browser) -> None:
    """Every page and every action, with the session of a stranger and somebody else's ids."""
    from adapter.web.console.table import PAGES
    from tests.web.test_isolation import kept

    named = some_of_everything(browser.web)
    named["redemption"] = named["flagged"]
    before = kept(browser.web)
    stranger = Browser(browser.web)
    stranger.sign_in(STRANGER)
    proof = stranger.open("/console").form("/console/sign-out").fields
    for page in PAGES:
        address = f"/console{page.path.format(**named | {'program': 'of-nobody-else'})}"
        queries = [
            {"endpoint": named["endpoint"], "state": "dead"},
            {"member": named["member"]},
            {"who": "shop:7000"},
            {},
        ]
        for query in queries if page.method == "GET" else [named]:
            answer = (
                stranger.client.get(address, query_string=query)
                if page.method == "GET"
                else stranger.client.post(address, data=proof | {"note": "x", "state": "dead"})
            )
            text = answer.get_data(as_text=True)
            assert answer.status_code in (200, 404, 400) or page.path == "/replays", (address, query, text)
            assert "{" not in page.path or answer.status_code == 404, (address, text)
            assert "alert(" not in text, address
            assert "jo@example.com" not in text, address
    assert kept(browser.web) == before
    assert [one["selected"] for one in browser.web.get("/v1/replays", token=STRANGER)["data"]] == [0]
