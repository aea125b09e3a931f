"""Let go of two indexes that every change of a balance had to write, each at a place of its own.

Lots whose time is over are found in the index of open lots; what is left is an index of the few that time changes before
their end. That a balance has each sequence once is the primary key of `transfers`, and `audit` counts the messages.
"""

from __future__ import annotations

import sqlalchemy as sa

from adapter.store.indexing import add_index, remove_index

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

EARLY = sa.text("due_at IS NOT NULL AND (pending > 0 OR expires_at IS NULL OR due_at < expires_at)")


def upgrade() -> None:
    columns = ["env", "member", "definition", "due_at"]
    add_index("ix_lots_due_early", "lots", columns, sqlite_where=EARLY, postgresql_where=EARLY)
    remove_index("ix_lots_due", "lots")
    remove_index("uq_messages_sequence", "messages")
