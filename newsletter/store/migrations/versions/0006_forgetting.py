"""Rows of subscribers that are never used again, so that people can be forgotten; whose bounces a send has."""

from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        # SQLite gives the highest row anew once it is free, unless the table is made otherwise. PostgreSQL never does.
        with op.batch_alter_table(
            "subscribers", recreate="always", table_kwargs={"sqlite_autoincrement": True}
        ) as subscribers:
            subscribers.alter_column("row", nullable=False)
    op.create_index(op.f("ix_bounces_send"), "bounces", ["send"])
