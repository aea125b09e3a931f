"""Health, readiness and metrics."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import create_engine

from adapter.errors import Unavailable
from adapter.store import tables as t
from adapter.web.parts import WebSettings
from tests.shop import NOW, placed, recorded, shipped
from tests.web.test_receiver import ORDER

if TYPE_CHECKING:
    from pathlib import Path

    from tests.web.conftest import Web


Figures = dict[tuple[str, frozenset[tuple[str, str]]], float]


def figures(web: Web) -> Figures:
    """Scrape, and return each sample by its name and labels."""
    text = web.client.get("/metrics").get_data(as_text=True)
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def figure(web: Web, name: str, **labels: str) -> float | None:
    """Return one figure, or None where it is not there."""
    return figures(web).get((name, frozenset(labels.items())))


def test_a_process_that_answers_lives(sqlite_web: Web) -> None:
    answer = sqlite_web.client.get("/healthz")
    assert (answer.status_code, answer.get_json()) == (200, {"status": "ok"})


def test_ready_is_when_the_database_and_the_door_are(web: Web) -> None:
    answer = web.client.get("/readyz")
    assert (answer.status_code, answer.get_json()["checks"]) == (200, {"database": "ok", "door": "ok"})


def test_not_ready_says_what_is_missing(sqlite_web: Web) -> None:
    def starting() -> None:
        raise Unavailable("the door is being started")

    nowhere = create_engine("postgresql+psycopg://127.0.0.1:1/none")
    sqlite_web.use(ready=starting, engine=nowhere)
    answer = sqlite_web.client.get("/readyz")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "2")
    assert answer.get_json()["checks"] == {"database": "does not answer", "door": "the door is being started"}
    assert sqlite_web.client.get("/healthz").status_code == 200
    assert figure(sqlite_web, "loyalty_database_up") == 0


def test_what_comes_in_is_counted(web: Web) -> None:
    for _ in range(2):
        web.shop("order.created", ORDER)
    web.shop("product.created", {})
    web.shop("order.created", ORDER, secret="guess")
    assert figure(web, "loyalty_events_received_total", source="shop", outcome="applied") == 2
    assert figure(web, "loyalty_events_received_total", source="shop", outcome="ignored") == 1
    assert figure(web, "loyalty_events_duplicate_total", source="shop") == 1
    assert figure(web, "loyalty_signatures_refused_total", source="shop") == 1
    assert (
        figure(web, "loyalty_request_seconds_count", method="POST", route="/webhooks/<source>", status="200")
        == 3
    )
    assert (
        figure(web, "loyalty_request_seconds_count", method="POST", route="/webhooks/<source>", status="401")
        == 1
    )


def test_what_waits_is_shown(web: Web) -> None:
    web.post("/v1/endpoints", {"url": "http://127.0.0.1:9/hook", "events": ["balance.updated"]}, status=201)
    web.play(recorded(placed()), recorded(shipped("1002")), now=NOW - 5000)
    assert figure(web, "loyalty_database_up") == 1
    assert figure(web, "loyalty_deliveries", tenant="acme", mode="test", state="due") == 1
    assert figure(web, "loyalty_oldest_due_seconds") == 5.0
    assert figure(web, "loyalty_events_set_aside", tenant="acme", mode="test", state="parked") == 1
    assert figure(web, "loyalty_orders_without_member", tenant="acme", mode="test") == 1
    assert figure(web, "loyalty_orders_without_member", tenant="umbrella", mode="live") == 0
    unit = {"program": "main", "balance_definition": "points"}
    assert figure(web, "loyalty_points", tenant="acme", mode="test", account="pending", **unit) == 89
    assert figure(web, "loyalty_members", tenant="acme", mode="test") == 1


def test_the_database_is_asked_now_and_then(sqlite_web: Web) -> None:
    sqlite_web.use(gauges=lambda: {"loyalty_door_waiting": 3.0})
    assert figure(sqlite_web, "loyalty_door_waiting") == 3
    sqlite_web.play(recorded(placed()))
    assert figure(sqlite_web, "loyalty_members", tenant="acme", mode="test") is None
    sqlite_web.now += 10_000
    assert figure(sqlite_web, "loyalty_members", tenant="acme", mode="test") == 1


def test_unknown_addresses_share_one_label(sqlite_web: Web) -> None:
    for path in ("/a", "/b"):
        sqlite_web.client.get(path)
    assert (
        figure(sqlite_web, "loyalty_request_seconds_count", method="GET", route="unmatched", status="404")
        == 2
    )


@pytest.mark.parametrize(
    ("sent", "status"), [("Bearer open", 200), ("Bearer close", 401), ("", 401), ("Bearer é", 401)]
)
def test_metrics_can_be_kept_private(sqlite_web: Web, sent: str, status: int) -> None:
    sqlite_web.use(settings=WebSettings(metrics_token="open"))
    assert sqlite_web.client.get("/metrics", headers={"Authorization": sent}).status_code == status


def test_the_counts_of_several_processes_are_one_sum(tmp_path: Path) -> None:
    count = (
        "from adapter.web.tally import Tally; from prometheus_client import generate_latest; tally = Tally();"
        "tally.duplicates.labels('shop').inc(); print(generate_latest(tally.registry()).decode())"
    )
    environment = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    for expected in ("1.0", "2.0"):
        done = subprocess.run(
            [sys.executable, "-c", count], env=environment, capture_output=True, text=True, check=True
        )
        assert f'loyalty_events_duplicate_total{{source="shop"}} {expected}' in done.stdout


def test_metrics_go_on_without_the_tables(sqlite_web: Web) -> None:
    with sqlite_web.engine.begin() as connection:
        t.replay_items.drop(connection)
        t.balances.drop(connection)
    assert figure(sqlite_web, "loyalty_database_up") == 0
