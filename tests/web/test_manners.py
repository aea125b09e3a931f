"""What the documentation says about the manners of the API: its examples work when they are pasted."""

from __future__ import annotations

import shutil
import subprocess
import threading
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import func, select
from werkzeug.serving import make_server

from adapter.store import tables as t
from adapter.web.docs import POLLING, REPEATING
from tests.shop import placed, recorded
from tests.web.conftest import TOKEN

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.web.conftest import Web

pytestmark = pytest.mark.skipif(
    not shutil.which("curl") or not shutil.which("bash"), reason="curl or bash is not here"
)


@pytest.fixture
def served(sqlite_web: Web) -> Iterator[str]:
    sqlite_web.play(recorded(placed()))
    server = make_server("127.0.0.1", 0, sqlite_web.app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def pasted(command: str, url: str) -> str:
    done = subprocess.run(
        ["bash", "-c", command], capture_output=True, text=True, check=True,
        env={"PATH": "/usr/bin:/bin", "LOYALTY_URL": url, "LOYALTY_KEY": TOKEN},
    )  # fmt: skip
    return done.stdout


def test_the_page_shows_them_as_they_are(sqlite_web: Web) -> None:
    from markupsafe import escape

    page = sqlite_web.client.get("/docs").get_data(as_text=True)
    assert str(escape(POLLING)) in page
    assert str(escape(REPEATING)) in page


def test_polling_ends_in_a_304(served: str) -> None:
    assert pasted(POLLING, served) == "304\n"


def test_repeating_makes_one_endpoint(served: str, sqlite_web: Web) -> None:
    told = pasted(REPEATING, served)
    half = len(told) // 2
    assert told[:half] == told[half:]
    with sqlite_web.engine.connect() as connection:
        query = (
            select(func.count())
            .select_from(t.endpoints)
            .where(t.endpoints.c.url == "https://example.com/hook")
        )
        assert connection.execute(query).scalar_one() == 1
