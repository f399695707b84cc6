"""Who made the summary that a source gives of a paper, so that it can be labelled where it is shown."""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    op.add_column("papers", sa.Column("summary_by", sa.Text(), nullable=True))
