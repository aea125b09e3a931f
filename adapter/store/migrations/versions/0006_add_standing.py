"""Add standing."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

UNIQUE = "uq_tier_changes_env_member_program_tier_group_n"
DUE = sa.text("next_due_at IS NOT NULL")


def upgrade() -> None:
    op.add_column("orders", sa.Column("standing", sa.Text(), nullable=True))
    op.create_table(
        "memberships",
        sa.Column("env", sa.Integer(), nullable=False),
        sa.Column("member", sa.BigInteger(), nullable=False),
        sa.Column("program", sa.Text(), nullable=False),
        sa.Column("joined_at", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("first_source", sa.Text(), nullable=True),
        sa.Column("first_ref", sa.Text(), nullable=True),
        sa.Column("birthday_at", sa.BigInteger(), nullable=True),
        sa.Column("next_due_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("env", "member", "program"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "standings",
        sa.Column("env", sa.Integer(), nullable=False),
        sa.Column("member", sa.BigInteger(), nullable=False),
        sa.Column("program", sa.Text(), nullable=False),
        sa.Column("tier_group", sa.Text(), nullable=False),
        sa.Column("tier", sa.Text(), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("reviewed_at", sa.BigInteger(), nullable=False),
        sa.Column("assigned_until", sa.BigInteger(), nullable=True),
        sa.Column("changes", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("env", "member", "program", "tier_group"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "tier_changes",
        sa.Column("env", sa.Integer(), nullable=False),
        sa.Column("member", sa.BigInteger(), nullable=False),
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("program", sa.Text(), nullable=False),
        sa.Column("tier_group", sa.Text(), nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("from_tier", sa.Text(), nullable=True),
        sa.Column("to_tier", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("event", sa.BigInteger(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("measure", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("env", "member", "id"),
        sa.UniqueConstraint("env", "member", "program", "tier_group", "n", name=UNIQUE),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "measures",
        sa.Column("env", sa.Integer(), nullable=False),
        sa.Column("member", sa.BigInteger(), nullable=False),
        sa.Column("definition", sa.SmallInteger(), nullable=False),
        sa.Column("unit", sa.Text(), nullable=False),
        sa.Column("day", sa.Integer(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("env", "member", "day", "definition", "unit"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "bonuses",
        sa.Column("env", sa.Integer(), nullable=False),
        sa.Column("member", sa.BigInteger(), nullable=False),
        sa.Column("program", sa.Text(), nullable=False),
        sa.Column("occasion", sa.Text(), nullable=False),
        sa.Column("transaction", sa.BigInteger(), nullable=False),
        sa.Column("credited_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("env", "member", "program", "occasion"),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "ix_memberships_due", "memberships", ["next_due_at"], sqlite_where=DUE, postgresql_where=DUE
    )
