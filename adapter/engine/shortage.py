"""Say why points are missing, for the commands of a batch that were refused for it: two queries, and none without."""

from __future__ import annotations

from typing import TYPE_CHECKING

from adapter.book.shortage import RECENT_MS, explained, past_of
from adapter.engine.carrying import WAYS
from adapter.store.recent import next_posts, spent_and_expired

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from adapter.book.state import Transfer
    from adapter.book.working import BalanceKey, WorkingSet
    from adapter.commands import ApiCommand
    from adapter.outcome import Outcome


def explain_shortages(
    connection: Connection, work: WorkingSet, answered: list[tuple[ApiCommand, Outcome]]
) -> list[tuple[ApiCommand, Outcome]]:
    """Return the answers; each `insufficient_balance` says more."""
    short = {
        id(outcome): WAYS[type(command)].spends(command)
        for command, outcome in answered
        if outcome.error == "insufficient_balance"
    }
    if not short:
        return answered
    sequences = {key: work.balance(key).sequence for key in short.values()}
    transfers: dict[BalanceKey, list[Transfer]] = {key: [] for key in sequences}
    for one in (*spent_and_expired(connection, sequences, work.now), *_of_this_batch(work)):
        transfers.setdefault((one.env, one.member, one.definition), []).append(one)
    posts = next_posts(connection, sequences, work.now)

    def said(outcome: Outcome) -> Outcome:
        key = short.get(id(outcome))
        if key is None:
            return outcome
        decimals = work.catalog.definitions[key[0], key[2]].decimals
        return explained(outcome, past_of(transfers[key], posts.get(key)), decimals)

    return [(command, said(outcome)) for command, outcome in answered]


def _of_this_batch(work: WorkingSet) -> list[Transfer]:
    return [
        one for change in work.changes for one in change.transfers if one.posted_at > work.now - RECENT_MS
    ]
