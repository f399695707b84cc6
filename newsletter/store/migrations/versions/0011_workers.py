"""How many sends each process settled."""

import sqlalchemy as sa
from alembic import op

from newsletter.store.column_types import UtcDateTime

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    many = sa.BigInteger().with_variant(sa.Integer, "sqlite")
    op.create_table(
        "workers",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("state", sa.String, primary_key=True),
        sa.Column("number", many, nullable=False),
        sa.Column("since", UtcDateTime, nullable=False),
        sa.Column("last", UtcDateTime, nullable=False),
    )
