"""Link orders and vouchers: a secret for codes, what an order named, and which orders use a voucher."""

from __future__ import annotations

from secrets import token_bytes

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("environments", sa.Column("secret", sa.LargeBinary(), nullable=True))
    connection = op.get_bind()
    environments = sa.table("environments", sa.column("id", sa.Integer), sa.column("secret", sa.LargeBinary))
    for (number,) in connection.execute(sa.select(environments.c.id)).all():
        own = sa.update(environments).where(environments.c.id == number)
        connection.execute(own.values(secret=token_bytes(32)))
    with op.batch_alter_table("environments") as batch:  # SQLite makes the table anew
        batch.alter_column("secret", existing_type=sa.LargeBinary(), nullable=False)
    op.add_column("vouchers", sa.Column("linked", sa.Text(), nullable=True))
    op.add_column(
        "vouchers", sa.Column("withdrawn", sa.SmallInteger(), server_default=sa.text("0"), nullable=False)
    )
    op.create_table(
        "order_links",
        sa.Column("env", sa.Integer(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("ref", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("env", "kind", "name", "source", "ref"),
        sqlite_with_rowid=False,
    )
