"""What must be true at the end of every run, whatever happened in it. Each oracle names what it objects to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError

from adapter.clock import LATEST
from adapter.commands import LapseVoucher, RecordEvent
from adapter.engine import batch
from adapter.engine.audit import audit
from adapter.engine.batch import Batcher
from adapter.ids import show
from adapter.store import tables as t
from adapter.store.database import unit_of_work
from tests.shop import snapshot
from tests.simulation.history import broken
from tests.simulation.stage import stage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection, Engine

    from adapter.commands import Command
    from tests.simulation.lives import Life
    from tests.simulation.sending import Network
    from tests.simulation.stage import Stage
    from tests.simulation.taking import Intake


def book_objections(made: Stage, intake: Intake, lives: list[Life]) -> Iterator[str]:
    """Judge the ledger: by its own rows, by its history, by arithmetic, and by a run that nothing disturbed."""
    yield from audit(made.engine)
    with made.engine.connect() as connection:
        yield from broken(connection)
    yield from _overdue(made)
    yield from _worth(made.engine, lives)
    yield from _missing(made.engine, intake)
    yield from _disturbed(made, intake)


def _overdue(made: Stage) -> Iterator[str]:
    c = t.lots.c
    query = select(c.id).where(c.available > 0, c.expires_at <= made.now)
    v = t.vouchers.c
    over = select(v.code).where(v.state == "active", v.expires_at <= made.now)
    with made.engine.connect() as connection:
        for lot in connection.execute(query).scalars():
            yield f"lot {lot} is over and swept, and has points available"
        for code in connection.execute(over).scalars():
            yield f"voucher {code} is over and swept, and can be used"


def _worth(engine: Engine, lives: list[Life]) -> Iterator[str]:
    with engine.connect() as connection:
        kept = {row.ref: row for row in connection.execute(select(t.orders))}
    for life in lives:
        row = kept.get(life.ref)
        if row is None:
            yield f"order {life.ref} is not there"
        elif (row.award, row.retained) != (life.award, life.retained):
            yield f"order {life.ref} keeps {row.retained} of {row.award}, not {life.retained} of {life.award}"


def _missing(engine: Engine, intake: Intake) -> Iterator[str]:
    """Find what was answered, and is not there."""
    with engine.connect() as connection:
        events = {bytes(key) for key in connection.execute(select(t.events.c.key)).scalars()}
        keys = {bytes(key) for key in connection.execute(select(t.idempotency_keys.c.key)).scalars()}
    for key, (command, _) in intake.answered.items():
        if key not in (events if isinstance(command, RecordEvent) else keys):
            yield f"{type(command).__name__} was answered, and is not there"


def _disturbed(made: Stage, intake: Intake) -> Iterator[str]:
    """Compare with the same commands at the same instants, one by one and each once, while nothing fails."""
    with made.engine.connect() as connection:
        codes = {row.id: row.code for row in connection.execute(text("SELECT id, code FROM vouchers"))}
    with pytest.MonkeyPatch.context() as patch, stage(made.program, "calm") as calm:
        patch.setattr(
            batch, "CLOCKS_DIFFER_MS", -LATEST
        )  # these instants are decided: no clock is to be followed
        one_by_one = Batcher(calm.world.clock)
        try:
            with unit_of_work(
                calm.engine
            ) as connection:  # one for all: nobody looks in between, and nothing fails
                for calm.world.now, command in intake.committed:
                    one_by_one(connection, [_for(connection, command, codes)])
        except (DBAPIError, LookupError) as error:
            yield f"undisturbed it fails: {error!r}"
        here, there = (_state(engine) for engine in (made.engine, calm.engine))
    for name in here:
        if here[name] != there[name]:
            yield f"{name} are {here[name]}, but undisturbed {there[name]}"


def _for(connection: Connection, command: Command, codes: dict[int, str]) -> Command:
    """Return a command for another book, where rules drew the ids of vouchers anew, and derived the same codes."""
    if not isinstance(command, LapseVoucher):
        return command
    v = t.vouchers.c
    named = connection.execute(select(v.id).where(v.code == codes[command.voucher])).scalar_one_or_none()
    return msgspec.structs.replace(command, voucher=named or 0)


def _state(engine: Engine) -> dict[str, Any]:
    c = t.transactions.c
    query = select(c.id, c.state, c.amount).where(c.order_ref.is_(None), c.id < 100_000).order_by(c.id)
    with engine.connect() as connection:
        transactions = [tuple(row) for row in connection.execute(query)]
        standing = {
            name: [tuple(row) for row in connection.execute(query)] for name, query in _STANDING.items()
        }
    return {**snapshot(engine), "transactions": transactions, **standing}


_STANDING = {
    "tiers": text("SELECT member, tier, since, assigned_until FROM standings ORDER BY member, tier_group"),
    "moves of tiers": text(
        "SELECT member, n, from_tier, to_tier, at, kind, measure FROM tier_changes ORDER BY member, tier_group, n"
    ),
    "vouchers": text(
        "SELECT member, code, rule, occasion, state, linked, withdrawn, decided, hold, held_until, expires_at, redeemed_at,"
        " revoked_at, expired_at FROM vouchers ORDER BY member, code"
    ),
}  # fmt: skip


def delivery_objections(made: Stage, network: Network, replays: list[tuple[int, Any]]) -> Iterator[str]:
    """Judge the sending: every message reached every endpoint, and nothing is called delivered that was not."""
    world = made.world
    with made.engine.connect() as connection:
        messages = connection.execute(select(t.messages.c.id)).scalars().all()
        urls: dict[int, str] = {row.id: row.url for row in connection.execute(select(t.endpoints))}
    for message in messages:
        for url in urls.values():
            if (url, show("msg", message)) not in network.accepted:
                yield f"message {message} never reached {url}"
    for row in world.deliveries():
        if row.state != "delivered":
            yield f"delivery {row.id} ends {row.state}"
        elif (urls[row.endpoint], show("msg", row.message)) not in network.accepted:
            yield f"delivery {row.id} is called delivered, and no receiver said so"
    for before, row in replays:
        if (urls[row.endpoint], show("msg", row.message)) not in network.received[before:]:
            yield f"delivery {row.id} was to be replayed, and was not sent again"
