"""Trying a changed program on what happened so far."""

from __future__ import annotations

import csv
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from adapter import clock, ids
from adapter.cli.examples import examples
from adapter.cli.options import as_json as json_option
from adapter.cli.options import in_environment
from adapter.cli.options import since as since_option
from adapter.cli.place import Place, pass_place
from adapter.cli.showing import counting, show_json, show_rows
from adapter.points import points

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Engine

    from adapter.engine.simulate import Change, Simulation, Sums

MEMBER_COLUMNS = {
    "member": "member",
    "source_ids": "shop ids",
    "orders": "orders",
    "before": "before",
    "after": "after",
    "difference": "difference",
}
RULE_COLUMNS = {"rule": "rule", "before": "before", "after": "after", "difference": "difference"}


@click.command(
    epilog=examples(
        "loyalty-adapter simulate shop.toml                      the changed apply file, before it is applied",
        "loyalty-adapter simulate config/rules.toml --since 30d  one program, on the orders of the last month",
        "loyalty-adapter simulate shop.toml --program main --csv > members.csv",
    )
)
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--program", metavar="NAME", help="Which program of the file; needed where it has several.")
@since_option
@click.option(
    "--limit", type=click.IntRange(1), default=50, show_default=True, help="Most members in the table."
)
@json_option
@click.option("--csv", "as_csv", is_flag=True, help="Print every member as CSV.")
@in_environment
@pass_place
def simulate(
    place: Place,
    file: Path,
    program: str | None,
    since: int | None,
    limit: int,
    *,
    as_json: bool,
    as_csv: bool,
) -> None:
    """Run a changed program over the stored events and report who would have got what. Writes nothing.

    FILE is an apply file, or a program written as a table of [[tenants.programs]] is. The changed program holds for
    orders placed from --since on, or for all. Points are what orders keep after their refunds; the rules' are what
    they gave.
    """
    if as_json and as_csv:
        raise click.UsageError("--json or --csv, not both")
    with place.database() as engine:
        change = _change(place, engine, file, program, since)
        found = _run(engine, change)
    if as_csv:
        _show_csv(_members(found))
    elif as_json:
        show_json(_view(change, found))
    else:
        _show(change, found, limit)


def _change(place: Place, engine: Engine, file: Path, name: str | None, since: int | None) -> Change:
    from adapter.apply.drafts import read_draft
    from adapter.engine.simulate import Change

    with engine.connect() as connection:
        environment = place.environment(connection)
    return Change(environment.id, read_draft(file, environment, name), since)


def _run(engine: Engine, change: Change) -> Simulation:
    from adapter.engine.simulate import count_events
    from adapter.engine.simulate import simulate as run
    from adapter.intake import reading
    from connectors import CONNECTORS

    with counting("simulating", count_events(engine, change.env)) as progress:
        return run(engine, change, reading(CONNECTORS), progress)


def _view(change: Change, found: Simulation) -> dict[str, Any]:
    before, after = found.before, found.after
    return {
        "program": change.program.name,
        "since": None if change.since is None else clock.iso(change.since),
        "unit": found.unit,
        "orders": found.orders,
        "unread_orders": found.unread,
        "earning_orders": {"before": before.earning, "after": after.earning},
        "awarded": _pair(found, before.award, after.award),
        "retained": _pair(found, before.retained, after.retained),
        "rules": _rules(found),
        "nothing": [
            {"reason": reason, "before": before.reasons[reason], "after": after.reasons[reason]}
            for reason in sorted(before.reasons.keys() | after.reasons.keys())
        ],
        "members": _members(found),
    }


def _pair(found: Simulation, before: int, after: int) -> dict[str, Any]:
    told = {"before": before, "after": after, "difference": after - before}
    return {name: points(amount, found.decimals) for name, amount in told.items()}


def _rules(found: Simulation) -> list[dict[str, Any]]:
    before, after = found.before.rules, found.after.rules
    names = dict.fromkeys([*sorted(before), *sorted(after)])
    return [{"rule": name, **_pair(found, before[name], after[name])} for name in names]


def _members(found: Simulation) -> list[dict[str, Any]]:
    """Return a row a member, those with the largest difference first."""
    ordered = sorted(
        found.holders.values(), key=lambda one: (-abs(one.difference), one.names, one.member or 0)
    )
    return [
        {
            "member": None if one.member is None else ids.show("mem", one.member),
            "source_ids": list(one.names),
            "orders": one.orders,
            **_pair(found, one.before, one.after),
        }
        for one in ordered
    ]


def _show_csv(rows: Sequence[dict[str, Any]]) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(MEMBER_COLUMNS)
    for row in rows:
        names = " ".join(row["source_ids"])
        writer.writerow([names if key == "source_ids" else row[key] for key in MEMBER_COLUMNS])


def _show(change: Change, found: Simulation, limit: int) -> None:
    since = "" if change.since is None else f" placed since {clock.iso(change.since)}"
    click.echo(f"{change.program.name}: {found.orders} orders{since}, in {found.unit}")
    for title, before, after in (
        ("orders that earn", found.before.earning, found.after.earning),
        ("awarded", *_totals(found, "award")),
        ("kept after refunds", *_totals(found, "retained")),
    ):
        click.echo(f"  {title:<20}{before} → {after}")
    for reason in sorted(found.before.reasons.keys() | found.after.reasons.keys()):
        before, after = found.before.reasons[reason], found.after.reasons[reason]
        click.echo(f"  nothing: {reason:<27}{before} → {after} orders")
    if found.unread:
        click.echo(f"  {found.unread} orders are left out: no source reads their events any more")
    click.echo()
    show_rows(_rules(found), RULE_COLUMNS, as_json=False)
    click.echo()
    members = _members(found)
    changed = [row for row in members if row["before"] != row["after"]]
    show_rows(changed[:limit], MEMBER_COLUMNS, as_json=False)
    if len(changed) > limit:
        click.echo(f"… and {len(changed) - limit} more members; --csv and --json list all")
    click.echo(f"{len(members) - len(changed)} members keep what they have")


def _totals(found: Simulation, what: str) -> tuple[int | str, int | str]:
    def told(sums: Sums) -> int | str:
        return points(getattr(sums, what), found.decimals)

    return told(found.before), told(found.after)
