"""API keys: made, listed and revoked. Only a hash is kept, so a token is shown once."""

from __future__ import annotations

import re

import click

from adapter import clock, ids
from adapter.cli import options
from adapter.cli.examples import examples
from adapter.cli.place import Place, pass_place
from adapter.cli.showing import show_fields, show_rows

COLUMNS = {
    "id": "KEY", "hint": "TOKEN", "scopes": "SCOPES", "state": "STATE", "created_at": "MADE",
    "expires_at": "EXPIRES",
}  # fmt: skip
_SCOPE = re.compile(r"\*|[a-z_]+:(\*|read|write)")


@click.group()
def keys() -> None:
    """Manage API keys."""


@keys.command(
    epilog=examples(
        "loyalty-adapter keys create",
        "loyalty-adapter keys create --scope members:read --scope events:read --expires 90d",
        "loyalty-adapter keys create --mode live --scope 'deliveries:*'",
    ),
)
@click.option(
    "--scope", "scopes", multiple=True, metavar="NOUN:VERB", help="members:read, members:*; all without it."
)
@click.option(
    "--expires", "lifetime_s", type=options.Duration(), metavar="TIME", help="How long it lives: 90d."
)
@options.as_json
@options.in_environment
@pass_place
def create(place: Place, scopes: tuple[str, ...], lifetime_s: int | None, as_json: bool) -> None:
    """Make a key and show its token, this once."""
    from adapter.store import keys as kept

    for scope in scopes:
        if not _SCOPE.fullmatch(scope):
            raise click.BadParameter(
                f"{scope!r} is not *, members:*, members:read or the like", param_hint="--scope"
            )
    with place.writing() as (connection, env):
        mode = place.environment(connection).mode
        now = clock.now()
        expires_at = None if lifetime_s is None else now + lifetime_s * 1000
        token = kept.new_token(mode)
        view = kept.create(connection, env, token, scopes or ("*",), now=now, expires_at=expires_at)
    show_fields({**view, "token": token}, as_json=as_json)


@keys.command("list", epilog=examples("loyalty-adapter keys list", "loyalty-adapter keys list --json"))
@options.listing
@options.in_environment
@pass_place
def list_(place: Place, limit: int, as_json: bool) -> None:
    """List keys, newest first, by the first letters of their tokens."""
    from adapter.store import keys as kept

    with place.reading() as (connection, env):
        rows = kept.listed(connection, env, now=clock.now(), limit=limit)
    show_rows(rows, COLUMNS, as_json=as_json)


@keys.command(epilog=examples("loyalty-adapter keys revoke key_00e2x5t1ykz0g"))
@click.argument("key", type=options.Id("key"))
@options.in_environment
@pass_place
def revoke(place: Place, key: int) -> None:
    """Revoke a key; within a second nothing opens with it any more."""
    from adapter.store import keys as kept

    with place.writing() as (connection, env):
        kept.revoke(connection, env, key, now=clock.now())
    click.echo(f"{ids.show('key', key)} is revoked")
