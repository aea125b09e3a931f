"""Members: enrolled by their membership number, and their profile with what they have in each currency."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from adapter import ids
from adapter.clock import CLOCKS_DIFFER_MS, iso
from adapter.commands import EnrolMember
from adapter.store.reading.balances import definitions_of
from adapter.store.reading.tiers import places_of
from adapter.web.asking import ask, at_fault, once_of
from adapter.web.balances import balance_of
from adapter.web.dialects import Answered, Asked, settings_of, view_of
from adapter.web.enrolling import Email
from adapter.web.queries import Instant
from adapter.web.routing import Access, Call, Repeated, Route
from connectors.salesforce.api.errors import figure
from connectors.salesforce.api.meant import NAME, MemberRef, Text, named, number_of, of_program
from connectors.salesforce.api.shown import Figure

if TYPE_CHECKING:
    from adapter.book.tiers import Place
    from adapter.store.reading.members import MemberRow

PATH = "/services/data/{version}/loyalty-programs/{program}"


class ProfileQuery(Asked):
    """By which of the two ids the member is asked for."""

    member_id: MemberRef | None = None
    membership_number: MemberRef | None = None
    program_currency_name: Text | None = None


class ContactAsked(Asked):
    first_name: Text | None = None
    last_name: Text | None = None
    email: Email | None = None


class EnrolmentAsked(Asked):
    """Somebody to enrol. Without a membership number they have none, and are found by our own id."""

    membership_number: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    enrollment_date: Instant | None = None
    associated_contact_details: ContactAsked = ContactAsked()
    enrollment_channel: Text | None = None


class EnrolmentShown(Answered):
    contact_id: str | None
    loyalty_program_member_id: str
    loyalty_program_name: str
    membership_number: str
    transaction_journals: list[dict[str, Any]]


class CurrencyShown(Answered):
    """A balance: `pointsBalance` can be used now, `escrowPointsBalance` waits."""

    loyalty_program_currency_name: str
    program_currency: str
    points_balance: Figure
    escrow_points_balance: Figure
    expirable_points: Figure


class TierShown(Answered):
    loyalty_member_tier_name: str
    tier_group_name: str
    tier_effective_date: str


class ContactShown(Answered):
    contact_id: str
    first_name: str | None
    last_name: str | None
    email: str | None


class ProfileShown(Answered):
    loyalty_program_member_id: str
    loyalty_program_name: str
    membership_number: str
    member_status: str
    member_type: str
    enrollment_date: str
    associated_contact: ContactShown
    member_currencies: list[CurrencyShown]
    member_tiers: list[TierShown]


def member_profile(call: Call) -> dict[str, Any]:
    """Show a member's profile."""
    asked: ProfileQuery = call.query
    program = of_program(call, call.path["program"]).program
    reference = asked.member_id or asked.membership_number
    if reference is None:
        raise at_fault("membershipNumber", "say memberId or membershipNumber")
    row = named(call, reference, field="memberId" if asked.member_id else "membershipNumber")
    places = places_of(call.database, call.catalog, (call.env, row.id), call.now)
    return view_of(
        ProfileShown(
            loyalty_program_member_id=ids.show("mem", row.id),
            loyalty_program_name=program,
            membership_number=number_of(call, row.source_ids, row.id),
            member_status="Active",
            member_type="Individual",
            enrollment_date=iso(row.created_at),
            associated_contact=_contact(row),
            member_currencies=_currencies(call, row, program, asked.program_currency_name),
            member_tiers=[_tier(place) for place in places if place.program == program],
        )
    )


def _contact(row: MemberRow) -> ContactShown:
    first, _, last = (row.name or "").rpartition(" ")
    return ContactShown(
        contact_id=ids.show("mem", row.id), first_name=first or None, last_name=last or None, email=row.email
    )


def _currencies(call: Call, row: MemberRow, program: str, wanted: str | None) -> list[CurrencyShown]:
    kept = [call.definition(number) for number in definitions_of(call.database, call.env, row.id)]
    mine = [one for one in kept if one.program == program and wanted in (None, one.name)]
    found = [balance_of(call, row.id, definition) for definition in mine]
    return [
        CurrencyShown(
            loyalty_program_currency_name=one["balance_definition"],
            program_currency=one["balance_definition"],
            points_balance=figure(one["available"]),
            escrow_points_balance=figure(one["pending"]),
            expirable_points=figure(one["expiring"]["amount"]),
        )
        for one in found
    ]


def _tier(place: Place) -> TierShown:
    return TierShown(
        loyalty_member_tier_name=place.tier, tier_group_name=place.group, tier_effective_date=iso(place.since)
    )


def enrol_individual(call: Call) -> dict[str, Any] | Repeated:
    """Enrol somebody."""
    asked: EnrolmentAsked = call.body
    program = of_program(call, call.path["program"]).program
    contact = asked.associated_contact_details
    if asked.enrollment_date is not None and asked.enrollment_date > call.now + CLOCKS_DIFFER_MS:
        raise at_fault("enrollmentDate", "it is in the future")
    number = asked.membership_number
    names = [one for one in (contact.first_name, contact.last_name) if one]
    command = EnrolMember(
        env=call.env,
        id=ids.new_id(call.now),
        joined_at=call.now if asked.enrollment_date is None else asked.enrollment_date,
        customer=None if number is None else (settings_of(call, NAME).customers_of, number),
        email=contact.email,
        name=" ".join(names) or None,
        metadata={} if asked.enrollment_channel is None else {"enrollmentChannel": asked.enrollment_channel},
        received_at=call.now,
        once=once_of(call),
    )
    return ask(call, command, lambda row: _enrolment_view(row["id"], number, program))


def _enrolment_view(member: int, number: str | None, program: str) -> dict[str, Any]:
    shown = ids.show("mem", member)
    return view_of(
        EnrolmentShown(
            contact_id=shown,
            loyalty_program_member_id=shown,
            loyalty_program_name=program,
            membership_number=number or shown,
            transaction_journals=[],
        )
    )


ROUTES = (
    Route(
        "GET",
        f"{PATH}/members",
        member_profile,
        "members:read",
        "A member's profile, with currencies and tiers",
        ProfileShown,
        "Members",
        query=ProfileQuery,
    ),
    Route(
        "POST",
        f"{PATH}/individual-member-enrollments",
        enrol_individual,
        "members:write",
        "Enrol somebody by a membership number",
        EnrolmentShown,
        "Members",
        access=Access.DOOR,
        body=EnrolmentAsked,
        status=201,
        keeps=True,
    ),
)
