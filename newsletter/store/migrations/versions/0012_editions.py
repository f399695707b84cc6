"""Counts of the sends of past editions by state."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    op.create_table(
        "edition_counts",
        sa.Column("edition", sa.Date, primary_key=True),
        sa.Column("state", sa.String, primary_key=True),
        sa.Column("number", sa.Integer, nullable=False),
    )
