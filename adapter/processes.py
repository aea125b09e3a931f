"""Processes that live and die together.

A child that dies is started again. A parent that dies, by whatever, takes its children with it at once: half a service
that goes on holding the port and the database is worse than none.
"""

from __future__ import annotations

import gc
import multiprocessing
import os
import queue
import signal
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import structlog

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.process import BaseProcess

log = structlog.get_logger()

RESTART_AFTER_S = 0.5
STOP_WITHIN_S = 40.0


def die_with_parent() -> None:
    """End this process when the process that spawned it ends, even if that was killed."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_outlive, args=(parent,), name="parent", daemon=True).start()


def _outlive(parent: BaseProcess) -> None:
    parent.join()
    os._exit(1)


def keep_what_is_loaded() -> None:
    """Tell the garbage collector that what a process holds once it has started stays.

    A full collection goes through 100,000 objects of libraries otherwise (58 ms), again and again under load, which
    took a fifth of the book's time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 10, 10)


def stop_on(*numbers: signal.Signals) -> threading.Event:
    """Return an event that is set once one of these signals arrived.

    The handler does not set it: a handler runs in the middle of whatever its thread does, be it the lock of this very
    event, and would wait for that for ever. It puts a word into a queue, which is safe there; a thread does the rest.
    """
    stop = threading.Event()
    told: queue.SimpleQueue[None] = queue.SimpleQueue()

    def listen() -> None:
        told.get()
        stop.set()

    threading.Thread(target=listen, name="signals", daemon=True).start()
    for number in numbers:
        signal.signal(number, lambda *_: told.put(None))
    return stop


def wait_for_signal(ready: Callable[[], None]) -> None:
    """Block until SIGTERM or SIGINT; `ready` is called once they are listened for."""
    stop = stop_on(signal.SIGTERM, signal.SIGINT)
    ready()
    while not stop.wait(0.5):
        pass


@dataclass(frozen=True, slots=True)
class Child:
    """A process to keep alive: its name, what it runs, and with what."""

    name: str
    run: Callable[..., None]
    arguments: tuple[Any, ...]


class Supervisor:
    """Starts children, starts again what died, and stops them all in the end."""

    def __init__(self, children: list[Child]) -> None:
        self._children = children
        self._context = multiprocessing.get_context("spawn")
        self._running: dict[str, BaseProcess] = {}
        self._stopping = threading.Event()
        self._watcher = threading.Thread(target=self._look_after, name="supervisor", daemon=True)

    def __enter__(self) -> Self:
        for child in self._children:
            self._start(child)
        self._watcher.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._stopping.set()
        self._watcher.join()
        for process in reversed(self._running.values()):
            process.terminate()
        for name, process in reversed(self._running.items()):
            process.join(STOP_WITHIN_S)
            if process.is_alive():
                log.warning("did not stop in time and is killed", process=name)
                process.kill()
                process.join()

    def _start(self, child: Child) -> None:
        process = self._context.Process(target=child.run, args=child.arguments, name=f"loyalty-{child.name}")
        process.start()
        self._running[child.name] = process

    def _look_after(self) -> None:
        while not self._stopping.wait(RESTART_AFTER_S):
            for child in self._children:
                process = self._running[child.name]
                if not process.is_alive() and not self._stopping.is_set():
                    log.error("died and is started again", process=child.name, exit_code=process.exitcode)
                    self._start(child)
