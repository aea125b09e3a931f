"""Members: found by our id, by a shop's customer id or by e-mail address; listed newest first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from sqlalchemy import ColumnElement, Connection, Select, select

from adapter import ids
from adapter.book.people import ADDRESS
from adapter.errors import AdapterError, Conflict, NotFound
from adapter.store import tables as t
from adapter.store.bulk import select_by_keys
from adapter.store.reading.paging import Page, decode_cursor, page_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from adapter.clock import Millis

AMBIGUOUS_SHOWN = 10


@dataclass(frozen=True, slots=True)
class MemberRow:
    """A member with who they are, and the shops' ids for them (`shop:7000`)."""

    env: int
    id: int
    state: str
    created_at: Millis
    updated_at: Millis
    deleted_at: Millis | None
    merged_into: int | None
    email: str | None
    name: str | None
    birthday: str | None
    metadata: str | None  # JSON
    source_ids: tuple[str, ...]


class Identified(Protocol):
    """A row of a member, however much of it was read."""

    @property
    def id(self) -> int: ...

    @property
    def state(self) -> str: ...

    @property
    def merged_into(self) -> int | None: ...


Row = TypeVar("Row", bound=Identified)


@dataclass(frozen=True, slots=True)
class MemberFilter:
    """What a list of members is narrowed by. `source` is a shop, or one of its customers: `shop:7000`."""

    state: str | None = None
    email: str | None = None
    source: str | None = None
    include_deleted: bool = False


def find_member(connection: Connection, env: int, reference: str, *, deleted: bool = False) -> MemberRow:
    """Return the member that a reference names: `mem_…`, `source:customer` or an e-mail address.

    Whoever was merged into another member is that one. Raises `NotFound` where there is none (a deleted one is only
    found when asked for), `Conflict` where an e-mail address belongs to several.
    """

    def named(which: ColumnElement[bool]) -> Sequence[Any]:
        return connection.execute(_members(env).where(which)).all()

    rows = next(filter(None, map(named, _meanings(env, reference))), ())
    if survivors := _survivors(rows):
        rows = [*(row for row in rows if row.merged_into is None), *named(t.members.c.id.in_(survivors))]
    return _the_one(reference, _with_sources(connection, env, rows), deleted=deleted)


def find_member_id(connection: Connection, env: int, reference: str) -> int:
    """Return the id of the active member that a reference names, and nothing else about them. Raises like `find_member`."""
    found = find_members(connection, env, [reference])[reference]
    if isinstance(found, AdapterError):
        raise found
    return found


def find_members(
    connection: Connection, env: int, references: Iterable[str]
) -> dict[str, int | AdapterError]:
    """Return for each reference the id of the active member that it names, or the error that says why there is none.

    A fixed number of queries, however many references there are.
    """
    candidates = _candidates_of(connection, env, dict.fromkeys(references))
    columns = ("id", "state", "merged_into")

    def named_by(numbers: Iterable[int]) -> dict[int, Any]:
        keys = [(env, number) for number in numbers]
        return {
            row.id: row for row in select_by_keys(connection, t.members, ("env", "id"), keys, columns=columns)
        }

    rows = named_by(number for numbers in candidates.values() for number in numbers)
    if survivors := _survivors(rows.values()):
        rows = named_by(survivors) | rows
    found: dict[str, int | AdapterError] = {}
    for reference, numbers in candidates.items():
        try:
            named = list(
                {(one := _follow(rows, number)).id: one for number in numbers if number in rows}.values()
            )
            found[reference] = _the_one(reference, named, deleted=False).id
        except AdapterError as error:
            found[reference] = error
    return found


def _survivors(rows: Iterable[Identified]) -> set[int]:
    """Return who goes on in the place of those who were merged. They go on themselves: one look is enough."""
    return {row.merged_into for row in rows if row.merged_into is not None}


def _follow(rows: Mapping[int, Any], number: int) -> Any:
    row = rows[number]
    return row if row.merged_into is None else rows[row.merged_into]


def _the_one(reference: str, rows: Sequence[Row], *, deleted: bool) -> Row:
    live = [row for row in rows if deleted or row.state == "active"]
    if len(live) > 1:
        names = ", ".join(ids.show("mem", row.id) for row in live[:AMBIGUOUS_SHOWN])
        raise Conflict(
            f"{len(live)} members have this e-mail address; ask for one of {names}.",
            code="member_ambiguous",
            field="member",
        )
    if live:
        return live[0]
    if rows:
        raise NotFound(
            "This member was deleted; add include_deleted=true to see what is kept.",
            code="member_deleted",
            field="member",
        )
    raise NotFound(
        f"There is no member {reference[:80]!r} in this environment. Name one by our id (mem_…), by a shop's "
        "customer id (source:customer), or by e-mail address; a key sees only its own environment.",
        code="member_unknown",
        field="member",
    )


