"""Migrations of a version that is newer than the code: what a service lives through while it is updated."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from alembic.script import ScriptDirectory

from adapter.store import migrate as migrating

if TYPE_CHECKING:
    from pathlib import Path

    import pytest
    from alembic.config import Config
    from sqlalchemy import Connection

STEPS = {
    "9001": 'add_index("ix_events_newer", "events", ["received_at", "source"])',
    "9002": 'op.add_column("events", sa.Column("newer", sa.Text(), nullable=True))',
    "9003": 'op.add_column("balances", sa.Column("newer", sa.Integer(), nullable=False, server_default="0"))',
    "9004": 'op.execute("ALTER TABLE orders ADD CONSTRAINT ck_newer CHECK (retained >= -1) NOT VALID")',
    "9005": 'op.execute("ALTER TABLE orders VALIDATE CONSTRAINT ck_newer")',
    "9006": 'op.create_table("newer", sa.Column("id", sa.Integer(), primary_key=True))',
}
"""Each kind of step that expands, as a newer version would write it: one that needs a lock alone in its migration."""

TEMPLATE = """
import sqlalchemy as sa
from alembic import op
from adapter.store.indexing import add_index
revision = {revision!r}
down_revision = {before!r}
branch_labels = depends_on = None
contracts = {contracts}
def upgrade():
    {step}
"""


def make_newer(folder: Path, monkeypatch: pytest.MonkeyPatch, steps: dict[str, str] | None = None) -> None:
    """Have `migrate`, in this process, know further migrations; those of SQLite have other words for some steps."""
    plain = migrating._config
    before = ScriptDirectory.from_config(plain_config()).get_current_head()
    for revision, step in (STEPS if steps is None else steps).items():
        text = TEMPLATE.format(revision=revision, before=before, step=step, contracts="contracts" in step)
        (folder / f"{revision}_newer.py").write_text(text, "utf-8")
        before = revision

    def with_newer(connection: Connection) -> Config:
        config = plain(connection)
        places = (str(migrating.INI.parent / "versions"), str(folder))
        config.set_main_option("version_locations", os.pathsep.join(places))
        return config

    monkeypatch.setattr(migrating, "_config", with_newer)


def plain_config() -> Config:
    """Return the settings of the migrations that the code comes with."""
    from alembic.config import Config

    return Config(migrating.INI)
