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
from adapter.settings import load_settings

DEPLOY = Path(__file__).parent.parent / "config" / "deploy"
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yml").read_text("utf-8"))
KUBERNETES: list[dict[str, Any]] = list(yaml.safe_load_all((DEPLOY / "kubernetes.yml").read_text("utf-8")))
CONTAINERS = [
    container
    for one in KUBERNETES
    if one["kind"] in ("Job", "Deployment")
    for container in one["spec"]["template"]["spec"]["containers"]
]
TEXTS = [path.read_text("utf-8") for path in sorted(DEPLOY.iterdir())]


def test_every_command_is_one_of_ours() -> None:
    started = [
        one["command"] for one in COMPOSE["services"].values() if one.get("image") == "loyalty-adapter"
    ]
    started += [container["args"] for container in CONTAINERS]
    service = configparser.ConfigParser(strict=False, interpolation=None)
    service.read(DEPLOY / "loyalty-adapter.service")
    started.append(service["Service"]["ExecStart"].split()[1:])
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
    longest_request_s = 30
    by_name = {
        one["metadata"]["name"]: one["spec"]["template"]["spec"]
        for one in KUBERNETES
        if one["kind"] == "Deployment"
    }
    assert by_name["loyalty-adapter-work"]["terminationGracePeriodSeconds"] > longest_request_s
    assert by_name["loyalty-adapter-receive"]["terminationGracePeriodSeconds"] >= longest_request_s


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not on this machine")
def test_systemd_understands_its_unit(tmp_path: Path) -> None:
    text = (DEPLOY / "loyalty-adapter.service").read_text("utf-8")
    unit = tmp_path / "loyalty-adapter.service"
    unit.write_text(text.replace("/opt/loyalty-adapter/bin/loyalty-adapter", "/bin/true"), "utf-8")
    run = subprocess.run(
        ["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, check=False
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
    assert set(re.findall(r"config/deploy/([\w.-]+)", part)) <= {path.name for path in DEPLOY.iterdir()}
