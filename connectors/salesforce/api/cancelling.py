"""The actions `cancelAccrual` and `cancelRedemption`: several journals undone in one request, each with its own result."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import ConfigDict, Field
from pydantic.alias_generators import to_pascal

from adapter.errors import AdapterError, Unavailable
from adapter.web.dialects import Answered, Asked, view_of
from adapter.web.errors import refusal_of
from adapter.web.routing import Access, Call, Repeated, Route
from connectors.salesforce.api.errors import listed
from connectors.salesforce.api.meant import Text
from connectors.salesforce.api.reversing import reverse

if TYPE_CHECKING:
    from collections.abc import Callable

INPUTS_MOST = 100


class CancelAsked(Asked):
    """A journal to undo, and why."""

    model_config = ConfigDict(alias_generator=to_pascal)

    transaction_journal_id: Text
    cancellation_reason: Annotated[str, Field(min_length=1, max_length=500)]


class ActionAsked(Asked):
    inputs: Annotated[list[CancelAsked], Field(min_length=1, max_length=INPUTS_MOST)]


class ActionShown(Answered):
    """What became of one input."""

    action_name: str
    errors: list[dict[str, Any]] | None
    is_success: bool
    output_values: dict[str, str] | None


def cancel_award(call: Call) -> list[dict[str, Any]]:
    """Undo accruals."""
    return _each(call, "cancelAccrual", "Accrual")


def cancel_redemption(call: Call) -> list[dict[str, Any]]:
    """Undo redemptions."""
    return _each(call, "cancelRedemption", "Redemption")


def _each(call: Call, action: str, only: str) -> list[dict[str, Any]]:
    asked: ActionAsked = call.body
    return [
        _one(_apart(call, number), action, partial(_cancel, one, only))
        for number, one in enumerate(asked.inputs)
    ]


def _apart(call: Call, number: int) -> Call:
    """Return the call as one of its inputs has it: under a repeat key of its own."""
    if call.repeat is None:
        return call
    key = sha256(call.repeat.key + number.to_bytes(4, "big")).digest()
    return replace(call, repeat=replace(call.repeat, key=key))


def _cancel(one: CancelAsked, only: str, call: Call) -> dict[str, Any] | Repeated:
    return reverse(
        call,
        one.transaction_journal_id,
        field="TransactionJournalId",
        reason=one.cancellation_reason,
        only=only,
    )


def _one(call: Call, action: str, cancel: Callable[[Call], dict[str, Any] | Repeated]) -> dict[str, Any]:
    errors, values = None, None
    try:
        done = cancel(call)
        journal = done.view if isinstance(done, Repeated) else done
        values = {"CancellationTransactionJournalId": journal["transactionId"]}
    except Unavailable:
        raise
    except AdapterError as error:
        refusal = refusal_of(error, call.request_id, call.parts.settings.retry_after_s)
        errors = [
            {"statusCode": one["errorCode"], "message": one["message"], "fields": one.get("fields", [])}
            for one in listed(refusal)
        ]
    return view_of(
        ActionShown(action_name=action, errors=errors, is_success=errors is None, output_values=values)
    )


def _route(action: str, handler: Callable[[Call], Any], scope: str, summary: str) -> Route:
    return Route(
        "POST",
        f"/services/data/{{version}}/actions/standard/{action}",
        handler,
        scope,
        summary,
        ActionShown,
        "Actions",
        access=Access.DOOR,
        body=ActionAsked,
        keeps=True,
    )


ROUTES = (
    _route(
        "cancelAccrual",
        cancel_award,
        "transactions:write",
        "Take points back that were credited, each journal once",
    ),
    _route(
        "cancelRedemption",
        cancel_redemption,
        "redemptions:write",
        "Give points back that were redeemed, each journal once",
    ),
)
