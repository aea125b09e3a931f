"""Ask the door for a command of the API, and turn what the book says into an answer or a problem."""

from __future__ import annotations

import asyncio
import hashlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import msgspec

from adapter import ids
from adapter.commands import Once
from adapter.errors import Unavailable
from adapter.points import points
from adapter.store.idempotency import find_answer
from adapter.web.errors import STATUS, Problem
from adapter.web.routing import Repeated

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from adapter.clock import Millis
    from adapter.commands import ApiCommand, Command
    from adapter.outcome import Outcome
    from adapter.web.routing import Call

DRAWS_MAX = 3
"""How often a code is drawn again: of a million that there are, the fourth is taken too once in 10 ** 24."""

AT_ONCE = 16
"""How many commands of one request wait at the door together."""


def once_of(call: Call) -> Once | None:
    """Return the request's Idempotency-Key as a command carries it."""
    repeat = call.repeat
    return None if repeat is None else Once(key=repeat.key, request=repeat.request, ends_at=repeat.expires_at)


async def passed(call: Call, at: Millis) -> bool:
    """Return whether an instant that a request names is over, and that matters.

    In the repeat of a request that was answered it does not: it gets that answer, however late it comes.
    """
    if at > call.now:
        return False
    return call.repeat is None or not await asyncio.to_thread(_was_answered, call, call.repeat.key)


def _was_answered(call: Call, key: bytes) -> bool:
    with call.parts.engine.connect() as connection:
        return find_answer(connection, call.env, key, call.now) is not None


def each_once(call: Call, index: int) -> Call:
    """Return the call of one item of a bulk: under an Idempotency-Key of its own, so that each item is done once."""
    if call.repeat is None:
        return call
    key = hashlib.sha256(call.repeat.key + index.to_bytes(8, "big")).digest()
    return replace(call, repeat=replace(call.repeat, key=key))


def submit_all(call: Call, commands: Iterable[Command]) -> list[Outcome]:
    """Submit commands that have nothing to do with each other, so that the door decides many at once."""
    with ThreadPoolExecutor(max_workers=AT_ONCE) as pool:
        return list(pool.map(call.parts.submit, commands))


def ask(
    call: Call,
    command: ApiCommand,
    view: Callable[[dict[str, Any]], dict[str, Any]],
    *,
    decimals: int = 0,
    drawn: str | None = None,
) -> dict[str, Any] | Repeated:
    """Submit a command and show what it made or changed. Raises like `decision`; `view` shows the outcome's row."""
    outcome, row = decided(call, command, decimals=decimals, drawn=drawn)
    return shown(outcome, view(row))


def decided(
    call: Call, command: ApiCommand, *, decimals: int = 0, drawn: str | None = None
) -> tuple[Outcome, dict[str, Any]]:
    """Submit a command from a thread beside the loop; like `decision`."""
    return call.parts.wait(decision(call, command, decimals=decimals, drawn=drawn))


async def decision(
    call: Call, command: ApiCommand, *, decimals: int = 0, drawn: str | None = None
) -> tuple[Outcome, dict[str, Any]]:
    """Submit a command; return its outcome, and the row of that.

    `decimals` are those of the points in the figures of a refusal. `drawn` is the prefix of the command's code where that
    was drawn: one that is taken is drawn again. Raises `Problem` where the book refuses, `Unavailable` where nothing was
    decided.
    """
    outcome = await call.parts.offer(command)
    for _ in range(0 if drawn is None else DRAWS_MAX):
        if outcome.error != "code_taken":
            break
        command = msgspec.structs.replace(command, code=ids.new_code(drawn or ""))
        outcome = await call.parts.offer(command)
    if outcome.error is not None or outcome.row is None:
        raise refusal(outcome, decimals)
    return outcome, outcome.row


def shown(outcome: Outcome, view: dict[str, Any]) -> dict[str, Any] | Repeated:
    """Return what a route shows of an outcome."""
    return Repeated(view) if outcome.duplicate else view


def shown_as(
    answer: dict[str, Any] | Repeated, show: Callable[[dict[str, Any]], dict[str, Any]]
) -> dict[str, Any] | Repeated:
    """Show an answer of ours in other words, a repeated one as well."""
    return Repeated(show(answer.view)) if isinstance(answer, Repeated) else show(answer)


def unless_rejected(answer: dict[str, Any] | Repeated) -> dict[str, Any] | Repeated:
    """Return what was done with a transaction. Raises `Problem` where it was rejected, which is kept all the same."""
    shown = answer.view if isinstance(answer, Repeated) else answer
    if shown["state"] == "rejected":
        raise Problem("rejected", f"It was rejected, and stays so: {shown['reason']}")
    return answer


def refusal(outcome: Outcome, decimals: int = 0) -> Problem | Unavailable:
    """Return the problem that tells why a command had no effect."""
    code = outcome.error or "unavailable"
    if STATUS.get(code) == STATUS["unavailable"]:
        return Unavailable("Nothing was booked; send it again.", code=code)
    figures = {
        name: one if isinstance(one, str) else points(one, decimals)
        for name, one in (outcome.figures or {}).items()
    }
    why = outcome.reason or "The book does not allow this."
    again = () if outcome.retry_after_s is None else (("Retry-After", str(outcome.retry_after_s)),)
    fields = () if outcome.field is None else ((outcome.field, why),)
    return Problem(code, why, errors=fields, headers=again, figures=figures or None)


def at_fault(field: str, what: str) -> Problem:
    """Return the problem of one field of a body; `what` says what is wrong with it."""
    sentence = f"{what[:1].upper()}{what[1:]}."
    return Problem(
        "request_invalid", f"The body cannot be used; see errors: {field}.", errors=((field, sentence),)
    )
