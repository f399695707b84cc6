"""Indexes for lists of papers: one of the papers alone, in order, and one of the rows that were merged into others.

SQLite took the former index of ``same_as`` for a selective one, and read all papers for each list.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"

_FORMER = ("ix_papers_same_as", "ix_papers_day_upvotes_comments")


def upgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        for name in _FORMER:
            op.drop_index(name, table_name="papers")
        _index()
        return
    # Concurrently with writers; an interrupted migration has left invalid indexes.
    with op.get_context().autocommit_block():
        for name in (*_FORMER, "ix_papers_listed", "ix_papers_merged"):
            op.drop_index(name, table_name="papers", if_exists=True, postgresql_concurrently=True)
        _index(postgresql_concurrently=True)


def _index(**how: Any) -> None:
    is_paper, is_merged = sa.text("same_as IS NULL"), sa.text("same_as IS NOT NULL")
    listed = ["day", "upvotes", "comments", "status", "same_as"]
    op.create_index("ix_papers_listed", "papers", listed, sqlite_where=is_paper, postgresql_where=is_paper, **how)
    op.create_index(
        "ix_papers_merged", "papers", ["same_as"], sqlite_where=is_merged, postgresql_where=is_merged, **how
    )
