"""What alembic runs: on the connection that `migrate` hands over, or by hand on that of the settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from alembic import context

from adapter.settings import load_settings
from adapter.store import tables
from adapter.store.database import open_database, unit_of_work

if TYPE_CHECKING:
    from sqlalchemy import Connection


def run(connection: Connection) -> None:
    """Run the migrations that were asked for: in the transaction that the connection is in, or each in one of its own."""
    context.configure(
        connection=connection,
        target_metadata=tables.metadata,
        render_as_batch=True,
        transaction_per_migration=context.config.attributes.get("in_use", False),
    )
    with context.begin_transaction():
        context.run_migrations()


handed_over: Connection | None = context.config.attributes.get("connection")
if handed_over is not None:
    run(handed_over)
else:
    engine = open_database(load_settings().database_url)
    with unit_of_work(engine) as own:
        run(own)
    engine.dispose()
