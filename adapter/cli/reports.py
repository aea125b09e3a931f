"""Reports: what the book comes to, in points and in money."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING, Any

import click

from adapter import clock
from adapter.cli import options
from adapter.cli.examples import examples
from adapter.cli.place import Place, pass_place
from adapter.cli.showing import counting, show_json, show_rows, terminal

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import TextIO

BAR_WIDTH = 40
MONTHS = {
    "month": "MONTH", "issued": "ISSUED", "redeemed": "REDEEMED", "expired": "EXPIRED", "revoked": "REVOKED",
    "adjusted": "ADJUSTED",
}  # fmt: skip


@click.group()
def report() -> None:
    """Say what the book comes to, in points and in money."""


@report.command(
    epilog=examples(
        "loyalty-adapter report liability",
        "loyalty-adapter report liability --program main --as-of 2026-10-31T23:59:59.999Z --json",
        "loyalty-adapter report liability --csv liability.csv",
    ),
)
@click.option("--program", metavar="NAME", help="Only this program.")
@click.option(
    "--as-of", type=options.Instant(), metavar="WHEN", help="With what was posted at or before; default: now."
)
@click.option(
    "--csv", "table", type=click.File("w", lazy=True), metavar="FILE", help="Write CSV; - is standard output."
)
@options.as_json
@options.in_environment
@pass_place
def liability(
    place: Place, program: str | None, as_of: int | None, table: TextIO | None, *, as_json: bool
) -> None:
    """Say what is outstanding: points and their money value by month of expiry, and breakage.

    The money value of a point is the program's `point_value` and `currency`; without them there are points only.
    Reads only, one moment of the database, and may run beside the service.
    """
    from adapter.store.configuration import load_catalog
    from adapter.store.reading.liability import COLUMNS, Asked, rows
    from adapter.store.reading.liability import liability as told

    with place.reading() as (connection, env), counting("adding up") as progress:
        asked = Asked(env, clock.now(), as_of, program)
        found = told(connection, load_catalog(connection), asked, progress)
    if table is not None:
        writer = csv.writer(table)
        writer.writerow(COLUMNS)
        writer.writerows(rows(found))
    elif as_json:
        show_json(found)
    else:
        _show(found)


def _show(found: Mapping[str, Any]) -> None:
    click.echo(f"as of {found['as_of']}")
    for one in found["definitions"]:
        _show_definition(one)
    for total in found["totals"]:
        click.echo(f"\nworth {total['value']} {total['currency']} in all")


def _show_definition(one: Mapping[str, Any]) -> None:
    worth = "no point_value" if one["value"] is None else f"{one['value']} {one['currency']}"
    click.echo(f"\n{one['program']}/{one['balance_definition']}: {one['outstanding']} {one['unit']}, {worth}")
    parts = ", ".join(f"{one[name]} {name}" for name in ("pending", "available", "reserved"))
    click.echo(f"{parts}; less {one['owed']} owed; {one['lapsed']} over but not swept yet")
    if one["by_expiry"]:
        _chart(one["by_expiry"])
    rate = "-" if one["breakage_rate"] is None else one["breakage_rate"]
    click.echo(
        f"{one['issued']} issued, {one['expired']} expired, {one['revoked']} revoked; expired / issued {rate}"
    )
    if one["by_month"]:
        show_rows(one["by_month"], MONTHS, as_json=False)


def _chart(held: list[dict[str, Any]]) -> None:
    """Draw a bar for each month of expiry, as long as its share of the longest."""
    from decimal import Decimal

    from rich.bar import Bar
    from rich.table import Table

    longest = max(Decimal(one["points"]) for one in held) or Decimal(1)
    chart = Table(box=None, pad_edge=False, header_style="bold")
    for heading, side in (("EXPIRES", "left"), ("POINTS", "right"), ("VALUE", "right"), ("", "left")):
        chart.add_column(heading, justify=side)  # type: ignore[arg-type]  # - a tuple's text is no literal to mypy
    for one in held:
        share = BAR_WIDTH * Decimal(one["points"]) / longest
        bar = Bar(BAR_WIDTH, 0, float(share), width=BAR_WIDTH)  # a length on a screen
        chart.add_row(one["expires"], str(one["points"]), one["value"] or "-", bar)
    terminal().print(chart)
