"""Exports for other systems: the ledger as double entry, line by line."""

from __future__ import annotations

import csv
import sys
from typing import TYPE_CHECKING, Any

import click

from adapter.cli import options
from adapter.cli.examples import examples
from adapter.cli.place import Place, pass_place
from adapter.cli.showing import counting, show_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import TextIO

    from adapter.store.reading.ledger import Place as Entry

TRIAL = {
    "program": "PROGRAM", "balance_definition": "BALANCE", "account": "ACCOUNT", "debit": "DEBIT",
    "credit": "CREDIT", "balance": "DEBIT - CREDIT",
}  # fmt: skip


@click.group()
def export() -> None:
    """Write the ledger out for other systems."""


def _entry(_ctx: click.Context, _param: click.Parameter, value: str | None) -> Entry | None:
    from adapter.store.reading.ledger import read_entry

    place = None if value is None else read_entry(value)
    if value is not None and place is None:
        raise click.BadParameter(f"{value!r} is not an entry such as mem_0000000000005.1.12.0")
    return place


@export.command(
    epilog=examples(
        "loyalty-adapter export transfers --since 2026-10-01 --until 2026-11-01 > october.csv",
        "loyalty-adapter export transfers --until 2026-11-01 --jsonl | gzip > ledger.jsonl.gz",
        "loyalty-adapter export transfers --until 2026-11-01 --after mem_0dyeq9k3w0000.1.12.0 >> ledger.csv",
    ),
)
@options.since
@options.until
@click.option("--csv", "form", flag_value="csv", default=True, help="CSV with a header; the default.")
@click.option("--jsonl", "form", flag_value="jsonl", help="A JSON object on each line.")
@click.option("--after", callback=_entry, metavar="ENTRY", help="Go on after this entry, without a header.")
@options.in_environment
@pass_place
def transfers(place: Place, since: int | None, until: int | None, form: str, after: Entry | None) -> None:
    """Write double entry to standard output: a debit and a credit line for each transfer.

    Times are those of posting. Lines are in the order of members, the same each time, and few are in memory at once.
    After an interruption drop the last entry if one of its two lines is missing, and go on with --after and the
    entry before; with an --until that is over, both parts together are the whole.
    The sums of both sides are told on standard error.
    """
    from adapter.store.configuration import load_catalog
    from adapter.store.reading.ledger import START, Span, Totals, lines
    from adapter.store.reading.ledger import transfers as read

    totals, count = Totals(), 0
    with place.reading() as (connection, env), counting("exporting") as progress:
        kept = {
            number: one
            for (whose, number), one in load_catalog(connection).definitions.items()
            if whose == env
        }
        write = _writer(sys.stdout, form, header=after is None)
        for one in read(connection, env, Span(since, until), after or START):
            for line in lines(one, kept[one.definition]):
                write(line)
            totals.add(one.definition, one.from_account, one.to_account, one.amount)
            count += 1
            progress(1)
    debit, credit = sum(totals.debits.values()), sum(totals.credits.values())
    click.echo(f"{count} transfers, debit {debit} = credit {credit} in smallest units", err=True)


def _writer(out: TextIO, form: str, *, header: bool) -> Callable[[Mapping[str, Any]], object]:
    from adapter.store.reading.ledger import COLUMNS

    if form == "jsonl":
        import orjson

        return lambda line: out.write(orjson.dumps(line).decode() + "\n")
    writer = csv.DictWriter(out, COLUMNS, lineterminator="\n")
    if header:
        writer.writeheader()
    return writer.writerow


@export.command(
    "trial-balance",
    epilog=examples(
        "loyalty-adapter export trial-balance",
        "loyalty-adapter export trial-balance --since 2026-10-01 --until 2026-11-01 --json",
    ),
)
@options.since
@options.until
@options.as_json
@options.in_environment
@pass_place
def trial_balance(place: Place, since: int | None, until: int | None, *, as_json: bool) -> None:
    """Add up debits and credits by account; together they are zero."""
    from adapter.store.configuration import load_catalog
    from adapter.store.reading.ledger import Span
    from adapter.store.reading.ledger import trial_balance as read

    with place.reading() as (connection, env):
        kept = {
            number: one
            for (whose, number), one in load_catalog(connection).definitions.items()
            if whose == env
        }
        totals = read(connection, env, Span(since, until))
    show_rows(totals.view(kept), TRIAL, as_json=as_json)
