"""What time changes of a balance is found whatever makes it due, and along the indexes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import Connection, Engine, event, insert, select

from adapter.book.state import Lot
from adapter.store import tables as t
from adapter.store.coming import due_lots, first_after
from adapter.store.pipeline import answered
from adapter.store.rows import LOT_COLUMNS

if TYPE_CHECKING:
    from collections.abc import Iterator

KEY = (1, 5, 1)
OTHER = (1, 6, 1)
NOW = 1000
ENDLESS: dict[str, Any] = {"expires_at": None}
WAITING: dict[str, Any] = {"available": 0, "pending": 7, "due_amount": 7}


def lot(number: int, key: tuple[int, int, int] = KEY, **more: Any) -> Lot:
    return Lot(*key, number, None, None, 1, **{"available": 7, "expires_at": 9000, **more})


def kept(connection: Connection, *lots: Lot) -> None:
    rows = [{name: getattr(one, name) for name in (*LOT_COLUMNS, "due_at")} for one in lots]
    connection.execute(insert(t.lots), rows)


@pytest.fixture
def connection(database: Engine) -> Iterator[Connection]:
    with database.connect() as connection:
        yield connection


@pytest.mark.parametrize(
    ("more", "due_at"),
    [
        ({"expires_at": 800}, 800),
        ({"expires_at": NOW}, NOW),
        ({"expires_at": NOW + 1}, NOW + 1),
        ({"remind_at": 900}, 900),
        ({"remind_at": 900, "expires_at": 950}, 900),
        ({"remind_at": 900, **ENDLESS}, 900),
        ({"remind_at": 1100}, 1100),
        ({**WAITING, "available_at": 700}, 700),
        ({**WAITING, "available_at": 700, "expires_at": 600}, 700),
        ({**WAITING, "available_at": 700, **ENDLESS}, 700),
        ({**WAITING, "available_at": 1200}, 1200),
        ({**WAITING, "available_at": 1200, "available": 3, "expires_at": 1200}, 1200),
        ({**WAITING, "available_at": 1200, "available": 3, "expires_at": 800}, 800),
        ({**WAITING, "available": 3, "expires_at": 800}, 800),
        ({**WAITING, "due_amount": 0, "available_at": 700}, None),
        ({"available": 0, "reserved": 7, "expires_at": 800}, None),
        ({"available": 0, "expires_at": 800, "remind_at": 700}, None),
        (ENDLESS, None),
    ],
)
def test_each_lot_is_due_once_whatever_makes_it_so(
    connection: Connection, more: dict[str, Any], due_at: int | None
) -> None:
    one = lot(1, **more)
    kept(connection, one, lot(1, OTHER, expires_at=NOW))
    assert one.due_at == due_at
    is_due = due_at is not None and due_at <= NOW
    assert answered(connection, due_lots(connection, [KEY], NOW)) == ([one] if is_due else [])
    assert is_due or answered(connection, first_after(connection, [KEY], NOW)).get(KEY) == due_at


def test_those_due_first_come_first(connection: Connection) -> None:
    lots = [lot(1, expires_at=900), lot(2, remind_at=800), lot(3, **WAITING, available_at=850), lot(4)]
    kept(connection, *lots, lot(1, OTHER, expires_at=700))
    assert [one.id for one in answered(connection, due_lots(connection, [KEY], NOW))] == [2, 3, 1]
    assert [one.member for one in answered(connection, due_lots(connection, [KEY, OTHER], NOW))] == [
        6,
        5,
        5,
        5,
    ]
    assert answered(connection, due_lots(connection, [], NOW)) == []
    assert answered(connection, first_after(connection, [KEY, OTHER], NOW)) == {KEY: 9000}


def test_they_are_looked_up_along_the_two_indexes(database: Engine) -> None:
    """A member with a thousand lots, one of which is over: the others are not looked at."""
    sent: list[tuple[str, Any]] = []
    with database.connect() as connection:
        kept(connection, *(lot(number, expires_at=number * 10) for number in range(100, 1100)))
        if database.dialect.name == "postgresql":
            connection.exec_driver_sql("ANALYZE lots")
        event.listen(
            connection, "before_cursor_execute", lambda _c, _x, sql, given, *_: sent.append((sql, given))
        )
        assert len(answered(connection, due_lots(connection, [KEY], NOW))) == 1
        answered(connection, first_after(connection, [KEY], NOW))
        word = "EXPLAIN QUERY PLAN" if database.dialect.name == "sqlite" else "EXPLAIN"
        for sql, given in sent[:2]:
            steps = " ".join(str(row) for row in connection.exec_driver_sql(f"{word} {sql}", given))
            assert "ix_lots_due_early" in steps
            assert "ix_lots_open" in steps
        assert connection.execute(select(t.lots.c.id).where(t.lots.c.due_at <= NOW)).scalars().all() == [100]
