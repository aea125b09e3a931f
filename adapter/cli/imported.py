"""A file of members and their lots, read from CSV or JSON lines: a lot a row. Each row that cannot be used says why."""

from __future__ import annotations

import csv
import json
import re
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

from adapter import ids
from adapter.clock import CLOCKS_DIFFER_MS, LATEST, parse
from adapter.errors import AdapterError, Refused
from adapter.points import smallest
from adapter.store.reading.definitions import definition_meant

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from adapter.catalog import Catalog
    from adapter.clock import Millis

COLUMNS = (
    "source", "customer", "member", "email", "name", "birthday", "metadata", "joined_at", "program",
    "balance_definition", "amount", "expires_at", "earned_at", "ref",
)  # fmt: skip
"""What a row may say. A file of refused rows has three more, which say where and why, and are passed over."""
REFUSED = ("line", "field", "reason")
NEVER = "never"
_MOST = {"name": 200, "email": 320, "customer": 200, "ref": 200, "metadata": 20_000}
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+")


@dataclass(frozen=True, slots=True)
class Told:
    """A row as it is written: text by column, without the empty ones."""

    line: int
    fields: dict[str, str]


@dataclass(frozen=True, slots=True)
class Unusable:
    """A row that is refused: where, which field, and why."""

    told: Told
    field: str
    reason: str


@dataclass(frozen=True, slots=True)
class Lot:
    """Points to credit, in smallest units. `ends_at` None: as the program says."""

    definition: int
    amount: int
    earned_at: Millis
    ends_at: Millis | None


@dataclass(frozen=True, slots=True)
class Row:
    """A row that can be used: who it is about, and the points, if any."""

    told: Told
    who: str  # the reference by which the member is looked for
    customer: tuple[str, str] | None
    number: int | None  # of `member`, which somebody new gets
    email: str | None
    name: str | None
    birthday: str | None
    metadata: dict[str, str]
    joined_at: Millis
    lot: Lot | None


@dataclass(frozen=True, slots=True)
class Terms:
    """What rows are read by: what there is, and what is meant where a row does not say."""

    env: int
    catalog: Catalog
    now: Millis
    source: str | None = None
    program: str | None = None
    definition: str | None = None


class _Fault(Exception):
    def __init__(self, field: str, reason: str) -> None:
        super().__init__(reason)
        self.field = field
        self.reason = reason


def read_rows(lines: Iterable[str], form: str) -> Iterator[Told | Unusable]:
    """Read the rows of a file. Raises `Refused` for a header with a column that nobody knows."""
    return _from_json_lines(lines) if form == "jsonl" else _from_csv(lines)


def _from_csv(lines: Iterable[str]) -> Iterator[Told | Unusable]:
    reader = csv.reader(lines, strict=True)
    header: list[str] = []
    while True:
        try:
            row = next(reader, None)
        except csv.Error as error:
            yield Unusable(Told(reader.line_num, {}), "row", f"it is not CSV: {error}")
            continue
        if row is None:
            return
        if not header:
            header = [name.strip().lower() for name in row]
            _check_header(header)
        elif row and len(row) != len(header):
            why = f"it has {len(row)} columns, the header has {len(header)}"
            yield Unusable(Told(reader.line_num, dict(zip(header, row, strict=False))), "row", why)
        elif row:
            yield _told(reader.line_num, zip(header, row, strict=True))


def _check_header(header: list[str]) -> None:
    strange = [name for name in header if name not in (*COLUMNS, *REFUSED)]
    if strange or len(set(header)) < len(header):
        what = f"has a column {strange[0]!r}" if strange else "names a column twice"
        raise Refused(f"the header {what}; columns are: {', '.join(COLUMNS)}")


def _from_json_lines(lines: Iterable[str]) -> Iterator[Told | Unusable]:
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line, parse_float=str, parse_int=str)
        except (ValueError, RecursionError):
            yield Unusable(Told(number, {}), "row", "it is not JSON")
            continue
        if not isinstance(row, dict) or not set(row) <= {*COLUMNS, *REFUSED}:
            yield Unusable(Told(number, {}), "row", f"give a JSON object with keys of: {', '.join(COLUMNS)}")
            continue
        yield _told(number, ((name, _text(value)) for name, value in row.items()))


def _text(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value)


def _told(line: int, fields: Iterable[tuple[str, str]]) -> Told:
    return Told(line, {name: value.strip() for name, value in fields if value.strip() and name in COLUMNS})


