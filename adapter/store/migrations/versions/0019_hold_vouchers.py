"""Let vouchers be held by whoever is about to use them, and say more of them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

HELD = sa.text("hold IS NOT NULL")


def upgrade() -> None:
    for name in ("metadata", "worth"):
        op.add_column("vouchers", sa.Column(name, sa.Text(), nullable=True))
    for name in ("valid_from", "hold", "held_at", "held_until"):
        op.add_column("vouchers", sa.Column(name, sa.BigInteger(), nullable=True))
    op.create_index("ix_vouchers_hold", "vouchers", ["env", "hold"], sqlite_where=HELD, postgresql_where=HELD)
