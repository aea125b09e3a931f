"""Add dialects, and messages in the formats of their vendors."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "dialects",
        sa.Column("env", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("program", sa.Text(), nullable=False),
        sa.Column("definition", sa.SmallInteger(), nullable=False),
        sa.Column("customers_of", sa.Text(), nullable=False),
        sa.Column("options", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("env", "name"),
        sqlite_with_rowid=False,
    )
    op.add_column("messages", sa.Column("format", sa.Text(), nullable=False, server_default="native"))
