"""Self-service on the site: pauses that end automatically, and sign-up requests."""

import sqlalchemy as sa
from alembic import op

from newsletter.store.column_types import UtcDateTime

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.add_column("subscribers", sa.Column("paused_until", UtcDateTime(), nullable=True))
    op.create_table(
        "sign_ups",
        sa.Column("row", sa.Integer(), nullable=False),
        sa.Column("email_key", sa.Text(), nullable=False),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("preferences", sa.JSON(), nullable=False),
        sa.Column("network", sa.Text(), nullable=False),
        sa.Column("asked_at", UtcDateTime(), nullable=False),
        sa.Column("not_before", UtcDateTime(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("row", name=op.f("pk_sign_ups")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_sign_ups_email_key"), "sign_ups", ["email_key"])
    op.create_index(op.f("ix_sign_ups_not_before"), "sign_ups", ["not_before"])
