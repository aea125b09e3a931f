"""Messages in a vendor's format, with a vendor that nobody has heard of."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import insert, select

from adapter.messages import MessageType
from adapter.program.model import Program
from adapter.store import tables as t
from connectors.vendor import Vendor
from tests.shop import NOW, configure, placed, play, recorded, shipped

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from connectors.vendor import Told


PROGRAM = Program.model_validate({"name": "main", "earning": {"rate": "1"}})


def write(event: str, told: Told) -> dict[str, Any] | None:
    if event == "balance_grew" and told.data["changes"].get("available", 0) <= 0:
        return None
    return {
        "event": event,
        "id": told.id,
        "customers_of": told.settings.customers_of,
        "of": told.data["member"],
    }


ACME = Vendor(
    name="acme",
    title="Acme",
    events={
        MessageType.BALANCE_UPDATED: ("balance_changed", "balance_grew"),
        MessageType.MEMBER_CREATED: ("subscribed",),
    },
    write=write,
)


def endpoint(number: int, form: str, *events: str) -> dict[str, Any]:
    return {
        "env": 1,
        "id": number,
        "url": f"http://127.0.0.1:9/{number}",
        "secrets": '[{"secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}]',
        "events": json.dumps(events),
        "format": form,
        "schedule": "[]",
        "timeout_s": 5,
        "ordered": 0,
        "headers": "{}",
        "concurrency": 1,
        "state": "enabled",
        "created_at": NOW,
        "updated_at": NOW,
    }


@pytest.mark.parametrize(
    ("events", "heard"),
    [
        (("balance_changed",), ["balance_changed", "balance_changed"]),
        (("balance_grew",), ["balance_grew"]),  # pending points are not there yet: no occasion for it
        (("*",), ["subscribed", "balance_changed", "balance_changed", "balance_grew"]),
        (("no_such",), []),
    ],
)
def test_an_endpoint_hears_its_vendors_events_and_nobody_elses(
    database: Engine, events: tuple[str, ...], heard: list[str]
) -> None:
    configure(database, PROGRAM)
    with database.begin() as connection:
        connection.execute(
            insert(t.endpoints), [endpoint(7, "acme", *events), endpoint(8, "native", "balance.*")]
        )
    for event in (placed(), shipped()):
        play(database, [recorded(event)], vendors={"acme": ACME})
    with database.connect() as connection:
        m, d = t.messages.c, t.deliveries.c
        query = select(m.type, m.format, m.sequence, m.body, m.id).order_by(m.id)
        joined = query.join(t.deliveries, (d.env == m.env) & (d.message == m.id))
        theirs = connection.execute(joined.where(d.endpoint == 7)).all()
        ours = connection.execute(joined.where(d.endpoint == 8)).all()
        kept = connection.execute(query).all()
    assert sorted(row.type for row in theirs) == sorted(heard)
    assert {row.format for row in theirs} <= {"acme"}
    assert [json.loads(row.body)["id"] for row in theirs] == [row.id for row in theirs]
    assert all(row.sequence is None for row in theirs)
    assert {json.loads(row.body)["customers_of"] for row in theirs} <= {"acme"}
    assert [(row.type, row.format, row.sequence) for row in ours] == [
        ("balance.updated", "native", 1),
        ("balance.updated", "native", 2),
    ]
    assert [row.type for row in kept if row.format == "acme"] == [row.type for row in theirs]
