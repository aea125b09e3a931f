"""The overview: what is red, where it leads, and that counting has an end."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import update

from adapter.store import tables as t
from adapter.store.reading.attention import MOST
from adapter.store.verdict import VerdictFile
from adapter.web.console.overview import counted, lasting
from tests.shop import DAY, NOW, placed, recorded, shipped
from tests.web.conftest import keyed
from tests.web.console.conftest import SETTINGS, Browser, some_of_everything

if TYPE_CHECKING:
    from pathlib import Path

    from tests.web.conftest import Web

HOOK = "http://127.0.0.1:9/hook"


def figures(browser: Browser) -> dict[str, tuple[str, bool]]:
    """Return each figure and whether it is red."""
    text = browser.client.get("/console").get_data(as_text=True)
    items = re.findall(
        r'<li class="figure( red)?">\s*<h2>(.*?)</h2>\s*<p class="value">(.*?)</p>', text, re.DOTALL
    )
    return {
        re.sub(r"<[^>]*>", " ", name).removesuffix("look ").strip().split("  ")[0].strip(): (value, bool(red))
        for red, name, value in items
    }


def test_where_nothing_waits_only_the_audit_is_missing(sqlite_browser: Browser) -> None:
    assert figures(sqlite_browser) == {
        "Deliveries due": ("0", False),
        "Deliveries dead": ("0", False),
        "Deliveries held": ("0", False),
        "Endpoints disabled": ("0", False),
        "Events rejected": ("0", False),
        "Events parked": ("0", False),
        "Redemptions flagged": ("0", False),
        "Commands waiting": ("0", False),
        "Last audit": ("never", True),
    }


def test_what_needs_somebody_is_red(browser: Browser) -> None:
    named = some_of_everything(browser.web)
    found = figures(browser)
    for name in ("Deliveries dead", "Events rejected", "Redemptions flagged"):
        assert found[name] == ("1", True), name
    assert found["Events parked"] == ("1", False), "it waits for its order, as it may for a week"
    browser.web.post(f"/v1/endpoints/{named['endpoint']}/disable")
    found = figures(browser)
    assert found["Endpoints disabled"] == ("1", True)
    assert found["Deliveries held"][1]
    browser.web.now += 7 * DAY
    browser.sign_in()
    assert figures(browser)["Events parked"] == ("1", False)
    browser.web.now += 1
    assert figures(browser)["Events parked"] == ("1", True)


def test_what_is_due_is_red_once_it_is_late(browser: Browser) -> None:
    web = browser.web
    web.post("/v1/endpoints", {"url": HOOK, "events": ["balance.updated"]}, status=201)
    web.play(recorded(placed()), recorded(shipped()))
    web.now = NOW + 300_000
    assert figures(browser)["Deliveries due"] == ("2", False)
    web.now += 1
    assert figures(browser)["Deliveries due"] == ("2", True)
    assert "late by 5 min" in browser.open("/console").text
    with web.engine.begin() as connection:
        connection.execute(update(t.deliveries).values(next_attempt_at=web.now + 1))
    assert figures(browser)["Deliveries due"] == ("2", False), "retries may wait"


@pytest.mark.parametrize(
    ("ended", "violations", "value", "red"),
    [
        (NOW - 2 * DAY, 0, "2 d ago", False),
        (NOW - 2 * DAY - 1, 0, "2 d ago", True),
        (NOW - 3_600_000, 3, "1 h ago", True),
    ],
)
def test_an_audit_is_red_when_it_is_old_or_found_something(
    sqlite_shop: Web, tmp_path: Path, ended: int, violations: int, value: str, red: bool
) -> None:
    VerdictFile(tmp_path / "audit.json").write(ended, 5, violations)
    sqlite_shop.use(settings=replace(SETTINGS, verdict=tmp_path / "audit.json"))
    browser = Browser(sqlite_shop)
    browser.sign_in()
    assert figures(browser)["Last audit"] == (value, red)
    assert ("3 violations" in browser.open("/console").text) == bool(violations)


@pytest.mark.parametrize(("waiting", "red"), [(1000, False), (1001, True)])
def test_a_queue_before_the_door_is_red_when_it_is_long(sqlite_shop: Web, waiting: int, red: bool) -> None:
    sqlite_shop.use(gauges=lambda: {"loyalty_door_waiting": float(waiting)})
    browser = Browser(sqlite_shop)
    browser.sign_in()
    assert figures(browser)["Commands waiting"] == (str(waiting), red)


def test_the_overview_shows_what_the_key_may_see(sqlite_shop: Web) -> None:
    keyed(sqlite_shop.engine, 1, "sk_test_events", "events:read")
    browser = Browser(sqlite_shop)
    browser.sign_in("sk_test_events")
    assert set(figures(browser)) == {"Events rejected", "Events parked", "Commands waiting", "Last audit"}


def test_counts_have_an_end() -> None:
    assert [counted(number) for number in (0, MOST, MOST + 1)] == ["0", "1000", "1000+"]


@pytest.mark.parametrize(
    ("span", "said"),
    [(0, "0 s"), (999, "0 s"), (59_999, "59 s"), (60_000, "1 min"), (3_600_000, "1 h"), (2 * DAY - 1, "1 d")],
)
def test_a_span_is_said_in_its_largest_unit(span: int, said: str) -> None:
    assert lasting(span) == said
