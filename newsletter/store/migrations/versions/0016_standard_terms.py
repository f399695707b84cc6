"""Tables and columns under the field's standard terms."""

from alembic import op

revision = "0016"
down_revision = "0015"

_TABLES = (("pace", "rate_limits"), ("pace_counts", "rate_limit_counts"), ("workers", "worker_stats"))


def upgrade() -> None:
    for old, new in _TABLES:
        op.rename_table(old, new)
    # As SQL: Alembic would copy the whole table on SQLite.
    op.execute("ALTER TABLE sends RENAME COLUMN space TO model_version")
