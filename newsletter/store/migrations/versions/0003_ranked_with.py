"""What digests were ranked with, and which texts have changed."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.add_column("papers", sa.Column("text_change", sa.Integer(), nullable=False, server_default="0"))
    op.create_index(op.f("ix_papers_text_change"), "papers", ["text_change"])
    op.add_column("sends", sa.Column("space", sa.String(), nullable=True))
    op.add_column("sends", sa.Column("ranked_with", sa.String(), nullable=True))
    op.add_column("sends", sa.Column("after_row", sa.Integer(), nullable=True))
    op.create_table(
        "ranked_with",
        sa.Column("subscriber", sa.Integer(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("content", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["subscriber"], ["subscribers.row"], name=op.f("fk_ranked_with_subscriber")),
        sa.PrimaryKeyConstraint("subscriber", "digest", name=op.f("pk_ranked_with")),
    )
