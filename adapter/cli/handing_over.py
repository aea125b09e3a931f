"""Writing members and their points out, in the form that `members import` reads."""

from __future__ import annotations

import csv
import json
import sys
from collections import Counter
from typing import TYPE_CHECKING, Any

import click

from adapter import clock, ids
from adapter.cli import options
from adapter.cli.examples import examples
from adapter.cli.place import Place, pass_place
from adapter.cli.showing import counting
from adapter.clock import LATEST, iso
from adapter.points import points

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import TextIO

    from adapter.book.state import Lot
    from adapter.catalog import Definition
    from adapter.store.reading.members import MemberRow

Definitions = dict[int, "Definition"]


@click.command(
    epilog=examples(
        "loyalty-adapter members export > members.csv",
        "loyalty-adapter members export --jsonl | gzip > members.jsonl.gz",
    ),
)
@click.option("--csv", "form", flag_value="csv", default=True, help="CSV with a header; the default.")
@click.option("--jsonl", "form", flag_value="jsonl", help="A JSON object on each line.")
@options.in_environment
@pass_place
def export(place: Place, form: str) -> None:
    """Write the active members with their usable points to standard output, a row for each lot.

    `members import` reads it again: members keep their ids and lots their ends, and each lot is credited once. A lot
    that never ends says `never`. What is pending, under a hold or owed is not in it, nor is a second
    shop id of a member; both are counted on standard error.
    """
    from adapter.store.configuration import load_catalog
    from adapter.store.reading.holdings import holdings

    left: Counter[str] = Counter()
    with place.reading() as (connection, env), counting("exporting") as progress:
        kept = {
            number: one
            for (whose, number), one in load_catalog(connection).definitions.items()
            if whose == env
        }
        write = _writer(sys.stdout, form)
        for member, lots, balances in holdings(connection, env, clock.now()):
            for row in _rows(member, lots, kept):
                write(row)
                left["rows"] += 1
            left["members"] += 1
            left["shop ids"] += max(len(member.source_ids) - 1, 0)
            for balance in balances:
                for part in ("pending", "reserved", "owed"):
                    left[part] += getattr(balance, part)
            progress(1)
    click.echo(
        f"{left['members']} members, {left['rows']} rows; not in it: {left['pending']} pending, {left['reserved']} held, "
        f"{left['owed']} owed in smallest units, {left['shop ids']} further shop ids",
        err=True,
    )


def _writer(out: TextIO, form: str) -> Callable[[dict[str, Any]], object]:
    from adapter.cli.imported import COLUMNS

    if form == "jsonl":
        return lambda row: out.write(json.dumps(row, ensure_ascii=False) + "\n")
    writer = csv.DictWriter(out, COLUMNS, lineterminator="\n")
    writer.writeheader()
    return writer.writerow


def _rows(member: MemberRow, lots: list[Lot], kept: Definitions) -> Iterator[dict[str, Any]]:
    """Yield a row for each lot; who has none has one row all the same."""
    source, _, customer = member.source_ids[0].partition(":") if member.source_ids else ("", "", "")
    person = {
        "source": source,
        "customer": customer,
        "member": ids.show("mem", member.id),
        "email": member.email,
        "name": member.name,
        "birthday": member.birthday,
        "metadata": member.metadata,
        "joined_at": iso(member.created_at),
    }
    if not lots:
        yield person
    for lot in lots:
        definition = kept[lot.definition]
        yield person | {
            "program": definition.program,
            "balance_definition": definition.name,
            "amount": points(lot.available, definition.decimals),
            "expires_at": "never" if lot.expires_at in (None, LATEST) else iso(lot.expires_at or 0),
            "earned_at": iso(lot.earned_at),
            "ref": ids.show("lot", lot.id),
        }
