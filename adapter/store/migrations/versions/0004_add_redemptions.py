"""Add redemptions."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

OF_REDEMPTIONS = sa.text("redemption IS NOT NULL")
OF_ORDERS = sa.text("order_ref IS NOT NULL")
OF_PAYMENTS = sa.text("payment IS NOT NULL")


def upgrade() -> None:
    op.create_table(
        "redemptions",
        sa.Column("env", sa.Integer(), nullable=False),
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("member", sa.BigInteger(), nullable=False),
        sa.Column("definition", sa.SmallInteger(), nullable=False),
        sa.Column("transaction", sa.BigInteger(), nullable=False),
        sa.Column("program", sa.Text(), nullable=False),
        sa.Column("reward", sa.Text(), nullable=True),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("cost", sa.BigInteger(), nullable=False),
        sa.Column("returned", sa.BigInteger(), nullable=False),
        sa.Column("value", sa.BigInteger(), nullable=True),
        sa.Column("currency", sa.Text(), nullable=True),
        sa.Column("code", sa.Text(), nullable=True),
        sa.Column("credited", sa.SmallInteger(), nullable=True),
        sa.Column("order_source", sa.Text(), nullable=True),
        sa.Column("order_ref", sa.Text(), nullable=True),
        sa.Column("payment", sa.Text(), nullable=True),
        sa.Column("linked", sa.Text(), nullable=True),
        sa.Column("decided", sa.SmallInteger(), nullable=False),
        sa.Column("flagged", sa.Text(), nullable=True),
        sa.Column("shipping", sa.Text(), nullable=True),
        sa.Column("tracking", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("metadata", sa.Text(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=True),
        sa.Column("applied_at", sa.BigInteger(), nullable=True),
        sa.Column("fulfilled_at", sa.BigInteger(), nullable=True),
        sa.Column("released_at", sa.BigInteger(), nullable=True),
        sa.Column("expired_at", sa.BigInteger(), nullable=True),
        sa.Column("reversed_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("env", "id"),
        sa.UniqueConstraint("env", "code", name=op.f("uq_redemptions_env_code")),
        sa.CheckConstraint("kind IN ('discount', 'item', 'credit')", name="redemptions_kind"),
        sa.CheckConstraint(
            "state IN ('pending', 'applied', 'fulfillment_pending', 'fulfilled', 'released', 'expired', 'reversed')",
            name="redemptions_state",
        ),
        sa.CheckConstraint("cost > 0 AND returned >= 0 AND returned <= cost", name="redemptions_cost"),
    )
    op.create_index("ix_redemptions_member", "redemptions", ["env", "member", "definition", "id"])
    op.create_index(
        "ix_redemptions_order",
        "redemptions",
        ["env", "order_source", "order_ref"],
        sqlite_where=OF_ORDERS,
        postgresql_where=OF_ORDERS,
    )
    op.create_index(
        "ix_redemptions_payment",
        "redemptions",
        ["env", "payment"],
        sqlite_where=OF_PAYMENTS,
        postgresql_where=OF_PAYMENTS,
    )
    op.add_column("transactions", sa.Column("redemption", sa.BigInteger(), nullable=True))
    op.create_index(
        "ix_transactions_redemption",
        "transactions",
        ["env", "redemption"],
        sqlite_where=OF_REDEMPTIONS,
        postgresql_where=OF_REDEMPTIONS,
    )
