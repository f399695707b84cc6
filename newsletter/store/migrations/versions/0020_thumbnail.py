"""The image of a paper that a source has, to show a small copy of it in digests."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"


def upgrade() -> None:
    op.add_column("papers", sa.Column("thumbnail_url", sa.Text(), nullable=True))