def _meanings(env: int, reference: str) -> Iterator[ColumnElement[bool]]:
    """Yield what one reference could mean, as a condition on members: our id, else a shop's, else an address."""
    number = ids.read("mem", reference)
    if number is not None:
        yield t.members.c.id == number
        return
    source, said, customer = reference.partition(":")
    if said and source != ADDRESS:
        named = (
            t.identities.c.env == env,
            t.identities.c.source == source,
            t.identities.c.customer == customer,
        )
        yield t.members.c.id.in_(select(t.identities.c.member).where(*named))
    if "@" in reference:
        of = (t.people.c.env == env, t.people.c.email == reference.strip().lower())
        first = select(t.people.c.member).where(*of).order_by(t.people.c.member).limit(AMBIGUOUS_SHOWN + 1)
        yield t.members.c.id.in_(first)


def _candidates_of(connection: Connection, env: int, references: Iterable[str]) -> dict[str, list[int]]:
    """Return the members that each reference could mean: by our id, else by a shop's, else by an address."""
    numbers = {reference: ids.read("mem", reference) for reference in references}
    found = {reference: [] if number is None else [number] for reference, number in numbers.items()}
    found |= _by_customer(connection, env, [one for one in found if not found[one]])
    found |= _by_address(connection, env, [one for one in found if not found[one] and "@" in one])
    return found


def _by_customer(connection: Connection, env: int, references: Sequence[str]) -> dict[str, list[int]]:
    named = {tuple(one.split(":", 1)): one for one in references if ":" in one}
    keys = [(env, *key) for key in named if key[0] != ADDRESS]
    columns = ("source", "customer", "member")
    rows = select_by_keys(connection, t.identities, ("env", "source", "customer"), keys, columns=columns)
    return {named[row.source, row.customer]: [row.member] for row in rows}


def _by_address(connection: Connection, env: int, references: Sequence[str]) -> dict[str, list[int]]:
    if not references:
        return {}
    addresses = {one: one.strip().lower() for one in references}
    people = t.people.c
    query = select(people.email, people.member).where(
        people.env == env, people.email.in_(sorted(set(addresses.values())))
    )
    found: dict[str, list[int]] = {}
    for email, member in connection.execute(query.order_by(people.member)):
        found.setdefault(email, []).append(member)
    return {one: found.get(email, [])[: AMBIGUOUS_SHOWN + 1] for one, email in addresses.items()}


def list_members(
    connection: Connection,
    env: int,
    chosen: MemberFilter,
    *,
    limit: int,
    cursor: str | None = None,
) -> Page[MemberRow]:
    """Return a page of members, newest first."""
    members = t.members.c
    query = _members(env).order_by(members.id.desc()).limit(limit + 1)
    if cursor is not None:
        query = query.where(members.id < decode_cursor(cursor, int)[0])
    if chosen.state is not None:
        query = query.where(members.state == chosen.state)
    elif not chosen.include_deleted:
        query = query.where(members.state == "active")
    if chosen.email is not None:
        query = query.where(t.people.c.email == chosen.email.strip().lower())
    if chosen.source is not None:
        query = query.where(members.id.in_(_known_to(env, chosen.source)))
    rows = connection.execute(query).all()
    return page_of(_with_sources(connection, env, rows), limit, lambda row: (row.id,))


def members_after(connection: Connection, env: int, after: int, limit: int) -> list[MemberRow]:
    """Return the next active members in the order of their ids."""
    members = t.members.c
    query = _members(env).where(members.id > after, members.state == "active").order_by(members.id)
    return _with_sources(connection, env, connection.execute(query.limit(limit)).all())


def _known_to(env: int, source: str) -> Select[tuple[int]]:
    name, colon, customer = source.partition(":")
    identities = t.identities.c
    query = select(identities.member).where(identities.env == env, identities.source == name)
    return query.where(identities.customer == customer) if colon else query


def _members(env: int) -> Select[Any]:
    members, people = t.members, t.people
    return (
        select(
            members.c.env,
            members.c.id,
            members.c.state,
            members.c.created_at,
            members.c.updated_at,
            members.c.deleted_at,
            members.c.merged_into,
            people.c.email,
            people.c.name,
            people.c.birthday,
            people.c.metadata,
        )
        .outerjoin(people, (people.c.env == members.c.env) & (people.c.member == members.c.id))
        .where(members.c.env == env)
    )


def _with_sources(
    connection: Connection,
    env: int,
    rows: Sequence[Any],
) -> list[MemberRow]:
    known = source_ids(connection, env, [row.id for row in rows])
    return [MemberRow(**row._mapping, source_ids=known.get(row.id, ())) for row in rows]  # noqa: SLF001 - public in SQLAlchemy


def source_ids(connection: Connection, env: int, members: Iterable[int]) -> dict[int, tuple[str, ...]]:
    """Return the shops' ids of these members, as `source:customer`, sorted."""
    identities = t.identities.c
    query = select(identities.member, identities.source, identities.customer).where(
        identities.env == env,
        identities.member.in_(list(members)),
        identities.source != ADDRESS,
    )
    found: dict[int, list[str]] = {}
    for member, source, customer in connection.execute(query):
        found.setdefault(member, []).append(f"{source}:{customer}")
    return {member: tuple(sorted(names)) for member, names in found.items()}
