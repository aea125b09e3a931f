"""Indexes for migrations of tables that may be large, and that services go on writing to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from alembic import op

from adapter.store.migrate import LOCK_TIMEOUT_MS

if TYPE_CHECKING:
    from collections.abc import Sequence


def add_index(name: str, table: str, columns: Sequence[Any], *, unique: bool = False, **options: Any) -> None:
    """Make an index on a table that was there before, and stop no writer meanwhile. `options` are those of alembic.

    The step is committed before it: put it first in a migration that has more, or into one of its own.
    """
    context = op.get_context()
    if not context.opts.get("transaction_per_migration"):  # nobody else is here: an empty database, or SQLite
        op.create_index(name, table, columns, unique=unique, **options)
        return
    with context.autocommit_block():
        op.execute("SET lock_timeout = 0")  # it waits for those who write, and they do not wait for it
        # what a try before left behind is there, but no query may use it
        op.drop_index(name, table, if_exists=True, postgresql_concurrently=True)
        op.create_index(name, table, columns, unique=unique, postgresql_concurrently=True, **options)
        op.execute(f"SET lock_timeout = {LOCK_TIMEOUT_MS}")
