"""Endpoints: who hears of changes, where, and signed with what."""

from __future__ import annotations

from typing import Any

import click

from adapter import clock, ids
from adapter.cli import options
from adapter.cli.examples import examples
from adapter.cli.place import Place, pass_place
from adapter.cli.showing import show_fields, show_rows

COLUMNS = {
    "id": "ENDPOINT", "url": "URL", "events": "EVENTS", "state": "STATE", "disabled_reason": "WHY",
    "failures": "FAILURES", "description": "DESCRIPTION",
}  # fmt: skip
_ENDPOINT = click.argument("endpoint", type=options.Id("end"))


@click.group()
def endpoints() -> None:
    """Manage who hears of changes."""


@endpoints.command(
    epilog=examples(
        "loyalty-adapter endpoints add https://crm.example.com/hook",
        "loyalty-adapter endpoints add https://crm.example.com/hook --event 'balance.*'",
        "loyalty-adapter endpoints add http://127.0.0.1:9009/hook --schedule 1,5,30 --timeout 5",
    ),
)
@click.argument("url")
@click.option("--event", "events", multiple=True, metavar="TYPE", help="A type or pattern; all without it.")
@click.option("--secret", "secrets", multiple=True, metavar="whsec_…", help="One is made without it.")
@click.option("--schedule", metavar="S,S,…", help="Seconds before each retry.")
@click.option("--timeout", type=int, metavar="S", help="Seconds that one request may take.")
@click.option("--ordered", is_flag=True, help="Send each member's messages one after another.")
@click.option("--header", "headers", multiple=True, metavar="NAME=VALUE", help="Sent with every request.")
@click.option("--concurrency", type=int, metavar="N", help="Most requests in flight.")
@click.option("--rate", "rate_per_s", type=int, metavar="N", help="Most requests in a second.")
@click.option("--description", metavar="TEXT")
@options.as_json
@options.in_environment
@pass_place
def add(place: Place, /, as_json: bool, **given: Any) -> None:
    """Add an endpoint. Its signing secret is shown this once."""
    from adapter.delivery import endpoints as kept

    fields = {name: value for name, value in given.items() if value not in (None, (), False)}
    fields |= {"schedule": _numbers(fields["schedule"])} if "schedule" in fields else {}
    fields |= {"headers": dict(map(_header, fields["headers"]))} if "headers" in fields else {}
    with place.writing() as (connection, env):
        view = kept.add(connection, env, fields, now=clock.now())
    show_fields(view, as_json=as_json)


def _numbers(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise click.BadParameter(
            "give whole seconds, separated by commas: 5,60,300", param_hint="--schedule"
        ) from None


def _header(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise click.BadParameter("give NAME=VALUE", param_hint="--header")
    return name, value


@endpoints.command(
    "list",
    epilog=examples(
        "loyalty-adapter endpoints list", "loyalty-adapter endpoints list --state disabled --json"
    ),
)
@click.option("--state", type=click.Choice(["enabled", "disabled"]), help="Only these.")
@options.listing
@options.in_environment
@pass_place
def list_(place: Place, /, state: str | None, limit: int, as_json: bool) -> None:
    """List endpoints, oldest first. Secrets are never shown, only their beginning."""
    from adapter.delivery import endpoints as kept

    with place.reading() as (connection, env):
        rows = [row for row in kept.listed(connection, env) if state in (None, row["state"])]
    show_rows(rows[:limit], COLUMNS, as_json=as_json)


@endpoints.command(
    epilog=examples(
        "loyalty-adapter endpoints rotate end_00e2x5t1ykz0g",
        "loyalty-adapter endpoints rotate end_00e2x5t1ykz0g --overlap 2d",
        "loyalty-adapter endpoints rotate end_00e2x5t1ykz0g --overlap 0s    it leaked",
    ),
)
@_ENDPOINT
@click.option("--overlap", "overlap_s", type=options.Duration(), default=86_400, metavar="TIME",
              help="How long the old secret signs as well; a day without it.")  # fmt: skip
@click.option("--secret", metavar="whsec_…", help="The new one; made without it.")
@options.as_json
@options.in_environment
@pass_place
def rotate(place: Place, endpoint: int, overlap_s: int, secret: str | None, as_json: bool) -> None:
    """Sign with a new secret, and for a while with the old one too. The new one is shown this once."""
    from adapter.delivery import endpoints as kept

    with place.writing() as (connection, env):
        view = kept.rotate(connection, env, endpoint, now=clock.now(), overlap_s=overlap_s, secret=secret)
    show_fields(view, as_json=as_json)


@endpoints.command(
    epilog=examples(
        "loyalty-adapter endpoints enable end_00e2x5t1ykz0g",
        "loyalty-adapter endpoints enable end_00e2x5t1ykz0g --keep-held",
    ),
)
@_ENDPOINT
@click.option("--keep-held", is_flag=True, help="Do not send what was held meanwhile.")
@options.in_environment
@pass_place
def enable(place: Place, endpoint: int, keep_held: bool) -> None:
    """Send again, also what was held meanwhile."""
    from adapter.delivery import switching

    with place.writing() as (connection, env):
        released = switching.enable(connection, env, endpoint, now=clock.now(), release_held=not keep_held)
    click.echo(f"{ids.show('end', endpoint)} is enabled; {released} held deliveries are due")


@endpoints.command(epilog=examples("loyalty-adapter endpoints disable end_00e2x5t1ykz0g"))
@_ENDPOINT
@options.in_environment
@pass_place
def disable(place: Place, endpoint: int) -> None:
    """Send nothing more; what comes up is held until it is enabled."""
    from adapter.delivery import switching

    with place.writing() as (connection, env):
        switching.disable(connection, env, endpoint, now=clock.now())
    click.echo(f"{ids.show('end', endpoint)} is disabled; its deliveries are held")


@endpoints.command(epilog=examples("loyalty-adapter endpoints test end_00e2x5t1ykz0g"))
@_ENDPOINT
@options.in_environment
@pass_place
def test(place: Place, endpoint: int) -> None:
    """Queue an `endpoint.test` message for this endpoint alone; the running service sends it."""
    from adapter.delivery import endpoints as kept

    with place.writing() as (connection, env):
        view = kept.send_test(connection, env, endpoint, now=clock.now())
    click.echo(f"{view['message']} is queued for {ids.show('end', endpoint)}")
