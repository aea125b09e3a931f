"""Members: what they have, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from adapter import clock, ids
from adapter.cli.examples import examples
from adapter.cli.handing_over import export
from adapter.cli.importing import import_
from adapter.cli.options import as_json as json_option
from adapter.cli.options import in_environment, listing
from adapter.cli.place import Place, pass_place
from adapter.cli.showing import show_fields, show_json, show_rows

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from adapter.store.reading.members import MemberRow

COLUMNS = {
    "id": "MEMBER",
    "state": "STATE",
    "email": "E-MAIL",
    "source_ids": "SHOP IDS",
    "created_at": "SINCE",
}


@click.group()
def members() -> None:
    """Look at members, their balances and the reasons; bring them in and write them out."""


members.add_command(import_)
members.add_command(export)


@members.command(
    "list",
    epilog=examples("loyalty-adapter members list", "loyalty-adapter members list --source shop --json"),
)
@click.option("--source", metavar="NAME", help="Known to this source.")
@click.option("--email", metavar="ADDRESS", help="With this e-mail address.")
@listing
@in_environment
@pass_place
def list_(place: Place, source: str | None, email: str | None, limit: int, as_json: bool) -> None:
    """List members, newest first."""
    from adapter.store.reading.members import MemberFilter, list_members

    with place.reading() as (connection, env):
        page = list_members(connection, env, MemberFilter(email=email, source=source), limit=limit)
    show_rows([_view(row) for row in page.rows], COLUMNS, as_json=as_json)


@members.command(
    epilog=examples(
        "loyalty-adapter members show shop:7000",
        "loyalty-adapter members show ada@example.com --json",
    ),
)
@click.argument("member")
@json_option
@in_environment
@pass_place
def show(place: Place, member: str, as_json: bool) -> None:
    """Show a member with all balances. MEMBER is mem_…, source:customer or an e-mail address."""
    from adapter.store.reading.members import find_member

    with place.reading() as (connection, env):
        row = find_member(connection, env, member, deleted=True)
        balances = _balances(connection, row)
    if as_json:
        show_json({**_view(row), "balances": balances})
        return
    show_fields(_view(row), as_json=False)
    for one in balances:
        amounts = {name: one[name] for name in ("available", "pending", "reserved", "owed")}
        click.echo(f"\n{one['program']}/{one['balance_definition']} (sequence {one['sequence']})")
        show_fields(amounts, as_json=False)


@members.command(
    epilog=examples(
        "loyalty-adapter members explain shop:7000",
        "loyalty-adapter members explain ada@example.com --program main",
    ),
)
@click.argument("member")
@click.option("--program", metavar="NAME", help="Which program, where there are several.")
@click.option("--balance-definition", metavar="NAME", help="Which balance, where there are several.")
@json_option
@in_environment
@pass_place
def explain(
    place: Place, member: str, program: str | None, balance_definition: str | None, as_json: bool
) -> None:
    """Tell in plain words why a balance is what it is, order by order, down to the events."""
    from adapter.store.configuration import load_catalog
    from adapter.store.explain import as_text, explain_member
    from adapter.store.reading.balances import choose_definition
    from adapter.store.reading.members import find_member

    with place.reading() as (connection, env):
        catalog = load_catalog(connection)
        row = find_member(connection, env, member, deleted=True)
        definition = choose_definition(
            connection, catalog, env, row.id, program=program, name=balance_definition
        )
        told = explain_member(connection, catalog, row, definition, now=clock.now())
    if as_json:
        show_json(told)
    else:
        click.echo(as_text(told))


def _view(row: MemberRow) -> dict[str, Any]:
    return {
        "id": ids.show("mem", row.id),
        "state": row.state,
        "email": row.email,
        "name": row.name,
        "birthday": row.birthday,
        "merged_into": None if row.merged_into is None else ids.show("mem", row.merged_into),
        "source_ids": list(row.source_ids),
        "created_at": clock.iso(row.created_at),
        "updated_at": clock.iso(row.updated_at),
        "deleted_at": None if row.deleted_at is None else clock.iso(row.deleted_at),
    }


def _balances(connection: Connection, row: MemberRow) -> list[dict[str, Any]]:
    from adapter.book.news import balances_view
    from adapter.store.configuration import load_catalog
    from adapter.store.reading.balances import balance_now, definitions_of

    catalog = load_catalog(connection)
    told = []
    for number in definitions_of(connection, row.env, row.id):
        definition = catalog.definitions[row.env, number]
        balance, _ = balance_now(connection, row.env, row.id, number, clock.now())
        named = {"program": definition.program, "balance_definition": definition.name}
        told.append({**named, **balances_view(balance, definition.decimals), "sequence": balance.sequence})
    return told
