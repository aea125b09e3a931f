"""Children are started again when they die, stop when they are told to, and never outlive their parent."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

from adapter.processes import Child, Supervisor, die_with_parent, stop_on, wait_for_signal

if TYPE_CHECKING:
    from collections.abc import Callable


def wait_for(what: Callable[[], bool], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def alive(pid: int) -> bool:
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def child(folder: str) -> None:
    """Leave a mark, and live until told to stop."""
    die_with_parent()

    def stop(*_: object) -> None:
        Path(folder, f"{os.getpid()}.stopped").touch()
        os._exit(0)

    signal.signal(signal.SIGTERM, stop)
    Path(folder, f"{os.getpid()}.started").touch()
    while True:
        time.sleep(60)


def parent(folder: str) -> None:
    with Supervisor([Child("child", child, (folder,))]):
        time.sleep(60)


def started(folder: Path) -> set[int]:
    return {int(path.stem) for path in folder.glob("*.started")}


def test_what_dies_is_started_again_and_stopped_in_the_end(tmp_path: Path) -> None:
    with Supervisor([Child("child", child, (str(tmp_path),))]):
        wait_for(lambda: len(started(tmp_path)) == 1)
        (first,) = started(tmp_path)
        os.kill(first, signal.SIGKILL)
        wait_for(lambda: len(started(tmp_path)) == 2)
        (second,) = started(tmp_path) - {first}
    assert not alive(second)
    assert (tmp_path / f"{second}.stopped").exists()


def test_a_child_never_outlives_a_parent_that_was_killed(tmp_path: Path) -> None:
    process = multiprocessing.get_context("spawn").Process(target=parent, args=(str(tmp_path),))
    process.start()
    wait_for(lambda: len(started(tmp_path)) == 1)
    (pid,) = started(tmp_path)
    assert alive(pid)
    process.kill()
    process.join()
    wait_for(lambda: not alive(pid))


def test_a_signal_ends_the_wait(tmp_path: Path) -> None:
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        with Supervisor([Child("child", child, (str(tmp_path),))]):
            wait_for(lambda: len(started(tmp_path)) == 1)
            (pid,) = started(tmp_path)
            wait_for_signal(lambda: os.kill(os.getpid(), signal.SIGTERM))  # as soon as it says so
        assert not alive(pid)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def hit_at_the_worst_moment() -> None:
    """Be told to stop, twice, while this very thread holds the lock of the event that says so."""
    stop = stop_on(signal.SIGTERM)
    with stop._cond:  # type: ignore[attr-defined]  # - the moment in which `wait` holds it cannot be hit on purpose
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGTERM)
    os._exit(0 if stop.wait(120) else 1)


def test_a_signal_stops_a_process_whatever_it_is_doing() -> None:
    process = multiprocessing.get_context("spawn").Process(target=hit_at_the_worst_moment)
    process.start()
    process.join(120)
    code = process.exitcode
    process.kill()
    process.join()
    assert code == 0
