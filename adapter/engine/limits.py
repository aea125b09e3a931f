"""Load what bounds a batch: what was redeemed today, what locks balances, what the API booked in the time of a limit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from adapter.book.limiting import counted
from adapter.book.rationing import counts, limits_of, span_of
from adapter.program.redeeming import counts_by_day, day_began
from adapter.store.booked import booked_since
from adapter.store.limits import locking, redeemed_since

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from adapter.book.working import BalanceKey, WorkingSet
    from adapter.clock import Millis
    from adapter.engine.carrying import Touched
    from adapter.store.pipeline import Asking


def load_limits(connection: Connection, work: WorkingSet, touched: Touched) -> Asking[None]:
    """Fill the working set, once the redemptions that commands name are in it; no query where nothing is redeemed."""
    work.locking += yield from locking(connection, touched.redeems, work.now)
    days = {key: began for key in touched.redeems if (began := _day_began(work, key)) is not None}
    redeemed = yield from redeemed_since(connection, days, work.now)
    for key, amount in redeemed.items():
        known = sum(counted(one, days[key], work.now) for one in work.redemptions.of(key))
        work.redeemed_today[key] = amount - known


def load_booked(connection: Connection, work: WorkingSet, touched: Touched) -> Asking[None]:
    """Fill the working set with what the limits of balances count; no query where none is touched that has any."""
    spans = {
        span_of(work, (env, member, definition), limit)
        for env, member, definition, kind in touched.booked
        for limit in limits_of(work, env, definition, kind)
    }
    booked = yield from booked_since(connection, spans, work.now)
    for span, (number, amount) in booked.items():
        known = [one for one in work.transactions.values() if counts(one, span, work.now)]
        work.booked[span] = (number - len(known), amount - sum(one.amount for one in known))


def _day_began(work: WorkingSet, key: BalanceKey) -> Millis | None:
    """Return when the day of a balance's program began, None where nothing depends on it."""
    program = work.program_of(key[0], key[2])
    rules = program.redeeming
    return day_began(work.now, rules, program.timezone) if counts_by_day(rules) else None
