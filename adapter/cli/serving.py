"""Running the product, and preparing what it runs on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from adapter import clock
from adapter.cli.examples import examples
from adapter.cli.place import Place, check_tables, opened, pass_place

if TYPE_CHECKING:
    from adapter.settings import Settings

_CONFIG = click.option("--config", metavar="FILE", help="Settings file (TOML).")
_HOST = click.option("--host", metavar="ADDRESS", help="Where to listen; the setting server.host.")
_PORT = click.option(
    "--port", type=click.IntRange(1, 65535), help="Where to listen; the setting server.port."
)


@click.command(
    epilog=examples(
        "loyalty-adapter serve",
        "loyalty-adapter serve --host 0.0.0.0 --port 9000",
        "loyalty-adapter serve --config /etc/loyalty.toml",
        "LOYALTY_DATABASE_URL=postgresql://loyalty@db/loyalty loyalty-adapter serve",
    ),
)
@_HOST
@_PORT
@_CONFIG
@pass_place
def serve(place: Place, host: str | None, port: int | None, config: str | None) -> None:
    """Run everything on this machine: receiver, API, deliveries and the sweep.

    An embedded database is brought up to date first. One line with the URL says that it is ready; SIGTERM
    finishes what is held and ends it.
    """
    from adapter import app

    app.serve(_ready_to_run(place, host, port, config))


@click.command(epilog=examples("loyalty-adapter receive --host 0.0.0.0"))
@_HOST
@_PORT
@_CONFIG
@pass_place
def receive(place: Place, host: str | None, port: int | None, config: str | None) -> None:
    """Run only the web part: one of many machines that take webhooks in."""
    from adapter import app

    app.receive(_ready_to_run(place, host, port, config))


@click.command(epilog=examples("loyalty-adapter work", "loyalty-adapter work --config /etc/loyalty.toml"))
@_CONFIG
@pass_place
def work(place: Place, config: str | None) -> None:
    """Run only deliveries and the sweep: one of many machines that work."""
    from adapter import app

    app.work(_ready_to_run(place, None, None, config))


def _ready_to_run(place: Place, host: str | None, port: int | None, config: str | None) -> Settings:
    from adapter.logs import configure_logs

    given = {"server.host": host, "server.port": port}
    settings = Place(config or place.config).settings(**given)
    configure_logs(settings.log.level, settings.log.format)
    return settings


@click.command(
    epilog=examples(
        "loyalty-adapter migrate",
        "LOYALTY_DATABASE_URL=postgresql://loyalty@db/loyalty loyalty-adapter migrate",
    ),
)
@pass_place
def migrate(place: Place) -> None:
    """Create the database's tables, or bring them up to date. Repeatable."""
    from adapter.store.address import shown
    from adapter.store.migrate import migrate as bring_up_to_date

    with opened(place.settings()) as engine:
        bring_up_to_date(engine)
        click.echo(f"{shown(engine.url)} is up to date")


@click.command(
    epilog=examples("loyalty-adapter apply shop.toml", "loyalty-adapter apply config/example.toml")
)
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@pass_place
def apply(place: Place, file: Path) -> None:
    """Make the database match FILE: tenants, keys, programs, sources and endpoints.

    Prints what changed. Repeatable: the second time nothing does. An embedded database gets its tables first.
    """
    from adapter.apply import apply as make_match
    from adapter.store.migrate import migrate as bring_up_to_date

    settings = place.settings()
    with opened(settings) as engine:
        if settings.database_url.startswith("sqlite"):
            bring_up_to_date(engine)
        check_tables(engine)
        changes = make_match(engine, file, now=clock.now())
    for line in changes:
        click.echo(line)
