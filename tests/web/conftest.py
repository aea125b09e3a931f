"""A web application over a real database, with two environments that must never see each other."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import threading
from base64 import b64encode
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import pytest
from a2wsgi import ASGIMiddleware
from sqlalchemy import Engine, insert
from werkzeug.test import Client

from adapter.program.model import Program
from adapter.store import tables as t
from adapter.store.configuration import CatalogCache
from adapter.web import application
from adapter.web.application import flask_app, web_app
from adapter.web.auth import digest
from adapter.web.dialects import NATIVE
from adapter.web.gate import Gate
from adapter.web.lookups import Lookups
from adapter.web.parts import LastCatalog, Parts, WebSettings
from adapter.web.table import ROUTES
from connectors.dialects import DIALECTS
from connectors.vendors import VENDORS
from connectors.woocommerce import CONNECTOR as WOOCOMMERCE
from tests.shop import NOW, configure, play

if TYPE_CHECKING:
    from collections.abc import Mapping

    from _typeshed.wsgi import WSGIApplication
    from a2wsgi.asgi_typing import ASGIApp
    from werkzeug.test import TestResponse

    from adapter.clock import Millis
    from adapter.commands import Command
    from adapter.outcome import Outcome
    from adapter.web.routing import Route
    from connectors.base import Connector

LOOP = asyncio.new_event_loop()
threading.Thread(target=LOOP.run_forever, name="loop", daemon=True).start()

SECRET = "hush"
TOKEN = "sk_test_0123456789abcdef0123456789abcdef"
STRANGER = "sk_live_ffffffffffffffffffffffffffffffff"
PROGRAM = Program.model_validate(
    {
        "name": "main",
        "earning": {"rate": "1", "minimum": "10.00"},
        "expiry": {"months": 12},
        "redeeming": {"currency": "EUR"},
        "rewards": [
            {"id": "rwd_fivecredit", "kind": "discount", "cost": 5, "value": "5.00", "currency": "EUR"},
            {"id": "rwd_totebag", "kind": "item", "cost": 5, "title": "A tote bag"},
            {"id": "rwd_credit", "kind": "credit", "cost": 5, "value": "5.00", "currency": "EUR"},
        ],
        "tier_groups": [
            {
                "name": "status",
                "measure": "lifetime_points",
                "tiers": [{"name": "basic"}, {"name": "silver", "threshold": "100000"}],
            }
        ],
    }
)


@dataclass
class Web:
    """The application, its clock, and short ways to ask it."""

    engine: Engine
    now: Millis = NOW
    connectors: dict[str, Connector] = field(default_factory=lambda: {"woocommerce": WOOCOMMERCE})
    settings: WebSettings = field(default_factory=WebSettings)
    submit_error: Exception | None = None

    def __post_init__(self) -> None:
        self.parts = Parts(
            offer=self._offer,
            wait=lambda work: asyncio.run_coroutine_threadsafe(work, LOOP).result(),
            lookups=Lookups(self.engine),
            catalog=LastCatalog(CatalogCache(self.engine, refresh_after_s=0), self.clock),
            engine=self.engine,
            clock=self.clock,
            connectors=self.connectors,
            dialects=DIALECTS,
            settings=self.settings,
        )
        self.use()

    def use(self, **changes: Any) -> None:
        """Make the application anew with some parts changed; `submit` decides a command in a thread."""
        if (submit := changes.pop("submit", None)) is not None:
            changes["offer"] = partial(asyncio.to_thread, submit)
        self.parts = replace(self.parts, **changes)
        gate = Gate(self.parts)
        flask = flask_app(self.parts, gate)
        self.routes = flask.url_map
        self.lane = web_app(self.parts, gate, flask)
        self.app = cast("WSGIApplication", ASGIMiddleware(cast("ASGIApp", self.lane), loop=LOOP))
        self.client = Client(self.app)

    def clock(self) -> Millis:
        return self.now

    async def _offer(self, command: Command) -> Outcome:
        return await asyncio.to_thread(self._submit, command)

    def _submit(self, command: Command) -> Outcome:
        if self.submit_error is not None:
            raise self.submit_error
        return play(self.engine, [command], now=self.now, vendors=VENDORS)[0]

    def play(self, *commands: Command, now: Millis | None = None) -> None:
        play(self.engine, commands, now=self.now if now is None else now, vendors=VENDORS)

    def get(self, path: str, *, token: str = TOKEN, status: int = 200, **query: Any) -> Any:
        """Ask for JSON; the status and, for a success, the documented shape are checked."""
        return self.ask("GET", path, token=token, status=status, query=query)

    def post(
        self, path: str, body: Any = None, *, token: str = TOKEN, status: int = 200, **headers: str
    ) -> Any:
        return self.ask("POST", path, body=body, token=token, status=status, headers=headers)

    def ask(
        self,
        method: str,
        path: str,
        *,
        body: Any = None,
        token: str = TOKEN,
        status: int = 200,
        query: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        sent = {
            "Authorization": f"Bearer {token}",
            **{k.replace("_", "-"): v for k, v in (headers or {}).items()},
        }
        answer = self.client.open(path, method=method, json=body, headers=sent, query_string=query or None)
        assert answer.status_code == status, answer.get_data(as_text=True)
        assert answer.headers["X-Request-ID"].startswith("req_")
        if status < 400:
            endpoint, _ = self.routes.bind("localhost").match(path, method)
            check_shape(endpoint, answer, partly="fields" in (query or {}))
        return None if status == 204 else answer.get_json()

    def shop(
        self, topic: str, body: Any, *, secret: str = SECRET, source: str = "shop", **headers: str
    ) -> TestResponse:
        """Post a webhook as WooCommerce signs it."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        signature = b64encode(hmac.new(secret.encode(), raw, hashlib.sha256).digest()).decode()
        sent = {"X-WC-Webhook-Topic": topic, "X-WC-Webhook-Signature": signature, **headers}
        return self.client.post(
            f"/webhooks/{source}", data=raw, headers=sent, content_type="application/json"
        )


