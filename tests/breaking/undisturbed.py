"""The same input, taken in by one process that nothing disturbs: what everybody must have in the end."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from adapter import clock
from adapter.engine.sweep import due_balances
from adapter.intake import command_of
from adapter.store import tables as t
from adapter.store.configuration import CatalogCache
from adapter.store.database import open_database
from connectors import CONNECTORS
from connectors.base import RawEvent
from tests.bench.hooks import SOURCE
from tests.breaking.story import BANK, TOKEN, enrol_everybody, furnish, told
from tests.shop import DAY, play, snapshot
from tests.web.conftest import Web

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy import Engine

    from tests.breaking.story import Step, Story

AFTERWARDS_MS = DAY // 2  # what has a deadline of seconds is past it, and nothing else ends


def undisturbed(story: Story, folder: Path) -> dict[str, Any]:
    """Return what the book says after an undisturbed run."""
    engine = open_database(f"sqlite:///{folder / 'undisturbed.db'}")
    t.metadata.create_all(engine)
    now = clock.now()
    furnish(engine)
    enrol_everybody(engine, now)
    source = CatalogCache(engine).get().sources[SOURCE]
    headers = {"x-wc-webhook-topic": "order.updated"}
    raw = [RawEvent(headers, body, now) for body, _ in told(story.orders)]
    play(engine, [command_of(source, CONNECTORS[source.connector], one) for one in raw], now=now, sizes=[100])
    web = Web(engine, now=now)
    for script in story.scripts:
        _go_through(web, script)
    later = now + AFTERWARDS_MS
    play(engine, due_balances(engine, later, 10_000), now=later)
    book = read_book(engine)
    engine.dispose()
    return book


def _go_through(web: Web, script: list[Step]) -> None:
    ids: list[str] = []
    for step in script:
        shown: dict[str, Any] = {}
        if step.key and step.path != "/v1/transfers":  # what the bank does depends on who comes first
            answer = web.client.post(
                step.path.format(*ids),
                data=json.dumps(step.body),
                headers={"Authorization": f"Bearer {TOKEN}", "Idempotency-Key": step.key},
                content_type="application/json",
            )
            assert answer.status_code in (200, 201), answer.get_data(as_text=True)
            shown = answer.get_json()
        ids.append(str(shown.get("id")))


def read_book(engine: Engine) -> dict[str, Any]:
    """Return what must not depend on the way things arrived, on when, or on who came first."""
    book = snapshot(engine)
    bank = {(f"{SOURCE}:{number}",) for number in BANK}
    begun, spent = t.transactions.c, t.redemptions.c
    api = select(begun.member, begun.kind, begun.state, begun.amount).where(
        begun.order_ref.is_(None), begun.member.not_in(BANK)
    )
    redeemed = select(spent.member, spent.reward, spent.state, spent.cost, spent.returned)
    with engine.connect() as connection:
        return {
            "balances": {who: sums for who, sums in book["balances"].items() if who[0] not in bank},
            "orders": book["orders"],
            "transactions": Counter(tuple(row) for row in connection.execute(api)),
            "redemptions": Counter(tuple(row) for row in connection.execute(redeemed)),
        }
