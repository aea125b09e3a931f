"""Program processes: points that were worked out elsewhere, credited to a member or debited."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AliasChoices, ConfigDict, Field
from pydantic.alias_generators import to_pascal

from adapter.clock import CLOCKS_DIFFER_MS
from adapter.web.asking import at_fault, shown_as
from adapter.web.auth import require_scope
from adapter.web.dialects import Answered, Asked
from adapter.web.queries import Instant
from adapter.web.routing import Access, Call, Repeated, Route
from connectors.salesforce.api import journals
from connectors.salesforce.api.meant import Amount, Meant, MemberRef, Text, amount_of, meant
from connectors.salesforce.api.spending import booked, spending
from connectors.salesforce.api.transactions import award, crediting


class JournalAsked(Asked):
    """A transaction journal, by the names of Salesforce's objects."""

    model_config = ConfigDict(alias_generator=to_pascal)

    member: MemberRef = Field(validation_alias=AliasChoices("MemberId", "MembershipNumber"))
    activity_date: Instant | None = None
    external_transaction_number: Text | None = None
    journal_sub_type: Text | None = Field(
        None, validation_alias=AliasChoices("JournalSubTypeName", "JournalSubTypeId")
    )
    status: Literal["Pending", "Processed"] = "Processed"

    def said(self, kind: str) -> dict[str, str | None]:
        """Return what is kept with what it makes."""
        return {
            "journalType": kind,
            "journalSubType": self.journal_sub_type,
            "orderId": self.external_transaction_number,
        }


class ParametersAsked(Asked):
    """A journal, and the points that it credits or debits."""

    model_config = ConfigDict(alias_generator=to_pascal)

    transaction_journal: JournalAsked
    points_to_credit: Amount | None = None
    points_to_debit: Amount | None = None


class ProcessAsked(Asked):
    """What a program process is run with: one journal at a time, so that a request is one commit."""

    process_parameters: Annotated[list[ParametersAsked], Field(min_length=1, max_length=1)]


class ProcessShown(Answered):
    """How Salesforce answers a process: what it put out, two levels down."""

    message: str | None
    output_parameters: dict[str, dict[str, list[dict[str, Any]]]]
    simulation_details: dict[str, Any]
    status: bool


def run_process(call: Call) -> dict[str, Any] | Repeated:
    """Credit or debit points that were worked out elsewhere."""
    (asked,) = call.body.process_parameters
    if (asked.points_to_credit is None) == (asked.points_to_debit is None):
        raise at_fault("processParameters.0.PointsToCredit", "say either PointsToCredit or PointsToDebit")
    where = "processParameters.0.TransactionJournal.MemberId"
    whose = meant(call, asked.transaction_journal.member, field=where, program=call.path["program"])
    return _credited(call, whose, asked) if asked.points_to_debit is None else _debited(call, whose, asked)


def _credited(call: Call, whose: Meant, asked: ParametersAsked) -> dict[str, Any] | Repeated:
    journal = asked.transaction_journal
    if journal.activity_date is not None and journal.activity_date > call.now + CLOCKS_DIFFER_MS:
        raise at_fault("processParameters.0.TransactionJournal.ActivityDate", "it is in the future")
    amount = amount_of(
        asked.points_to_credit or "", whose.definition, field="processParameters.0.PointsToCredit"
    )
    command = crediting(
        call,
        whose,
        amount,
        journal.said("Accrual"),
        immediate=journal.status == "Processed",
        occurred_at=journal.activity_date,
    )
    return _put_out(award(call, command, whose), "PointsCredited")


def _debited(call: Call, whose: Meant, asked: ParametersAsked) -> dict[str, Any] | Repeated:
    require_scope(call.key, "redemptions:write")
    command = spending(
        call,
        whose,
        asked.points_to_debit or "",
        field="processParameters.0.PointsToDebit",
        said=asked.transaction_journal.said("Redemption"),
    )
    done = booked(
        call,
        command,
        whose,
        lambda found: journals.redemption_view(call, found, whose.shown, at=found.updated_at),
    )
    return _put_out(done, "PointsDebited")


def _put_out(done: dict[str, Any] | Repeated, name: str) -> dict[str, Any] | Repeated:
    """Return what a journal made as a process puts it out, with the journal's id besides."""

    def put(journal: dict[str, Any]) -> dict[str, Any]:
        result = {name: journal["points"], "TransactionJournalId": journal["transactionId"]}
        return {
            "message": None,
            "outputParameters": {"outputParameters": {"results": [result]}},
            "simulationDetails": {},
            "status": True,
        }

    return shown_as(done, put)


ROUTES = (
    Route(
        "POST",
        "/services/data/{version}/connect/loyalty/programs/{program}/program-processes/{process}",
        run_process,
        "transactions:write",
        "Credit or debit points that were worked out elsewhere (CreditPointsToMembers, DebitPointsFromMembers)",
        ProcessShown,
        "Connect",
        access=Access.DOOR,
        body=ProcessAsked,
        keeps=True,
    ),
)
