"""Why a digest has no papers, and which papers a subscriber may have got without the log having them."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    op.add_column("sends", sa.Column("no_papers", sa.Text()))
    op.add_column("subscribers", sa.Column("unlogged_row", sa.Integer, nullable=False, server_default="0"))
    # For digests that were marked as sent, the log may have no papers.
    op.execute(
        'UPDATE subscribers SET unlogged_row = seen_row WHERE "row" IN '
        "(SELECT subscriber FROM sends WHERE state = 'sent' AND reason = 'marked as sent by the operator')"
    )
