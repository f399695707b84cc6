"""Feedback on papers."""

import sqlalchemy as sa
from alembic import op

from newsletter.store.column_types import UtcDateTime

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "feedback",
        sa.Column("subscriber", sa.Integer(), nullable=False),
        sa.Column("paper", sa.Integer(), nullable=False),
        sa.Column("verdict", sa.String(), nullable=False),
        sa.Column("interest", sa.Text(), nullable=True),
        sa.Column("given_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["paper"], ["papers.row"], name=op.f("fk_feedback_paper")),
        sa.ForeignKeyConstraint(["subscriber"], ["subscribers.row"], name=op.f("fk_feedback_subscriber")),
        sa.PrimaryKeyConstraint("subscriber", "paper", name=op.f("pk_feedback")),
    )
