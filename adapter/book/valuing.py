"""By what an order is valued, and what its row says of it afterwards."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from adapter.book.membership import read_kept
from adapter.book.orders import Setting, Target, name_of, placed_at, totals_of
from adapter.book.parts import dump_parts
from adapter.book.state import Order, OrderState
from adapter.program.reasons import Reason

if TYPE_CHECKING:
    from adapter.book.working import WorkingSet


def setting_of(work: WorkingSet, order: Order, known: Reason | None) -> Setting:
    """Return what the order's target depends on besides its facts: the program as it was when it was placed."""
    totals = totals_of(order.facts, order.source)
    at = placed_at(order.facts) or (totals.version if totals else work.now)
    version = work.catalog.version_at(order.env, order.program, at)
    definition = work.catalog.definition_of(order.env, order.program)
    order.program_version, order.definition, order.placed_at = (
        version.version,
        definition.id,
        at if totals else None,
    )
    live = work.catalog.environments[order.env].live
    program = version.program.of_balance(definition.name)
    return as_kept(Setting(order.source, program, definition.decimals, live, known), order.standing)


def as_kept(setting: Setting, standing: str | None) -> Setting:
    """Return what an order's target depends on with what the order keeps of its member's standing."""
    kept = read_kept(standing)
    if kept is None or kept.stood is None:
        return setting
    return msgspec.structs.replace(
        setting, tier=kept.stood.tier, first=kept.stood.first, room=kept.stood.room
    )


def describe(order: Order, target: Target, setting: Setting) -> None:
    """Write on the order's row what the target says, for lists and for "why no points?"."""
    totals = totals_of(order.facts, order.source)
    order.name = name_of(order.facts, setting.owner)
    order.award, order.retained, order.reason = target.award, target.retained, target.reason
    order.parts = dump_parts(target.parts)
    order.basis = None if target.basis is None else f"{target.basis.normalize():f}"
    order.currency = totals.currency if totals else None
    order.state = _state(target)


def _state(target: Target) -> OrderState:
    if target.reason is Reason.TOTALS_UNKNOWN:
        return OrderState.WAITING
    if target.parked:
        return OrderState.PARKED
    if target.reason is Reason.CANCELLED:
        return OrderState.CANCELLED
    if target.pending:
        return OrderState.PLACED
    return OrderState.POSTED if target.posted else OrderState.NOTHING
