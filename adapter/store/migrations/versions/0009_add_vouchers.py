"""Add vouchers."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

OF_A_RULE = sa.text("rule IS NOT NULL")
ENDING = sa.text("state = 'active' AND expires_at IS NOT NULL")


def upgrade() -> None:
    op.create_table(
        "vouchers",
        sa.Column("env", sa.Integer(), nullable=False),
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("member", sa.BigInteger(), nullable=False),
        sa.Column("program", sa.Text(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("rule", sa.Text(), nullable=True),
        sa.Column("occasion", sa.Text(), nullable=True),
        sa.Column("reward", sa.Text(), nullable=True),
        sa.Column("value", sa.BigInteger(), nullable=True),
        sa.Column("currency", sa.Text(), nullable=True),
        sa.Column("percent", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("order_source", sa.Text(), nullable=True),
        sa.Column("order_ref", sa.Text(), nullable=True),
        sa.Column("decided", sa.SmallInteger(), nullable=False),
        sa.Column("attributed_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=True),
        sa.Column("redeemed_at", sa.BigInteger(), nullable=True),
        sa.Column("revoked_at", sa.BigInteger(), nullable=True),
        sa.Column("expired_at", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("state IN ('active', 'redeemed', 'revoked', 'expired')", name="vouchers_state"),
        sa.PrimaryKeyConstraint("env", "id"),
        sa.UniqueConstraint("env", "code", name=op.f("uq_vouchers_env_code")),
    )
    op.create_index("ix_vouchers_member", "vouchers", ["env", "member", "id"])
    op.create_index(
        "uq_vouchers_occasion",
        "vouchers",
        ["env", "member", "program", "rule", "occasion"],
        unique=True,
        sqlite_where=OF_A_RULE,
        postgresql_where=OF_A_RULE,
    )
    op.create_index(
        "ix_vouchers_due", "vouchers", ["expires_at"], sqlite_where=ENDING, postgresql_where=ENDING
    )
