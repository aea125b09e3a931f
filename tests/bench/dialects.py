"""What a dialect adds to a call: the same read and the same credit, in our own words and in a vendor's, by turns."""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import requests
from rich.table import Table
from sqlalchemy import insert

from adapter import ids
from adapter.store import tables as t
from adapter.store.database import open_database
from connectors.brevo.ids import definition_id, program_id
from tests.bench.service import TOKEN, add_key, configure, fresh, running

if TYPE_CHECKING:
    from rich.console import Console

MEMBER = 7
CUSTOMER = "1"
WARM_UP, TURNS = 20, 150
Call = tuple[str, str, dict[str, Any] | None]


def show(console: Console, name: str, url: str) -> None:
    """Print the medians of both, and their ratio."""
    fresh(url)
    configure(url)
    _furnish(url)
    with tempfile.TemporaryDirectory() as folder, running(url, Path(folder)) as (port, _):
        table = Table(title=f"a call in a dialect ÷ in our own words, {name}", title_justify="left")
        for column in ("", "ours: µs", "dialect: µs", "ratio"):
            table.add_column(column, justify="right" if column else "left")
        for told, ours, theirs in _pairs():
            own, dialect = _medians(f"http://127.0.0.1:{port}", ours, theirs)
            table.add_row(told, f"{own:.0f}", f"{dialect:.0f}", f"{dialect / own:.2f}")
    console.print(table)


def _pairs() -> list[tuple[str, Call, Call]]:
    member = ids.show("mem", MEMBER)
    credit = {"member": member, "type": "credit", "amount": 5, "complete": True}
    read: Call = ("GET", f"/v1/members/{member}/balance", None)
    book: Call = ("POST", "/v1/transactions", credit)
    brevo = {
        "contactId": int(CUSTOMER),
        "amount": 5,
        "autoComplete": True,
        "balanceDefinitionId": definition_id(1, "main", "points"),
    }
    award = {"memberId": CUSTOMER, "points": 5, "journalType": "Accrual", "processImmediately": True}
    return [
        ("Salesforce: a balance", read, ("GET", f"/loyalty/members/{CUSTOMER}/balance", None)),
        ("Salesforce: an accrual", book, ("POST", "/loyalty/transactions", award)),
        ("Brevo: a credit", book, ("POST", f"/v3/loyalty/balance/programs/{program_id(1, 'main')}/transactions", brevo)),
        ("VINR: an account", read, ("GET", f"/vinr/v1/loyalty/accounts/{ids.show('loy', MEMBER)}", None)),
        ("LoyalPro: points", book, ("POST", "/loyalpro/v1/points/award", {"customer_id": CUSTOMER, "points": 5})),
    ]  # fmt: skip


def _medians(url: str, *calls: Call) -> list[float]:
    """Ask each in turn over one kept connection; return the medians in microseconds."""
    taken: list[list[float]] = [[] for _ in calls]
    with requests.Session() as session:
        session.headers["Authorization"] = f"Bearer {TOKEN}"
        for turn in range(WARM_UP + TURNS):
            for (method, path, body), times in zip(calls, taken, strict=True):
                began = time.perf_counter()
                answer = session.request(method, url + path, json=body, timeout=30)
                spent = time.perf_counter() - began
                if answer.status_code >= 300:
                    raise RuntimeError(f"{method} {path}: {answer.status_code} {answer.text}")
                if turn >= WARM_UP:
                    times.append(spent * 1_000_000)
    return [statistics.median(times) for times in taken]


def _furnish(url: str) -> None:
    """Add a key, and a member whom each vendor knows as a customer."""
    engine = open_database(url)
    known = [
        {"env": 1, "source": vendor, "customer": CUSTOMER, "member": MEMBER}
        for vendor in ("brevo", "salesforce", "vinr", "loyalpro")
    ]
    add_key(engine)
    with engine.begin() as connection:
        connection.execute(
            insert(t.members).values(env=1, id=MEMBER, state="active", created_at=0, updated_at=0)
        )
        connection.execute(insert(t.identities), known)
    engine.dispose()
