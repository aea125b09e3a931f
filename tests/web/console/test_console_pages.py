"""Every page of the console: what is on it is escaped, labelled and reachable, and needs nothing from elsewhere."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from adapter.web.console.table import PAGES
from tests.web.console.conftest import HOSTILE, Browser, Reading, some_of_everything

if TYPE_CHECKING:
    from tests.web.conftest import Web


def addresses(named: dict[str, str]) -> list[str]:
    found = [f"/console{page.path.format(**named)}" for page in PAGES if page.method == "GET"]
    return [f"{one}?state=dead" if one.endswith("/new") else one for one in found]


def test_every_page_is_found_by_its_links(browser: Browser) -> None:
    """Whoever follows links from the overview comes to a page of each kind, and to none that is not there."""
    some_of_everything(browser.web)
    seen: dict[str, Reading] = {}
    waiting = ["/console"]
    while waiting:
        address = waiting.pop()
        if (
            address in seen
            or address.startswith("#")
            or not address.startswith("/console")
            or len(seen) > 200
        ):
            continue
        seen[address] = browser.open(address)
        if not address.endswith(".css"):
            waiting += seen[address].links
    for page in PAGES:
        if page.method == "GET" and page.path != "/replays/new":
            like = re.sub(r"{\w+}", "[^/]+", f"/console{page.path}")
            assert any(re.fullmatch(like, one.partition("?")[0]) for one in seen), page.path


def test_every_page_is_well_made(browser: Browser) -> None:
    named = some_of_everything(browser.web)
    for address in (*addresses(named), "/console/sign-in", f"/console/redemptions/{named['flagged']}"):
        answer = browser.client.get(address)
        assert answer.status_code == 200, (address, answer.get_data(as_text=True))
        text = answer.get_data(as_text=True)
        page = Reading(text)
        tags = [tag for tag, _ in page.tags]
        assert "<script" not in text, address
        assert {"script", "style", "img", "iframe"}.isdisjoint(tags), address
        assert not any(
            name == "style" or name.startswith("on") for _, given in page.tags for name in given
        ), address
        assert (tags.count("h1"), tags.count("main"), tags.count("title")) == (1, 1, 1), address
        assert page.unlabelled == [], address
        assert all(given.get("scope") for tag, given in page.tags if tag == "th"), address
        assert "default-src 'none'; style-src 'self'" in answer.headers["Content-Security-Policy"]
        assert answer.headers["Cache-Control"] == "no-store"
        assert all(link.startswith(("/console", "#")) for link in page.links), address
        assert all("proof" in form.fields for form in page.forms if form.method == "post"), address


def test_hostile_names_are_shown_as_they_are_written(browser: Browser) -> None:
    named = some_of_everything(browser.web)
    for kind, address in (
        ("name", f"/console/members/{named['member']}"),
        ("name in a list", "/console/members"),
        ("answer", f"/console/deliveries/{named['dead']}"),
        ("body", f"/console/events/{named['event']}"),
        ("description", "/console/endpoints"),
        ("parameter", f"/console/members?who={HOSTILE}"),
        ("parameter", f"/console/events?type={HOSTILE}"),
    ):
        assert "alert(" in str([browser.open(address).text, browser.open(address).tags]), kind
        assert "script" not in [tag for tag, _ in browser.open(address).tags], kind


@pytest.mark.parametrize("path", ["/console/nothing", "/console/members/nobody", "/console/events/evt_x"])
def test_what_is_not_there_is_told_as_a_page(sqlite_browser: Browser, path: str) -> None:
    page = sqlite_browser.open(path, status=404)
    assert "Not found" in page.text
    assert "request req_" in page.text


@pytest.mark.parametrize(
    ("address", "field"),
    [
        ("/console/deliveries?state=none", "state"),
        ("/console/deliveries?since=yesterday", "since"),
        ("/console/deliveries?endpoint=end_1", "endpoint"),
        ("/console/replays/new?state=due&type=%00", "type"),
    ],
)
def test_what_cannot_be_asked_names_its_field(sqlite_browser: Browser, address: str, field: str) -> None:
    assert f"{field} :" in sqlite_browser.open(address, status=400).text


def test_lists_have_pages(sqlite_browser: Browser) -> None:
    for number in range(51):
        sqlite_browser.web.post("/v1/members", {"email": f"{number}@example.com"}, status=201)
    first = sqlite_browser.open("/console/members")
    (following,) = [link for link in first.links if "cursor=" in link]
    second = sqlite_browser.open(following)
    assert "50@example.com" in first.text
    assert "0@example.com" in second.text
    assert "50@example.com" not in second.text
    assert "/console/members" in second.links


def test_the_console_can_be_switched_off(sqlite_shop: Web) -> None:
    from dataclasses import replace

    sqlite_shop.use(settings=replace(sqlite_shop.settings, console=False))
    answer = Browser(sqlite_shop).client.get("/console")
    assert (answer.status_code, answer.get_json()["code"]) == (404, "route_unknown")
