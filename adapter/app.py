"""The composition root: settings become processes, and processes are made of parts. Nothing else imports them all.

`serve` is four processes: this one, which looks after the others and holds the socket; the book (the door and the sweep);
the web; and the work (the dispatcher). An event stream is a fifth. Each dies with its parent at once, whatever killed it,
and what dies alone is started again: every step between them is safe to lose, because nothing is answered before it is
durable.
"""

from __future__ import annotations

import multiprocessing
import os
import platform
import signal
import sys
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from adapter import clock
from adapter.logs import configure_logs
from adapter.processes import (
    Child,
    Supervisor,
    die_with_parent,
    keep_what_is_loaded,
    stop_on,
    wait_for_signal,
)
from adapter.web.listener import answers, bound, listening, url_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy import Engine

    from adapter.engine.door import Door
    from adapter.engine.sweep import Offer
    from adapter.settings import Settings
    from adapter.web.lane import Lane
    from adapter.web.listener import Listener

# --- the kinds of process -----------------------------------------------------------------------------------------------


def run_book(settings: Settings, socket: str, *, sweeping: bool) -> None:
    """Be the door, and the sweep beside it, until told to stop; then finish what was taken in."""
    from adapter.engine import sweep
    from adapter.engine.remote import DoorServer

    stop = _stop_on_signals()
    with _database(settings) as engine, _door(settings, engine) as door:
        server = DoorServer(door, Path(socket))
        threading.Thread(target=server.serve, name="socket", daemon=True).start()
        keep_what_is_loaded()
        if sweeping:
            interval, batch = settings.sweep.interval_s, settings.sweep.batch
            sweep.run(engine, door.offer, clock.now, stop, interval_s=interval, batch=batch)
        stop.wait()
        server.close()


def run_work(settings: Settings, *, sweeping: bool) -> None:
    """Be the dispatcher, with retention beside it; on a machine of its own also the sweep, through a door of its own."""
    from adapter.engine import retention, sweep
    from adapter.store import statistics

    stop = _stop_on_signals()
    with ExitStack() as stack:
        engine = stack.enter_context(_database(settings))
        if sweeping:
            door = stack.enter_context(_door(settings, engine))
            interval, batch = settings.sweep.interval_s, settings.sweep.batch
            swept = partial(sweep.run, engine, door.offer, clock.now, stop, interval_s=interval, batch=batch)
            _beside(stack, "sweep", swept)
        kept = settings.retention.retention()
        _beside(stack, "retention", partial(retention.run, engine, kept, clock.now, stop))
        _beside(stack, "statistics", partial(statistics.run, engine, stop))
        _dispatch(stack, settings, engine, stop, 0)


def run_dispatcher(settings: Settings, number: int) -> None:
    """Be one of several dispatchers, and nothing else: the first one is `run_work`'s."""
    stop = _stop_on_signals()
    with ExitStack() as stack:
        _dispatch(stack, settings, stack.enter_context(_database(settings)), stop, number)


def _dispatch(
    stack: ExitStack, settings: Settings, engine: Engine, stop: threading.Event, number: int
) -> None:
    """Send what is this dispatcher's to send until told to stop."""
    from adapter.delivery.dispatcher import Dispatcher
    from adapter.store.bell import listen
    from adapter.store.configuration import CatalogCache
    from connectors.vendors import VENDORS

    part = (number, settings.delivery.processes)
    delivery = settings.delivery.delivery()
    dispatcher = Dispatcher(engine, CatalogCache(engine), clock.now, delivery, vendors=VENDORS, part=part)
    _beside(stack, "bell", partial(listen, engine, dispatcher.wake, stop))
    stack.callback(stop.set)  # whatever ends the dispatcher ends what is beside it
    dispatcher.run(stop)


@contextmanager
def _door(settings: Settings, engine: Engine) -> Iterator[Door]:
    """Open a door that rings for dispatchers, here and on other machines, whenever it has committed."""
    from adapter.engine.door import Door
    from adapter.store.bell import Bell
    from connectors.vendors import VENDORS

    with Bell(engine) as bell, Door(engine, clock.now, settings.door.door(), VENDORS) as door:
        door.after_batch(bell.ring)
        yield door


def _beside(stack: ExitStack, name: str, run: Callable[[], None]) -> None:
    """Run something on a thread of its own, and wait for its end at the end."""
    thread = threading.Thread(target=run, name=name)
    thread.start()
    stack.callback(thread.join)


