"""Add two-phase transactions."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

WAITING = sa.text("state = 'pending' AND expires_at IS NOT NULL")


def upgrade() -> None:
    op.create_table(
        "transaction_metadata",
        sa.Column("env", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("transaction", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("env", "name", "value", "transaction"),
        sqlite_with_rowid=False,
    )
    op.add_column("transactions", sa.Column("expires_at", sa.BigInteger(), nullable=True))
    op.add_column("transactions", sa.Column("sequence", sa.BigInteger(), nullable=True))
    op.add_column("transactions", sa.Column("metadata", sa.Text(), nullable=True))
    op.create_index(
        "ix_transactions_due",
        "transactions",
        ["env", "member", "definition", "expires_at"],
        sqlite_where=WAITING,
        postgresql_where=WAITING,
    )
