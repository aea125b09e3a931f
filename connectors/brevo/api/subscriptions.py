"""Subscriptions: a contact becomes a member; members of a subscription are contacts who share it.

A contact is the customer of that number of the source that the dialect names, a loyalty subscription id another
customer id of the same member. Who was unsubscribed and subscribes again has their points and history back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, model_validator

from adapter import ids as our_ids
from adapter.clock import iso
from adapter.commands import EnrolMember, LinkCustomer, TurnMember
from adapter.errors import NotFound
from adapter.store.reading.members import MemberRow, find_member
from adapter.web.asking import ask, at_fault
from adapter.web.dialects import Answered, Asked, view_of
from adapter.web.queries import Instant
from adapter.web.routing import Access, Route
from connectors.brevo import ids
from connectors.brevo.api.contacts import any_case, contact_named, contact_shown, subscribed
from connectors.brevo.api.ids import customers_of, program_in
from connectors.brevo.api.meta import Meta, kept, shown
from connectors.brevo.api.programs import ONE
from connectors.brevo.messages import subscription_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from adapter.commands import ApiCommand
    from adapter.web.routing import Call, Repeated

Contact = Annotated[int, Field(ge=1, le=10**15)]
SubscriptionId = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^\d*[^\s\d]\S*$")]
MEMBERS_MOST = 50


class SubscriptionAsked(Asked):
    """Who subscribes. A subscription id has a letter in it: a number would be a contact's."""

    contact_id: Contact
    loyalty_subscription_id: SubscriptionId | None = None
    creation_date: Instant | None = None
    meta: Meta | None = None


class SubscriptionShown(Answered):
    organization_id: int
    loyalty_program_id: str
    version_id: int
    contact_id: int
    loyalty_subscription_id: str | None
    meta: Meta
    created_at: str
    updated_at: str


class MembersAsked(Asked):
    """Whose subscription it is, and who shares it from now on."""

    contact_id: Contact | None = None
    loyalty_subscription_id: str | None = None
    member_contact_ids: Annotated[list[Contact], Field(min_length=1, max_length=MEMBERS_MOST)]

    @model_validator(mode="before")
    @classmethod
    def _in_any_case(cls, values: Any) -> Any:
        return any_case(values, "contactId", "loyaltySubscriptionId", "memberContactIds")


class MembersQuery(Asked):
    member_contact_ids: Annotated[str, Field(pattern=r"^\d{1,15}(,\d{1,15}){0,49}$")]


class MembersShown(Answered):
    organization_id: int
    owner_contact_id: int | None
    member_contact_ids: list[int]
    created_at: str
    updated_at: str


def subscribe(call: Call) -> dict[str, Any] | Repeated:
    """Subscribe a contact: once, however often it is asked."""
    asked: SubscriptionAsked = call.body
    program_in(call)
    if asked.creation_date is not None and asked.creation_date > call.now:
        raise at_fault("creationDate", "it must be in the past")
    row = _known(call, asked.contact_id)
    if row is None:
        return _ask(call, _enrolled(call, asked))
    if row.state != "active":
        command = TurnMember(
            env=call.env,
            id=our_ids.new_id(call.now),
            member=row.id,
            state="active",
            received_at=call.now,
        )
        answer = _ask(call, command)
    else:
        answer = _shown(call, row)
    wanted = asked.loyalty_subscription_id
    if wanted is None:
        return answer
    has = subscription_of(row.source_ids, customers_of(call))
    if has not in (None, wanted):
        raise at_fault("loyaltySubscriptionId", "the contact has another one already")
    return answer if has == wanted else _ask(call, _linked(call, row.id, (customers_of(call), wanted)))


def unsubscribe(call: Call) -> None:
    """End the subscription of a contact."""
    program_in(call)
    row = contact_named(call, call.path["cid"])
    command = TurnMember(
        env=call.env,
        id=our_ids.new_id(call.now),
        member=row.id,
        state="deleted",
        received_at=call.now,
    )
    ask(call, command, dict)


def add_members(call: Call) -> dict[str, Any] | Repeated:
    """Let contacts share a subscription."""
    asked: MembersAsked = call.body
    program_in(call)
    row = subscribed(call, asked.contact_id, asked.loyalty_subscription_id)
    if contact_shown(call, row.source_ids) in asked.member_contact_ids:
        raise at_fault("memberContactIds", "the owner of a subscription cannot be a member of it")
    answer: dict[str, Any] | Repeated = _members_shown(call, row)
    for contact in dict.fromkeys(asked.member_contact_ids):
        if contact not in contacts_sharing(call, row):
            answer = _ask(call, _linked(call, row.id, (members_of(call), str(contact))), _members_shown)
    return answer


