"""Ask the door for a command of the API, and turn what the book says into an answer or a problem."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from adapter.commands import Once
from adapter.errors import Unavailable
from adapter.points import points
from adapter.web.errors import STATUS, Problem
from adapter.web.routing import Repeated

if TYPE_CHECKING:
    from collections.abc import Callable

    from adapter.commands import ApiCommand, Outcome
    from adapter.web.routing import Call


def once_of(call: Call) -> Once | None:
    """Return the request's Idempotency-Key as a command carries it."""
    repeat = call.repeat
    return None if repeat is None else Once(key=repeat.key, request=repeat.request, ends_at=repeat.expires_at)


def ask(
    call: Call, command: ApiCommand, view: Callable[[dict[str, Any]], dict[str, Any]], *, decimals: int = 0
) -> dict[str, Any] | Repeated:
    """Submit a command and show what it made or changed.

    `view` shows the outcome's row; `decimals` are those of the points in the figures of a refusal. Raises `Problem`
    where the book refuses, `Unavailable` where nothing was decided.
    """
    outcome = call.parts.submit(command)
    if outcome.error is not None or outcome.row is None:
        raise refusal(outcome, decimals)
    shown = view(outcome.row)
    return Repeated(shown) if outcome.duplicate else shown


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
