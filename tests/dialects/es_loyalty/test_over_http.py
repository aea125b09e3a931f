"""A till that only knows HTTP, at the running service: the whole way of a purchase, and what a server adds to answers."""

from __future__ import annotations

import email.utils
import http.client
from contextlib import closing
from typing import TYPE_CHECKING, Any

import orjson

from adapter.clock import now
from adapter.store.database import open_database
from tests.bench.service import configure, fresh, running
from tests.dialects.es_loyalty.conftest import SESSION, furnished
from tests.web.conftest import TOKEN, Web, keyed

if TYPE_CHECKING:
    from pathlib import Path


def asked(line: http.client.HTTPConnection, method: str, path: str, body: Any = None) -> Any:
    """Ask over a connection that is kept."""
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
    line.request(method, f"/client/users/{path}", None if body is None else orjson.dumps(body), headers)
    kept = line.sock
    answer = line.getresponse()
    read = answer.read()
    assert answer.status == 200, read
    assert line.sock is kept is not None, "the connection was not kept"
    assert email.utils.parsedate_to_datetime(answer.headers["Date"]) is not None
    assert int(answer.headers["Content-Length"]) == len(read)
    return orjson.loads(read)


def test_balance_reservation_and_purchase_over_one_connection(tmp_path: Path) -> None:
    """120 points at 0.01, without increments: 1.00 is taken off 12.00, and 11 points are earned: 120 - 100 + 11."""
    url = f"sqlite:///{tmp_path / 'loyalty.db'}"
    fresh(url)
    configure(url)
    engine = open_database(url)
    keyed(engine, 1, TOKEN)
    furnished(Web(engine, now=now()), {"burn_rate": "0.01", "currency": "USD"}).member(120)
    engine.dispose()
    with (
        running(url, tmp_path) as (port, _),
        closing(http.client.HTTPConnection("127.0.0.1", port, timeout=30)) as line,
    ):
        started = asked(line, "POST", "7000/sessions", {"correlationId": SESSION, "channel": "POS"})
        assert started["pointsBalance"] == 120
        balance = asked(line, "GET", f"{SESSION}/balance")
        assert balance["redeemableDollarBalance"] == 1.2
        held = asked(line, "POST", f"{SESSION}/reservations/", {"reservationAmount": "100"})
        tender = {"CASH": "1100", "LOYALTY": [{"reservationToken": held["reservationToken"], "amount": 100}]}
        done = asked(line, "POST", f"{SESSION}/activity/finalize/v2", {"tender": tender})
        assert (done["pointsEarned"], done["pointsRedeemed"]) == (11, 100)
        after = asked(line, "GET", f"{SESSION}/balance")
        assert (after["pointsBalance"], after["availablePointsBalance"]) == (31, 31)
