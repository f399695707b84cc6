"""Reading lists: the papers that subscribers saved."""

import sqlalchemy as sa
from alembic import op

from newsletter.store.column_types import UtcDateTime

revision = "0021"
down_revision = "0020"


def upgrade() -> None:
    op.create_table(
        "saved_papers",
        sa.Column("subscriber", sa.Integer(), nullable=False),
        sa.Column("paper", sa.Integer(), nullable=False),
        sa.Column("saved_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["paper"], ["papers.row"], name=op.f("fk_saved_papers_paper")),
        sa.ForeignKeyConstraint(["subscriber"], ["subscribers.row"], name=op.f("fk_saved_papers_subscriber")),
        sa.PrimaryKeyConstraint("subscriber", "paper", name=op.f("pk_saved_papers")),
    )