def check_shape(endpoint: str, answer: TestResponse, *, partly: bool) -> None:
    """Hold an answer against the model that the documentation is made of."""
    route = next((one for one in ROUTES if f"{one.method} {one.path}" == endpoint), None)
    if route is None or partly or answer.status_code == 204:
        return
    shown = answer.get_json()
    if route.bulk:
        items = [one["result"] for one in shown["data"] if "result" in one]
        assert [one["index"] for one in shown["data"]] == list(range(len(shown["data"])))
        assert (shown["succeeded"], shown["succeeded"] + shown["failed"]) == (len(items), len(shown["data"]))
    else:
        items = shown["data"] if route.listed else [shown]
    for item in items:
        route.response.model_validate(item)


def keyed(engine: Engine, env: int, token: str, *scopes: str, **more: Any) -> None:
    """Add an API key."""
    with engine.begin() as connection:
        connection.execute(
            insert(t.api_keys).values(
                env=env,
                id=int.from_bytes(digest(token)[:6], "big"),
                hash=digest(token),
                hint=token[:10],
                scopes=json.dumps(scopes or ["*"]),
                created_at=0,
                **more,
            )
        )


def furnish(engine: Engine) -> None:
    """Environment 1 is acme's test mode with the shop `shop`; 2 is another company's live mode."""
    configure(engine, PROGRAM)
    with engine.begin() as connection:
        connection.execute(t.endpoints.delete())  # a test that wants one adds it over HTTP
        connection.execute(
            t.sources.update().values(connector="woocommerce", secrets=json.dumps([SECRET, "older"]))
        )
        umbrella = {"id": 2, "tenant": "umbrella", "mode": "live", "created_at": 0, "secret": b"secret"}
        connection.execute(insert(t.environments).values(umbrella))
        connection.execute(
            insert(t.programs).values(
                env=2, name="main", version=1, published_at=0, body=PROGRAM.model_dump_json()
            )
        )
        connection.execute(
            insert(t.definitions).values(
                env=2, id=1, program="main", name="points", unit="points", decimals=0
            )
        )
    keyed(engine, 1, TOKEN)
    keyed(engine, 2, STRANGER)


def serve_as_well(monkeypatch: pytest.MonkeyPatch, *routes: Route) -> None:
    """Have the next application serve more routes of our own API."""
    native = replace(NATIVE, routes=(*NATIVE.routes, *routes))
    monkeypatch.setattr(application, "NATIVE", native)


@pytest.fixture
def web(database: Engine) -> Web:
    """The application over each kind of database."""
    furnish(database)
    return Web(database)


@pytest.fixture
def sqlite_web(sqlite_database: Engine) -> Web:
    """The application over SQLite, for what does not depend on the database."""
    furnish(sqlite_database)
    return Web(sqlite_database)
