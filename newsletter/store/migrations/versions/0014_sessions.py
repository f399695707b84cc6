"""Operator sessions, which end on the server when the operator logs out."""

import sqlalchemy as sa
from alembic import op

from newsletter.store.column_types import UtcDateTime

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    op.create_table(
        "operator_sessions",
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("token", sa.Integer(), nullable=False),
        sa.Column("expires_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_operator_sessions")),
        sa.ForeignKeyConstraint(
            ["token"], ["operator_tokens.row"], name=op.f("fk_operator_sessions_token"), ondelete="CASCADE"
        ),
    )
    op.create_index(op.f("ix_operator_sessions_token"), "operator_sessions", ["token"])
