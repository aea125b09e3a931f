"""Find what the API booked on a balance since an instant, for the balance's limits."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

OWN = sa.text("order_ref IS NULL AND redemption IS NULL")


def upgrade() -> None:
    op.create_index(
        "ix_transactions_booked",
        "transactions",
        ["env", "member", "definition", "created_at"],
        sqlite_where=OWN,
        postgresql_where=OWN,
    )
