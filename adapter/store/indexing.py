"""Indexes for migrations of tables that may be large, and that services go on writing to."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from alembic import op

from adapter.store.migrate import LOCK_TIMEOUT_MS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


def add_index(name: str, table: str, columns: Sequence[Any], *, unique: bool = False, **options: Any) -> None:
    """Make an index on a table that was there before, and stop no writer meanwhile. `options` are those of alembic.

    The step is committed before it: put it first in a migration that has more, or into one of its own.
    """
    if not _in_use():
        op.create_index(name, table, columns, unique=unique, **options)
        return
    with _beside_writers():
        # what a try before left behind is there, but no query may use it
        op.drop_index(name, table, if_exists=True, postgresql_concurrently=True)
        op.create_index(name, table, columns, unique=unique, postgresql_concurrently=True, **options)


def remove_index(name: str, table: str) -> None:
    """Drop an index that nothing needs any more; statements of older versions find their rows without it.

    The step is committed before it, as with `add_index`.
    """
    if not _in_use():
        op.drop_index(name, table)
        return
    with _beside_writers():
        op.drop_index(name, table, if_exists=True, postgresql_concurrently=True)


def _in_use() -> bool:
    """Return whether services may be writing: to an empty database, or to SQLite, nobody else does."""
    return bool(op.get_context().opts.get("transaction_per_migration"))


@contextmanager
def _beside_writers() -> Iterator[None]:
    with op.get_context().autocommit_block():
        op.execute("SET lock_timeout = 0")  # it waits for those who write, and they do not wait for it
        yield
        op.execute(f"SET lock_timeout = {LOCK_TIMEOUT_MS}")
