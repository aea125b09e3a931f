"""Add limits."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

LOCKING = sa.text("state = 'pending' AND locks_until IS NOT NULL")
FLAGGED = sa.text("flagged IS NOT NULL AND flag_cleared_at IS NULL")


def upgrade() -> None:
    op.create_table(
        "advices",
        sa.Column("env", sa.Integer(), nullable=False),
        sa.Column("member", sa.BigInteger(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("advice", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("given_at", sa.BigInteger(), nullable=False),
        sa.Column("cleared_at", sa.BigInteger(), nullable=True),
        sa.Column("cleared_reason", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("env", "member", "number"),
        sqlite_with_rowid=False,
    )
    op.add_column("redemptions", sa.Column("locks_until", sa.BigInteger(), nullable=True))
    op.add_column("redemptions", sa.Column("flag_cleared_at", sa.BigInteger(), nullable=True))
    op.add_column("redemptions", sa.Column("flag_note", sa.Text(), nullable=True))
    op.create_index("ix_redemptions_day", "redemptions", ["env", "member", "definition", "created_at"])
    op.create_index(
        "ix_redemptions_lock",
        "redemptions",
        ["env", "member", "definition"],
        sqlite_where=LOCKING,
        postgresql_where=LOCKING,
    )
    op.create_index(
        "ix_redemptions_flagged", "redemptions", ["env", "id"], sqlite_where=FLAGGED, postgresql_where=FLAGGED
    )
