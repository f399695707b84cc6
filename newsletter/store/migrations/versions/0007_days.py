"""The day on which each paper was first shown, for the pages of a day, a week and a month."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.add_column("papers", sa.Column("day", sa.Date(), nullable=True))
    seen = "date(first_seen)" if op.get_bind().dialect.name == "sqlite" else "(first_seen AT TIME ZONE 'UTC')::date"
    op.execute(f"UPDATE papers SET day = coalesce(listed_on, published, {seen})")  # noqa: S608 - ours
    op.create_index(op.f("ix_papers_day_upvotes_comments"), "papers", ["day", "upvotes", "comments"])
