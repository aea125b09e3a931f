"""Find the messages in a vendor's format."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0016"
branch_labels = None
depends_on = None

THEIRS = sa.text("format <> 'native'")


def upgrade() -> None:
    op.create_index(
        "ix_messages_format",
        "messages",
        ["env", "format", "id"],
        sqlite_where=THEIRS,
        postgresql_where=THEIRS,
    )
