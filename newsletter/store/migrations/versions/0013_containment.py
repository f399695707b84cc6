"""When sending is paused, and which accounts are set aside."""

import sqlalchemy as sa
from alembic import op

from newsletter.store.column_types import UtcDateTime

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    op.create_table(
        "sending_pauses",
        sa.Column("row", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("since", UtcDateTime, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
    )
    op.create_table(
        "circuit_breakers",
        sa.Column("account", sa.Text, primary_key=True),
        sa.Column("refused_in_row", sa.Integer, nullable=False),
        sa.Column("since", UtcDateTime),
        sa.Column("accepted", sa.Float, nullable=False),
        sa.Column("refused", sa.Float, nullable=False),
        sa.Column("counted_at", UtcDateTime, nullable=False),
        sa.Column("opened_at", UtcDateTime),
        sa.Column("reason", sa.Text),
        sa.Column("probe_at", UtcDateTime),
        sa.Column("probes", sa.Integer, nullable=False),
    )