def understand(told: Told, terms: Terms) -> Row | Unusable:
    """Check a row, and read what it says."""
    try:
        return _row(told, terms)
    except _Fault as fault:
        return Unusable(told, fault.field, fault.reason)


def _row(told: Told, terms: Terms) -> Row:
    fields = told.fields
    for name, value in fields.items():
        if "\0" in value or len(value) > _MOST.get(name, 100):
            raise _Fault(name, "it is too long, or holds a null character")
    customer, number = _customer(fields, terms), _number(fields)
    email = fields.get("email", "").lower() or None
    if email is not None and not _EMAIL.fullmatch(email):
        raise _Fault("email", "it is no e-mail address")
    who = ":".join(customer) if customer else fields.get("member") or email
    if who is None:
        raise _Fault("customer", "say who it is: source and customer, member, or email")
    joined_at = _instant(fields, "joined_at", terms)
    return Row(
        told, who, customer, number, email, fields.get("name"), _birthday(fields), _metadata(fields),
        terms.now if joined_at is None else joined_at, _lot(fields, terms),
    )  # fmt: skip


def _customer(fields: dict[str, str], terms: Terms) -> tuple[str, str] | None:
    source, customer = fields.get("source") or terms.source, fields.get("customer")
    if customer is None:
        if "source" in fields:
            raise _Fault("customer", "give source and customer together")
        return None
    found = None if source is None else terms.catalog.sources.get(source)
    if found is None or found.env != terms.env:
        known = sorted(one.name for one in terms.catalog.sources.values() if one.env == terms.env)
        raise _Fault("source", f"there is no source {source!r} here; there is {', '.join(known) or 'none'}")
    return found.orders_of, customer


def _number(fields: dict[str, str]) -> int | None:
    if "member" not in fields:
        return None
    number = ids.read("mem", fields["member"])
    if number is None:
        raise _Fault("member", f"it is not an id such as {ids.show('mem', 0)}")
    return number


def _birthday(fields: dict[str, str]) -> str | None:
    try:
        return date.fromisoformat(fields["birthday"]).isoformat() if "birthday" in fields else None
    except ValueError as error:
        raise _Fault("birthday", "give a date such as 1990-02-28") from error


def _metadata(fields: dict[str, str]) -> dict[str, str]:
    try:
        found = json.loads(fields.get("metadata", "{}"))
    except (ValueError, RecursionError) as error:
        raise _Fault("metadata", "it is not JSON") from error
    if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
        raise _Fault("metadata", "give a JSON object of strings")
    return found


def _instant(fields: dict[str, str], name: str, terms: Terms, *, past: bool = True) -> Millis | None:
    if name not in fields:
        return None
    try:
        at = parse(fields[name])
    except ValueError:
        at = -1
    if not 0 <= at <= LATEST:
        raise _Fault(name, "give an ISO 8601 instant such as 2026-11-20T12:00:00Z")
    if past and at > terms.now + CLOCKS_DIFFER_MS:
        raise _Fault(name, "it is in the future")
    return at


def _lot(fields: dict[str, str], terms: Terms) -> Lot | None:
    if fields.get("amount", "0").strip("0.") == "":  # nothing to credit: the row is about who they are
        return None
    earned_at = _instant(fields, "earned_at", terms)
    program, name = (
        fields.get("program") or terms.program,
        fields.get("balance_definition") or terms.definition,
    )
    definition = _checked("balance_definition", lambda: definition_meant(
        terms.catalog, terms.env, tuple, program=program, name=name
    ))  # fmt: skip
    amount = _checked("amount", lambda: smallest(fields["amount"], definition.decimals))
    return Lot(definition.id, amount, terms.now if earned_at is None else earned_at, _ends(fields, terms))


def _ends(fields: dict[str, str], terms: Terms) -> Millis | None:
    if fields.get("expires_at", "").lower() == NEVER:
        return LATEST
    ends = _instant(fields, "expires_at", terms, past=False)
    if ends is not None and ends <= terms.now:
        raise _Fault("expires_at", "it has passed already")
    return ends


def _checked(field: str, read: Callable[[], Any]) -> Any:
    try:
        return read()
    except AdapterError as error:
        raise _Fault(field, error.message) from error
    except ValueError as error:
        raise _Fault(field, str(error)) from error
