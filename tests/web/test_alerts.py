"""The alert rules: valid, each with something to do, and about figures that `/metrics` really has."""

from __future__ import annotations

import re
import shutil
import subprocess
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click
import pytest
from a2wsgi import ASGIMiddleware
from prometheus_client.parser import text_string_to_metric_families
from werkzeug.test import Client

from adapter.app import web_for
from adapter.cli import main
from adapter.settings import load_settings
from adapter.store import tables as t
from adapter.store.verdict import VerdictFile
from adapter.web.parts import WebSettings
from tests.shop import NOW, placed, recorded, refunded, shipped
from tests.web.conftest import LOOP
from tests.web.test_service import figure, figures

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication
    from a2wsgi.asgi_typing import ASGIApp

    from tests.web.conftest import Web

FILE = Path(__file__).parents[2] / "config" / "alerts.yml"
RULES: list[dict[str, Any]] = [
    rule
    for group in import_module("yaml").safe_load(FILE.read_text("utf-8"))["groups"]
    for rule in group["rules"]
]
NAMES = [rule["alert"] for rule in RULES]
UNITS = ("_seconds", "_total")
WITHOUT_UNIT = {
    "loyalty_audit_violations", "loyalty_database_up", "loyalty_deliveries", "loyalty_door_waiting", "loyalty_endpoints",
    "loyalty_events_set_aside", "loyalty_members", "loyalty_orders_without_member", "loyalty_points",
    "loyalty_stream_unpublished",
}  # fmt: skip
"""Plain numbers of the things that they are named after."""


def named_in(expression: str) -> set[str]:
    return set(re.findall(r"\bloyalty_\w+", expression))


def test_rules_are_complete_and_named_once() -> None:
    assert len(NAMES) == len(set(NAMES)) >= 9
    for rule in RULES:
        assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}, rule
        assert re.fullmatch(r"Loyalty[A-Z][A-Za-z]+", rule["alert"])
        assert re.fullmatch(r"\d+[smhd]", rule.get("for", "0s"))
        assert rule["labels"]["severity"] in ("page", "ticket")
        assert set(rule["annotations"]) == {"summary", "runbook"}
        assert all(text.rstrip().endswith(".") for text in rule["annotations"].values())


@pytest.mark.parametrize("rule", RULES, ids=NAMES)
def test_runbook_names_a_command_that_exists(rule: dict[str, Any]) -> None:
    said = re.findall(r"`loyalty-adapter ([^`]+)`", rule["annotations"]["runbook"])
    assert said
    for line in said:
        command: click.Command = main
        words = line.split()
        while isinstance(command, click.Group):
            command = command.commands[words.pop(0)]
        options = {name for one in command.params for name in one.opts}
        assert {word for word in words if word.startswith("--")} <= options, line


