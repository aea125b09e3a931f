"""What the tests of the command line share: a configured database, and a way to run commands on it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from adapter.delivery import endpoints
from adapter.store.database import unit_of_work
from tests.cli.shell import SECRET, Endpoint, Shell
from tests.shop import NOW

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy import Engine


@pytest.fixture
def shell(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    monkeypatch.setenv("LOYALTY_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("LOYALTY_DATABASE_URL", database_url)
    return Shell()


@pytest.fixture
def sqlite_shell(sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    monkeypatch.setenv("LOYALTY_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("LOYALTY_DATABASE_URL", sqlite_url)
    return Shell()


@pytest.fixture
def endpoint(database: Engine) -> Endpoint:
    """Add an endpoint to the database and return its id."""

    def add(url: str = "http://127.0.0.1:9/hook", **fields: Any) -> str:
        with unit_of_work(database) as connection:
            return str(
                endpoints.add(connection, 1, {"url": url, "secrets": [SECRET], **fields}, now=NOW)["id"]
            )

    return add
