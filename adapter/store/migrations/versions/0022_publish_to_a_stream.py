"""Let messages be published to a stream: mark which the broker does not have yet, and who publishes."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "configuration", sa.Column("publishes", sa.SmallInteger(), nullable=False, server_default="0")
    )
    op.create_table(
        "publications",
        sa.Column("env", sa.Integer(), nullable=False),
        sa.Column("message", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("env", "message"),
    )
    op.create_index("ix_publications_message", "publications", ["message", "env"])
    op.create_table(
        "streams",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("holder", sa.Text(), nullable=False),
        sa.Column("lease_until", sa.BigInteger(), nullable=False),
        sa.Column("published_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("name"),
    )
