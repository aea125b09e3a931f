"""The official Standard Webhooks packages, of PyPI and of npm, verify what really went over the wire.

Before, during and after a rotation, with the old secret and with the new one. npm's package is installed once
into `build/`; without node or npm (or a registry) that part is skipped, and says so.
"""

from __future__ import annotations

import base64
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from adapter import clock
from adapter.delivery import endpoints
from adapter.store.database import unit_of_work
from tests.delivery.world import DAY_MS, SECRET, Receiver, Request, World

if TYPE_CHECKING:
    from collections.abc import Callable

BUILD = Path(__file__).parents[2] / "build" / "npm"
PACKAGE = "standardwebhooks@1.1.1"
SCRIPT = """
const { Webhook } = require("standardwebhooks");
const cases = JSON.parse(require("fs").readFileSync(0, "utf8"));
const verdicts = cases.map(({ secret, headers, body }) => {
  try { new Webhook(secret).verify(Buffer.from(body, "base64"), headers); return true; }
  catch (error) { return false; }
});
console.log(JSON.stringify(verdicts));
"""


def by_pypi(cases: list[tuple[str, Request]]) -> list[bool]:
    def accepted(secret: str, request: Request) -> bool:
        try:
            Webhook(secret).verify(request.body, request.headers)
        except WebhookVerificationError:
            return False
        return True

    return [accepted(secret, request) for secret, request in cases]


def by_npm(cases: list[tuple[str, Request]]) -> list[bool]:
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("NOT TESTED: npm's standardwebhooks needs node and npm")
    if not (BUILD / "node_modules" / "standardwebhooks").exists():
        BUILD.mkdir(parents=True, exist_ok=True)
        command = ["npm", "install", "--no-save", "--no-audit", "--no-fund", "--prefix", str(BUILD), PACKAGE]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
        if done.returncode:
            pytest.skip(f"NOT TESTED: npm could not install {PACKAGE}: {done.stderr[-300:]}")
    given = [
        {"secret": secret, "headers": request.headers, "body": base64.b64encode(request.body).decode()}
        for secret, request in cases
    ]
    said = subprocess.run(
        ["node", "-e", SCRIPT],
        input=orjson.dumps(given),
        capture_output=True,
        check=True,
        cwd=BUILD,
        timeout=60,
    )
    verdicts: list[bool] = orjson.loads(said.stdout)
    return verdicts


@pytest.mark.parametrize("verify", [by_pypi, by_npm])
def test_every_delivery_is_verified_also_during_a_rotation(
    world: World, receiver: Receiver, verify: Callable[[list[tuple[str, Request]]], list[bool]]
) -> None:
    world.now = clock.now()  # the packages look at the real clock
    endpoint = world.endpoint(receiver.url)
    dispatcher = world.dispatcher()

    def send() -> list[Request]:
        del receiver.requests[:]
        world.message(member=5, times=5)
        dispatcher.run_once()
        return list(receiver.requests)

    before = send()
    with unit_of_work(world.engine) as connection:
        fresh = endpoints.rotate(connection, 1, endpoint, now=world.now)["secret"]
    during = send()
    with unit_of_work(world.engine) as connection:
        view: dict[str, Any] = endpoints.rotate(connection, 1, endpoint, now=world.now - DAY_MS, overlap_s=0)
    after = send()
    expected = [
        (before, SECRET, True), (before, fresh, False),
        (during, SECRET, True), (during, fresh, True),
        (after, SECRET, False), (after, fresh, False), (after, view["secret"], True),
    ]  # fmt: skip
    cases = [(secret, request) for requests, secret, _ in expected for request in requests]
    wanted = [accepted for requests, _, accepted in expected for _ in requests]
    assert len(cases) == 35
    assert verify(cases) == wanted
    forged = Request("/hook", during[0].headers, during[0].body + b" ")
    assert verify([(SECRET, forged), (fresh, forged)]) == [False, False]


@pytest.mark.parametrize("verify", [by_pypi, by_npm])
def test_a_retry_is_signed_anew_under_the_same_id(
    small_world: World, receiver: Receiver, verify: Callable[[list[tuple[str, Request]]], list[bool]]
) -> None:
    small_world.now = clock.now() - 5_000
    receiver.answers(500, 200)
    small_world.endpoint(receiver.url)
    small_world.message()
    dispatcher = small_world.dispatcher()
    dispatcher.run_once()
    small_world.now += 5_000
    dispatcher.run_once()
    first, second = receiver.requests
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert first.headers["webhook-timestamp"] != second.headers["webhook-timestamp"]
    assert verify([(SECRET, first), (SECRET, second)]) == [True, True]
