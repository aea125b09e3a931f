"""Keeping: copies of the database while it is in use, and back; and no longer than the settings say."""

from __future__ import annotations

from pathlib import Path

import click

from adapter import clock
from adapter.cli.examples import examples
from adapter.cli.place import Place, pass_place
from adapter.cli.showing import counting

_FILE = click.argument("file", type=click.Path(path_type=Path, dir_okay=False))


@click.command(
    epilog=examples(
        "loyalty-adapter backup loyalty-$(date +%F).copy",
        "LOYALTY_DATABASE_URL=postgresql://loyalty@db/loyalty loyalty-adapter backup nightly.copy",
    ),
)
@_FILE
@pass_place
def backup(place: Place, file: Path) -> None:
    """Write a copy of the database to a new FILE, while the service goes on.

    It holds everything that was answered before it was begun. PostgreSQL's `pg_dump` makes that of a server.
    """
    from adapter.store.backup import back_up

    with place.database() as engine:
        size = back_up(engine, file)
    click.echo(f"{file}: {size} bytes; `loyalty-adapter restore {file}` makes a database of it")


@click.command(epilog=examples("LOYALTY_DATA_DIR=/var/lib/new loyalty-adapter restore nightly.copy"))
@_FILE
@pass_place
def restore(place: Place, file: Path) -> None:
    """Make the database, which must have no tables yet, what a copy in FILE holds.

    Shops and subscribers need not know: a webhook that comes again has its effect once, and what was sent since the
    copy is sent again under its old id.
    """
    from adapter.store.backup import restore as make_again

    make_again(place.settings().database_url, file)
    click.echo(
        "restored; `loyalty-adapter migrate` brings it up to date, `loyalty-adapter audit` proves it right"
    )


@click.command(epilog=examples("loyalty-adapter prune --dry-run", "loyalty-adapter prune"))
@click.option("--dry-run", is_flag=True, help="Only say what would go.")
@pass_place
def prune(place: Place, dry_run: bool) -> None:
    """Remove what `[retention]` says is kept no longer, in all environments, now.

    The service does it by itself, and may run meanwhile. What waits, is retried, or has a place in an open replay stays.
    """
    from adapter.engine import retention

    settings, now = place.settings().retention.retention(), clock.now()
    with place.database() as engine:
        found = retention.measure(engine, settings, now)
        rows = found.rows
        if not dry_run and rows:
            with counting("removing", rows.total()) as progress:
                rows = retention.prune(engine, settings, now, progress=progress)
    for table, number in sorted(rows.items()):
        click.echo(f"{number} {_WHAT.get(table, table.replace('_', ' '))}")
    size = f"{found.size} bytes of bodies and answers" if rows else "nothing"
    click.echo(f"{size} would go" if dry_run else f"{size} removed")


_WHAT = {
    "events": "events, of which headers and bodies",
    "idempotency_keys": "answers under Idempotency-Keys",
}
