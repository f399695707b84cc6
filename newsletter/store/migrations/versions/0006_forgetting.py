"""Rows of subscribers are never reused, so that people can be deleted; bounces name their subscriber."""

from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        # SQLite reuses the highest row once it is free, unless the table is created otherwise. PostgreSQL never does.
        with op.batch_alter_table(
            "subscribers", recreate="always", table_kwargs={"sqlite_autoincrement": True}
        ) as subscribers:
            subscribers.alter_column("row", nullable=False)
    op.create_index(op.f("ix_bounces_send"), "bounces", ["send"])
