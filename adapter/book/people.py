"""Who a customer is: members by source and customer id, and by address only where the program says so."""

from __future__ import annotations

from typing import TYPE_CHECKING

from adapter.book.news import tell_link, tell_member
from adapter.book.working import Member, Person, WorkingSet
from adapter.events import Customer, Event, EventType
from adapter.messages import MessageType
from adapter.program.reasons import Reason

if TYPE_CHECKING:
    from collections.abc import Iterable

    from adapter.catalog import Source
    from adapter.clock import Millis
    from adapter.program.model import Members

ADDRESS = "@"
"""The source of identities that are addresses rather than a shop's customer ids. No shop's name has this letter."""


def find_member(work: WorkingSet, source: Source, owner: str, customer: Customer) -> int | Reason:
    """Return the member behind a shop's customer, enrolled or linked if the program allows it, or why there is none.

    `owner` is the shop whose customer it is. A guest is found only by address, and only where the program says that
    an address is a person.
    """
    rules = members_rules(work, source)
    if customer.id is None:
        known = (
            _by_address(work, source.env, customer.email) if rules.match_email and customer.email else None
        )
        return known if known is not None else Reason.UNKNOWN_MEMBER
    key = (source.env, owner, customer.id)
    known = work.identities.get(key)
    if known is None and rules.match_email and customer.email:
        known = _by_address(work, source.env, customer.email)
        if known is not None:
            link(work, key, known)
    if known is None and not rules.auto_enrol:
        return Reason.NOT_ENROLLED
    member = _enrol(work, key, customer, source.program) if known is None else known
    if rules.match_email and customer.email and _by_address(work, source.env, customer.email) is None:
        # Every address that a customer ever had leads to the member. The row also keeps two doors from enrolling one
        # address twice at the same moment.
        work.identities.put((source.env, ADDRESS, customer.email), member)
    return member


def claimant_of(work: WorkingSet, source: Source, customer: Customer) -> int | None:
    """Return whom the address of a known customer leads to, where the program says that an address is a person."""
    if customer.id is None or not customer.email or not members_rules(work, source).match_email:
        return None
    return _by_address(work, source.env, customer.email)


def members_rules(work: WorkingSet, source: Source) -> Members:
    """Return the rules of now about who becomes a member; `rebuild` decides with the rules of then."""
    return work.catalog.version_at(source.env, source.program, work.now).program.members


def _by_address(work: WorkingSet, env: int, email: str) -> int | None:
    known = work.identities.get((env, ADDRESS, email))
    return known if known is not None else work.by_email.get((env, email))


def address_is_person(work: WorkingSet, env: int) -> bool:
    """Return whether some program of an environment says that an e-mail address is one person."""
    return any(
        work.catalog.version_at(env, name, work.now).program.members.match_email
        for whose, name in work.catalog.programs
        if whose == env
    )


def member_at(work: WorkingSet, env: int, email: str | None) -> int | None:
    """Return the member whom an address leads to, where an address is a person."""
    return _by_address(work, env, email) if email and address_is_person(work, env) else None


def lead_by_address(work: WorkingSet, env: int, email: str | None, member: int) -> None:
    """Let an address lead to a member from now on, where an address is a person and leads to nobody yet."""
    if email and address_is_person(work, env) and (env, ADDRESS, email) not in work.identities:
        work.identities.put((env, ADDRESS, email), member)
    if email:
        work.by_email.setdefault((env, email), member)


def link(work: WorkingSet, key: tuple[int, str, str], member: int) -> None:
    """Let a further customer id of a shop lead to somebody who is a member, and tell of it."""
    _know_as(work, key, member)
    tell_link(work, key, member, MessageType.MEMBER_LINKED)


def unlink(work: WorkingSet, key: tuple[int, str, str], member: int) -> None:
    """Let a customer id of a member lead to nobody any more, and tell of it."""
    env, owner, customer = key
    work.identities.drop(key)
    work.unlinked.add(key)
    work.source_ids[env, member].remove(f"{owner}:{customer}")
    tell_link(work, key, member, MessageType.MEMBER_UNLINKED)


def _know_as(work: WorkingSet, key: tuple[int, str, str], member: int) -> None:
    env, owner, customer = key
    work.identities.put(key, member)
    work.source_ids.setdefault((env, member), []).append(f"{owner}:{customer}")


def _enrol(work: WorkingSet, key: tuple[int, str, str], customer: Customer, program: str) -> int:
    env = key[0]
    member = Member(env, work.new_member_id(env), "active", work.now, work.now)
    begin_member(work, member, Person(env, member.id, customer.email, customer.name, 0), [key])
    work.joined.append((env, member.id, program))
    return member.id


def begin_member(
    work: WorkingSet, member: Member, person: Person, keys: Iterable[tuple[int, str, str]]
) -> None:
    """Make somebody a member, known to shops by `keys` (env, source, customer id) or to none."""
    work.members.put((member.env, member.id), member)
    for key in keys:
        _know_as(work, key, member.id)
    work.people.put((member.env, member.id), person)
    tell_member(work, MessageType.MEMBER_CREATED, member, person)


def learn(work: WorkingSet, env: int, member: int, customer: Customer, version: Millis) -> bool:
    """Merge what a fact says of a person; a later version replaces, an equal or older one only fills gaps."""
    person = work.people.get((env, member))
    if person is None:
        return False
    newer = version > person.version
    email = (customer.email or person.email) if newer else (person.email or customer.email)
    name = (customer.name or person.name) if newer else (person.name or customer.name)
    changed = (email, name) != (person.email, person.name)
    if changed or newer:
        person.email, person.name, person.version = email, name, max(version, person.version)
        work.people.mark((env, member))
    if email:
        work.by_email.setdefault((env, email), member)
    return changed


def apply_customer(work: WorkingSet, source: Source, event: Event) -> int | Reason | None:
    """Take in a `customer.*` event; return the member it is about, why there is none, or None if nobody is known."""
    customer = event.customer or Customer()
    owner = source.orders_of
    if event.type in (EventType.CUSTOMER_CREATED, EventType.CUSTOMER_UPDATED):
        before = work.identities.get((source.env, owner, customer.id or ""))
        found = find_member(work, source, owner, customer)
        if (
            isinstance(found, int)
            and learn(work, source.env, found, customer, event.version)
            and before is not None
        ):
            _tell(work, MessageType.MEMBER_UPDATED, source.env, found)
        return found
    known = work.identities.get((source.env, owner, customer.id or ""))
    if known is not None:
        leave(work, source.env, known, erase=event.type is EventType.CUSTOMER_REDACTED)
    return known


def leave(work: WorkingSet, env: int, member: int, *, erase: bool) -> None:
    """Mark a member as deleted, or erase the person: the ledger keeps its transfers either way."""
    row = work.members.get((env, member))
    if row is None or row.state == "erased" or (row.state == "deleted" and not erase):
        return
    row.state, row.updated_at = ("erased" if erase else "deleted"), work.now
    row.deleted_at = row.deleted_at or work.now
    work.members.mark((env, member))
    if erase:
        work.forget(env, member)
    _tell(work, MessageType.MEMBER_DELETED, env, member)


def _tell(work: WorkingSet, kind: MessageType, env: int, member: int) -> None:
    row = work.members.get((env, member))
    person = None if (env, member) in work.forgotten else work.people.get((env, member))
    if row is not None:
        tell_member(work, kind, row, person)
