"""Transactions through Brevo's client for Node: created, completed, cancelled, listed, refused."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from connectors.brevo.ids import definition_id, program_id
from tests.shop import enrol
from tests.web.conftest import TOKEN

if TYPE_CHECKING:
    from tests.web.conftest import Web

PACKAGE = "@getbrevo/brevo@6.0.3"
FOLDER = Path(sys.prefix) / "node" / PACKAGE.replace("/", "-")
"""Inside the virtual environment: nothing of it is the project's."""


@pytest.fixture(scope="module")
def node() -> str:
    """Node, once the package is there; without either the tests say loudly that they did not run."""
    found, npm = shutil.which("node"), shutil.which("npm")
    if found is None or npm is None:
        pytest.skip("NOT TESTED WITH BREVO'S CLIENT FOR NODE: install node and npm")
    if not (FOLDER / "node_modules").is_dir():
        asked = [
            npm,
            "install",
            "--prefix",
            str(FOLDER),
            "--no-audit",
            "--no-fund",
            "--no-package-lock",
            PACKAGE,
        ]
        FOLDER.mkdir(parents=True, exist_ok=True)
        try:
            subprocess.run(asked, check=True, capture_output=True, timeout=120)
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
            pytest.skip(f"NOT TESTED WITH BREVO'S CLIENT FOR NODE: npm could not install {PACKAGE}: {error}")
    return found


def test_the_life_of_transactions(node: str, sqlite_web: Web, served: str) -> None:
    """+50 completed, -20 cancelled, +5 by the subscription's id: 55."""
    sqlite_web.play(enrol(7, customer=("brevo", "12345"), also=(("brevo", "cust_abc123"),)))
    pid, bdid = program_id(1, "main"), definition_id(1, "main", "points")
    run = subprocess.run(
        [node, str(Path(__file__).with_name("client.cjs")), served, TOKEN, pid, bdid],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "NODE_PATH": str(FOLDER / "node_modules")},
    )
    assert run.returncode == 0, run.stderr
    said: dict[str, Any] = json.loads(run.stdout)
    begun, completed, cancelled = said["begun"], said["completed"], said["cancelled"]
    assert (begun["status"], begun["amount"], begun["meta"]) == ("pending", 50, {"reason": "signup_bonus"})
    assert (completed["id"], completed["status"], completed["balance"]) == (begun["id"], "completed", 50)
    assert (cancelled["status"], cancelled["amount"]) == ("cancelled", -20)
    assert (said["other"]["contactId"], said["other"]["balance"]) == (12345, 55)
    assert [one["amount"] for one in said["history"]["transactionHistory"]] == [50, 5]
    refused = {name: (one["of"], one["status"]) for name, one in said["refusals"].items()}
    assert refused == {
        "twice": ("UnprocessableEntityError", 422),
        "nothing": ("UnprocessableEntityError", 422),
        "strange": ("NotFoundError", 404),
    }
    assert said["refusals"]["twice"]["body"]["code"] == "transaction_completed"