@pytest.mark.skipif(
    shutil.which("promtool") is None, reason="promtool is not here; the tests above read the rules"
)
def test_promtool_finds_nothing_wrong() -> None:
    tests = Path(__file__).with_name("alerts_test.yml")
    for command in (["check", "rules", str(FILE)], ["test", "rules", str(tests)]):
        done = subprocess.run(["promtool", *command], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def shown(web: Web) -> dict[str, frozenset[str]]:
    """Scrape, and return the labels of each sample's name; of a counter that never counted there are none yet."""
    text = web.client.get("/metrics").get_data(as_text=True)
    found: dict[str, frozenset[str]] = {}
    for family in text_string_to_metric_families(text):
        name = f"{family.name}_total" if family.type == "counter" else family.name
        found.setdefault(name, frozenset())
        for sample in family.samples:
            found[sample.name] = frozenset(sample.labels)
    return found


def everything(web: Web, folder: Path) -> dict[str, frozenset[str]]:
    """Let something be counted under every name that there is, then scrape."""
    VerdictFile(folder / "audit.json").write(NOW, 1500, 0)
    web.use(
        gauges=lambda: {"loyalty_door_waiting": 3.0},
        settings=WebSettings(verdict=folder / "audit.json", rate_per_s=1000),
    )
    tally = web.parts.tally
    tally.refused.labels("shop").inc()
    tally.turned_away.labels("busy").inc()
    tally.duplicates.labels("shop").inc()
    tally.events.labels("shop", "applied").inc()
    tally.limited.labels("acme", "test").inc()
    tally.keyed.labels("acme", "test", "first").inc()
    web.post("/v1/endpoints", {"url": "http://127.0.0.1:9/hook"}, status=201)
    web.play(recorded(placed()), recorded(shipped()))
    web.get("/v1/members/nobody@example.com", status=404)
    return shown(web)


def test_every_figure_of_an_alert_is_in_metrics(sqlite_web: Web, tmp_path: Path) -> None:
    there = everything(sqlite_web, tmp_path)
    for rule in RULES:
        names = named_in(rule["expr"])
        assert names, rule["alert"]
        assert names <= there.keys(), rule["alert"]
        for name, matched in re.findall(r"(loyalty_\w+)\{([^}]*)\}", rule["expr"]):
            assert set(re.findall(r"(\w+)=", matched)) <= there[name], rule["alert"]
        for label in re.findall(r"\$labels\.(\w+)", str(rule["annotations"])):
            assert label == "instance" or any(label in there[name] for name in names), rule["alert"]


def test_the_service_itself_reports_the_doors_queue(sqlite_url: str, tmp_path: Path) -> None:
    """The one figure that the tests' application is given by hand."""
    settings = load_settings(environ={"LOYALTY_DATABASE_URL": sqlite_url, "LOYALTY_DATA_DIR": str(tmp_path)})
    app = ASGIMiddleware(cast("ASGIApp", web_for(settings, str(tmp_path / "door"))), loop=LOOP)
    text = Client(cast("WSGIApplication", app)).get("/metrics").get_data(as_text=True)
    assert "\nloyalty_door_waiting 0.0\n" in text


def test_names_and_labels_are_as_prometheus_wants_them(sqlite_web: Web, tmp_path: Path) -> None:
    there = everything(sqlite_web, tmp_path)
    assert [name for name in there if name.endswith("_created")] == []
    plain = {re.sub(r"_(bucket|count|sum)$", "", name) for name in there if not name.endswith(UNITS)}
    assert plain <= WITHOUT_UNIT | {"loyalty_request_seconds"}
    assert set().union(*there.values()) <= {
        "tenant", "mode", "state", "program", "balance_definition", "account", "source", "outcome", "reason", "method",
        "route", "status", "code", "le",
    }  # fmt: skip
    assert all(name.startswith("loyalty_") for name in there)


def test_what_is_behind_is_shown(web: Web) -> None:
    web.play(recorded(placed(), received_at=NOW - 3000), recorded(shipped("1002"), received_at=NOW - 9000))
    acme = {"tenant": "acme", "mode": "test"}
    assert figure(web, "loyalty_book_lag_seconds", **acme) == 9
    assert figure(web, "loyalty_book_lag_seconds", tenant="umbrella", mode="live") == 0
    assert figure(web, "loyalty_events_oldest_set_aside_seconds", state="parked", **acme) == 9
    assert figure(web, "loyalty_events_oldest_set_aside_seconds", state="rejected", **acme) == 0
    assert figure(web, "loyalty_sweep_behind_seconds") == 0
    assert figure(web, "loyalty_credit_delay_seconds", **acme) is None


def test_time_from_credit_to_availability_is_a_mean(web: Web) -> None:
    """89 points at once, 89 a minute later: 30 seconds."""
    web.play(recorded(placed("1")), recorded(shipped("1")), recorded(placed("2")))
    web.now += 60_000
    web.play(recorded(shipped("2")))
    web.play(recorded(refunded("1", amount="89.99")), recorded(placed("3")))
    assert figure(web, "loyalty_credit_delay_seconds", tenant="acme", mode="test") == 30


def test_sweep_that_nobody_runs_is_shown(web: Web) -> None:
    web.play(recorded(placed()), recorded(shipped()))
    expiry = 366 * 86_400_000
    web.now += expiry
    assert (figure(web, "loyalty_sweep_behind_seconds") or 0) > 86_400


def test_what_the_stream_lacks_is_shown(web: Web) -> None:
    acme = {"tenant": "acme", "mode": "test"}
    assert figure(web, "loyalty_stream_behind_seconds") == 0
    with web.engine.begin() as connection:
        connection.execute(t.configuration.update().values(publishes=1, version=99))
    web.play(recorded(placed()))
    web.now += 60_000
    assert (figure(web, "loyalty_stream_unpublished", **acme) or 0) > 0
    assert figure(web, "loyalty_stream_behind_seconds") == 60


def test_endpoints_are_counted_by_state(web: Web) -> None:
    acme = {"tenant": "acme", "mode": "test"}
    assert figure(web, "loyalty_endpoints", state="disabled", **acme) == 0
    made = web.post("/v1/endpoints", {"url": "http://127.0.0.1:9/hook"}, status=201)["id"]
    web.post(f"/v1/endpoints/{made}/disable")
    web.now += 10_000
    assert figure(web, "loyalty_endpoints", state="disabled", **acme) == 1


def test_failures_are_counted_by_route_and_code(sqlite_web: Web) -> None:
    sqlite_web.get("/v1/members/nobody@example.com", status=404)
    sqlite_web.get("/v1/members", limit=0, status=400)
    route = "/v1/members/<path:member>"
    name = "loyalty_request_failures_total"
    assert figure(sqlite_web, name, method="GET", route=route, code="member_unknown") == 1
    assert figure(sqlite_web, name, method="GET", route="/v1/members", code="request_invalid") == 1
    assert len({labels for one, labels in figures(sqlite_web) if one == name}) == 2


def test_the_last_audit_is_shown(sqlite_web: Web, tmp_path: Path) -> None:
    file = tmp_path / "audit.json"
    sqlite_web.use(settings=WebSettings(verdict=file))
    assert figure(sqlite_web, "loyalty_audit_timestamp_seconds") == 0
    assert figure(sqlite_web, "loyalty_audit_violations") is None
    VerdictFile(file).write(NOW, 1500, 2)
    assert figure(sqlite_web, "loyalty_audit_timestamp_seconds") == NOW / 1000
    assert figure(sqlite_web, "loyalty_audit_violations") == 2
    assert figure(sqlite_web, "loyalty_audit_duration_seconds") == 1.5
    file.write_bytes(b"{")
    assert figure(sqlite_web, "loyalty_audit_timestamp_seconds") == 0
