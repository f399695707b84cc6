"""Why a digest without papers has none, for messages that say so."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    op.add_column("sends", sa.Column("no_papers", sa.Text()))
