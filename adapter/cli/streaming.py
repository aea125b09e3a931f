"""The event stream: how far it is, and turning it off."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from adapter import clock
from adapter.cli import options
from adapter.cli.examples import examples
from adapter.cli.place import Place, pass_place
from adapter.cli.showing import show_fields

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from adapter.stream.settings import StreamSettings


@click.group()
def stream() -> None:
    """Look at the event stream: messages out to NATS JetStream, and shops' events in from it.

    The section `stream` of the settings says what is published and consumed; `serve` and `work` do it.
    """


@stream.command(
    epilog=examples(
        "loyalty-adapter stream status",
        "loyalty-adapter stream status --json | jq .unpublished",
    )
)
@options.as_json
@pass_place
def status(place: Place, as_json: bool) -> None:
    """Show what the broker does not have yet, and what waits in the streams that we consume.

    `unpublished` counts messages of all environments that were committed and not yet acknowledged by the broker;
    `behind s` is the age of the oldest of them. For each source, `pending` was not given out yet, and `unfinished` was
    given out and is not durable yet. Each should be near zero; what grows is told in the log of `serve` or `work`.
    """
    wanted = place.settings().stream.stream()
    with place.database() as engine:
        shown = _outbox(engine)
    if wanted.used:
        shown |= {f"from {source}": _backlog(wanted, source, name) for source, name in wanted.consume}
    show_fields(shown, as_json=as_json)


def _outbox(engine: Engine) -> dict[str, Any]:
    from adapter.store.configuration import load_catalog
    from adapter.store.reading.publications import last_published_at, unpublished
    from adapter.store.reading.snapshot import snapshot

    with snapshot(engine) as connection:
        waits = unpublished(connection).values()
        published_at = last_published_at(connection)
        marking = load_catalog(connection).publishes
    oldest = min((one.oldest_at for one in waits), default=None)
    return {
        "publishing": marking,
        "unpublished": sum(one.count for one in waits),
        "behind_s": 0 if oldest is None else max(clock.now() - oldest, 0) // 1000,
        "last_published_at": None if published_at is None else clock.iso(published_at),
    }


def _backlog(wanted: StreamSettings, source: str, name: str) -> dict[str, Any]:
    """Return what a source's consumer has before it, or why that is not known."""
    from adapter.errors import BrokerUnavailable
    from adapter.stream.consumer import consumer_of
    from adapter.stream.nats import NatsBroker

    broker = NatsBroker(wanted)
    try:
        found = broker.backlog(name, consumer_of(source))
    except BrokerUnavailable as error:
        return {"stream": name, "error": error.message}
    finally:
        broker.close()
    return {"stream": name, "pending": found.pending, "unfinished": found.unfinished}


@stream.command(epilog=examples("loyalty-adapter stream stop"))
@pass_place
def stop(place: Place) -> None:
    """Have nothing published any more, and forget what was not published yet.

    First take `stream.publish` out of the settings and start every `serve` and `work` again: a publisher that starts turns
    it on. Messages for webhooks are untouched.
    """
    from adapter.store.database import in_unit_of_work
    from adapter.stream import outbox

    with place.database() as engine:
        forgotten = in_unit_of_work(engine, outbox.end)
    click.echo(f"nothing is published any more; {forgotten} messages were not published")
