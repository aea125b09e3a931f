"""What the bench fills a database with has to be a book: hashes and messages apart, `audit` finds nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import func, select

from adapter.engine.audit import audit
from adapter.store import tables as t
from tests.bench.filling import ROUNDS, fill
from tests.bench.service import configure_engine

if TYPE_CHECKING:
    from sqlalchemy import Engine

TRANSFERS = 200
HASHES_AND_MESSAGES = ("the hash of", "the head is not", "change ", "the message of")
TABLES = (
    t.events, t.orders, t.transactions, t.transfers, t.lots,
    t.members, t.balances, t.people, t.identities,
    t.messages, t.deliveries, t.attempts,
)  # fmt: skip


def test_it_fills_a_book(database: Engine) -> None:
    configure_engine(database, "http://127.0.0.1:9/none")

    fill(database, TRANSFERS)

    found = {line.split(": ", 1)[1] for line in audit(database)}
    assert [line for line in found if not line.startswith(HASHES_AND_MESSAGES)] == []
    with database.connect() as connection:
        counted = {table.name: connection.scalar(select(func.count()).select_from(table)) for table in TABLES}
    members, half = TRANSFERS // ROUNDS, TRANSFERS // 2
    assert list(counted.values()) == [TRANSFERS] * 5 + [members] * 4 + [half] * 3
