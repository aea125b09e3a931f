"""Let retention count what it removes, find replays that are not finished, and say which events have no bytes any more.

Where rows are removed in great numbers PostgreSQL vacuums after one in a hundred of them: after one in five, as it would by
itself, a month's deliveries lie dead in the table, and what comes next makes the files longer.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0019"
branch_labels = None
depends_on = None

OPEN = sa.text("finished_at IS NULL")
VACUUMED = ("messages", "deliveries", "attempts", "idempotency_keys")
OUT_OF_LINE = ("messages", "events")  # their bodies are kept beside the table


def upgrade() -> None:
    op.create_table(
        "removals",
        sa.Column("env", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("removed", sa.BigInteger(), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("env", "name"),
    )
    op.add_column("events", sa.Column("emptied_at", sa.BigInteger(), nullable=True))
    op.create_index(
        "ix_replays_unfinished", "replays", ["env", "id"], sqlite_where=OPEN, postgresql_where=OPEN
    )
    if op.get_bind().dialect.name == "postgresql":
        for table in VACUUMED:
            op.execute(f"ALTER TABLE {table} SET (autovacuum_vacuum_scale_factor = 0.01)")
        for table in OUT_OF_LINE:
            op.execute(f"ALTER TABLE {table} SET (toast.autovacuum_vacuum_scale_factor = 0.01)")
