"""The sweep: finds whom time has caught up with, and sends them through the door like everything else."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import structlog
from sqlalchemy import BigInteger, Engine, Integer, bindparam, or_, select

from adapter.commands import Command, Elapse, LapseVoucher, Review
from adapter.errors import Unavailable
from adapter.store import tables as t
from adapter.store.database import answering

if TYPE_CHECKING:
    import threading
    from concurrent.futures import Future

    from adapter.clock import Clock, Millis
    from adapter.outcome import Outcome

log = structlog.get_logger()

_NOW = bindparam("now", type_=BigInteger)
_MOST = bindparam("most", type_=Integer)
_B, _V, _M = t.balances.c, t.vouchers.c, t.memberships.c
_DUE_BALANCES = (
    select(_B.env, _B.member, _B.definition)
    .where(_B.next_due_at <= _NOW)
    .order_by(_B.next_due_at)
    .limit(_MOST)
)
_DUE_VOUCHERS = (
    select(_V.env, _V.id, _V.member)
    .where(_V.state == "active", or_(_V.expires_at <= _NOW, _V.remind_at <= _NOW))
    .order_by(_V.expires_at)
    .limit(_MOST)
)
_DUE_MEMBERS = (
    select(_M.env, _M.member, _M.program).where(_M.next_due_at <= _NOW).order_by(_M.next_due_at).limit(_MOST)
)

Offer = Callable[[Command], "Future[Outcome]"]


def due_balances(engine: Engine, now: Millis, limit: int) -> list[Elapse]:
    """Return commands for the balances that time has caught up with, the longest overdue first."""
    with engine.connect() as connection:
        return [
            Elapse(env=row.env, member=row.member, definition=row.definition)
            for row in connection.execute(_DUE_BALANCES, {"now": now, "most": limit})
        ]


def due_vouchers(engine: Engine, now: Millis, limit: int) -> list[LapseVoucher]:
    """Return commands for the vouchers whose time is over, or nearly so, the longest overdue first."""
    with engine.connect() as connection:
        return [
            LapseVoucher(env=row.env, voucher=row.id, member=row.member)
            for row in connection.execute(_DUE_VOUCHERS, {"now": now, "most": limit})
        ]


def due_members(engine: Engine, now: Millis, limit: int) -> list[Review]:
    """Return commands for the members whose standing time has caught up with, the longest overdue first."""
    with engine.connect() as connection:
        return [
            Review(env=row.env, member=row.member, program=row.program)
            for row in connection.execute(_DUE_MEMBERS, {"now": now, "most": limit})
        ]


def sweep(engine: Engine, offer: Offer, now: Millis, *, batch: int = 500) -> int:
    """Let time take effect for everyone who is due, points before tiers; return for how many it did."""
    done = 0
    for due in (due_balances, due_members, due_vouchers):
        while commands := due(engine, now, batch):
            for future in [offer(command) for command in commands]:
                future.result()
            done += len(commands)
            if len(commands) < batch:
                break
    return done


def run(
    engine: Engine, offer: Offer, clock: Clock, stop: threading.Event, *, interval_s: float, batch: int
) -> None:
    """Sweep again and again until told to stop."""
    while not stop.wait(interval_s):
        try:
            with answering(engine):
                sweep(engine, offer, clock(), batch=batch)
        except Unavailable as error:
            log.warning("the sweep waits", error=error.message)
        except Exception:  # the top of the sweep's loop: it must outlive any single round
            log.exception("the sweep failed and will try again")
