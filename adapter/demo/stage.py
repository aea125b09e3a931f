"""The stage: the real product in a temporary folder, two receivers, and the ways to reach them."""

from __future__ import annotations

import os
import queue
import socket
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson
import requests

from adapter.cli.listening import Ear, listening
from adapter.cli.rehearsal import signed_headers
from adapter.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

READY_WITHIN_S = 90.0
ANSWER_WITHIN_S = 60.0
STOP_WITHIN_S = 60.0
TOKEN = "sk_test_00000000000000000000000000000000"  # noqa: S105 - opens nothing but the demo's own database
SECRETS = {"shop": "shop-secret", "woo": "woo-secret", "pay": "whsec_pay"}
CONNECTORS = {"shop": "shopify", "woo": "woocommerce", "pay": "stripe"}
SIGNING = "whsec_bG95YWx0eSBkZW1vIHNpZ25pbmcgc2VjcmV0IDAwMDE="

CONFIGURATION = """\
[[tenants]]
name = "demo"
mode = "test"

  [[tenants.keys]]
  token = "{token}"
  scopes = ["*"]

  [[tenants.programs]]
  name = "main"                     # points when it has shipped
    [tenants.programs.earning]
    rate = "1"
    award_on = "order.shipped"
    [tenants.programs.expiry]
    months = 12
    [tenants.programs.members]
    match_email = true

  [[tenants.programs]]
  name = "direct"                   # double points when it is paid
    [tenants.programs.earning]
    rate = "2"
    award_on = "payment.completed"
    [tenants.programs.members]
    match_email = true

  [[tenants.sources]]
  name = "shop"
  connector = "shopify"
  program = "main"
  secrets = ["{shop}"]

  [[tenants.sources]]
  name = "woo"
  connector = "woocommerce"
  program = "main"
  secrets = ["{woo}"]

  [[tenants.sources]]
  name = "pay"
  connector = "stripe"
  program = "direct"
  secrets = ["{pay}"]

  [[tenants.endpoints]]             # answers
  url = "{healthy}"
  secrets = ["{signing}"]
  events = ["balance.updated"]

  [[tenants.endpoints]]             # fails, until it is repaired
  url = "{broken}"
  secrets = ["{signing}"]
  events = ["balance.updated"]
  schedule = [0, 1]
"""


class OffScript(Unavailable):
    """The demo did not go as it must."""


@dataclass(slots=True)
class Stage:
    """The running product and its two receivers."""

    folder: Path
    url: str
    healthy: Ear
    broken: Ear

    def post(
        self, source: str, topic: str | None, payload: Mapping[str, Any], *, forged: bool = False
    ) -> Any:
        """Post a webhook as the shop would; a forger knows everything but the secret."""
        body = orjson.dumps(payload)
        secret = "guessed" if forged else SECRETS[source]
        headers = signed_headers(CONNECTORS[source], body, secret, now_s=int(time.time()), topic=topic)
        return requests.post(
            f"{self.url}/webhooks/{source}", data=body, headers=headers, timeout=ANSWER_WITHIN_S
        )

    def get(self, path: str, **query: str | int) -> dict[str, Any]:
        """Ask the API. Raises `OffScript` where it does not answer 200."""
        headers = {"Authorization": f"Bearer {TOKEN}"}
        answer = requests.get(f"{self.url}{path}", params=query, headers=headers, timeout=ANSWER_WITHIN_S)
        if answer.status_code != requests.codes.ok:
            raise OffScript(f"GET {path} was answered {answer.status_code}: {answer.text}")
        found: dict[str, Any] = answer.json()
        return found

    def command(self, *arguments: str) -> str:
        """Run a command of the command line and return what it prints. Raises `OffScript` where it fails."""
        return run_command(self.folder, *arguments)


@contextmanager
def set_up(folder: Path) -> Iterator[Stage]:
    """Configure and start everything in a folder, and stop it again."""
    healthy, broken = Ear((SIGNING,)), Ear((SIGNING,), fail=-1)
    with ExitStack() as stack:
        ears = {
            "healthy": stack.enter_context(listening(healthy)),
            "broken": stack.enter_context(listening(broken)),
        }
        file = folder / "demo.toml"
        file.write_text(
            CONFIGURATION.format(token=TOKEN, signing=SIGNING, **SECRETS, **ears), encoding="utf-8"
        )
        run_command(folder, "apply", str(file))
        url = stack.enter_context(serving(folder))
        yield Stage(folder, url, healthy, broken)


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """Run `serve` as its own process until the end; give its URL when it is ready."""
    command = [*_COMMAND, "serve", "--port", str(_free_port())]
    with (folder / "serve.log").open("wb") as log:
        process = subprocess.Popen(  # noqa: S603 - our own program, with arguments of our own
            command, env=_environment(folder), stdout=subprocess.PIPE, stderr=log, text=True
        )
    try:
        yield _ready(process, folder)
    finally:
        code = _stopped(process)
    if code != 0:
        raise OffScript(f"the service ended with {code}, and not with 0")


def _stopped(process: subprocess.Popen[str]) -> int:
    """Stop the service as an operator does, and return its exit code."""
    process.terminate()
    try:
        process.wait(STOP_WITHIN_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout is not None:
        process.stdout.close()
    return process.returncode


def _ready(process: subprocess.Popen[str], folder: Path) -> str:
    """Return the URL in the line that says it is ready. Raises `OffScript`."""
    lines: queue.SimpleQueue[str] = queue.SimpleQueue()
    threading.Thread(target=_pass_on, args=(process, lines), daemon=True).start()
    until = time.monotonic() + READY_WITHIN_S
    while (left := until - time.monotonic()) > 0:
        try:
            line = lines.get(timeout=left)
        except queue.Empty:
            break
        if " ready at " in line:
            return line.rpartition(" ")[2].strip()
        if not line:
            break
    said = (folder / "serve.log").read_text(encoding="utf-8", errors="replace")[-2000:]
    raise OffScript(f"the service did not become ready: {said}")


def _pass_on(process: subprocess.Popen[str], lines: queue.SimpleQueue[str]) -> None:
    """Read the process's output to its end, which is told as an empty line."""
    if process.stdout is not None:
        for line in process.stdout:
            lines.put(line)
    lines.put("")


def run_command(folder: Path, *arguments: str) -> str:
    """Run a command on the database in a folder; return what it prints. Raises `OffScript` where it fails."""
    done = subprocess.run(  # noqa: S603 - our own program, with arguments of our own
        [*_COMMAND, *arguments],
        env=_environment(folder), capture_output=True, text=True, timeout=READY_WITHIN_S, check=False,
    )  # fmt: skip
    if done.returncode != 0:
        raise OffScript(f"`{' '.join(arguments)}` ended with {done.returncode}: {done.stdout}{done.stderr}")
    return done.stdout.rstrip()


_COMMAND = (sys.executable, "-m", "adapter.cli")


def _environment(folder: Path) -> dict[str, str]:
    """Return an environment without settings from outside: the demo shall look the same everywhere."""
    outside = {name: value for name, value in os.environ.items() if not name.startswith("LOYALTY_")}
    return outside | {"LOYALTY_DATA_DIR": str(folder), "LOYALTY_LOG__LEVEL": "warning"}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
