"""Reports over HTTP: what the book comes to, and the ledger as double entry."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import Field

from adapter.store.reading.ledger import Span, lines, page, trial_balance
from adapter.store.reading.liability import Asked, liability
from adapter.web.queries import Instant, Period, Reference, Selection
from adapter.web.reported import LiabilityShown, TransferLine, TrialBalanceShown
from adapter.web.routing import Call, Route

if TYPE_CHECKING:
    from adapter.store.reading.ledger import Side

_POSTED = "Only what was posted {} this instant."


class LiabilityQuery(Selection):
    program: Reference | None = Field(None, description="Only this program.")
    as_of: Instant | None = Field(
        None, description="With what was posted at or before this instant; default: now."
    )


class SpanQuery(Selection):
    since: Instant | None = Field(None, description=_POSTED.format("at or after"))
    until: Instant | None = Field(None, description=_POSTED.format("before"))


class TransfersQuery(Period):
    since: Instant | None = Field(None, description=_POSTED.format("at or after"))
    until: Instant | None = Field(None, description=_POSTED.format("before"))


def report_liability(call: Call) -> dict[str, Any]:
    """Say what is outstanding, when it ends and what it is worth."""
    asked: LiabilityQuery = call.query
    return liability(call.database, call.catalog, Asked(call.env, call.now, asked.as_of, asked.program))


def report_transfers(call: Call) -> dict[str, Any]:
    """List the ledger as double entry."""
    asked: TransfersQuery = call.query
    found = page(
        call.database, call.env, Span(asked.since, asked.until), limit=asked.limit, cursor=asked.cursor
    )

    def line(side: Side) -> dict[str, Any]:
        transfer, number = side
        return lines(transfer, call.definition(transfer.definition))[number]

    return found.view(line)


def report_trial_balance(call: Call) -> dict[str, Any]:
    """Add up debits and credits by account."""
    asked: SpanQuery = call.query
    totals = trial_balance(call.database, call.env, Span(asked.since, asked.until))
    kept = {number: call.definition(number) for number in totals.definitions()}
    return {"accounts": totals.view(kept)}


ROUTES = (
    Route(
        "GET",
        "/v1/reports/liability",
        report_liability,
        "reports:read",
        "Report the liability",
        LiabilityShown,
        "Reports",
        query=LiabilityQuery,
        text="Outstanding points by month of expiry, with their money value where the program gives a `point_value`; "
        "and what was issued, redeemed, expired and revoked in each month. Money is exact until it is shown, and "
        "rounded half up once in each figure. It reads the whole book, so ask for it now and then.",
    ),
    Route(
        "GET",
        "/v1/reports/transfers",
        report_transfers,
        "reports:read",
        "List the ledger as double entry",
        TransferLine,
        "Reports",
        query=TransfersQuery,
        listed=True,
        text="A debit and a credit line for each transfer, in an order that never changes. A page may hold fewer lines "
        "than `limit`, even none, while it has a `next_cursor`: each looks at so many transfers and no more.",
    ),
    Route(
        "GET",
        "/v1/reports/trial-balance",
        report_trial_balance,
        "reports:read",
        "Show the trial balance",
        TrialBalanceShown,
        "Reports",
        query=SpanQuery,
        text="Debits and credits by account, and a line `total` for each balance definition, whose balance is zero.",
    ),
)
