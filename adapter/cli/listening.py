"""`listen`: a receiver that verifies what it hears and prints it, to see deliveries and rehearse failures."""

from __future__ import annotations

import json
import signal
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import click

from adapter.cli.examples import examples
from adapter.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

FORGED = 401
HEARD = 204


@dataclass(frozen=True, slots=True)
class Heard:
    """One request: what it said, whether its signature is right (None: not checked), and the answer."""

    id: str
    message: Mapping[str, Any]
    verified: bool | None
    answered: int

    @property
    def data(self) -> Mapping[str, Any]:
        found = self.message.get("data")
        return found if isinstance(found, dict) else {}

    def line(self) -> str:
        """Return it as one readable line."""
        mark = {None: "not checked", True: "verified ✓", False: "NOT VERIFIED ✗"}[self.verified]
        parts = [str(self.message.get("type", "not a message")), self.id or "without webhook-id"]
        if "sequence" in self.data:
            parts.append(f"sequence {self.data['sequence']} chain {str(self.data.get('chain_head'))[:8]}…")
        if isinstance(self.data.get("changes"), dict):
            parts.append(" ".join(f"{name} {amount:+}" for name, amount in _whole(self.data["changes"])))
        return "  ".join([*parts, mark, f"→ {self.answered}"])


def _whole(changes: Mapping[str, Any]) -> list[tuple[str, Any]]:
    from decimal import Decimal

    return [(name, Decimal(str(amount))) for name, amount in changes.items()]


@dataclass
class Ear:
    """What a receiver does with requests: the first `fail` are answered `status`; negative: all."""

    secrets: tuple[str, ...] = ()
    fail: int = 0
    status: int = 500
    tell: Callable[[Heard], None] = lambda _heard: None
    heard: list[Heard] = field(default_factory=list)
    changed: threading.Condition = field(default_factory=threading.Condition)

    def take(self, headers: Mapping[str, str], body: bytes) -> int:
        """Verify, note and answer one request."""
        verified = self._verified(headers, body)
        with self.changed:
            failing = self.fail != 0
            self.fail -= 1 if self.fail > 0 else 0
            answered = FORGED if verified is False else self.status if failing else HEARD
            one = Heard(headers.get("webhook-id", ""), _message(body), verified, answered)
            self.heard.append(one)
            self.tell(one)
            self.changed.notify_all()
        return answered

    def wait_for(self, enough: Callable[[list[Heard]], bool], within_s: float) -> bool:
        """Wait until enough was heard; return whether it was, in time."""
        with self.changed:
            return self.changed.wait_for(lambda: enough(self.heard), within_s)

    def _verified(self, headers: Mapping[str, str], body: bytes) -> bool | None:
        from standardwebhooks import Webhook, WebhookVerificationError

        if not self.secrets:
            return None
        for secret in self.secrets:
            try:
                Webhook(secret).verify(body, dict(headers), json_parse=False)
            except (WebhookVerificationError, ValueError):
                continue
            return True
        return False


def _message(body: bytes) -> dict[str, Any]:
    try:
        told = json.loads(body)
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}


@contextmanager
def listening(ear: Ear, port: int = 0) -> Iterator[str]:
    """Serve an ear on 127.0.0.1 and give its URL. Raises `ConfigurationError` where the port is taken."""
    try:
        server = ThreadingHTTPServer(("127.0.0.1", port), _handler(ear))
    except OSError as error:
        raise ConfigurationError(
            f"cannot listen on port {port}: {error.strerror}; choose another --port"
        ) from error
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, name="ear")
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/hook"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _handler(ear: Ear) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            self.send_response(ear.take({name.lower(): value for name, value in self.headers.items()}, body))
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_args: object) -> None:
            """Stay silent: the ear tells what there is to tell."""

    return Handler


@click.command(
    epilog=examples(
        "loyalty-adapter listen --secret whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "loyalty-adapter listen --fail 3                the first three requests get 500",
        "loyalty-adapter listen --fail -1 --status 503  every request fails",
    ),
)
@click.option(
    "--port", type=click.IntRange(0, 65535), default=9009, show_default=True, help="0: any free one."
)
@click.option(
    "--secret", "secrets", multiple=True, metavar="whsec_…", help="Verify by it; several in a rotation."
)
@click.option("--fail", type=int, default=0, metavar="N", help="Fail the first N requests; -1: all.")
@click.option(
    "--status", type=click.IntRange(200, 599), default=500, show_default=True, help="What failing answers."
)
def listen(port: int, secrets: tuple[str, ...], fail: int, status: int) -> None:
    """Receive deliveries, verify them and print a line for each, until Ctrl-C."""
    from standardwebhooks import Webhook
    from standardwebhooks.webhooks import EmptyWebhookSecretError

    from adapter.processes import stop_on

    for secret in secrets:
        try:
            Webhook(secret)
        except (ValueError, EmptyWebhookSecretError) as error:
            raise click.BadParameter(
                f"this is not a whsec_ secret: {error}", param_hint="--secret"
            ) from error
    ear = Ear(secrets, fail, status, lambda heard: click.echo(heard.line()))
    stop = stop_on(signal.SIGINT, signal.SIGTERM)
    with listening(ear, port) as url:
        click.echo(f"listening at {url}")
        stop.wait()
