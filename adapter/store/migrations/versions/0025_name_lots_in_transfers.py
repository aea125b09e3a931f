"""Let a transfer of one lot name it itself, which saves it a row of `allocations`, and that row's key.

Versions that run beside this one on a server look for lots in `allocations` alone, so a database that is in use goes on
having them there until a later migration, which contracts, sets `configuration.names_lots`.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0023"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("transfers", sa.Column("lot", sa.BigInteger(), nullable=True))
    op.add_column("transfers", sa.Column("lot_expires_at", sa.BigInteger(), nullable=True))
    op.add_column(
        "configuration", sa.Column("names_lots", sa.SmallInteger(), nullable=False, server_default="1")
    )
    if op.get_bind().dialect.name == "postgresql":
        op.execute("UPDATE configuration SET names_lots = 0")  # SQLite's service is updated with its database
