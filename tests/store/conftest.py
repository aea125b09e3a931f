"""Databases for tests of the tables themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import Engine, make_url, text

from adapter.store.database import open_database

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(params=["sqlite", "postgresql"])
def bare(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """A database without any table; on PostgreSQL a schema of its own."""
    if request.param == "sqlite":
        engine = open_database(f"sqlite:///{tmp_path}/bare.db")
        yield engine
        engine.dispose()
        return
    url = make_url(request.getfixturevalue("postgres_url"))
    outside = open_database(url.render_as_string(hide_password=False))
    with outside.begin() as connection:
        connection.execute(text("CREATE SCHEMA bare"))
    inside = url.update_query_dict({"options": "-csearch_path=bare"})
    engine = open_database(inside.render_as_string(hide_password=False))
    yield engine
    engine.dispose()
    with outside.begin() as connection:
        connection.execute(text("DROP SCHEMA bare CASCADE"))
    outside.dispose()
