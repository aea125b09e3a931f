"""Members over HTTP, to change: enrolled, updated, deleted, restored, erased, merged."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Annotated, Any

from msgspec import UNSET
from pydantic import Field, StringConstraints

from adapter import ids
from adapter.clock import CLOCKS_DIFFER_MS
from adapter.commands import EnrolMember, LinkCustomer, MergeMembers, TurnMember, UpdateMember
from adapter.errors import NotFound
from adapter.store.reading.members import MemberRow, find_member
from adapter.web.asking import ask, at_fault, once_of
from adapter.web.booking import Label, Value
from adapter.web.members import member_view
from adapter.web.queries import Instant, Reference
from adapter.web.routing import Access, Call, Given, Repeated, Route
from adapter.web.shown import MemberShown

if TYPE_CHECKING:
    from adapter.commands import ApiCommand

PATH = "/v1/members/{member}"
Email = Annotated[
    str, StringConstraints(to_lower=True, max_length=320, pattern=r"^[^@\s]+@[^@\s]+$", strip_whitespace=True)
]
Name = Annotated[str, Field(min_length=1, max_length=200)]
Metadata = Annotated[dict[Label, Value], Field(max_length=50)]


NOBODY = 0


class MemberEnrolled(Given):
    """Somebody who becomes a member. All of it is optional."""

    source: Reference | None = Field(None, description="The shop whose customer it is, with `customer`.")
    customer: Annotated[str, Field(min_length=1, max_length=200)] | None = Field(
        None, description="The shop's id of the customer."
    )
    email: Email | None = None
    name: Name | None = None
    birthday: date | None = None
    metadata: Metadata = Field(default_factory=dict)
    joined_at: Instant | None = Field(None, description="When they joined, if that was before now.")


class MemberChanged(Given):
    """What is left out stays as it is; null removes it. `metadata` is exchanged as a whole."""

    email: Email | None = None
    name: Name | None = None
    birthday: date | None = None
    metadata: Metadata | None = None


class CustomerNamed(Given):
    """A customer id of a shop."""

    source: Reference = Field(description="The shop whose customer it is.")
    customer: Annotated[str, Field(min_length=1, max_length=200)] = Field(
        description="The shop's id of the customer."
    )


class Merged(Given):
    """Into whom a member is merged."""

    into: Reference = Field(description="`mem_…`, `source:customer` or an e-mail address.")


def enrol_member(call: Call) -> dict[str, Any] | Repeated:
    """Enrol a member."""
    asked: MemberEnrolled = call.body
    return enrol(call, asked, _customer(call, asked))


def enrol(call: Call, asked: MemberEnrolled, customer: tuple[str, str] | None) -> dict[str, Any] | Repeated:
    """Ask for somebody to be enrolled, as a customer of a source or of none, and show them."""
    command = EnrolMember(
        env=call.env,
        id=ids.new_id(call.now),
        joined_at=_joined(call, asked),
        customer=customer,
        email=asked.email,
        name=asked.name,
        birthday=_day(asked.birthday),
        metadata=asked.metadata,
        received_at=call.now,
        once=once_of(call),
    )
    return submit_member(call, command)


def update_member(call: Call) -> dict[str, Any] | Repeated:
    """Change what is known of a member."""
    return change(call, _named(call, call.path["member"]).id, call.body)


def change(call: Call, member: int, asked: MemberChanged) -> dict[str, Any] | Repeated:
    """Ask for what is known of a member to be changed, and show them."""
    given = asked.model_fields_set
    command = UpdateMember(
        env=call.env,
        id=ids.new_id(call.now),
        member=member,
        email=asked.email if "email" in given else UNSET,
        name=asked.name if "name" in given else UNSET,
        birthday=_day(asked.birthday) if "birthday" in given else UNSET,
        metadata=asked.metadata if "metadata" in given else UNSET,
        received_at=call.now,
        once=once_of(call),
    )
    return submit_member(call, command)


def link_customer(call: Call) -> dict[str, Any] | Repeated:
    """Let a further customer id lead to a member."""
    return _link(call, linked=True)


def unlink_customer(call: Call) -> dict[str, Any] | Repeated:
    """Let a customer id lead to nobody any more."""
    return _link(call, linked=False)


def _link(call: Call, *, linked: bool) -> dict[str, Any] | Repeated:
    command = LinkCustomer(
        env=call.env,
        id=ids.new_id(call.now),
        member=_named(call, call.path["member"]).id,
        customer=_customer_of(call, call.body.source, call.body.customer),
        linked=linked,
        received_at=call.now,
        once=once_of(call),
    )
    return submit_member(call, command)


def delete_member(call: Call) -> dict[str, Any] | Repeated:
    """Delete a member."""
    return _turn(call, "deleted")


def restore_member(call: Call) -> dict[str, Any] | Repeated:
    """Restore a deleted member."""
    return _turn(call, "active")


def erase_member(call: Call) -> dict[str, Any] | Repeated:
    """Erase who a member is."""
    return _turn(call, "erased")


def merge_members(call: Call) -> dict[str, Any] | Repeated:
    """Merge a member into another."""
    command = MergeMembers(
        env=call.env,
        member=_itself(call),
        into=_named(call, call.body.into, field="into").id,
        received_at=call.now,
        once=once_of(call),
    )
    return submit_member(call, command)


def _turn(call: Call, state: str) -> dict[str, Any] | Repeated:
    try:
        member = _named(call, call.path["member"], deleted=True).id
    except NotFound:
        if call.repeat is None:
            raise
        member = (
            NOBODY  # whom it named may be erased by now, and the door still knows the answer to the repeat
        )
    return turn(call, member, state)


def turn(call: Call, member: int, state: str) -> dict[str, Any] | Repeated:
    """Ask for a member to be deleted, restored or erased, and show them."""
    command = TurnMember(
        env=call.env,
        id=ids.new_id(call.now),
        member=member,
        state=state,
        received_at=call.now,
        once=once_of(call),
    )
    return submit_member(call, command)


def submit_member(call: Call, command: ApiCommand) -> dict[str, Any] | Repeated:
    """Ask for a command about a member, and show them as they are then."""
    return ask(
        call, command, lambda row: member_view(MemberRow(**{**row, "source_ids": tuple(row["source_ids"])}))
    )


def _named(call: Call, reference: str, *, deleted: bool = False, field: str = "member") -> MemberRow:
    try:
        with call.parts.engine.connect() as connection:
            return find_member(connection, call.env, reference, deleted=deleted)
    except NotFound as error:
        raise NotFound(error.message, code=error.code, field=field) from error


def _itself(call: Call) -> int:
    """Return the member of the path, by our own id also one who was merged before: that is the book's to refuse."""
    found = _named(call, call.path["member"])
    number = ids.read("mem", call.path["member"])
    return found.id if number is None else number


