"""Bugs to plant: a name, what it is, and how the real code is changed to have it. The search must object to each.

Most are those that other ledgers had, or that their simulators planted. `rebound` gives a function's own code other
names to see; `replace` puts a function in the place of another wherever the product imported it.
"""

from __future__ import annotations

import dataclasses
import sys
from dataclasses import dataclass
from types import FunctionType
from typing import TYPE_CHECKING, Any

from sqlalchemy import select, text

from adapter.book import (
    elapsing,
    facts,
    giving,
    lots,
    merging,
    news,
    occasions,
    orders,
    redemptions,
    tiers,
    transacting,
    vouchers,
)
from adapter.commands import EndTransaction
from adapter.delivery import claim, record, replay
from adapter.delivery.settings import DeliverySettings
from adapter.engine import carrying
from adapter.engine.answers import Answers
from adapter.program.earning import micros
from adapter.store import tables as t

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest


@dataclass(frozen=True)
class Plant:
    """A bug: what it is in words, how to plant it, and the seed at which the search begins, so that it is short."""

    what: str
    plant: Callable[[pytest.MonkeyPatch], None]
    first: int = 0


def nothing(*_: Any, **__: Any) -> None:
    """Do nothing."""


def rebound(function: Any, **names: Any) -> Any:
    """Return a function with the same code, which sees other things under these names."""
    seen = {**function.__globals__, **names}
    copy = FunctionType(
        function.__code__, seen, function.__name__, function.__defaults__, function.__closure__
    )
    copy.__kwdefaults__ = function.__kwdefaults__
    return copy


def replace(patch: pytest.MonkeyPatch, original: Any, planted: Any) -> None:
    """Put one function in the place of another in every module of the product that knows it."""
    for name, module in list(sys.modules.items()):
        if name.startswith("adapter."):
            for known in [known for known, value in vars(module).items() if value is original]:
                patch.setattr(module, known, planted)


def seeing(function: Any, **names: Any) -> Callable[[pytest.MonkeyPatch], None]:
    """Return how to plant a function that sees other things under these names."""
    return lambda patch: replace(patch, function, rebound(function, **names))


def deciding(kind: type, planted: Any) -> Callable[[pytest.MonkeyPatch], None]:
    """Return how to plant a function that decides a kind of command."""
    return lambda patch: patch.setitem(
        carrying.WAYS, kind, dataclasses.replace(carrying.WAYS[kind], decide=planted)
    )


# --- the ledger -------------------------------------------------------------------------------------------------------


def _latest_first(found: Any) -> list[Any]:
    return sorted(found, key=lots.turn_of, reverse=True)


def _end_again(work: Any, command: Any, event: int) -> Any:
    transaction = work.transactions.get(command.transaction)
    if transaction is not None and transaction.state in ("completed", "cancelled"):
        transaction.state = "pending"
    return transacting.end_transaction(work, command, event)


