"""Members by command: enrolled, changed, deleted, restored, erased.

The same rows and the same messages as where a shop's customers become members; `people.py` has what both share.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
from msgspec import UNSET

from adapter import ids
from adapter.book.news import tell_member
from adapter.book.people import begin_member, lead_by_address, leave, link, member_at, unlink
from adapter.book.recording import claim_awaited, claim_orders
from adapter.book.refusals import member_refusal, moved_on
from adapter.book.transfers import Cause
from adapter.book.working import Member, Person, WorkingSet
from adapter.messages import MessageType
from adapter.outcome import Outcome

if TYPE_CHECKING:
    from adapter.commands import EnrolMember, LinkCustomer, TurnMember, UpdateMember

TURNS = {"deleted": "deleted", "active": "restored", "erased": "erased"}
"""What became of a member, by the state that was asked for."""


def enrol_member(work: WorkingSet, command: EnrolMember, event: int) -> Outcome:
    """Make somebody a member; refused where the shop's customer, or the address of a person, is one already."""
    env = command.env
    if (env, command.id) in work.members:
        return _exists("This id", command.id)
    customers = (*(() if command.customer is None else (command.customer,)), *command.also)
    for source, customer in customers:
        known = work.identities.get((env, source, customer))
        if known is not None:
            return _exists(f"{source}:{customer}", known)
    if (known := member_at(work, env, command.email)) is not None:
        return _exists("This address", known)
    member = Member(env, command.id, "active", command.joined_at, work.now)
    person = Person(env, member.id, command.email, command.name, command.received_at, command.birthday)
    person.metadata = _dumped(command.metadata)
    keys = [(env, *customer) for customer in customers]
    begin_member(work, member, person, keys)
    program, cause = _program_of(work, command), Cause("member.created", work.now, event)
    if program is not None and command.welcome:
        work.joined.append((env, member.id, program))
    elif program is not None:
        work.stir(env, member.id, program, cause)
    lead_by_address(work, env, command.email, member.id)
    for key in keys:
        claim_awaited(work, key, member.id, cause)
    claim_orders(work, env, command.email, member.id, cause)
    return member_told(work, member, event, "created")


def link_customer(work: WorkingSet, command: LinkCustomer, event: int) -> Outcome:
    """Let a shop's customer id lead to a member, or to nobody any more; refused where it leads to somebody else."""
    env, number = command.env, command.member
    refusal = member_refusal(work, env, number)
    if refusal is not None:
        return refusal
    key = (env, *command.customer)
    known, shown = work.identities.get(key), ":".join(command.customer)
    if not command.linked and known != number:
        return Outcome(error="not_found", reason=f"{shown} is no customer id of this member.")
    if command.linked and known is not None:
        return _exists(shown, known)
    member = work.members.get((env, number))
    assert member is not None
    if command.linked:
        link(work, key, number)
        claim_awaited(work, key, number, Cause("member.linked", work.now, event))
    else:
        unlink(work, key, number)
    return member_told(work, member, event, "linked" if command.linked else "unlinked")


def _program_of(work: WorkingSet, command: EnrolMember) -> str | None:
    """Return the program that somebody joins: the one that is said, their shop's, or the only one there is."""
    if command.program is not None:
        return command.program
    source = None if command.customer is None else work.catalog.sources.get(command.customer[0])
    if source is not None and source.env == command.env:
        return source.program
    names = {name for env, name in work.catalog.programs if env == command.env}
    return names.pop() if len(names) == 1 else None


def update_member(work: WorkingSet, command: UpdateMember, event: int) -> Outcome:
    """Change what is known of somebody; a shop's older facts do not undo it."""
    env, number = command.env, command.member
    refusal = member_refusal(work, env, number)
    if refusal is not None:
        return refusal
    if command.email is not UNSET and member_at(work, env, command.email) not in (None, number):
        return _exists("This address", member_at(work, env, command.email) or 0)
    member = work.members.get((env, number))
    assert member is not None
    person = work.people.get((env, number)) or Person(env, number, None, None, 0)
    if command.email is not UNSET:
        person.email = command.email
    if command.name is not UNSET:
        person.name = command.name
    if command.birthday is not UNSET:
        person.birthday = command.birthday
    if command.metadata is not UNSET:
        person.metadata = _dumped(command.metadata)
    person.version = max(person.version, command.received_at)
    member.updated_at = work.now
    work.people.put((env, number), person)
    work.members.mark((env, number))
    tell_member(work, MessageType.MEMBER_UPDATED, member, person)
    cause = Cause("member.updated", work.now, event)
    if isinstance(command.email, str):
        lead_by_address(work, env, command.email, number)
        claim_orders(work, env, command.email, number, cause)
    _look_again(work, member, cause)
    return member_told(work, member, event, "updated")


def turn_member(work: WorkingSet, command: TurnMember, event: int) -> Outcome:
    """Delete a member, restore one that was deleted, or erase who they are; points and transfers stay."""
    key = (command.env, command.member)
    member = work.members.get(key)
    refusal = _turn_refusal(member, command.state)
    if refusal is not None:
        return refusal
    assert member is not None
    if command.state == "active":
        member.state, member.deleted_at, member.updated_at = "active", None, work.now
        work.members.mark(key)
        tell_member(work, MessageType.MEMBER_UPDATED, member, work.people.get(key))
    else:
        leave(work, *key, erase=command.state == "erased")
    _look_again(work, member, Cause(f"member.{TURNS[command.state]}", work.now, event))
    return member_told(work, member, event, TURNS[command.state])


def _look_again(work: WorkingSet, member: Member, cause: Cause) -> None:
    """Have the member's next birthday planned anew, in every program that they take part in."""
    for env, number, program in [key for key, _ in work.memberships.items()]:
        if (env, number) == (member.env, member.id):
            work.stir(env, number, program, cause)


def _turn_refusal(member: Member | None, state: str) -> Outcome | None:
    if member is None:
        return Outcome(error="member_unknown", reason="There is no such member.")
    if member.merged_into is not None:
        return moved_on(member.merged_into)
    if member.state == "erased":
        return Outcome(error="member_erased", reason="Who this member was is erased, and does not come back.")
    if member.state == state == "deleted":
        return Outcome(error="member_deleted", reason="The member is deleted already.")
    if member.state == state == "active":
        return Outcome(
            error="member_active", reason="The member is not deleted; there is nothing to restore."
        )
    return None


def member_told(work: WorkingSet, member: Member, event: int, state: str) -> Outcome:
    """Return the answer to a command: the member as it now is."""
    person = work.people.get((member.env, member.id))
    row: dict[str, Any] = {
        "env": member.env,
        "id": member.id,
        "state": member.state,
        "created_at": member.created_at,
        "updated_at": member.updated_at,
        "deleted_at": member.deleted_at,
        "merged_into": member.merged_into,
        "email": person.email if person else None,
        "name": person.name if person else None,
        "birthday": person.birthday if person else None,
        "metadata": person.metadata if person else None,
        "source_ids": sorted(work.source_ids.get((member.env, member.id), ())),
    }
    return Outcome(event=event, state=state, row=row)


def _exists(who: str, member: int) -> Outcome:
    why = f"{who} is member {ids.show('mem', member)} already; update that one, or merge another into it."
    return Outcome(error="member_exists", reason=why)


def _dumped(metadata: dict[str, str] | None) -> str | None:
    return orjson.dumps(metadata, option=orjson.OPT_SORT_KEYS).decode() if metadata else None
