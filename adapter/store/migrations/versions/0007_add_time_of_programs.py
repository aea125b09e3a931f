"""Add time of programs."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

DUE = sa.text("due_at IS NOT NULL")


def upgrade() -> None:
    for name in ("idle_at", "remind_at"):
        op.add_column("balances", sa.Column(name, sa.BigInteger(), nullable=True))
    for name in ("transaction", "remind_at"):
        op.add_column("lots", sa.Column(name, sa.BigInteger(), nullable=True))
    op.add_column("lots", sa.Column("idled", sa.BigInteger(), server_default=sa.text("0"), nullable=False))
    for name in ("available_at", "rejected_at", "completes_at", "due_at"):
        op.add_column("transactions", sa.Column(name, sa.BigInteger(), nullable=True))
    op.execute(
        "UPDATE transactions SET due_at = expires_at WHERE state = 'pending' AND expires_at IS NOT NULL"
    )
    op.drop_index("ix_transactions_due", "transactions")
    op.create_index(
        "ix_transactions_due",
        "transactions",
        ["env", "member", "definition", "due_at"],
        sqlite_where=DUE,
        postgresql_where=DUE,
    )
    op.create_table(
        "balance_orders",
        sa.Column("env", sa.Integer(), nullable=False),
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("member", sa.BigInteger(), nullable=False),
        sa.Column("definition", sa.SmallInteger(), nullable=False),
        sa.Column("transaction", sa.BigInteger(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("env", "id"),
        sa.UniqueConstraint("env", "transaction"),
        sa.CheckConstraint("amount != 0", name="balance_orders_amount"),
        sa.CheckConstraint("source IN ('engine', 'user')", name="balance_orders_source"),
    )
    op.create_index("ix_balance_orders_member", "balance_orders", ["env", "member", "id"])
