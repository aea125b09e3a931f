"""The socket and the web processes behind it: who listens where, how many there are, and how they end."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import psutil
import pytest
import requests

from adapter.demo.stage import run_command
from tests.bench.service import configure, fresh, running
from tests.ports import free_port
from tests.service.test_bad_nights import Shop, _is_web, check, locked, story
from tests.service.test_killed import _alive, wait_for

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def url(tmp_path: Path) -> str:
    """The URL of a database with a shop."""
    url = f"sqlite:///{tmp_path / 'loyalty.db'}"
    fresh(url)
    configure(url)
    return url


def webs(service: psutil.Process) -> list[psutil.Process]:
    return [one for one in service.children() if _is_web(one)]


def started(folder: Path, *options: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "adapter.cli", "serve", *options]
    environment = {**os.environ, "LOYALTY_DATA_DIR": str(folder), "LOYALTY_LOG__LEVEL": "warning"}
    pipe = subprocess.PIPE
    return subprocess.Popen(command, env=environment, stdout=pipe, stderr=pipe, text=True)


@pytest.mark.parametrize(
    ("host", "says"),
    [
        ("127.0.0.1", "Address already in use"),
        ("192.0.2.1", "Cannot assign requested address"),
        ("no.invalid", ""),
    ],
)
def test_where_nobody_can_listen_is_said_in_one_line(host: str, says: str, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with started(tmp_path, "--host", host, "--port", str(port)) as process:
            said, told = process.communicate(timeout=120)
    assert (process.returncode, said) == (2, "")
    assert f"cannot listen on http://{host}:{port}: {says}" in told
    assert "Traceback" not in told
    assert not (tmp_path / "loyalty.db").exists()


@pytest.mark.parametrize("host", ["0.0.0.0", "::1", "::", "localhost"])
def test_it_is_reached_at_the_host_it_was_given(host: str, tmp_path: Path) -> None:
    port = free_port()
    shown = f"[{host}]" if ":" in host else host
    with started(tmp_path, "--host", host, "--port", str(port)) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == f"loyalty-adapter is ready at http://{shown}:{port}\n"
        asked = shown if host != "0.0.0.0" else "127.0.0.1"
        assert requests.get(f"http://{asked}:{port}/healthz", timeout=60).status_code == 200
        process.terminate()
        _, told = process.communicate(timeout=120)
    assert (process.returncode, told) == (0, "")


def test_several_web_processes_share_the_socket_and_their_counts(url: str, tmp_path: Path) -> None:
    with running(url, tmp_path, server__workers=3) as (port, process):
        shop = Shop(port)
        wait_for(lambda: len(webs(process)) == 3, 60)
        first, *others = webs(process)
        first.kill()
        for hook in story(1):
            shop.insist(hook)
        wait_for(lambda: len(webs(process)) == 3, 60)
        assert all(one.is_running() for one in others)

        def counted() -> str:
            text = requests.get(f"http://127.0.0.1:{port}/metrics", timeout=60).text
            return next(
                line for line in text.splitlines() if line.startswith("loyalty_events_received_total{")
            )

        assert {counted() for _ in range(12)} == {  # each connection may be any process's
            'loyalty_events_received_total{outcome="applied",source="bench"} 3.0'
        }
    check(url, 1)


@pytest.mark.parametrize("workers", [1, 2])
def test_what_is_under_way_is_answered_before_it_ends(url: str, tmp_path: Path, workers: int) -> None:
    answers: list[Any] = []
    settings = {"server__workers": workers, "door__answer_timeout_s": 60}
    with running(url, tmp_path, **settings) as (port, process):
        shop = Shop(port)
        first, *others = story(1)
        idle = socket.create_connection(("127.0.0.1", port))  # one that sends nothing holds nobody up
        with locked(url):
            asking = threading.Thread(target=lambda: answers.append(shop.post(first).status_code))
            asking.start()

            def waiting() -> bool:
                text = [requests.get(f"http://127.0.0.1:{port}/metrics", timeout=60).text for _ in range(4)]
                return any("loyalty_door_waiting 1.0" in one for one in text)

            wait_for(waiting, 60)
            process.send_signal(signal.SIGTERM)
            wait_for(lambda: refused(port), 60)
        asking.join()
        assert process.wait(120) == 0
        idle.close()
    assert answers == [200]
    with running(url, tmp_path) as (port, _):
        for hook in (first, *others):
            Shop(port).insist(hook)
    check(url, 1)


def refused(port: int) -> bool:
    with suppress(OSError):
        socket.create_connection(("127.0.0.1", port), timeout=60).close()
        return False
    return True


def test_a_terminals_interrupt_is_the_parents_matter(tmp_path: Path) -> None:
    """Ctrl-C reaches every process of the terminal at once; what is under way is answered all the same."""
    run_command(tmp_path, "migrate")
    port = free_port()
    with started(tmp_path, "--port", str(port)) as process:
        assert process.stdout is not None
        assert "ready" in process.stdout.readline()
        family = [psutil.Process(process.pid), *psutil.Process(process.pid).children()]
        for one in family[1:]:
            one.send_signal(signal.SIGINT)
        assert requests.get(f"http://127.0.0.1:{port}/readyz", timeout=60).status_code == 200
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=120)
    assert (process.returncode, told) == (0, "")
    wait_for(lambda: not any(_alive(one) for one in family[1:]), 60)
