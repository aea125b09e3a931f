"""A browser for the console: keeps cookies, reads pages, and fills in their forms. And a shop with some of everything."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import TYPE_CHECKING

import pytest
from werkzeug.test import Client

from adapter.program.model import Program
from adapter.store import tables as t
from adapter.web.parts import WebSettings
from tests.shop import NOW, begin, customer, member_of, paid, placed, publish, recorded, refunded, shipped
from tests.web.conftest import PROGRAM, TOKEN, Web, furnish

if TYPE_CHECKING:
    from sqlalchemy import Engine
    from werkzeug.test import TestResponse

HOSTILE = "<script>alert('jo')</script>"
SETTINGS = WebSettings(console_secret="0123456789abcdef0123456789abcdef")


@dataclass
class Form:
    """A form of a page."""

    method: str
    action: str
    fields: dict[str, str] = field(default_factory=dict)


class Reading(HTMLParser):
    """What a page has in it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self.links: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.unlabelled: list[dict[str, str | None]] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        self.words = " ".join(" ".join(self.words).split()).split("\0")

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.tags.append((tag, given))
        if tag not in ("input", "meta", "link", "br"):
            self._open.append(tag)
        if tag == "form":
            self.forms.append(Form(given.get("method") or "get", given["action"] or ""))
        if tag in ("input", "select") and self.forms:
            self.forms[-1].fields[given["name"] or ""] = given.get("value") or ""
        if tag in ("input", "select") and given.get("type") != "hidden" and "label" not in self._open:
            self.unlabelled.append(given)
        if tag in ("a", "link"):
            self.links.append(given["href"] or "")

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag, f"</{tag}> closes nothing"

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        """Return what a person reads."""
        return self.words[0]

    def form(self, action: str) -> Form:
        return next(form for form in self.forms if form.action == action)


class Browser:
    """Somebody who has signed in, or not yet."""

    def __init__(self, web: Web) -> None:
        self.web = web
        self.client = Client(web.app)

    def sign_in(self, token: str = TOKEN) -> TestResponse:
        return self.submit("/console/sign-in", "/console/sign-in", key=token, status=303)

    def open(self, path: str, *, status: int = 200) -> Reading:
        answer = self.client.get(path)
        assert answer.status_code == status, answer.get_data(as_text=True)
        return Reading(answer.get_data(as_text=True))

    def submit(self, page: str, action: str, *, status: int = 303, **fields: str) -> TestResponse:
        """Fill in a form of a page and send it."""
        form = self.open(page).form(action)
        assert form.method == "post"
        return self.send(action, form.fields | fields, status=status)

    def send(self, action: str, fields: dict[str, str], *, status: int = 303) -> TestResponse:
        answer = self.client.post(action, data=fields)
        assert answer.status_code == status, answer.get_data(as_text=True)
        return answer


@pytest.fixture
def shop(database: Engine) -> Web:
    """The application with its console, over each kind of database."""
    furnish(database)
    return Web(database, settings=SETTINGS)


@pytest.fixture
def sqlite_shop(sqlite_database: Engine) -> Web:
    """The same over SQLite."""
    furnish(sqlite_database)
    return Web(sqlite_database, settings=SETTINGS)


@pytest.fixture
def browser(shop: Web) -> Browser:
    """Somebody who has signed in with a key that may do everything."""
    found = Browser(shop)
    found.sign_in()
    return found


@pytest.fixture
def sqlite_browser(sqlite_shop: Web) -> Browser:
    """The same over SQLite."""
    found = Browser(sqlite_shop)
    found.sign_in()
    return found


def published(web: Web, version: int, **said: object) -> None:
    """Publish another version of the program, from the beginning on."""
    program = Program.model_validate({**PROGRAM.model_dump(mode="json"), **said})
    with web.engine.begin() as connection:
        publish(connection, program, version=version, at=version)
        connection.execute(t.configuration.update().values(version=t.configuration.c.version + 1))


def some_of_everything(web: Web) -> dict[str, str]:
    """Make one of each thing that has a page, and return their ids; whoever can be named has a hostile name."""
    endpoint = web.post(
        "/v1/endpoints", {"url": "http://127.0.0.1:9/hook", "description": HOSTILE}, status=201
    )
    published(web, 2, state="draft", bonuses={"sign_up": 10})
    web.play(
        recorded(customer(email="jo@example.com", name=HOSTILE)),
        *(recorded(event) for event in (placed(), paid(), shipped(), refunded())),
        recorded(shipped("parked")),
    )
    member = web.get("/v1/members/shop:7000")["id"]
    web.play(begin(member_of(web.engine), 77, "credit", 400))
    redeemed = {"member": member, "reward": "rwd_totebag"}
    flagged = {**redeemed, "last_known": {"available": 5}}
    web.shop("order.created", {"id": HOSTILE, "status": HOSTILE})
    delivery = web.get("/v1/deliveries")["data"][0]["id"]
    dead = web.get("/v1/deliveries")["data"][-1]["id"]
    with web.engine.begin() as connection:
        last = connection.execute(t.deliveries.select().order_by(t.deliveries.c.id)).first()
        assert last is not None
        connection.execute(
            t.deliveries.update().where(t.deliveries.c.id == last.id).values(state="dead", last_error=HOSTILE)
        )
        connection.execute(
            t.attempts.insert().values(
                env=1, delivery=last.id, number=1, started_at=NOW, duration_ms=7, status=500, response=HOSTILE
            )
        )
    return {
        "member": member,
        "program": "main",
        "endpoint": endpoint["id"],
        "redemption": web.post("/v1/redemptions", redeemed, status=201)["id"],
        "flagged": web.post("/v1/redemptions", flagged, status=201)["id"],
        "voucher": web.post("/v1/vouchers", {"member": member, "percent": "10"}, status=201)["id"],
        "delivery": delivery,
        "dead": dead,
        "replay": web.post(f"/v1/deliveries/{delivery}/replay", status=202)["id"],
        "event": web.get("/v1/events", source="shop", state="rejected")["data"][0]["id"],
    }
