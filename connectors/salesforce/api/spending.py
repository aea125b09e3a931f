"""Points spent by amount: the check and the debit are one command, at once or held for the order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from adapter.points import points
from adapter.web.asking import ask
from adapter.web.dialects import options_of, settings_of
from adapter.web.errors import Problem
from adapter.web.redeemed import redemption_of
from adapter.web.redeeming import beginning
from connectors.salesforce.api.errors import figure
from connectors.salesforce.api.meant import NAME, Meant, amount_of
from connectors.salesforce.vendor import SalesforceOptions

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from adapter.book.state import Redemption
    from adapter.commands import BeginRedemption
    from adapter.web.routing import Call, Repeated

Shown = dict[str, Any]


def spending(
    call: Call, whose: Meant, written: str, *, field: str, said: Mapping[str, str | None], **more: Any
) -> BeginRedemption:
    """Return the command that spends points; what was `said` is kept with it, and an `orderId` leads to the order."""
    order = said.get("orderId")
    return beginning(
        call,
        whose.member,
        whose.definition,
        points=amount_of(written, whose.definition, field=field),
        apply=options_of(call, NAME, SalesforceOptions).redemptions == "spent",
        order=None if order is None else _order(call, order),
        metadata={name: value for name, value in said.items() if value},
        **more,
    )


def _order(call: Call, order: str) -> tuple[str, str] | None:
    """Return the shop's order, where the dialect's customers are those of a shop."""
    source = call.catalog.sources.get(settings_of(call, NAME).customers_of)
    return None if source is None or source.env != call.env else (source.orders_of, order)


def booked(
    call: Call, command: BeginRedemption, whose: Meant, view: Callable[[Redemption], Shown]
) -> Shown | Repeated:
    """Spend points; a refusal for too few says by the client's own id whose they are."""
    try:
        return ask(
            call,
            command,
            lambda row: view(redemption_of(row)),
            decimals=whose.definition.decimals,
            drawn=command.code.rpartition("-")[0],
        )
    except Problem as error:
        raise naming(error, whose) from error


def naming(error: Problem, whose: Meant) -> Problem:
    """Return a refusal for too few points with whose they are; any other as it is."""
    if error.code != "insufficient_balance":
        return error
    said = {name: one for name, one in (error.figures or {}).items() if name in FIGURES}
    return Problem(error.code, error.message, figures={**said, "memberId": whose.shown})


FIGURES = ("requested", "available", "pending", "reserved")


def cost_of(redemption: Redemption, call: Call) -> int | float:
    """Return what a redemption cost, as a figure."""
    return figure(points(redemption.cost, call.definition(redemption.definition).decimals))