def run_stream(settings: Settings, socket: str | None) -> None:
    """Be the event stream until told to stop: publish messages, and offer events to the door behind a socket or our own."""
    from adapter.store.bell import listen
    from adapter.store.configuration import CatalogCache
    from adapter.stream.consumer import Consumer
    from adapter.stream.nats import NatsBroker
    from adapter.stream.publisher import Publisher
    from adapter.stream.running import repeat, run_together
    from connectors import CONNECTORS

    stop = _stop_on_signals()
    wanted = settings.stream.stream()
    parts: list[Callable[[], None]] = []

    def broker() -> NatsBroker:  # each part has its own: what fails one connection is nothing to the others
        made = NatsBroker(wanted)
        stack.callback(made.close)
        return made

    with ExitStack() as stack:
        engine = stack.enter_context(_database(settings))
        catalog = CatalogCache(engine)
        if wanted.publish:
            holder = f"{platform.node()}:{os.getppid()}"  # our parent starts one of us at a time
            publisher = Publisher(engine, catalog, broker(), clock.now, wanted, holder=holder)
            stack.callback(publisher.close)
            rest = partial(publisher.rest, stop)
            parts.append(partial(repeat, publisher.turn, stop, rest=rest, retry_s=wanted.retry_after_s))
            parts.append(partial(listen, engine, publisher.wake, stop))
        if wanted.consume:
            offer = stack.enter_context(_offering(settings, engine, socket))
            for source, stream in wanted.consume:
                consumer = Consumer(
                    source, stream, broker(), offer, catalog, connectors=CONNECTORS, settings=wanted
                )
                parts.append(partial(repeat, consumer.turn, stop, retry_s=wanted.retry_after_s))
        run_together(parts, stop)


@contextmanager
def _offering(settings: Settings, engine: Engine, socket: str | None) -> Iterator[Offer]:
    """Give what takes commands in: the door behind a socket, or one of our own where there is no socket."""
    import asyncio

    from adapter.engine.remote import RemoteDoor

    if socket is None:
        with _door(settings, engine) as door:
            yield door.offer
        return
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="door", daemon=True).start()
    remote = RemoteDoor(Path(socket), answer_timeout_s=settings.door.answer_timeout_s)
    remote.attach(loop)
    yield remote.hand_in
    remote.close()
    loop.call_soon_threadsafe(loop.stop)


def run_web(settings: Settings, socket: str, listener: Listener) -> None:
    """Be one web process until told to stop, and then answer what is under way."""
    from adapter.web.server import serve_http

    application = web_for(settings, socket)
    keep_what_is_loaded()
    serve_http(application, listener)


def web_for(settings: Settings, socket: str) -> Lane:
    """Return the web application in front of a door behind a socket."""
    from adapter.engine.remote import RemoteDoor
    from adapter.errors import Unavailable
    from adapter.store.database import open_database

    door = RemoteDoor(Path(socket), answer_timeout_s=settings.door.answer_timeout_s)

    def ready() -> None:
        if not door.ready():
            raise Unavailable("the book is being started")

    def gauges() -> dict[str, float]:
        return {"loyalty_door_waiting": float(door.waiting)}

    engine = open_database(settings.database_url, by_keys=True)
    reached = {"offer": door.offer, "wait": door.wait, "attach": door.attach}
    return web_before(settings, engine, **reached, ready=ready, gauges=gauges)


def web_before(settings: Settings, engine: Engine, **door: Any) -> Lane:
    """Return the web application in front of any door: `offer`, `wait` and the like, as `Parts` names them."""
    from adapter.store.configuration import CatalogCache
    from adapter.web.application import flask_app, web_app
    from adapter.web.gate import Gate
    from adapter.web.lookups import Lookups
    from adapter.web.parts import LastCatalog, Parts
    from connectors import CONNECTORS
    from connectors.dialects import DIALECTS

    parts = Parts(
        lookups=Lookups(engine),
        catalog=LastCatalog(CatalogCache(engine), clock.now),
        engine=engine,
        clock=clock.now,
        connectors=CONNECTORS,
        dialects=DIALECTS,
        settings=settings.web(),
        **door,
    )
    gate = Gate(parts)
    return web_app(parts, gate, flask_app(parts, gate))


@contextmanager
def _database(settings: Settings) -> Iterator[Engine]:
    from adapter.store.database import open_database

    engine = open_database(settings.database_url, by_keys=True)
    try:
        yield engine
    finally:
        engine.dispose()


def _stop_on_signals() -> threading.Event:
    stop = stop_on(signal.SIGTERM)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's Ctrl-C reaches all: the parent decides
    return stop


# --- what the command line starts ---------------------------------------------------------------------------------------


def serve(settings: Settings) -> None:
    """Run everything on this machine until SIGTERM or SIGINT, then finish what is held."""
    _run(settings, book=True, web=True, work=True, sweeping_with="book")


