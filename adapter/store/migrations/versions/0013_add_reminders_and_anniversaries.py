"""Add reminders of vouchers that end, anniversaries, and how long the points of a credit last."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0010"
branch_labels = None
depends_on = None

WAITING = sa.text("state = 'active' AND remind_at IS NOT NULL")


def upgrade() -> None:
    op.add_column("vouchers", sa.Column("remind_at", sa.BigInteger(), nullable=True))
    op.create_index(
        "ix_vouchers_remind", "vouchers", ["remind_at"], sqlite_where=WAITING, postgresql_where=WAITING
    )
    op.add_column("transactions", sa.Column("points_last", sa.BigInteger(), nullable=True))
    op.add_column("memberships", sa.Column("anniversary_at", sa.BigInteger(), nullable=True))
