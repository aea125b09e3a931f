"""Signing in to the console: a key that is never kept, sessions that end, and forms that nobody else can send."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import update

from adapter.store import tables as t
from adapter.web.auth import digest
from adapter.web.console.session import HOURS_12_MS
from adapter.web.console.site import SIGN_INS_AT_ONCE
from tests.shop import NOW
from tests.web.conftest import TOKEN, Web, keyed
from tests.web.console.conftest import SETTINGS, Browser

if TYPE_CHECKING:
    from pathlib import Path

    from werkzeug.test import TestResponse

DOOR = "/console/sign-in"


def cookies(answer: TestResponse) -> list[str]:
    return answer.headers.getlist("Set-Cookie")


def try_key(browser: Browser, token: str) -> str:
    return browser.submit(DOOR, DOOR, key=token, status=403).get_data(as_text=True)


def test_a_key_opens_the_console_and_is_not_kept(sqlite_shop: Web) -> None:
    browser = Browser(sqlite_shop)
    assert browser.client.get("/console").headers["Location"] == DOOR
    answer = browser.sign_in()
    (cookie,) = cookies(answer)
    assert {"HttpOnly", "SameSite=Strict", "Path=/console", "Max-Age=43200"} <= set(cookie.split("; "))
    assert "Secure" not in cookie
    assert TOKEN not in cookie
    assert "acme test" in browser.open("/console").text
    assert TOKEN not in browser.client.get("/console").get_data(as_text=True)


def test_behind_https_the_cookie_is_sent_over_https_alone(sqlite_shop: Web) -> None:
    sqlite_shop.use(settings=replace(SETTINGS, public_url="https://loyalty.example.com"))
    browser = Browser(sqlite_shop)
    (cookie,) = cookies(browser.client.get(DOOR, base_url="https://localhost"))
    assert "Secure" in cookie.split("; ")


def test_whatever_is_wrong_with_a_key_the_answer_is_the_same(sqlite_shop: Web) -> None:
    keyed(sqlite_shop.engine, 1, "sk_test_revoked", revoked_at=NOW)
    keyed(sqlite_shop.engine, 1, "sk_test_expired", expires_at=NOW)
    browser = Browser(sqlite_shop)
    wrong = ("sk_test_guess", TOKEN.replace("test", "live"), "sk_test_revoked", "sk_test_expired", "ä", "")
    answers = [try_key(browser, token) for token in wrong]
    assert len(set(answers)) == 1
    assert "no API key that can be used here" in answers[0]
    assert browser.client.get("/console").status_code == 303


def test_a_session_ends_after_twelve_hours(sqlite_browser: Browser) -> None:
    sqlite_browser.web.now = NOW + HOURS_12_MS - 1
    sqlite_browser.open("/console")
    sqlite_browser.web.now = NOW + HOURS_12_MS
    assert sqlite_browser.client.get("/console").headers["Location"] == DOOR


@pytest.mark.parametrize("column", ["revoked_at", "expires_at"])
def test_a_key_that_is_taken_back_ends_its_sessions(sqlite_browser: Browser, column: str) -> None:
    sqlite_browser.open("/console/members")
    with sqlite_browser.web.engine.begin() as connection:
        connection.execute(
            update(t.api_keys)
            .where(t.api_keys.c.hash == digest(TOKEN))
            .values({column: sqlite_browser.web.now})
        )
    answer = sqlite_browser.client.get("/console/members")
    assert answer.headers["Location"] == f"{DOOR}?to=%2Fconsole%2Fmembers"
    assert "Max-Age=0" in cookies(answer)[0]


def test_signing_out_ends_it(sqlite_browser: Browser) -> None:
    sqlite_browser.submit("/console", "/console/sign-out")
    assert sqlite_browser.client.get("/console").status_code == 303


def test_a_cookie_that_was_changed_or_signed_elsewhere_opens_nothing(sqlite_browser: Browser) -> None:
    kept = sqlite_browser.client.get_cookie("loyalty_console", path="/console")
    assert kept is not None
    changed = ("A" if kept.value[0] != "A" else "B") + kept.value[1:]
    for cookie in (changed, kept.value[:-2], "", "x.y"):
        other = Browser(sqlite_browser.web)
        other.client.set_cookie("loyalty_console", cookie, path="/console")
        assert other.client.get("/console").status_code == 303
    sqlite_browser.web.use(settings=replace(SETTINGS, console_secret="f" * 32))
    moved = Browser(sqlite_browser.web)
    moved.client.set_cookie("loyalty_console", kept.value, path="/console")
    assert moved.client.get("/console").status_code == 303


def test_the_cookie_of_the_sign_in_page_is_no_session(sqlite_shop: Web) -> None:
    browser = Browser(sqlite_shop)
    browser.open(DOOR)
    kept = browser.client.get_cookie("loyalty_console_form", path="/console")
    assert kept is not None
    browser.client.set_cookie("loyalty_console", kept.value, path="/console")
    assert browser.client.get("/console").status_code == 303


def test_a_form_without_its_proof_does_nothing(sqlite_browser: Browser) -> None:
    endpoint = sqlite_browser.web.post("/v1/endpoints", {"url": "http://127.0.0.1:9/hook"}, status=201)["id"]
    for fields in ({}, {"proof": ""}, {"proof": "guessed"}, {"proof": "ä"}):
        for action in (f"/console/endpoints/{endpoint}/disable", "/console/sign-out", DOOR):
            answer = sqlite_browser.send(action, fields | {"key": TOKEN}, status=400)
            assert "too old" in answer.get_data(as_text=True)
    assert sqlite_browser.web.get(f"/v1/endpoints/{endpoint}")["state"] == "enabled"
    sqlite_browser.open("/console")


def test_the_proof_of_one_session_is_none_in_another(sqlite_browser: Browser) -> None:
    other = Browser(sqlite_browser.web)
    other.sign_in()
    endpoint = sqlite_browser.web.post("/v1/endpoints", {"url": "http://127.0.0.1:9/hook"}, status=201)["id"]
    page = other.open(f"/console/endpoints/{endpoint}")
    form = page.form(f"/console/endpoints/{endpoint}/disable")
    sqlite_browser.send(form.action, form.fields, status=400)
    other.send(form.action, form.fields)
    assert sqlite_browser.web.get(f"/v1/endpoints/{endpoint}")["state"] == "disabled"


def test_guessing_is_slowed_down(sqlite_shop: Web) -> None:
    browser = Browser(sqlite_shop)
    for _ in range(SIGN_INS_AT_ONCE):
        try_key(browser, "sk_test_guess")
    answer = browser.submit(DOOR, DOOR, key=TOKEN, status=429)
    assert (answer.headers["Retry-After"], len(cookies(answer))) == ("1", 0)
    sqlite_shop.now += 1000
    browser.sign_in()


def test_signing_in_leads_to_pages_of_the_console_alone(sqlite_shop: Web) -> None:
    for to, leads in (
        ("/console/members?who=shop:7000", "/console/members?who=shop:7000"),
        ("https://example.com/console", "/console"),
        ("//example.com", "/console"),
        ("/console\\@example.com", "/console"),
        ("/consolexample", "/console"),
        ("/console/\r\nX: y", "/console"),
        ("", "/console"),
    ):
        answer = Browser(sqlite_shop).submit(DOOR, DOOR, key=TOKEN, to=to, status=303)
        assert answer.headers["Location"] == leads, to


def test_whoever_was_sent_to_sign_in_comes_back(sqlite_shop: Web) -> None:
    browser = Browser(sqlite_shop)
    door = browser.client.get("/console/events?state=parked").headers["Location"]
    assert browser.submit(door, DOOR, key=TOKEN).headers["Location"] == "/console/events?state=parked"


@pytest.mark.parametrize("scope", ["members:read", "deliveries:read"])
def test_a_page_shows_what_the_scopes_of_the_key_allow(sqlite_shop: Web, scope: str) -> None:
    noun = scope.partition(":")[0]
    keyed(sqlite_shop.engine, 1, "sk_test_scoped", scope)
    browser = Browser(sqlite_shop)
    browser.sign_in("sk_test_scoped")
    shown = {
        name
        for name in ("members", "deliveries", "events")
        if f"/console/{name}" in browser.open("/console").links
    }
    assert shown == {noun}
    browser.open(f"/console/{noun}")
    assert "lacks the scope `events:read`" in browser.open("/console/events", status=403).text


def test_an_action_needs_its_own_scope(sqlite_shop: Web) -> None:
    endpoint = sqlite_shop.post("/v1/endpoints", {"url": "http://127.0.0.1:9/hook"}, status=201)["id"]
    keyed(sqlite_shop.engine, 1, "sk_test_reader", "endpoints:read")
    browser = Browser(sqlite_shop)
    browser.sign_in("sk_test_reader")
    page = browser.open(f"/console/endpoints/{endpoint}")
    assert [form.action for form in page.forms] == ["/console/sign-out"]
    browser.send(f"/console/endpoints/{endpoint}/disable", page.forms[0].fields, status=403)
    assert sqlite_shop.get(f"/v1/endpoints/{endpoint}")["state"] == "enabled"


def test_a_secret_is_made_once_and_kept_for_its_owner(sqlite_shop: Web, tmp_path: Path) -> None:
    kept = tmp_path / "data" / "console.secret"
    sqlite_shop.use(settings=replace(SETTINGS, console_secret=None, console_secret_file=kept))
    browser = Browser(sqlite_shop)
    browser.sign_in()
    assert (kept.stat().st_mode & 0o777, [one.name for one in kept.parent.iterdir()]) == (0o600, [kept.name])
    sqlite_shop.use(settings=sqlite_shop.parts.settings)
    again = Browser(sqlite_shop)
    again.client = browser.client
    again.client.application = sqlite_shop.app
    again.open("/console")


def test_where_machines_share_a_database_the_secret_has_to_be_set(sqlite_shop: Web) -> None:
    sqlite_shop.use(settings=replace(SETTINGS, console_secret=None))
    page = Browser(sqlite_shop).open(DOOR, status=503)
    assert "LOYALTY_CONSOLE__SECRET_FILE" in page.text


def test_a_secret_that_cannot_be_kept_says_what_to_set(sqlite_shop: Web, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    inside = tmp_path / "file" / "console.secret"
    sqlite_shop.use(settings=replace(SETTINGS, console_secret=None, console_secret_file=inside))
    assert "LOYALTY_CONSOLE__SECRET_FILE" in Browser(sqlite_shop).open(DOOR, status=503).text
