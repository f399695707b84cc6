"""Authors in a table of their own, by which papers are found."""

import sqlalchemy as sa
from alembic import op

from newsletter.store.paper_authors import keyed_names

revision = "0017"
down_revision = "0016"

_BLOCK = 1_000


def upgrade() -> None:
    bind = op.get_bind()
    text = sa.Text(collation="C") if bind.dialect.name == "postgresql" else sa.Text()
    table = op.create_table(
        "paper_authors",
        sa.Column("key", text, primary_key=True),
        sa.Column("name", text, primary_key=True),
        sa.Column("paper", sa.Integer(), sa.ForeignKey("papers.row"), primary_key=True),
        sqlite_with_rowid=False,
    )
    papers = sa.table("papers", sa.column("row", sa.Integer), sa.column("authors", sa.JSON))
    after = 0
    while True:
        query = sa.select(papers.c.row, papers.c.authors).where(papers.c.row > after).order_by(papers.c.row)
        block = bind.execute(query.limit(_BLOCK)).all()
        if not block:
            break
        rows = [
            {"key": key, "name": name, "paper": row} for row, authors in block for key, name in keyed_names(authors)
        ]
        if rows:
            bind.execute(table.insert(), rows)
        after = block[-1].row