def _customer(call: Call, asked: MemberEnrolled) -> tuple[str, str] | None:
    if asked.source is None and asked.customer is None:
        return None
    if asked.source is None:
        raise at_fault("source", "give source and customer together")
    named = _customer_of(call, asked.source, asked.customer or "")
    if asked.customer is None:
        raise at_fault("customer", "give source and customer together")
    return named


def _customer_of(call: Call, source: str, customer: str) -> tuple[str, str]:
    """Return a shop's customer as identities have it. Raises `NotFound` for a source that is not there."""
    known = sorted(one.name for one in call.catalog.sources.values() if one.env == call.env)
    if source not in known:
        raise NotFound(
            f"There is no source {source[:80]!r} in this environment; there is {', '.join(known) or 'none'}.",
            field="source",
        )
    return call.catalog.sources[source].orders_of, customer


def _joined(call: Call, asked: MemberEnrolled) -> int:
    if asked.joined_at is not None and asked.joined_at > call.now + CLOCKS_DIFFER_MS:
        raise at_fault("joined_at", "it is in the future")
    return call.now if asked.joined_at is None else asked.joined_at


def _day(day: date | None) -> str | None:
    return None if day is None else day.isoformat()


def _changing(verb: str, handler: Any, summary: str, text: str, **more: Any) -> Route:
    """Return a route that changes one member, and answers it as it is then."""
    method, _, path = verb.partition(" ")
    return Route(
        method,
        path,
        handler,
        "members:write",
        summary,
        MemberShown,
        "Members",
        access=Access.DOOR,
        keeps=True,
        text=text,
        **more,
    )


ROUTES = (
    _changing(
        "POST /v1/members",
        enrol_member,
        "Enrol a member",
        "Known to a shop by `source` and `customer`, or to none. The orders that such a customer placed before take "
        "effect at once. Who is a member already is 409 `member_exists`, which names them.",
        body=MemberEnrolled,
        status=201,
        example={"email": "jo@example.com", "name": "Jo", "birthday": "1990-02-28"},
    ),
    _changing(
        f"PATCH {PATH}",
        update_member,
        "Change a member",
        "What is left out stays, null removes it. What a shop says later of its customer replaces it again.",
        body=MemberChanged,
        example={"name": "Jo Doe", "metadata": {"card": "LM-00123456"}},
    ),
    _changing(
        f"POST {PATH}/link",
        link_customer,
        "Link a customer id",
        "A further customer id of a shop leads to the member, and orders that wait for it take effect. One that leads "
        "to somebody already is 409 `member_exists`.",
        body=CustomerNamed,
        example={"source": "shop", "customer": "7099"},
    ),
    _changing(
        f"POST {PATH}/unlink",
        unlink_customer,
        "Unlink a customer id",
        "It leads to nobody any more; what was earned by it stays.",
        body=CustomerNamed,
        example={"source": "shop", "customer": "7099"},
    ),
    _changing(
        f"DELETE {PATH}",
        delete_member,
        "Delete a member",
        "Points and history stay; the member is hidden unless `include_deleted=true`, until they are restored.",
        looked_up="source=shop:7001&",
    ),
    _changing(
        f"POST {PATH}/restore",
        restore_member,
        "Restore a member",
        "Takes a deletion back. Who was erased does not come back: 409.",
        looked_up="state=deleted&",
    ),
    _changing(
        f"POST {PATH}/erase",
        erase_member,
        "Erase who a member is",
        "For good: e-mail address, name, birthday, metadata and shop ids, also where stored commands name them. The "
        "transfers stay, and belong to nobody who could be found.",
        looked_up="source=shop:7004&",
    ),
    _changing(
        f"POST {PATH}/merge",
        merge_members,
        "Merge a member into another",
        "Points with their ends, debts, pending transactions, orders, redemptions, vouchers and shop ids become the "
        "other's in one commit, and late news of an old order is settled with them. The old ids lead to the other "
        "member from then on. Merging once more is 409 `member_merged`, into oneself 422.",
        body=Merged,
        example={"into": "shop:7000"},
        looked_up="source=shop:7002&",
    ),
)
