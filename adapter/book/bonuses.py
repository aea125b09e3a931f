"""Bonuses: points for becoming a member and on birthdays. Each occasion is credited once, as a completed credit."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

from adapter.book.lots import land
from adapter.book.membership import Bonus
from adapter.book.posting import finish
from adapter.book.state import Account, Lot, Transaction
from adapter.book.transfers import Cause
from adapter.program.days import anniversaries, day_of
from adapter.program.ending import expires_at

if TYPE_CHECKING:
    from adapter.book.membership import Membership
    from adapter.book.working import WorkingSet
    from adapter.clock import Millis

SIGN_UP = "sign_up"
BIRTHDAY = "birthday"


def welcome(work: WorkingSet, key: tuple[int, int, str], event: int | None) -> None:
    """Credit what a program gives for becoming a member."""
    program = work.catalog.version_at(key[0], key[2], work.now).program
    amount = program.bonuses.sign_up
    if amount and program.state_at(work.now) == "published":
        _credit(work, key, amount, Cause(f"bonus.{SIGN_UP}", work.now, event), SIGN_UP)


def celebrate(work: WorkingSet, membership: Membership) -> None:
    """Credit the birthdays that have begun, each by the program of that day, and note when the next one begins."""
    env, member, name = membership.key
    while membership.birthday_at is not None and membership.birthday_at <= work.now:
        at = membership.birthday_at
        program = work.catalog.version_at(env, name, at).program
        amount = program.bonuses.birthday
        if amount and program.state_at(at) == "published" and _active(work, env, member):
            occasion = f"{BIRTHDAY}:{date.fromordinal(day_of(at, program.timezone)).year}"
            _credit(work, membership.key, amount, Cause(f"bonus.{BIRTHDAY}", at), occasion)
        _plan(work, membership, at)
    _plan(work, membership, work.now)


def _plan(work: WorkingSet, membership: Membership, after: Millis) -> None:
    env, member, name = membership.key
    program = work.catalog.version_at(env, name, work.now).program
    person = work.people.get((env, member))
    born = None if person is None else person.birthday
    wanted = program.bonuses.birthday and born is not None and _active(work, env, member)
    begins = anniversaries(_first_day(born), program.timezone, after) if wanted and born else iter(())
    at = next(begins, None)
    if at != membership.birthday_at:
        membership.birthday_at = at
        work.memberships.mark(membership.key)


def _first_day(born: str) -> int:
    return date.fromisoformat(born).toordinal()


def _active(work: WorkingSet, env: int, member: int) -> bool:
    row = work.members.get((env, member))
    return row is not None and row.state == "active"


def _credit(work: WorkingSet, key: tuple[int, int, str], amount: int, cause: Cause, occasion: str) -> None:
    env, member, name = key
    if (*key, occasion) in work.bonuses:
        return
    definition = work.catalog.definition_of(env, name)
    program = work.catalog.version_at(env, name, cause.occurred_at).program
    whole = amount * 10**definition.decimals
    whose = (env, member, definition.id)
    change = work.change(whose, cause)
    change.due_at = cause.occurred_at  # a birthday counts from its own day, whenever the sweep came by
    transaction = Transaction(
        env,
        work.new_id(),
        member,
        definition.id,
        "credit",
        "completed",
        whole,
        None,
        None,
        cause.event,
        cause.occurred_at,
        work.now,
        work.now,
        occasion.partition(":")[0],
        work.now,
    )
    ends = expires_at(cause.occurred_at, program.expiry, program.timezone)
    lot = Lot(*whose, work.new_id(), None, None, cause.occurred_at, expires_at=ends)
    work.transactions.put(transaction.id, transaction)
    work.told.add(transaction.id)
    land(change, lot, whole, origin=Account.ISSUED, transaction=transaction.id)
    work.keep_lots(change, [lot])
    work.bonuses[*key, occasion] = Bonus(*key, occasion, transaction.id, work.now)
    finish(work, change)
