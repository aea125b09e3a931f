"""Add members of their own."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

STATES = "state IN ('active', 'deleted', 'erased', 'merged')"
MERGED = "(state = 'merged') = (merged_into IS NOT NULL)"
PERSONAL = sa.text("topic IN ('member.created', 'member.updated') AND source = '@api'")
GONE_ON = sa.text("merged_into IS NOT NULL")
AWAITED = sa.text("member IS NULL AND customer IS NOT NULL")


def upgrade() -> None:
    with op.batch_alter_table("members") as members:  # SQLite makes the table anew
        members.add_column(sa.Column("merged_into", sa.BigInteger(), nullable=True))
        members.drop_constraint("members_state", type_="check")
        members.create_check_constraint("members_state", STATES)
        members.create_check_constraint("members_merged", MERGED)
    op.create_index(
        "ix_members_merged",
        "members",
        ["env", "merged_into"],
        sqlite_where=GONE_ON,
        postgresql_where=GONE_ON,
    )
    op.add_column("people", sa.Column("birthday", sa.Text(), nullable=True))
    op.add_column("people", sa.Column("metadata", sa.Text(), nullable=True))
    op.create_index(
        "ix_events_personal",
        "events",
        ["env", "member"],
        sqlite_where=PERSONAL,
        postgresql_where=PERSONAL,
    )
    op.add_column("transactions", sa.Column("chain", sa.BigInteger(), nullable=True))
    op.add_column("orders", sa.Column("customer", sa.Text(), nullable=True))
    op.create_index(
        "ix_orders_awaited",
        "orders",
        ["env", "source", "customer"],
        sqlite_where=AWAITED,
        postgresql_where=AWAITED,
    )
