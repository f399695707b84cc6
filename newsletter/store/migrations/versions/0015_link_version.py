"""Links that can be revoked, requests that are confirmed by email, and used challenges."""

import sqlalchemy as sa
from alembic import op

from newsletter.store.column_types import UtcDateTime

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    op.add_column("subscribers", sa.Column("link_version", sa.Integer, nullable=False, server_default="0"))
    op.add_column("sign_ups", sa.Column("kind", sa.Text, nullable=False, server_default="sign_up"))
    op.add_column("sign_ups", sa.Column("subscriber", sa.Integer))
    op.add_column("sign_ups", sa.Column("new_email", sa.Text))
    op.create_index(op.f("ix_sign_ups_subscriber"), "sign_ups", ["subscriber"])
    op.create_table(
        "solved_challenges",
        sa.Column("digest", sa.String, primary_key=True),
        sa.Column("expires_at", UtcDateTime, nullable=False),
    )
    op.create_index(op.f("ix_solved_challenges_expires_at"), "solved_challenges", ["expires_at"])
