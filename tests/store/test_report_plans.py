"""Reports read along the keys: no statement of theirs looks through a whole table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import event

from adapter.program.model import Program
from adapter.store.configuration import load_catalog
from adapter.store.reading.ledger import Span, page, transfers, trial_balance
from adapter.store.reading.liability import Asked, liability
from tests.shop import NOW, configure, placed, play, recorded, shipped

if TYPE_CHECKING:
    from sqlalchemy import Engine


def test_reports_never_scan(sqlite_database: Engine) -> None:
    configure(sqlite_database, Program.model_validate({"name": "main", "earning": {"rate": "1"}}))
    play(sqlite_database, [recorded(placed()), recorded(shipped())])
    sent: list[tuple[str, Any]] = []
    span = Span(NOW - 1, NOW + 1)
    with sqlite_database.connect() as connection:
        catalog = load_catalog(connection)
        event.listen(
            connection,
            "before_cursor_execute",
            lambda _c, _cursor, sql, values, *_more: sent.append((sql, values)),
        )
        liability(connection, catalog, Asked(1, NOW))
        liability(connection, catalog, Asked(1, NOW, as_of=NOW))
        assert len(list(transfers(connection, 1, span))) == 2
        assert len(page(connection, 1, span, limit=9, cursor=None).rows) == 4
        trial_balance(connection, 1, span)
        asked = list(sent)
        steps = [
            (sql, row[3])
            for sql, values in asked
            for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", values)
        ]
    assert len(asked) >= 9
    summed = "SCAN both"  # what two of them found, a few rows
    assert [step for step in steps if step[1].startswith("SCAN") and step[1] != summed] == []