def receive(settings: Settings) -> None:
    """Run only the web part and its door: the receivers of many machines."""
    _run(settings, book=True, web=True, work=False, sweeping_with="none")


def work(settings: Settings) -> None:
    """Run only the dispatcher and the sweep: the workers of many machines."""
    _run(settings, book=False, web=False, work=True, sweeping_with="work")


def _prepare_apart(settings: Settings) -> None:
    """Prepare in a process that ends afterwards: this one would keep the libraries for it all its life (25 MB)."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), die_with_parent) as apart:
        apart.submit(_prepare, settings).result()


def _prepare(settings: Settings) -> None:
    """Bring an embedded database up to date by itself; a server's is migrated on purpose, and then looked at."""
    import structlog

    from adapter.store.database import answering
    from adapter.store.durability import gaps
    from adapter.store.migrate import migrate, require_current

    configure_logs(settings.log.level, settings.log.format)
    with _database(settings) as engine, answering(engine):
        for gap in gaps(engine):
            structlog.get_logger().warning(gap)
        if settings.database_url.startswith("sqlite"):
            migrate(engine)
        else:
            require_current(engine)


def _run(settings: Settings, *, book: bool, web: bool, work: bool, sweeping_with: str) -> None:
    """Prepare, start what is asked for, and look after it until SIGTERM or SIGINT.

    The web ends before the others do: what it has taken in is answered, and the book is still there for that.
    """
    with ExitStack() as stack:
        listener = stack.enter_context(bound(settings.server.host, settings.server.port)) if web else None
        _prepare_apart(settings)
        socket = str(Path(stack.enter_context(TemporaryDirectory(prefix="loyalty-"))) / "door")
        children = []
        if book:
            children.append(Child("book", _book, (settings, socket, sweeping_with == "book")))
        if work:
            children.append(Child("work", _work, (settings, sweeping_with == "work")))
            others = range(1, settings.delivery.processes)
            children += [Child(f"dispatcher-{number}", _dispatcher, (settings, number)) for number in others]
        if work and settings.stream.stream().used:
            children.append(Child("stream", _stream, (settings, socket if book else None)))
        stack.enter_context(Supervisor(children))
        ready = _announce_work
        if listener is not None:
            stack.enter_context(Supervisor(_webs(settings, socket, listening(listener))))
            stack.enter_context(
                listener
            )  # closed first: who comes now is refused at once, and goes elsewhere
            ready = partial(_announce_web, listener, settings)
        wait_for_signal(ready)


def _webs(settings: Settings, socket: str, listener: Listener) -> list[Child]:
    """Return the web processes; several keep their counts in one folder."""
    counts = None
    if settings.server.workers > 1:
        counts = Path(socket).with_name("metrics")
        counts.mkdir()
    given = (settings, socket, listener, counts and str(counts))
    names = ("web", *(f"web-{number}" for number in range(1, settings.server.workers)))
    return [Child(name, _web, given) for name in names]


def _book(settings: Settings, socket: str, sweeping: bool) -> None:
    die_with_parent()
    configure_logs(settings.log.level, settings.log.format)
    run_book(settings, socket, sweeping=sweeping)


def _work(settings: Settings, sweeping: bool) -> None:
    die_with_parent()
    configure_logs(settings.log.level, settings.log.format)
    run_work(settings, sweeping=sweeping)


def _dispatcher(settings: Settings, number: int) -> None:
    die_with_parent()
    configure_logs(settings.log.level, settings.log.format)
    run_dispatcher(settings, number)


def _stream(settings: Settings, socket: str | None) -> None:
    die_with_parent()
    configure_logs(settings.log.level, settings.log.format)
    run_stream(settings, socket)


def _web(settings: Settings, socket: str, listener: Listener, counts: str | None) -> None:
    die_with_parent()
    configure_logs(settings.log.level, settings.log.format)
    if (
        counts is not None
    ):  # of several processes they meet in files, so that a scrape of any of them shows all
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = counts
    run_web(settings, socket, listener)


def _announce_web(listener: Listener, settings: Settings) -> None:
    url = url_of(settings.server.host, settings.server.port)
    threading.Thread(target=_announce, args=(listener, url), daemon=True).start()


def _announce_work() -> None:
    print("loyalty-adapter is working", flush=True)  # noqa: T201 - the one line that says it is up


def _announce(listener: Listener, url: str) -> None:
    """Print one line when the service answers that it is ready."""
    while not answers(listener, "/readyz"):
        time.sleep(0.05)
    print(f"loyalty-adapter is ready at {url}", flush=True)  # noqa: T201 - the one line that says it is up


if __name__ == "__main__":
    sys.exit("start it with `loyalty-adapter serve`")
