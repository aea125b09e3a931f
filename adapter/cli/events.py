"""Events: what came in, what became of it, and taking it in again after a fix."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import click
import orjson

from adapter import clock, ids
from adapter.cli import options
from adapter.cli.examples import examples
from adapter.cli.place import Place, pass_place
from adapter.cli.showing import counting, show_fields, show_json, show_rows
from adapter.errors import ConfigurationError, DatabaseUnavailable, NotFound, Refused

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from sqlalchemy import Connection, Engine

    from adapter.catalog import Catalog
    from adapter.commands import RecordEvent
    from adapter.outcome import Outcome

COLUMNS = {
    "id": "EVENT", "received_at": "RECEIVED", "source": "SOURCE", "topic": "TOPIC", "order": "ORDER",
    "member": "MEMBER", "state": "STATE", "explanation": "WHY",
}  # fmt: skip
STATES = ("applied", "parked", "ignored", "rejected")
PAGE = 200


@click.group()
def events() -> None:
    """Look at what came in, and take it in again."""


def _filters(function: options.Function) -> options.Function:
    state = click.option("--state", type=click.Choice(STATES), help="What became of it.")
    source = click.option("--source", metavar="NAME", help="Which source it came from.")
    kind = click.option("--type", "topic", metavar="TOPIC", help="The platform's topic: orders/create.")
    order = click.option("--order", metavar="ID", help="The shop's order id.")
    for add in (options.until, options.since, options.member, order, kind, source, state):
        function = add(function)
    return function


@events.command(
    "list",
    epilog=examples(
        "loyalty-adapter events list --state rejected --since 1d",
        "loyalty-adapter events list --source shop --type orders/create --json",
        "loyalty-adapter events list --member shop:7000 --limit 200",
    ),
)
@_filters
@options.listing
@options.in_environment
@pass_place
def list_(place: Place, /, limit: int, as_json: bool, **filters: Any) -> None:
    """List events, newest first."""
    with place.reading() as (connection, env):
        rows = [_view(row) for row in _selected(connection, env, filters, limit)]
    show_rows(rows, COLUMNS, as_json=as_json)


@events.command(epilog=examples("loyalty-adapter events show evt_00e2x5t1ykz0g"))
@click.argument("event", type=options.Id("evt"))
@options.as_json
@options.in_environment
@pass_place
def show(place: Place, event: int, as_json: bool) -> None:
    """Show one event with its headers and body as they came in."""
    with place.reading() as (connection, env):
        row = _found(connection, env, event)
    body = bytes(row.body).decode("utf-8", "replace")
    view = {**_view(row), "headers": orjson.loads(row.headers), "body": body}
    if as_json:
        show_json(view)
        return
    show_fields({name: value for name, value in view.items() if name != "body"}, as_json=False)
    click.echo("\nits headers and body were removed by age" if view["emptied_at"] else f"\n{body}")


@events.command(
    epilog=examples(
        "loyalty-adapter events replay evt_00e2x5t1ykz0g",
        "loyalty-adapter events replay --state rejected --since 2d",
        "loyalty-adapter events replay --source shop --type refunds/create",
    ),
)
@click.argument("event", type=options.Id("evt"), nargs=-1)
@_filters
@options.in_environment
@pass_place
def replay(place: Place, /, event: tuple[int, ...], **filters: Any) -> None:
    """Take stored events in again, oldest first: read by today's connectors, merged like any other.

    What is already in the book has no second effect. Name events, or select them by filters.
    """
    if bool(event) == any(value is not None for value in filters.values()):
        raise click.UsageError("name events, or select them by filters such as --state rejected")
    with place.database() as engine:
        with engine.connect() as connection:
            env = place.environment(connection).id
            chosen = event or _chosen(connection, env, filters)
        outcomes = _take_in(place, engine, env, chosen)
    for state, count in sorted(outcomes.items()):
        click.echo(f"{count} {state}")
    click.echo(f"{sum(outcomes.values())} of {len(chosen)} events taken in again")


def _chosen(connection: Connection, env: int, filters: dict[str, Any]) -> tuple[int, ...]:
    """Return the ids of everything selected at this moment that can be read, oldest first: no commands of the API."""
    from adapter.engine.journal import API

    rows = [row for row in _selected(connection, env, filters, None) if row.source != API]
    if emptied := sum(row.emptied_at is not None for row in rows):
        click.echo(f"{emptied} events are left out: their headers and bodies were removed by age", err=True)
    return tuple(sorted(row.id for row in rows if row.emptied_at is None))


def _selected(connection: Connection, env: int, filters: dict[str, Any], limit: int | None) -> Iterator[Any]:
    """Give the selected rows, newest first, page by page; all of them without a limit."""
    from adapter.store.reading.events import EventFilter, list_events
    from adapter.store.reading.members import find_member

    who = filters.get("member")
    member = None if who is None else find_member(connection, env, who, deleted=True).id
    wanted, cursor, left = EventFilter(**{**filters, "member": member}), None, limit
    while left is None or left > 0:
        size = PAGE if left is None else min(PAGE, left)
        page = list_events(connection, env, wanted, limit=size, cursor=cursor)
        yield from page.rows
        cursor, left = page.next_cursor, None if left is None else left - size
        if cursor is None:
            return


def _take_in(place: Place, engine: Engine, env: int, chosen: Iterable[int]) -> Counter[str]:
    """Submit each event through a door of our own; return how many ended in which state."""
    from adapter.engine.door import Door
    from adapter.store.configuration import load_catalog
    from connectors.vendors import VENDORS

    chosen = tuple(chosen)
    outcomes: Counter[str] = Counter()
    with engine.connect() as connection:
        catalog = load_catalog(connection)
    door = Door(engine, clock.now, place.settings().door.door(), VENDORS)
    with door, counting("taking in", len(chosen)) as progress:
        for number in chosen:
            with engine.connect() as connection:
                command = _command(connection, catalog, env, number)
            outcomes[_state(door.submit, command)] += 1
            progress(1)
    return outcomes


def _command(connection: Connection, catalog: Catalog, env: int, number: int) -> RecordEvent:
    from adapter.intake import command_again, connector_for
    from connectors import CONNECTORS

    row = _found(connection, env, number)
    source = catalog.sources.get(row.source)
    if source is None or source.env != env:
        raise ConfigurationError(
            f"the source {row.source!r} of {ids.show('evt', number)} is not configured any more; "
            "apply it again, then replay"
        )
    return command_again(source, connector_for(CONNECTORS, source), row)


def _state(submit: Callable[[RecordEvent], Outcome], command: RecordEvent) -> str:
    outcome = submit(command)
    if outcome.error == DatabaseUnavailable.code:
        raise DatabaseUnavailable("the database does not answer; run the same command again")
    if outcome.error is not None:
        raise Refused(f"{ids.show('evt', command.event_id or 0)} was not taken in: {outcome.reason}")
    return outcome.state or "unknown"


def _found(connection: Connection, env: int, number: int) -> Any:
    from adapter.store.reading.events import find_event

    row = find_event(connection, env, number)
    if row is None:
        raise NotFound(f"there is no event {ids.show('evt', number)} here; see `loyalty-adapter events list`")
    return row


def _view(row: Any) -> dict[str, Any]:
    from adapter.web.events import event_view

    return event_view(row)
