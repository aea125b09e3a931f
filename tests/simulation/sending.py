"""Sending: the real dispatchers, turn by turn, over a network that is scripted.

In place of their threads there is a list of jobs, which the run does one by one whenever it likes; in place of
`requests` there is a wire, at whose end receivers answer, fail, hang or lie. While a request is under way time passes,
and the other dispatcher may act.
"""

from __future__ import annotations

import hmac
from base64 import b64decode, b64encode
from collections import defaultdict
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import requests
from sqlalchemy.exc import DBAPIError
from urllib3.exceptions import ProtocolError

from tests.delivery.world import SECRET
from tests.simulation.shelf import Crash
from tests.simulation.stage import TIMEOUT_S

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from adapter.clock import Millis
    from adapter.delivery.dispatcher import Dispatcher
    from tests.simulation.stage import Stage

PROMPT_MS = 5_000  # a job that is begun sooner than this after its claim keeps well within its lease
HABITS = {
    "take": 6,
    "refuse": 2,
    "hang": 1,
    "hang but take": 1,
    "lie": 1,
    "redirect": 1,
    "break off": 1,
    "wait": 1,
}
STATUSES = {"take": 200, "refuse": 500, "lie": 500, "redirect": 302, "break off": 202, "wait": 429}
Sent = tuple[str, str]
"""What one request was about: the endpoint's URL and the `webhook-id`."""


@dataclass
class Answered:
    """As much of a response as the sender looks at."""

    status_code: int
    breaks: bool
    headers: dict[str, str]
    closed: bool = False

    @property
    def raw(self) -> Answered:
        return self

    def read1(self, _amount: int, *, decode_content: bool) -> bytes:
        if self.breaks:
            raise ProtocolError("it broke off")
        self.closed = True
        return b""

    def close(self) -> None:
        self.closed = True

    def release_conn(self) -> None:
        self.closed = True


@dataclass
class Network:
    """Receivers at the ends of wires, and what they saw."""

    stage: Stage
    random: Random
    meanwhile: Callable[[], None]
    calm: bool = False  # everybody answers at once
    received: list[Sent] = field(default_factory=list)
    accepted: set[Sent] = field(default_factory=set)  # those that a receiver answered with 2xx
    bodies: dict[Sent, bytes] = field(default_factory=dict)
    under_way: dict[Sent, int] = field(default_factory=lambda: defaultdict(int))  # the prompt ones
    claimed_at: Millis = 0  # of the job that is done now
    objections: list[str] = field(default_factory=list)

    def send(self, request: requests.PreparedRequest, **_options: Any) -> Answered:
        """Play the receiver: in place of the adapter of `requests`."""
        sent = (str(request.url), str(request.headers["webhook-id"]))
        habit = "take" if self.calm else self.random.choices(tuple(HABITS), tuple(HABITS.values()))[0]
        prompt = abs(self.stage.now - self.claimed_at) < PROMPT_MS
        if prompt and self.under_way[sent]:
            self.objections.append(f"{sent} is sent while it is under way, within its lease")
        self._look_at(request, sent)
        self.under_way[sent] += prompt
        try:
            self._pass(TIMEOUT_S * 1000 - 1 if habit.startswith("hang") else self.random.randint(0, 900))
        finally:
            self.under_way[sent] -= prompt
        if habit.startswith("hang"):
            raise requests.ReadTimeout("no answer")
        if STATUSES[habit] < 300:
            self.accepted.add(sent)
        return Answered(
            STATUSES[habit], habit == "break off", {"retry-after": "7"} if habit == "wait" else {}
        )

    def close(self) -> None:
        """There is nothing to close."""

    def _pass(self, ms: int) -> None:
        first = self.random.randint(0, ms)
        self.stage.pass_time(first)
        if not self.calm:
            claimed_at = self.claimed_at
            self.meanwhile()
            self.claimed_at = claimed_at
        self.stage.pass_time(ms - first)

    def _look_at(self, request: requests.PreparedRequest, sent: Sent) -> None:
        body, headers = request.body, request.headers
        assert isinstance(body, bytes)
        self.received.append(sent)
        if self.bodies.setdefault(sent, body) != body:
            self.objections.append(f"{sent} came with another body")
        content = f"{sent[1]}.{headers['webhook-timestamp']}.".encode() + body
        digest = hmac.digest(b64decode(SECRET.removeprefix("whsec_")), content, sha256)
        if headers["webhook-signature"] != f"v1,{b64encode(digest).decode()}":
            self.objections.append(f"{sent} is not signed")


@dataclass
class Hands:
    """In place of a dispatcher's threads: jobs that wait until somebody does them, each with the instant of its claim."""

    clock: Callable[[], Millis]
    jobs: list[tuple[Millis, Callable[..., None], tuple[Any, ...]]] = field(default_factory=list)

    def submit(self, work: Callable[..., None], *given: Any) -> None:
        self.jobs.append((self.clock(), work, given))

    def shutdown(self) -> None:
        """There is nothing to shut down."""


class Worker:
    """One process that sends: a dispatcher whose turns, requests and records are steps of their own."""

    def __init__(self, stage: Stage, network: Network) -> None:
        self.stage, self.network = stage, network
        self.restart()

    def restart(self) -> None:
        """Begin anew, and know nothing of what was under way."""
        self.dispatcher: Dispatcher = self.stage.world.dispatcher(
            monotonic=self.stage.monotonic, disable_after_failures=1_000_000
        )
        self.hands = Hands(self.stage.world.clock)
        self.dispatcher._crew._pool = self.hands  # type: ignore[assignment]  # - it only ever submits
        self.dispatcher._kept_house_at = float("inf")
        self.dispatcher._crew._sender._adapters = dict.fromkeys((False, True), self.network)  # type: ignore[arg-type]  # - it only ever sends

    def turn(self) -> bool:
        """Record what came back and claim what is due; return whether there was something to do."""
        try:
            return self.dispatcher._turn()
        except Crash:
            self.restart()
        except DBAPIError as error:
            self.network.objections.append(f"a dispatcher fails: {error.orig}")
            self.restart()
        finally:
            self.stage.faults.disarm()
        return True

    def feed(self) -> None:
        """Make due what operators asked to be sent again."""
        self.dispatcher._feed_replays()

    def send(self, which: int = 0) -> bool:
        """Do one of the jobs, and hear what came of it."""
        if not self.hands.jobs:
            return False
        claimed_at, work, given = self.hands.jobs.pop(which % len(self.hands.jobs))
        self.network.claimed_at = claimed_at
        work(*given)
        self.dispatcher._hear()
        return True
