"""One batch: keys, load, decide, write, in one unit of work.

A batch is decided in plain Python on rows that are locked. It is answered as a whole: either everything it decided is
durable, or nothing is and all of it is decided again. What one command does wrong alone stays its own: see `door.py`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from adapter import ids
from adapter.book.elapsing import elapse
from adapter.book.occasions import NeedsVouchers, vouch
from adapter.book.recording import record_event
from adapter.book.settle import NeedsLots
from adapter.book.standing import review, stand, time_owed
from adapter.book.transfers import Cause
from adapter.book.vouching import lapse_voucher
from adapter.book.working import BalanceKey, Occasion, StoredEvent, WorkingSet
from adapter.clock import CLOCKS_DIFFER_MS
from adapter.commands import ApiCommand, Command, Elapse, LapseVoucher, RecordEvent, Review
from adapter.engine.answers import Answers
from adapter.engine.carrying import carry_out
from adapter.engine.instants import OWN
from adapter.engine.journal import entry_of
from adapter.engine.load import load
from adapter.engine.shortage import explain_shortages
from adapter.engine.vouchers import load_occasions
from adapter.engine.write import Recorded, forget, write
from adapter.outcome import Outcome
from adapter.store import tables as t
from adapter.store.bulk import by_keys
from adapter.store.configuration import VERSION, newest_of
from adapter.store.pipeline import Query, read_together, unanswered

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence

    from sqlalchemy import Connection

    from adapter.book.rows import Rows
    from adapter.catalog import Catalog
    from adapter.clock import Millis
    from connectors.vendor import Vendor


@dataclass(slots=True)
class Batcher:
    """Decides batches; keeps the catalog from one to the next.

    `sent` is called in each batch when all that is left is the database's work: to write what was sent, and to commit.
    """

    clock: Callable[[], Millis]
    vendors: Mapping[str, Vendor] = field(default_factory=dict)
    sent: Callable[[], None] = field(default=lambda: None, repr=False)
    catalog: Catalog | None = field(default=None, repr=False)

    def __call__(self, connection: Connection, commands: Sequence[Command]) -> list[Outcome]:
        """Decide and write all commands; return an outcome for each, in their order."""
        events = [command for command in commands if isinstance(command, RecordEvent)]
        versions, stored = read_together(connection, VERSION, _stored_before(connection, events))
        self.catalog = newest_of(connection, self.catalog, versions)
        now = self.clock()
        known = _known_events(stored)
        answers = Answers(connection, commands, now)
        firsts = _firsts(events, known)
        others = [command for command in commands if not isinstance(command, RecordEvent)]
        decided = self._decide(connection, [*firsts.values(), *others], answers, now)
        answered = explain_shortages(connection, decided.work, decided.answered)
        with unanswered(connection):
            write(connection, decided.work, decided.recorded)
            answers.write(connection)
            self.sent()
        OWN.note(decided.work.now, _changes(decided.work))
        forget(connection, decided.work)
        new = {(command.source, command.key): stored for command, stored in decided.recorded}
        made = {id(command): outcome for command, outcome in answered}
        return [made.get(id(command)) or _outcome(command, known, new, firsts) for command in commands]

    def _decide(
        self, connection: Connection, commands: Sequence[Command], answers: Answers, now: Millis
    ) -> _Decided:
        """Load and decide; once more with more lots when a clawback or a debit asks for them.

        For no member time goes back, be it that a clock was set right or that another machine's is ahead: what changes
        after a change is later, and so are its ids, by which messages are sent in order and `rebuild` goes. After a change
        of another process in this very millisecond it is a millisecond later; see `instants.py`.
        """
        assert self.catalog is not None
        needs: set[BalanceKey] = set()
        occasions: set[Occasion] = set()
        owed: Sequence[Command] = ()
        clock_now = now
        while True:
            answers.forget_new()
            work = WorkingSet(self.catalog, now, partial(ids.new_id, now), self.vendors, clock_now=clock_now)
            decided = _Decided(work, answers)
            load(connection, work, [*owed, *commands], needs)
            last = _changed_last(work, clock_now + CLOCKS_DIFFER_MS)
            if now < last or (now == last and not OWN.ours(now, _changed_at(work, now))):
                now = last + 1
                continue
            load_occasions(connection, decided.work, occasions)
            first = time_owed(decided.work)
            if first and not owed:
                owed = first
                continue
            missing = decided.decide([*owed, *commands])
            if missing <= needs and decided.occasions <= occasions:
                refused = [command for command, outcome in decided.answered if outcome.error is not None]
                if not (refused and answers.look_again(connection, refused)):
                    return decided
            needs |= missing
            occasions |= decided.occasions


def _changed_last(work: WorkingSet, until: Millis) -> Millis:
    """Return when something of what was loaded, and can only be changed by one door at a time, changed last.

    What says to be of after `until` was changed by a clock that was wrong: it is not followed, but its neighbours are.
    """
    changed = (row.updated_at for each in _locked(work) for row in each.values())
    return max((at for at in changed if at <= until), default=0)


def _changed_at(work: WorkingSet, at: Millis) -> Iterator[Hashable]:
    """Yield which of those were changed at an instant, as they were loaded."""
    for kind, rows in enumerate(_locked(work)):
        yield from ((kind, key) for key, row in rows.items() if row.updated_at == at)


def _changes(work: WorkingSet) -> Iterator[Hashable]:
    """Yield which of those this batch changes."""
    for kind, rows in enumerate(_locked(work)):
        yield from ((kind, key) for key in rows.changed())


def _locked(work: WorkingSet) -> tuple[Rows[Any, Any], ...]:
    return work.balances, work.members, work.transactions, work.redemptions


@dataclass(slots=True)
class _Decided:
    """What deciding a batch gave: rows to write, webhooks and commands to store, and answers."""

    work: WorkingSet
    answers: Answers
    recorded: Recorded = field(default_factory=list)
    answered: list[tuple[ApiCommand, Outcome]] = field(default_factory=list)
    occasions: set[Occasion] = field(default_factory=set)  # whose vouchers have to be looked up

    def decide(self, commands: Sequence[Command]) -> set[BalanceKey]:
        """Decide each; return the balances whose lots are missing."""
        missing = set()
        for command in commands:
            try:
                self._decide(command)
            except NeedsLots as error:
                missing.add(error.balance)
            except NeedsVouchers as error:
                self.occasions |= error.occasions
        return missing

    def _decide(self, command: Command) -> None:
        if isinstance(command, RecordEvent):
            number = self.work.new_id() if command.event_id is None else command.event_id
            self.work.whose = command.member
            self.recorded.append((command, record_event(self.work, command, number)))
            stand(self.work, number)
        elif isinstance(command, Elapse):
            elapse(self.work, command)
            stand(self.work, None)
        elif isinstance(command, LapseVoucher):
            lapse_voucher(self.work, command)
        elif isinstance(command, Review):
            key = (command.env, command.member, command.program)
            review(self.work, key, Cause("time.elapsed", self.work.now))
            stand(self.work, None)
        else:
            self.answered.append((command, self.answers.find(command) or self._carry_out(command)))
        vouch(self.work)

    def _carry_out(self, command: ApiCommand) -> Outcome:
        number = self.work.new_id()
        outcome = carry_out(self.work, command, number)
        stand(self.work, None if outcome.error else number)
        if outcome.error is None:
            self.recorded.append(entry_of(command, outcome, number))
            self.answers.keep(command, outcome)
        return outcome


EventKey = tuple[int, str, bytes]


def _stored_before(connection: Connection, events: list[RecordEvent]) -> Query | None:
    """Return what asks for those events of this batch that were stored before."""
    keys = [(one.env, one.source, one.key) for one in events if one.event_id is None]
    columns = ("env", "source", "key", "id", "state", "reason")
    return by_keys(connection, t.events, ("env", "source", "key"), keys, columns=columns)


def _known_events(stored: Sequence[Any]) -> dict[EventKey, Outcome]:
    """Return how those events ended."""
    return {
        (row.env, row.source, bytes(row.key)): Outcome(
            event=row.id,
            state=row.state,
            reason=row.reason,
            duplicate=True,
        )
        for row in stored
    }


def _firsts(events: list[RecordEvent], known: dict[EventKey, Outcome]) -> dict[EventKey | int, RecordEvent]:
    """Return the events to decide: new ones, each once however often it is in the batch, and those taken in again."""
    firsts: dict[EventKey | int, RecordEvent] = {}
    for command in events:
        key = (command.env, command.source, command.key)
        if command.event_id is not None:
            firsts.setdefault(command.event_id, command)
        elif key not in known:
            firsts.setdefault(key, command)
    return firsts


def _outcome(
    command: Command,
    known: dict[EventKey, Outcome],
    new: dict[tuple[str, bytes], StoredEvent],
    firsts: dict[EventKey | int, RecordEvent],
) -> Outcome:
    if not isinstance(command, RecordEvent):
        return Outcome()
    key = (command.env, command.source, command.key)
    if command.event_id is None and key in known:
        return known[key]
    stored = new[command.source, command.key]
    first = firsts.get(key if command.event_id is None else command.event_id)
    return Outcome(event=stored.id, state=stored.state, reason=stored.reason, duplicate=first is not command)
