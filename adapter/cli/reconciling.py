"""Comparing our balances with a shop's or a vendor's."""

from __future__ import annotations

import csv
import sys
from collections import Counter
from itertools import islice
from typing import IO, TYPE_CHECKING, Any

import click

from adapter import clock, ids
from adapter.cli import options
from adapter.cli.examples import examples
from adapter.cli.place import Place, pass_place
from adapter.cli.showing import counting, show_rows
from adapter.points import points

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from adapter.cli.claims import Claim, Unusable
    from adapter.store.reading.differences import Against, Comparison, Difference

CHUNK = 500
COLUMNS = {
    "line": "LINE", "kind": "WHAT", "member": "MEMBER", "named": "NAMED", "theirs": "THEIRS", "ours": "OURS",
    "difference": "THEIRS - OURS", "why": "WHY",
}  # fmt: skip


@click.command(
    epilog=examples(
        "loyalty-adapter reconcile vendor.csv                      columns: member,points",
        "loyalty-adapter reconcile shop.jsonl --source shop        bare ids are customers of this source",
        "loyalty-adapter reconcile vendor.csv --account total --as-of 2026-10-31T23:59:59.999Z --csv > open.csv",
    ),
)
@click.argument("file", type=click.File("r", encoding="utf-8-sig", errors="replace"))
@click.option("--source", metavar="NAME", help="Whose customers are meant by ids without a colon.")
@click.option("--program", metavar="NAME", help="Which program, where there are several.")
@click.option("--balance-definition", metavar="NAME", help="Which balance, where there are several.")
@click.option(
    "--account",
    type=click.Choice(["available", "posted", "total"]),
    default="available",
    show_default=True,
    help="What their figure is of: usable; with holds; with pending points as well.",
)
@click.option(
    "--as-of", type=options.Instant(), metavar="WHEN", help="What was posted at or before; default: now."
)
@click.option("--format", "form", type=click.Choice(["csv", "jsonl"]), help="Of FILE; else its name says.")
@click.option("--csv", "as_csv", is_flag=True, help="Print the differences as CSV.")
@click.option("--json", "as_json", is_flag=True, help="Print the differences as one JSON array.")
@options.in_environment
@pass_place
def reconcile(place: Place, /, file: IO[str], source: str | None, form: str | None, **asked: Any) -> None:
    """Compare our balances with the figures in FILE, and list what differs and why.

    FILE is CSV with a header or JSON lines: `member` (mem_…, source:customer or an e-mail address; also `customer` or
    `email`) and `points` (also `balance`). Exit code 0 if all agree, 1 if anything differs, is unknown on either side or
    could not be read. Reads only.
    """
    as_csv, as_json = asked.pop("as_csv"), asked.pop("as_json")
    with place.reading() as (connection, env):
        from adapter.store.reading.differences import Comparison

        against = _against(connection, env, asked)
        comparison = Comparison(connection, against)
        with counting("comparing", size_of(file)) as progress:
            rows = list(
                _rows(
                    comparison,
                    against,
                    _claims(told(file, progress), getattr(file, "name", ""), form, against),
                    source,
                )
            )
    _print(rows, as_csv=as_csv, as_json=as_json)
    counts = Counter(row["kind"] for row in rows)
    others = "".join(f", {number} {kind}" for kind, number in sorted(counts.items()))
    click.echo(f"{comparison.agree} agree{others}", err=True)
    if rows:
        sys.exit(1)


def _against(connection: Any, env: int, asked: dict[str, Any]) -> Against:
    from adapter.store.configuration import load_catalog
    from adapter.store.reading.definitions import definition_meant
    from adapter.store.reading.differences import Against

    definition = definition_meant(
        load_catalog(connection), env, tuple, program=asked["program"], name=asked["balance_definition"]
    )
    return Against(env, definition, asked["account"], clock.now(), asked["as_of"])


def size_of(file: IO[str]) -> int | None:
    """Return how long the file is, None for a pipe."""
    if not file.seekable():
        return None
    size = file.seek(0, 2)
    file.seek(0)
    return size


def told(file: IO[str], progress: Callable[[int], None]) -> Iterator[str]:
    """Yield the lines, and say of each how many bytes it has."""
    for line in file:
        progress(len(line.encode()))
        yield line


def _claims(
    lines: Iterator[str], name: str, form: str | None, against: Against
) -> Iterator[Claim | Unusable]:
    from adapter.cli.claims import read_csv, read_json_lines

    form = form or ("jsonl" if name.endswith((".jsonl", ".ndjson", ".json")) else "csv")
    read = read_json_lines if form == "jsonl" else read_csv
    return read(lines, against.definition.decimals)


def _rows(
    comparison: Comparison, against: Against, claims: Iterator[Claim | Unusable], source: str | None
) -> Iterator[dict[str, Any]]:
    """Yield what differs, in the order of the file, then whom it does not name."""
    from adapter.cli.claims import Claim

    while chunk := list(islice(claims, CHUNK)):
        figures = [(one.line, _named(one.who, source), one.amount) for one in chunk if isinstance(one, Claim)]
        found = [_view(one, against) for one in comparison.take(figures)]
        refused = [
            {**dict.fromkeys(COLUMNS), "line": one.line, "kind": "refused", "why": one.reason}
            for one in chunk
            if not isinstance(one, Claim)
        ]
        yield from sorted((*found, *refused), key=lambda row: row["line"])
    yield from (_view(one, against) for one in comparison.missing())


def _named(who: str, source: str | None) -> str:
    bare = source is not None and ":" not in who and "@" not in who and ids.read("mem", who) is None
    return f"{source}:{who}" if bare else who


def _view(one: Difference, against: Against) -> dict[str, Any]:
    def shown(amount: int | None) -> int | str | None:
        return None if amount is None else points(amount, against.definition.decimals)

    both = one.theirs is not None and one.ours is not None
    why = "; ".join(one.why) or (
        "they do not name them" if one.kind == "missing there" else "nothing here explains it"
    )
    return {
        "line": one.line,
        "kind": one.kind,
        "member": None if one.member is None else ids.show("mem", one.member),
        "named": one.who,
        "theirs": shown(one.theirs),
        "ours": shown(one.ours),
        "difference": shown((one.theirs or 0) - (one.ours or 0)) if both else None,
        "why": why,
    }


def _print(rows: Iterable[dict[str, Any]], *, as_csv: bool, as_json: bool) -> None:
    rows = list(rows)
    if as_csv:
        writer = csv.DictWriter(sys.stdout, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    elif rows or as_json:
        show_rows(rows, COLUMNS, as_json=as_json)