def remove_members(call: Call) -> None:
    """Have contacts no longer share a subscription."""
    program_in(call)
    sharing = [(members_of(call), name) for name in dict.fromkeys(call.query.member_contact_ids.split(","))]
    with call.parts.engine.connect() as connection:
        owners = [find_member(connection, call.env, ":".join(one)).id for one in sharing]
    for owner, customer in zip(owners, sharing, strict=True):
        _ask(call, _linked(call, owner, customer, linked=False))


def members_of(call: Call) -> str:
    """Return the source whose customers share somebody's subscription."""
    return f"{customers_of(call)}_members"


def _known(call: Call, contact: int) -> MemberRow | None:
    with call.parts.engine.connect() as connection:
        try:
            return find_member(connection, call.env, f"{customers_of(call)}:{contact}", deleted=True)
        except NotFound:
            return None


def _enrolled(call: Call, asked: SubscriptionAsked) -> EnrolMember:
    source, wanted = customers_of(call), asked.loyalty_subscription_id
    return EnrolMember(
        env=call.env,
        id=our_ids.new_id(call.now),
        joined_at=asked.creation_date or call.now,
        customer=(source, str(asked.contact_id)),
        also=() if wanted is None else ((source, wanted),),
        metadata=kept(asked.meta),
        program=program_in(call),
        received_at=call.now,
    )


def _linked(call: Call, member: int, customer: tuple[str, str], *, linked: bool = True) -> LinkCustomer:
    """Return the command; it needs no key, because a repeat finds it done."""
    return LinkCustomer(
        env=call.env,
        id=our_ids.new_id(call.now),
        member=member,
        customer=customer,
        linked=linked,
        received_at=call.now,
    )


def _ask(
    call: Call, command: ApiCommand, view: Callable[[Call, Any], dict[str, Any]] | None = None
) -> dict[str, Any] | Repeated:
    from_row = view or _shown

    def viewed(row: Mapping[str, Any]) -> dict[str, Any]:
        return from_row(call, MemberRow(**{**row, "source_ids": tuple(row["source_ids"])}))

    return ask(call, command, viewed)


def _shown(call: Call, row: MemberRow) -> dict[str, Any]:
    program = program_in(call)
    version = call.catalog.version_at(call.env, program, call.now).version
    return view_of(
        SubscriptionShown(
            organization_id=call.env,
            loyalty_program_id=ids.program_id(call.env, program),
            version_id=version,
            contact_id=contact_shown(call, row.source_ids) or 0,
            loyalty_subscription_id=subscription_of(row.source_ids, customers_of(call)),
            meta=shown(row.metadata),
            created_at=iso(row.created_at),
            updated_at=iso(row.updated_at),
        )
    )


def contacts_sharing(call: Call, row: MemberRow) -> list[int]:
    """Return the contacts who share a member's subscription."""
    prefix = f"{members_of(call)}:"
    return sorted(int(one.removeprefix(prefix)) for one in row.source_ids if one.startswith(prefix))


def _members_shown(call: Call, row: MemberRow) -> dict[str, Any]:
    return view_of(
        MembersShown(
            organization_id=call.env,
            owner_contact_id=contact_shown(call, row.source_ids),
            member_contact_ids=contacts_sharing(call, row),
            created_at=iso(row.created_at),
            updated_at=iso(row.updated_at),
        )
    )


TAG = "Subscriptions"


def _door(verb: str, handler: Any, summary: str, response: Any, **more: Any) -> Route:
    """Return a route whose commands, one or several, may be carried out again without a second effect."""
    method, _, path = verb.partition(" ")
    status = 204 if method == "DELETE" else 200
    return Route(
        method,
        path,
        handler,
        "members:write",
        summary,
        response,
        TAG,
        access=Access.DOOR,
        status=status,
        **more,
    )


ROUTES = (
    _door(
        f"POST {ONE}/subscriptions",
        subscribe,
        "Subscribe a contact",
        SubscriptionShown,
        body=SubscriptionAsked,
    ),
    _door(f"DELETE {ONE}/contact/{{cid}}", unsubscribe, "Unsubscribe a contact", SubscriptionShown),
    _door(
        f"POST {ONE}/subscription-members",
        add_members,
        "Let contacts share a subscription",
        MembersShown,
        body=MembersAsked,
    ),
    _door(
        f"DELETE {ONE}/subscription-members",
        remove_members,
        "Have contacts no longer share one",
        MembersShown,
        query=MembersQuery,
    ),
)
