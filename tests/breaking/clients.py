"""Clients that ask until they are answered: a shop that posts webhooks, and callers of the API with Idempotency-Keys.

They take the machines in turn, as a balancer does, and the next one where one does not answer. Now and then a first
attempt is cut off: in the middle of the body, before the answer, or after its beginning.
"""

from __future__ import annotations

import json
import socket
import threading
import time
from contextlib import closing, suppress
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Any

import requests

from tests.bench.hooks import SOURCE
from tests.breaking.story import DEPOSIT, TOKEN, Posting, Step

if TYPE_CHECKING:
    import queue

    from tests.breaking.story import Hook

SENDERS = 8
PATIENCE_S = 3.0  # with one attempt
PAUSE_S = 0.05  # before the next one
GIVE_UP_S = 240.0
REFUSALS = {"/v1/transfers": {(422, "insufficient_balance")}}
"""What may be refused by rights, by path."""


class GaveUpError(Exception):
    """Nobody answered for too long."""


@dataclass
class Clients:
    """Everybody who asks, and what they were answered."""

    ports: list[int]
    over: threading.Event = field(default_factory=threading.Event)  # no more patience: the run is given up
    hooks: list[tuple[Hook, str]] = field(default_factory=list)  # what was answered 200, with the event's id
    answers: dict[str, tuple[Step, int, bytes]] = field(default_factory=dict)  # by Idempotency-Key
    objections: list[str] = field(default_factory=list)
    attempts: int = 0
    cut: int = 0
    reads: int = 0
    turn: count[int] = field(default_factory=count)
    local: threading.local = field(default_factory=threading.local)

    @property
    def answered(self) -> int:
        return len(self.hooks) + len(self.answers) + self.reads

    # --- asking -----------------------------------------------------------------------------------------------------

    def ask(self, method: str, path: str, body: bytes, headers: dict[str, str], cut: str | None) -> Any:
        """Ask until there is an answer, and return it."""
        if cut is not None:
            with suppress(OSError):
                self._cut_off(method, path, body, headers, cut)
                self.cut += 1
        until = time.monotonic() + GIVE_UP_S
        while time.monotonic() < until and not self.over.is_set():
            self.attempts += 1
            url = f"http://127.0.0.1:{self._port()}{path}"
            try:
                answer = self._session().request(method, url, data=body, headers=headers, timeout=PATIENCE_S)
            except requests.RequestException:
                answer = None
            if answer is not None and answer.status_code != 503:
                return answer
            time.sleep(PAUSE_S)
        raise GaveUpError(f"{method} {path} was not answered")

    def _port(self) -> int:
        return self.ports[next(self.turn) % len(self.ports)]

    def _session(self) -> requests.Session:
        if not hasattr(self.local, "session"):
            self.local.session = requests.Session()
        session: requests.Session = self.local.session
        return session

    def _cut_off(self, method: str, path: str, body: bytes, headers: dict[str, str], how: str) -> None:
        """Ask over a connection that ends too early."""
        named = {"Host": "127.0.0.1", "Content-Length": str(len(body)), **headers}
        head = "".join(f"{name}: {value}\r\n" for name, value in named.items())
        request = f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode() + body
        with closing(socket.create_connection(("127.0.0.1", self._port()), timeout=PATIENCE_S)) as raw:
            raw.sendall(request[: -len(body) // 2] if how == "half" and body else request)
            if how == "beginning":
                raw.settimeout(PATIENCE_S)
                raw.recv(20)

    # --- who asks ---------------------------------------------------------------------------------------------------

    def shop(self, todo: queue.SimpleQueue[Posting | None]) -> None:
        """Post webhooks until there are no more."""
        while (posting := todo.get()) is not None:
            body, signature = posting.hook
            headers = {
                "X-WC-Webhook-Topic": "order.updated",
                "X-WC-Webhook-Signature": signature,
                "Content-Type": "application/json",
            }
            try:
                answer = self.ask("POST", f"/webhooks/{SOURCE}", body, headers, posting.cut)
            except GaveUpError as error:
                self.objections.append(str(error))
                return
            if answer.status_code == 200:
                self.hooks.append((posting.hook, answer.json()["event"]))
            else:
                self.objections.append(f"a webhook was answered {answer.status_code}: {answer.text[:300]}")

    def caller(self, script: list[Step], per_s: float) -> None:
        """Go through a script, each step once the one before was answered."""
        ids: list[str] = []
        began = time.monotonic()
        for number, step in enumerate(script):
            time.sleep(max(began + number / per_s - time.monotonic(), 0))
            try:
                ids.append(self._step(step, ids))
            except GaveUpError as error:
                self.objections.append(str(error))
                return

    def _step(self, step: Step, ids: list[str]) -> str:
        """Make one request, and return the id of what it made."""
        body = b"" if step.body is None else json.dumps(step.body).encode()
        headers = {"Authorization": f"Bearer {TOKEN}"}
        if step.key:
            headers |= {"Idempotency-Key": step.key, "Content-Type": "application/json"}
        path = step.path.format(*ids)
        answer = self.ask(step.method, path, body, headers, step.cut)
        shown: dict[str, Any] = answer.json()
        if step.method == "GET":
            self.reads += 1
            self._check_bank(shown)
            return ""
        refused = (answer.status_code, shown.get("code")) in REFUSALS.get(step.path, ())
        if answer.status_code not in (200, 201) and not refused:
            self.objections.append(
                f"{path} under {step.key} was answered {answer.status_code}: {answer.text[:300]}"
            )
            return "none"
        self.answers[step.key] = (step, answer.status_code, answer.content)
        if step.again and not refused:
            self._repeat(step, path, body, headers)
        return str(shown.get("id"))

    def _repeat(self, step: Step, path: str, body: bytes, headers: dict[str, str]) -> None:
        """Ask once more what was answered: the answer is the same, byte for byte."""
        again = self.ask(step.method, path, body, headers, None)
        _, status, first = self.answers[step.key]
        if (again.status_code, again.content) != (status, first):
            self.objections.append(
                f"{step.key} was answered {status} {first[:200]!r} and then {again.status_code} {again.content[:200]!r}"
            )

    def _check_bank(self, shown: dict[str, Any]) -> None:
        """Check one reading of the bank: nothing was made, nothing is lost, and nobody is below zero."""
        there = [one["result"]["available"] for one in shown.get("data", []) if "result" in one]
        if sum(there) != DEPOSIT * len(there) or len(there) == 0 or min(there) < 0:
            self.objections.append(f"the bank was seen with {there}: {str(shown)[:300]}")


def feed(todo: queue.SimpleQueue[Posting | None], postings: list[Posting], per_s: float) -> None:
    """Hand out webhooks, so many a second, then the end for every sender."""
    began = time.monotonic()
    for number, posting in enumerate(postings):
        time.sleep(max(began + number / per_s - time.monotonic(), 0))
        todo.put(posting)
    for _ in range(SENDERS):
        todo.put(None)
