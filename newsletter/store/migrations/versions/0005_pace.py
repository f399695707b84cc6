"""Which messages are on the wire through which account, and how fast messages may be sent."""

import sqlalchemy as sa
from alembic import op

from newsletter.store.column_types import UtcDateTime

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.add_column("sends", sa.Column("domain", sa.Text(), nullable=False, server_default=""))
    op.add_column("sends", sa.Column("wire_at", UtcDateTime(), nullable=True))
    op.add_column("sends", sa.Column("account", sa.Text(), nullable=True))
    # Until now a claimed message was one on the wire.
    op.execute("UPDATE sends SET wire_at = claimed_at WHERE state = 'claimed'")
    op.drop_index(op.f("ix_sends_state_not_before"), table_name="sends")
    op.create_index(op.f("ix_sends_state_not_before_row"), "sends", ["state", "not_before", "row"])
    op.drop_index(op.f("ix_sends_subscriber"), table_name="sends")
    op.create_index(op.f("ix_sends_subscriber_state"), "sends", ["subscriber", "state"])
    op.create_table(
        "pace",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("next_at", UtcDateTime(), nullable=False),
        sa.Column("held_until", UtcDateTime(), nullable=True),
        sa.Column("held_times", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_pace")),
    )
    op.create_table(
        "pace_counts",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("minute", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("key", "minute", name=op.f("pk_pace_counts")),
    )
