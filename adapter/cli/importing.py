"""Bringing members and their points in from elsewhere, through the door, as often as it takes."""

from __future__ import annotations

import csv
import hashlib
import json
import sys
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Self

import click

from adapter import clock, ids
from adapter.cli import options
from adapter.cli.examples import examples
from adapter.cli.place import Place, pass_place
from adapter.cli.reconciling import size_of, told
from adapter.cli.showing import counting, show_json
from adapter.clock import LATEST

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from sqlalchemy import Engine

    from adapter.cli.imported import Row, Terms, Told, Unusable
    from adapter.commands import BeginTransaction, Command, EnrolMember
    from adapter.engine.door import Door
    from adapter.outcome import Outcome

CHUNK = 500
SHOWN = 20
UNKNOWN = "member_unknown"
MEANS = ("program", "balance_definition", "amount", "expires_at", "earned_at")
"""What a row that is imported again has to say as it did before; besides whom it is about."""


@click.command(
    "import",
    epilog=examples(
        "loyalty-adapter members import vendor.csv --dry-run          checks every row, writes nothing",
        "loyalty-adapter members import vendor.csv --source shop      again after a crash: it goes on",
        "loyalty-adapter members import vendor.csv.refused.csv        once its rows are put right",
    ),
)
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--source", metavar="NAME", help="Whose customers are meant where a row does not say.")
@click.option("--program", metavar="NAME", help="Which program, where a row does not say.")
@click.option("--balance-definition", metavar="NAME", help="Which balance, where a row does not say.")
@click.option("--format", "form", type=click.Choice(["csv", "jsonl"]), help="Of FILE; else its name says.")
@click.option("--dry-run", is_flag=True, help="Check all rows, and write nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print the counts as JSON.")
@options.in_environment
@pass_place
def import_(
    place: Place, /, file: Path, form: str | None, dry_run: bool, as_json: bool, **asked: Any
) -> None:
    """Enrol the members in FILE, and credit their points.

    FILE is CSV with a header or JSON lines. A row is a lot: source and customer (or member, mem_…, or email), amount,
    expires_at (`never`; empty: as the program says), earned_at, program, balance_definition; and who the member is: email,
    name, birthday, metadata, joined_at. A row without an amount only enrols. Who is a member already stays as they are.

    A row is credited once, however often the same file is imported: by its `ref`, or else by the file's content and the
    row's line. Refused rows go to FILE.refused.csv; put them right there, and import that file. Exit code 0 if every row
    is in, 1 if any was refused. Nobody gets a sign-up bonus by it.
    """
    from adapter.cli.imported import Terms, read_rows
    from adapter.store.configuration import load_catalog

    with ExitStack() as stack:
        engine = stack.enter_context(place.database())
        with engine.connect() as connection:
            terms = Terms(
                place.environment(connection).id,
                load_catalog(connection),
                clock.now(),
                asked["source"],
                asked["program"],
                asked["balance_definition"],
            )
        form = form or ("jsonl" if file.suffix in (".jsonl", ".ndjson", ".json") else "csv")
        text = stack.enter_context(file.open(encoding="utf-8-sig", errors="replace", newline=""))
        refusals = stack.enter_context(Refusals(None if dry_run else Path(f"{file}.refused.csv")))
        progress = stack.enter_context(counting("checking" if dry_run else "importing", size_of(text)))
        door = None if dry_run else stack.enter_context(_door(place, engine))
        run = Import(engine, terms, door, _digest(file), refusals)
        rows = read_rows(told(text, progress), form)
        while chunk := list(islice(rows, CHUNK)):
            run.take(chunk)
    _tell(run, as_json=as_json)
    if refusals.count:
        sys.exit(1)


def _door(place: Place, engine: Engine) -> Door:
    from adapter.engine.door import Door
    from connectors.vendors import VENDORS

    return Door(engine, clock.now, place.settings().door.door(), VENDORS)


def _digest(file: Path) -> bytes:
    with file.open("rb") as raw:
        return hashlib.file_digest(raw, "sha256").digest()


def _tell(run: Import, *, as_json: bool) -> None:
    counts = {name: run.counts[name] for name in ("rows", "credited", "known", "enrolled", "strangers")}
    counts["refused"] = run.refusals.count
    if as_json:
        show_json(counts)
    elif run.door is None:
        click.echo(
            f"{counts['rows']} rows: {counts['credited']} could be credited, {counts['strangers']} of them are about "
            f"somebody who is no member yet, {counts['refused']} would be refused"
        )
    else:
        click.echo(
            f"{counts['rows']} rows: {counts['credited']} credited, {counts['known']} credited before, "
            f"{counts['enrolled']} members enrolled, {counts['refused']} refused"
        )
    if run.refusals.count and run.refusals.path is not None:
        click.echo(f"refused rows are in {run.refusals.path}", err=True)


