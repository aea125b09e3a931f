"""The examples of `config/deploy`: what they start is there, and what they set is a setting."""

from __future__ import annotations

import configparser
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import click
import pytest
import yaml  # type: ignore[import-untyped]  # - read as plain trees

from adapter.cli import main
from adapter.processes import STOP_WITHIN_S
from adapter.settings import load_settings
from adapter.web.server import DRAIN_S

DEPLOY = Path(__file__).parent.parent / "config" / "deploy"
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yml").read_text("utf-8"))
KUBERNETES: list[dict[str, Any]] = list(yaml.safe_load_all((DEPLOY / "kubernetes.yml").read_text("utf-8")))
CONTAINERS = [
    container
    for one in KUBERNETES
    if one["kind"] in ("Job", "Deployment")
    for container in one["spec"]["template"]["spec"]["containers"]
]
UNITS = sorted(DEPLOY.glob("*.service"))
TEXTS = [path.read_text("utf-8") for path in sorted(DEPLOY.iterdir())]


def unit(path: Path) -> configparser.ConfigParser:
    """Return what systemd reads in a unit."""
    read = configparser.ConfigParser(strict=False, interpolation=None)
    read.read(path)
    return read


def test_every_command_is_one_of_ours() -> None:
    started = [
        one["command"] for one in COMPOSE["services"].values() if one.get("image") == "loyalty-adapter"
    ]
    started += [container["args"] for container in CONTAINERS]
    started += [unit(path)["Service"]["ExecStart"].replace("%i", "work").split()[1:] for path in UNITS]
    names = {command[0] for command in started}
    assert names == {"migrate", "receive", "work", "serve"}
    assert names <= set(main.list_commands(click.Context(main)))


def test_every_setting_is_a_setting() -> None:
    names = {name for text in TEXTS for name in re.findall(r"LOYALTY_[A-Z_]+", text)}
    assert {"LOYALTY_DATABASE_URL", "LOYALTY_DATA_DIR", "LOYALTY_LOG__FORMAT"} <= names
    values = {
        "LOYALTY_LOG__FORMAT": "json",
        "LOYALTY_DATABASE_URL": "postgresql://x/y",
        "LOYALTY_CONSOLE__SECRET": "0" * 32,
    }
    settings = load_settings(environ={name: values.get(name, "text") for name in names})
    assert settings.log.format == "json"
    mentioned = {
        name for text in TEXTS for name in re.findall(r"\b(?:server|door|delivery)\.[a-z_]+\b", text)
    }
    for name in mentioned:
        section, _, key = name.partition(".")
        assert hasattr(getattr(settings, section), key), name


def test_probes_and_ports_are_those_of_the_product() -> None:
    (receive,) = (one for one in CONTAINERS if one["name"] == "receive")
    assert receive["readinessProbe"]["httpGet"]["path"] == "/readyz"
    assert receive["livenessProbe"]["httpGet"]["path"] == "/healthz"
    assert receive["ports"][0]["containerPort"] == load_settings(environ={}).server.port == 8080
    assert (
        COMPOSE["services"]["receive"]["deploy"]["replicas"]
        == COMPOSE["services"]["work"]["deploy"]["replicas"]
        == 2
    )


def test_whoever_is_stopped_has_the_time_to_finish() -> None:
    longest_request_s, stopped_within_s = 30, STOP_WITHIN_S
    by_name = {
        one["metadata"]["name"]: one["spec"]["template"]["spec"]
        for one in KUBERNETES
        if one["kind"] == "Deployment"
    }
    given = [one["terminationGracePeriodSeconds"] for one in by_name.values()]
    given += [
        int(one["stop_grace_period"].removesuffix("s"))
        for one in COMPOSE["services"].values()
        if one.get("command") in (["receive"], ["work"])
    ]
    given += [int(unit(path)["Service"]["TimeoutStopSec"]) for path in UNITS]
    assert len(given) == 6
    assert min(given) > DRAIN_S + stopped_within_s  # the web ends before the others are told to
    assert stopped_within_s > longest_request_s


def test_whoever_is_away_for_long_is_waited_for() -> None:
    """A database that is away ends whoever starts; systemd gives up on that after five times, unless told not to."""
    for path in UNITS:
        read = unit(path)
        assert (read["Unit"]["StartLimitIntervalSec"], read["Service"]["Restart"]) == ("0", "always")
    assert {one.get("restart") for one in COMPOSE["services"].values()} == {"unless-stopped", "no"}


def test_parts_are_replaced_one_after_another_and_have_the_same_settings() -> None:
    parts = [one for one in KUBERNETES if one["kind"] == "Deployment"]
    assert len(parts) == 2
    for one in parts:
        assert one["spec"]["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}
    (settings,) = (one for one in KUBERNETES if one["kind"] == "ConfigMap")
    named = [{"configMapRef": {"name": settings["metadata"]["name"]}}]
    assert all(one["envFrom"] == named for one in CONTAINERS if one["name"] != "migrate")
    assert load_settings(environ=settings["data"]).stream.stream().used is False
    spared = [one["spec"]["selector"] for one in KUBERNETES if one["kind"] == "PodDisruptionBudget"]
    assert spared == [one["spec"]["selector"] for one in parts]


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not on this machine")
@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_systemd_understands_its_units(path: Path, tmp_path: Path) -> None:
    made = tmp_path / path.name.replace("@", "@work")
    text = path.read_text("utf-8").replace("/opt/loyalty-adapter/bin/loyalty-adapter", "/bin/true")
    made.write_text(text, "utf-8")
    run = subprocess.run(
        ["systemd-analyze", "verify", str(made)], capture_output=True, text=True, check=False
    )
    ours = [line for line in run.stderr.splitlines() if "loyalty-adapter" in line]
    assert ours == []


def test_the_readme_says_how_it_is_run() -> None:
    readme = (DEPLOY.parent.parent / "README.md").read_text("utf-8")
    part = readme.partition("## Running it\n")[2].partition("\n## ")[0]
    rows = [line.split("|")[1].strip() for line in part.splitlines() if line.startswith("| ")]
    assert {"one machine", "many machines", "where", "TLS", "firewalls", "logs", "caches", "backup"} <= set(
        rows
    )
    assert set(re.findall(r"config/deploy/([\w.@-]+)", part)) <= {path.name for path in DEPLOY.iterdir()}
