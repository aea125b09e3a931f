"""Redemptions: what points were spent on, and what became of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from adapter import clock, ids
from adapter.cli import options
from adapter.cli.examples import examples
from adapter.cli.place import Place, pass_place
from adapter.cli.showing import show_fields, show_rows

if TYPE_CHECKING:
    from adapter.book.state import Redemption
    from adapter.catalog import Catalog

COLUMNS = {
    "id": "REDEMPTION", "created_at": "BEGUN", "member": "MEMBER", "kind": "KIND", "reward": "REWARD", "cost": "COST",
    "code": "CODE", "order": "ORDER", "state": "STATE", "flagged": "FLAGGED",
}  # fmt: skip
STATES = ("pending", "applied", "fulfillment_pending", "fulfilled", "released", "expired", "reversed")
MOMENTS = (
    "created_at",
    "expires_at",
    "applied_at",
    "fulfilled_at",
    "released_at",
    "expired_at",
    "reversed_at",
    "flag_cleared_at",
)


@click.group()
def redemptions() -> None:
    """Look at what points were spent on."""


@redemptions.command(
    "list",
    epilog=examples(
        "loyalty-adapter redemptions list --state pending",
        "loyalty-adapter redemptions list --member shop:7000 --json",
        "loyalty-adapter redemptions list --code POINTS-7K2M9QXB",
    ),
)
@click.option("--state", type=click.Choice(STATES), help="How it stands now.")
@click.option("--kind", type=click.Choice(("discount", "item", "credit")), help="What was had.")
@click.option("--code", metavar="CODE", help="A discount's code, in letters of either case.")
@options.member
@options.since
@options.until
@options.listing
@options.in_environment
@pass_place
def list_(place: Place, /, limit: int, as_json: bool, member: str | None, **filters: Any) -> None:
    """List redemptions, newest first."""
    _list(place, member, filters, limit=limit, as_json=as_json)


@redemptions.command(epilog=examples("loyalty-adapter redemptions flagged --json"))
@options.member
@options.since
@options.until
@options.listing
@options.in_environment
@pass_place
def flagged(place: Place, /, limit: int, as_json: bool, member: str | None, **filters: Any) -> None:
    """List the redemptions that a person should look at, newest first.

    A till granted them while it could not ask, or an order took points that were not there any more.
    POST /v1/redemptions/{redemption}/clear takes one off this list.
    """
    _list(place, member, {**filters, "flagged": True}, limit=limit, as_json=as_json)


@redemptions.command(epilog=examples("loyalty-adapter redemptions show rdm_00e2x5t1ykz0g --json"))
@click.argument("redemption", type=options.Id("rdm"))
@options.as_json
@options.in_environment
@pass_place
def show(place: Place, redemption: int, as_json: bool) -> None:
    """Show a redemption. REDEMPTION is rdm_…; its code is found with `list --code`."""
    from adapter.errors import NotFound
    from adapter.store.configuration import load_catalog
    from adapter.store.reading.redemptions import find_redemption

    with place.reading() as (connection, env):
        found = find_redemption(connection, env, redemption)
        catalog = load_catalog(connection)
    if found is None:
        raise NotFound(f"There is no redemption {ids.show('rdm', redemption)} in this environment.")
    show_fields(_view(catalog, found, clock.now()), as_json=as_json)


def _list(place: Place, member: str | None, filters: dict[str, Any], *, limit: int, as_json: bool) -> None:
    from adapter.store.configuration import load_catalog
    from adapter.store.reading.members import find_member
    from adapter.store.reading.redemptions import RedemptionFilter, list_redemptions

    now = clock.now()
    with place.reading() as (connection, env):
        whose = None if member is None else find_member(connection, env, member, deleted=True).id
        chosen = RedemptionFilter(member=whose, **filters)
        page = list_redemptions(connection, env, chosen, now=now, limit=limit)
        catalog = load_catalog(connection)
    show_rows([_view(catalog, row, now) for row in page.rows], COLUMNS, as_json=as_json)


def _view(catalog: Catalog, found: Redemption, now: int) -> dict[str, Any]:
    from adapter.points import points

    definition = catalog.definitions[found.env, found.definition]
    order = None if found.order_source is None else f"{found.order_source}:{found.order_ref}"
    return {
        "id": ids.show("rdm", found.id),
        "member": ids.show("mem", found.member),
        "program": definition.program,
        "balance_definition": definition.name,
        "kind": found.kind,
        "reward": found.reward,
        "state": str(found.state_at(now)),
        "cost": points(found.cost, definition.decimals),
        "returned": points(found.returned, definition.decimals),
        "value": found.value,
        "currency": found.currency,
        "code": found.code,
        "order": order,
        "payment": found.payment,
        "transaction": ids.show("txn", found.transaction),
        "tracking": found.tracking,
        "reason": found.reason,
        "flagged": found.flagged,
        "flag_note": found.flag_note,
        **{name: None if (at := getattr(found, name)) is None else clock.iso(at) for name in MOMENTS},
    }
