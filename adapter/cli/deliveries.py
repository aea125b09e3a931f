"""Deliveries: one message for one endpoint; how each stands, and sending it again."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from adapter import clock, ids
from adapter.cli import options
from adapter.cli.examples import examples
from adapter.cli.place import Place, pass_place
from adapter.cli.showing import counting, show_fields, show_json, show_rows
from adapter.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy import Connection, Engine

COLUMNS = {
    "id": "DELIVERY", "created_at": "MADE", "type": "TYPE", "sequence": "SEQ", "url": "URL",
    "state": "STATE", "attempt_count": "ATTEMPTS", "last_status": "STATUS", "last_error": "ERROR",
}  # fmt: skip
STATES = ("due", "claimed", "delivered", "dead", "held")
POLL_S = 0.1
STUCK_AFTER_S = 30.0


@click.group()
def deliveries() -> None:
    """Look at what went out, and send it again."""


def _filters(function: options.Function) -> options.Function:
    state = click.option("--state", type=click.Choice(STATES), help="How it stands; dead: a dead letter.")
    endpoint = click.option("--endpoint", type=options.Id("end"), metavar="end_…", help="To which endpoint.")
    kind = click.option("--type", metavar="TYPE", help="The message's type: balance.updated.")
    for add in (options.until, options.since, options.member, kind, endpoint, state):
        function = add(function)
    return function


@deliveries.command(
    "list",
    epilog=examples(
        "loyalty-adapter deliveries list --state dead",
        "loyalty-adapter deliveries list --endpoint end_00e2x5t1ykz0g --since 2h",
        "loyalty-adapter deliveries list --member shop:7000 --json",
    ),
)
@_filters
@options.listing
@options.in_environment
@pass_place
def list_(place: Place, /, limit: int, as_json: bool, **filters: Any) -> None:
    """List deliveries, newest first."""
    with place.reading() as (connection, env):
        rows = _selected(connection, env, filters, limit)
    show_rows(rows, COLUMNS, as_json=as_json)


def _selected(connection: Connection, env: int, filters: dict[str, Any], limit: int) -> list[dict[str, Any]]:
    """Return the newest that fit, page by page."""
    from adapter.delivery.listing import LIMIT_MOST, DeliveryFilter, deliveries

    found, before = list[dict[str, Any]](), None
    filters["member"] = _member(connection, env, filters["member"])
    while len(found) < limit:
        size = min(limit - len(found), LIMIT_MOST)
        page = deliveries(connection, env, DeliveryFilter(**filters, before=before, limit=size))
        found += page
        if len(page) < size:
            break
        before = ids.read("dlv", page[-1]["id"])
    return found


def _member(connection: Connection, env: int, who: str | None) -> int | None:
    from adapter.store.reading.members import find_member

    return None if who is None else find_member(connection, env, who, deleted=True).id


@deliveries.command(epilog=examples("loyalty-adapter deliveries show dlv_00e2x5t1ykz0g"))
@click.argument("delivery", type=options.Id("dlv"))
@options.as_json
@options.in_environment
@pass_place
def show(place: Place, delivery: int, as_json: bool) -> None:
    """Show one delivery with its message and every attempt."""
    from adapter.delivery import listing

    with place.reading() as (connection, env):
        view = listing.delivery(connection, env, delivery)
    if as_json:
        show_json(view)
        return
    attempts, body = view.pop("attempts"), view.pop("body")
    show_fields(view, as_json=False)
    for one in attempts:
        answered = f"{one['error'] or ''} {one['response'] or ''}".strip()
        click.echo(f"\nattempt {one['number']} at {one['started_at']}: {one['status'] or 'no answer'}, "
                   f"{one['duration_ms']} ms {answered}")  # fmt: skip
    click.echo()
    show_json(body)


@deliveries.command(
    epilog=examples(
        "loyalty-adapter deliveries replay dlv_00e2x5t1ykz0g",
        "loyalty-adapter deliveries replay --state dead",
        "loyalty-adapter deliveries replay --endpoint end_00e2x5t1ykz0g --since 2026-11-20T00:00:00Z",
        "loyalty-adapter deliveries replay --endpoint end_00e2x5t1ykz0g --missing",
        "loyalty-adapter deliveries replay --state dead --send    while no service is running",
    ),
)
@click.argument("delivery", type=options.Id("dlv"), required=False)
@_filters
@click.option("--missing", is_flag=True, help="What --endpoint wants now and was never sent.")
@click.option("--no-wait", is_flag=True, help="Only ask for it; the service goes on with it.")
@click.option("--send", "sending", is_flag=True, help="Send from this process: no service needs to run.")
@options.in_environment
@pass_place
def replay(place: Place, /, no_wait: bool, sending: bool, **selection: Any) -> None:
    """Send deliveries again, with the same bytes and the same webhook-id, each once.

    What is selected now is frozen; the running service sends it, and a restart goes on where it stood.
    """
    with place.database() as engine:
        env, progress = _create(place, engine, selection)
        click.echo(f"{progress['id']}: {progress['selected']} deliveries selected")
        if no_wait or progress["finished_at"]:
            return
        with _dispatching(place, engine, on=sending):
            done = _wait(lambda: _progress(engine, env, progress["id"]), progress["selected"])
        click.echo(f"{progress['id']}: {done['sent']} sent, {done['failed']} failed")


def _create(place: Place, engine: Engine, selection: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    from adapter.delivery.replay import Selection, create
    from adapter.store.database import in_unit_of_work

    def work(connection: Connection) -> tuple[int, dict[str, Any]]:
        env = place.environment(connection).id
        member = _member(connection, env, selection["member"])
        chosen = Selection(**{**selection, "member": member})
        return env, create(connection, env, chosen, now=clock.now())

    return in_unit_of_work(engine, work)


def _progress(engine: Engine, env: int, replay: str) -> dict[str, Any]:
    from adapter.delivery.replay import progress

    with engine.connect() as connection:
        return progress(connection, env, ids.read("rpl", replay) or 0)


def _wait(
    look: Callable[[], dict[str, Any]],
    selected: int,
    *,
    sleep: Callable[[float], None] = time.sleep,
    monotonic: Callable[[], float] = time.monotonic,
) -> dict[str, Any]:
    """Look until the replay is finished. Raises `Unavailable` when nothing moves for long."""
    done, moved_at = 0, monotonic()
    with counting("sending again", selected) as count:
        while True:
            progress = look()
            ended = progress["sent"] + progress["failed"]
            count(ended - done)
            if progress["finished_at"]:
                return progress
            if ended > done:
                done, moved_at = ended, monotonic()
            if monotonic() - moved_at > STUCK_AFTER_S:
                raise Unavailable(_stuck(progress))
            sleep(POLL_S)


def _stuck(progress: dict[str, Any]) -> str:
    return (
        f"{progress['id']} does not move: {progress['waiting']} wait, {progress['queued']} are queued, "
        f"{progress['sent']} are sent. It is kept. Is the endpoint enabled, and does "
        "`loyalty-adapter serve` or `work` run? If not, start one, or send from here with --send"
    )


@contextmanager
def _dispatching(place: Place, engine: Engine, *, on: bool) -> Iterator[None]:
    """Run a dispatcher in this process meanwhile, if asked to."""
    if not on:
        yield
        return
    from adapter.delivery.dispatcher import Dispatcher
    from adapter.store.configuration import CatalogCache
    from connectors.vendors import VENDORS

    stop = threading.Event()
    settings = place.settings().delivery.delivery()
    dispatcher = Dispatcher(engine, CatalogCache(engine), clock.now, settings, vendors=VENDORS)
    thread = threading.Thread(target=dispatcher.run, args=(stop,), name="dispatcher")
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