def _each_refund_rounded(award: Any, refunds: Any, totals: Any) -> int:
    whole = micros(totals.total)
    taken = sum(award.points * micros(one.amount) // whole for one in refunds)
    return int(max(award.points - taken, 0))


def _unclamped(award: Any, refunds: Any, totals: Any) -> int:
    whole = micros(totals.total)
    return int(award.points * (whole - sum(micros(one.amount) for one in refunds)) // whole)


def _refunds_pile_up(patch: pytest.MonkeyPatch) -> None:
    put = facts._put

    def piling(known: Any, key: str, told: Any, stamp: Any) -> Any:
        if stamp is facts._refund_stamp and key in known:
            key = f"{key}:{len(known)}"
        return put(known, key, told, stamp)

    patch.setattr(facts, "_put", piling)


def _return_more(work: Any, change: Any, transaction: Any, lot: Any, part: int) -> None:
    _RETURN_PART(work, change, transaction, lot, part + 1)


_RETURN_PART = redemptions.return_part


LEDGER = {
    "activate the dead": Plant(
        "a pending credit whose lot is over becomes available", seeing(lots.land, expire=nothing), first=2
    ),
    "spend the expired": Plant(
        "what is over and not yet swept can be spent",
        lambda patch: patch.setattr(transacting, "let_time_pass", nothing),
        first=36,
    ),
    "last in, first out": Plant(
        "the lot that ends last is used first", seeing(lots.take, in_order_of_use=_latest_first)
    ),
    "debt not netted": Plant(
        "points become available while some are owed", seeing(lots.land, min=lambda *_: 0), first=50
    ),
    "overspend": Plant("a lot gives more than it has", seeing(lots.take, min=lambda _has, asked: asked)),
    "resolve twice": Plant(
        "a hold that was completed or cancelled can be ended again", deciding(EndTransaction, _end_again)
    ),
    "release revives": Plant(
        "points that are released after their lot's end stay available",
        seeing(lots.release, expire=nothing),
        first=144,
    ),
    "sweep skips lots": Plant(
        "time passes, and no lot runs out", seeing(elapsing.let_time_pass, expire_lots=nothing), first=15
    ),
    "each refund rounded": Plant(
        "every refund is rounded by itself",
        lambda patch: patch.setattr(orders, "retained_of", _each_refund_rounded),
    ),
    "refund not clamped": Plant(
        "refunds beyond the order take more than it gave",
        lambda patch: patch.setattr(orders, "retained_of", _unclamped),
    ),
    "same refund twice": Plant("a refund that is told again is one more refund", _refunds_pile_up),
    "undo too much": Plant(
        "a reversed debit gives back one point more than it took",
        lambda patch: replace(patch, redemptions.return_part, _return_more),
        first=158,
    ),
    "give and keep": Plant(
        "points that are given away stay with their giver",
        lambda patch: patch.setattr(giving, "move", nothing),
        first=36,
    ),
    "holds left behind": Plant(
        "a member who becomes another leaves behind what is held or pending",
        seeing(merging._merge_balance, _pending_of=lambda *_: []),
        first=231,
    ),
    "no message": Plant(
        "a balance changes, and nobody is told", lambda patch: replace(patch, news.tell_balance, nothing)
    ),
    "last word wins": Plant(
        "of two facts the one that arrives later counts, not the one that is newer",
        lambda patch: patch.setattr(facts, "_later", lambda _known, told, _stamp: told),
    ),
    "answers forgotten": Plant(
        "what comes again under its Idempotency-Key is done again",
        lambda patch: patch.setattr(Answers, "find", nothing),
    ),
}


# --- tiers and vouchers -----------------------------------------------------------------------------------------------


def _only_up(ladder: Any, at: int, cause: Any) -> None:
    """Follow the measure to a higher tier, and to a lower one only from where somebody assigned it."""
    reached, here = ladder.group.reached(ladder.amount(0), 0), ladder.group.place(ladder.standing.tier)
    if reached > here or ladder.standing.assigned_until is not None:
        _FOLLOW(ladder, at, cause)


_FOLLOW = tiers._follow


STANDING = {
    "tiers only rise": Plant(
        "a tier is kept though the points that reached it were taken back",
        lambda patch: patch.setattr(tiers, "_follow", _only_up),
        first=24,
    ),
    "move untold": Plant(
        "a tier moves, and nobody is told", seeing(tiers.move_to, tell_tier=nothing), first=24
    ),
    "one of many occasions": Plant(
        "of several occasions in one change only the first has its voucher",
        seeing(occasions._of_points, range=lambda first, end: range(first, min(first + 1, end))),
        first=30,
    ),
    "voucher not taken back": Plant(
        "a voucher stays though its occasion is no more",
        seeing(occasions.vouch, _take_back=nothing),
        first=24,
    ),
    "voucher untold": Plant(
        "a voucher moves, and nobody is told", seeing(vouchers.move_on, tell_voucher=nothing), first=24
    ),
}


# --- delivery ---------------------------------------------------------------------------------------------------------


def _replay_once(connection: Any, env: int, selection: Any, *, now: int) -> Any:
    items = t.replay_items.c
    known = select(items.delivery).where(items.env == env, items.delivery == selection.delivery)
    return {} if connection.execute(known).first() else _CREATE(connection, env, selection, now=now)


_CREATE = replay.create


def _delivered_to_all(connection: Any, attempts: Any, *given: Any, **named: Any) -> Any:
    found = _RECORD(connection, attempts, *given, **named)
    for attempt in attempts:
        if attempt.answer.delivered:
            done = "UPDATE deliveries SET state = 'delivered' WHERE env = :env AND message = :message"
            connection.execute(text(done), {"env": attempt.claimed.env, "message": attempt.claimed.message})
    return found


_RECORD = record.record


def _marked_before(connection: Any, rows: Any, *given: Any) -> Any:
    found = _CLAIM(connection, rows, *given)
    for one in found:
        done = "UPDATE deliveries SET state = 'delivered' WHERE env = :env AND id = :id"
        connection.execute(text(done), {"env": one.env, "id": one.id})
    return found


_CLAIM = claim.claim


def _unfenced(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(record, "_timely", lambda _connection, attempts: list(attempts))
    patch.setattr(record, "_UPDATE", text(str(record._UPDATE).replace(" AND fence = :fence", "")))


DELIVERY = {
    "short lease": Plant(
        "a claim lasts half as long as its request may",
        lambda patch: patch.setattr(
            DeliverySettings, "lease_ms", lambda _self, timeout_s: int(timeout_s * 500)
        ),
        first=10,
    ),
    "static replay key": Plant(
        "a second replay of the same delivery is silently the first one",
        lambda patch: patch.setattr(replay, "create", _replay_once),
        first=50,
    ),
    "keyed by message": Plant(
        "what one endpoint took is done for all others",
        lambda patch: replace(patch, record.record, _delivered_to_all),
    ),
    "marked before it is sent": Plant(
        "a delivery is called delivered when it is claimed",
        lambda patch: patch.setattr(claim, "claim", _marked_before),
    ),
    "unfenced": Plant("an answer is recorded although somebody else claimed the delivery since", _unfenced),
}

PLANTS = {**LEDGER, **STANDING, **DELIVERY}
