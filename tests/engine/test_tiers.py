"""Tiers: which one a member is on, what moves it and when, and what an order keeps of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from adapter.engine.audit import audit
from adapter.engine.rebuild import rebuild
from adapter.program.model import Program
from adapter.store import tables as t
from tests.engine.test_audit import read
from tests.shop import (
    cancelled,
    configure,
    line,
    placed,
    play,
    recorded,
)

if TYPE_CHECKING:
    from sqlalchemy import Engine

LADDER = [{"name": "basic"}, {"name": "silver", "threshold": "100"}, {"name": "gold", "threshold": "500"}]


def program(**more: Any) -> Program:
    group = {"name": "status", "measure": "lifetime_points", "downgrade": "real_time", "tiers": LADDER}
    group |= more.pop("group", {})
    return Program.model_validate({
        "name": "main",
        "earning": {"rate": "1", "award_on": "order.placed"} | more.pop("earning", {}),
        "tier_groups": [group],
        **more,
    })  # fmt: skip


def tiers(engine: Engine) -> list[tuple[str | None, str]]:
    columns = t.tier_changes.c
    with engine.connect() as connection:
        rows = connection.execute(select(columns.from_tier, columns.to_tier).order_by(columns.id)).all()
    return [tuple(row) for row in rows]


def test_the_tier_follows_what_was_posted_and_what_was_taken_back(database: Engine) -> None:
    configure(database, program(bonuses={"sign_up": 20}))
    play(database, [recorded(placed("1", line(amount="90.00")))])
    assert tiers(database) == [(None, "basic"), ("basic", "silver")]
    play(database, [recorded(placed("2", line(amount="400.00")))])
    play(database, [recorded(cancelled("1"))])
    assert tiers(database) == [(None, "basic"), ("basic", "silver"), ("silver", "gold"), ("gold", "silver")]
    assert audit(database) == []
    assert rebuild(database, read) == []