class Refusals:
    """Rows that could not be used: into a file once there is one, or the first of them onto the terminal."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.count = 0
        self._out: IO[str] | None = None
        self._writer: Any = None

    def __enter__(self) -> Self:
        if self.path is not None:
            self.path.unlink(missing_ok=True)
        return self

    def __exit__(self, *_error: object) -> None:
        if self._out is not None:
            self._out.close()

    def add(self, one: Unusable) -> None:
        """Note a refused row."""
        from adapter.cli.imported import COLUMNS, REFUSED

        self.count += 1
        if self.path is None:
            if self.count <= SHOWN:
                click.echo(f"line {one.told.line}, {one.field}: {one.reason}", err=True)
            return
        if self._out is None:
            self._out = self.path.open("w", encoding="utf-8", newline="")
            self._writer = csv.DictWriter(self._out, (*REFUSED, *COLUMNS), lineterminator="\n")
            self._writer.writeheader()
        known = {name: value for name, value in one.told.fields.items() if name in COLUMNS}
        self._writer.writerow({"line": one.told.line, "field": one.field, "reason": one.reason, **known})


@dataclass(slots=True)
class Import:
    """Takes rows in, a few hundred at a time: looks for who they are about, enrols the others, credits all of them."""

    engine: Engine
    terms: Terms
    door: Door | None  # None: nothing is written
    digest: bytes
    refusals: Refusals
    counts: Counter[str] = field(default_factory=Counter)
    _refused: list[Unusable] = field(default_factory=list)  # of the rows that are being taken in

    def take(self, chunk: Iterable[Told | Unusable]) -> None:
        """Take some rows in; each of them is durable, or refused, when this returns."""
        self._refused.clear()
        self._take(list(self._understood(chunk)))
        for one in sorted(self._refused, key=lambda one: one.told.line):
            self.refusals.add(one)

    def _take(self, rows: Sequence[Row]) -> None:
        members, strangers = self._find(rows)
        if self.door is None:
            self.counts["strangers"] += sum(row.who in strangers for row in rows)
            self.counts["credited"] += sum(
                row.lot is not None for row in rows if row.who in members | strangers
            )
            return
        failed = self._enrol(self.door, strangers, members)
        known = [row for row in rows if row.who in members]
        for row in rows:
            if row.who in failed:
                self._refuse(row, "member", failed[row.who])
        self._credit(self.door, [row for row in known if row.lot is not None], members)

    def _understood(self, chunk: Iterable[Told | Unusable]) -> Iterator[Row]:
        from adapter.cli.imported import Told, Unusable, understand

        for one in chunk:
            self.counts["rows"] += 1
            row = understand(one, self.terms) if isinstance(one, Told) else one
            if isinstance(row, Unusable):
                self._refused.append(row)
            else:
                yield row

    def _find(self, rows: Sequence[Row]) -> tuple[dict[str, int], dict[str, Row]]:
        """Return the members that rows are about, and the first row of each who is none yet; others are refused."""
        from adapter.store.reading.members import find_members

        numbers = {row.who: ids.show("mem", row.number) for row in rows if row.number is not None}
        with self.engine.connect() as connection:
            found = find_members(connection, self.terms.env, [*(row.who for row in rows), *numbers.values()])
        members: dict[str, int] = {}
        strangers: dict[str, Row] = {}
        for row in rows:
            one, same = found[row.who], found.get(numbers.get(row.who, ""))
            if isinstance(one, int):
                members[row.who] = one
            elif one.code != UNKNOWN:
                self._refuse(row, "member", one.message)
            elif same is not None and (isinstance(same, int) or same.code != UNKNOWN):
                self._refuse(row, "member", f"{numbers[row.who]} is somebody here, and not {row.who}")
            else:
                strangers.setdefault(row.who, row)
        return members, strangers

    def _enrol(self, door: Door, strangers: dict[str, Row], members: dict[str, int]) -> dict[str, str]:
        """Enrol who is no member yet, and note their ids; return why some could not be."""
        failed = {}
        commands = [_enrolment(row, self.terms) for row in strangers.values()]
        for who, command, outcome in zip(strangers, commands, _submitted(door, commands), strict=True):
            if outcome.error is None:
                members[who] = command.id
                self.counts["enrolled"] += 1
            else:
                failed[who] = outcome.reason or outcome.error
        return failed

    def _credit(self, door: Door, rows: Sequence[Row], members: dict[str, int]) -> None:
        commands = [_credit_of(row, members[row.who], self.terms, self.digest) for row in rows]
        for row, outcome in zip(rows, _submitted(door, commands), strict=True):
            if outcome.error is None:
                self.counts["known" if outcome.duplicate else "credited"] += 1
            elif outcome.error == "idempotency_key_reused":
                self._refuse(row, "ref", "this ref was imported before, with other values")
            else:
                self._refuse(row, "amount", outcome.reason or outcome.error)

    def _refuse(self, row: Row, column: str, reason: str) -> None:
        from adapter.cli.imported import Unusable

        self._refused.append(Unusable(row.told, column, reason))


def _submitted(door: Door, commands: Sequence[Command]) -> list[Outcome]:
    """Submit all of them before waiting for the first, so that they share commits."""
    return [future.result() for future in [door.offer(command) for command in commands]]


def _enrolment(row: Row, terms: Terms) -> EnrolMember:
    from adapter.commands import EnrolMember

    return EnrolMember(
        env=terms.env,
        id=ids.new_id(terms.now) if row.number is None else row.number,
        joined_at=row.joined_at,
        customer=row.customer,
        email=row.email,
        name=row.name,
        birthday=row.birthday,
        metadata=row.metadata,
        welcome=False,
        received_at=terms.now,
    )


def _credit_of(row: Row, member: int, terms: Terms, digest: bytes) -> BeginTransaction:
    from adapter.commands import BeginTransaction, Once

    assert row.lot is not None
    ref = row.told.fields.get("ref")
    name = f"ref:{ref}".encode() if ref else digest + row.told.line.to_bytes(8, "big")
    said = [row.who, *(row.told.fields.get(column, "") for column in MEANS)]
    return BeginTransaction(
        env=terms.env,
        id=ids.new_id(terms.now),
        member=member,
        definition=row.lot.definition,
        kind="credit",
        amount=row.lot.amount,
        complete=True,
        immediate=True,
        occurred_at=row.lot.earned_at,
        points_end_at=row.lot.ends_at,
        reason="import",
        received_at=terms.now,
        once=Once(
            key=hashlib.sha256(b"members import\0" + name).digest(),
            request=hashlib.sha256(json.dumps(said).encode()).digest(),
            ends_at=LATEST,
        ),
    )
