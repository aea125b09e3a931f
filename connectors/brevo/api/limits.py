"""Balance limits: how often, and how much, a contact may be credited or debited in a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from adapter import ids as our_ids
from adapter.web.dialects import Answered, Asked, view_of
from connectors.brevo import ids
from connectors.brevo.api import definitions
from connectors.brevo.api.definitions import definition_in_path
from connectors.brevo.api.programs import route
from connectors.brevo.api.shown import (
    Programmed,
    VersionQuery,
    change_draft,
    dumped,
    exchanged,
    found,
    program_meant,
)

if TYPE_CHECKING:
    from adapter.program.bounds import BalanceDefinition
    from adapter.program.limits import Limit
    from adapter.program.model import Program
    from adapter.web.routing import Call

PATH = f"{definitions.ONE}/limits"
ONE = f"{PATH}/{{blid}}"
COUNTS = {"transaction": "transactions", "amount": "amount"}
COUNTED: dict[str, Literal["transaction", "amount"]] = {"transactions": "transaction", "amount": "amount"}

Kind = Literal["credit", "debit"]
Constraint = Literal["transaction", "amount"]
DurationUnit = Literal["hour", "day", "week", "month", "year"]


class LimitAsked(Asked):
    """A limit; without `slidingSchedule` it is the calendar's time, which begins anew."""

    constraint_type: Constraint
    transaction_type: Kind
    duration_unit: DurationUnit
    duration_value: Annotated[int, Field(ge=1, le=1000)]
    value: Annotated[int, Field(ge=0, le=10**12)]
    sliding_schedule: bool = False


class LimitShown(Answered):
    id: str
    balance_definition_id: str
    transaction_type: Kind
    constraint_type: Constraint
    duration_value: int
    duration_unit: DurationUnit
    value: int
    sliding_schedule: bool
    created_at: str
    updated_at: str


def create_limit(call: Call) -> dict[str, Any]:
    """Add a limit to a balance definition of the draft."""
    name = our_ids.new_uuid()
    meant = _changed(call, lambda of: [*dumped(of.limits), _said(name, call.body)])
    return _answer(call, meant, name)


def show_limit(call: Call) -> dict[str, Any]:
    """Show a limit."""
    meant = program_meant(call, call.query.version)
    return _answer(call, meant, _limit_in(call, definition_in_path(call, meant.program)).name)


def update_limit(call: Call) -> dict[str, Any]:
    """Change a limit in the draft."""

    def limits(of: BalanceDefinition) -> list[Any]:
        old = _limit_in(call, of)
        return exchanged(of.limits, old, _said(old.name, call.body))

    meant = _changed(call, limits)
    return _answer(call, meant, _limit_in(call, definition_in_path(call, meant.program)).name)


def delete_limit(call: Call) -> None:
    """Take a limit out of the draft."""
    _changed(call, lambda of: exchanged(of.limits, _limit_in(call, of), None))


def _changed(call: Call, limits: Any) -> Programmed:
    def changes(program: Program) -> dict[str, Any]:
        old = definition_in_path(call, program)
        new = {**old.model_dump(), "limits": limits(old)}
        return {"balance_definitions": exchanged(program.balance_definitions, old, new)}

    return change_draft(call, changes)


def _limit_in(call: Call, of: BalanceDefinition) -> Limit:
    where = (call.env, "limit", of.name)
    return found(of.limits, call.path["blid"], lambda one: our_ids.uuid_of(*where, one.name), "limit")


def _said(name: str, asked: LimitAsked) -> dict[str, Any]:
    return {
        "name": name,
        "of": asked.transaction_type,
        "counts": COUNTS[asked.constraint_type],
        "most": asked.value,
        "per": asked.duration_unit,
        "length": asked.duration_value,
        "sliding": asked.sliding_schedule,
    }


def _answer(call: Call, meant: Programmed, name: str) -> dict[str, Any]:
    of = definition_in_path(call, meant.program)

    def limit_of(program: Program) -> Limit | None:
        kept = program.balance(of.name)
        return None if kept is None else next((one for one in kept.limits if one.name == name), None)

    limit = limit_of(meant.program)
    assert limit is not None
    created, updated = meant.times(limit_of)
    return view_of(
        LimitShown(
            id=our_ids.uuid_of(meant.env, "limit", of.name, name),
            balance_definition_id=ids.definition_id(meant.env, meant.program.name, of.name),
            transaction_type=limit.of,
            constraint_type=COUNTED[limit.counts],
            duration_value=limit.length,
            duration_unit=limit.per,
            value=limit.most,
            sliding_schedule=limit.sliding,
            created_at=created,
            updated_at=updated,
        )
    )


TAG = "Balance limits"

ROUTES = (
    route(f"POST {PATH}", create_limit, "Create a balance limit", LimitShown, TAG, body=LimitAsked),
    route(f"GET {ONE}", show_limit, "Show a balance limit", LimitShown, TAG, query=VersionQuery),
    route(f"PUT {ONE}", update_limit, "Change a balance limit", LimitShown, TAG, body=LimitAsked),
    route(f"DELETE {ONE}", delete_limit, "Delete a balance limit", LimitShown, TAG),
)
