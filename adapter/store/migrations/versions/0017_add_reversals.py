"""Add reversals, and let a lock outlast its discount where that was applied at once."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0015"
branch_labels = None
depends_on = None

LOCKING = sa.text("locks_until IS NOT NULL")
REVERSING = sa.text("reverses IS NOT NULL")


def upgrade() -> None:
    op.drop_index("ix_redemptions_lock", "redemptions")
    op.create_index(
        "ix_redemptions_lock",
        "redemptions",
        ["env", "member", "definition", "locks_until"],
        sqlite_where=LOCKING,
        postgresql_where=LOCKING,
    )
    op.add_column("transactions", sa.Column("reverses", sa.BigInteger(), nullable=True))
    op.create_index(
        "ix_transactions_reverses",
        "transactions",
        ["env", "reverses"],
        unique=True,
        sqlite_where=REVERSING,
        postgresql_where=REVERSING,
    )
