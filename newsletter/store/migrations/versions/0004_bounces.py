"""Bounces, and the addresses that get no mail."""

import hashlib

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.create_table(
        "bounces",
        sa.Column("row", sa.Integer(), nullable=False),
        sa.Column("subscriber", sa.Integer(), nullable=True),
        sa.Column("send", sa.Integer(), nullable=True),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("status", sa.String(), nullable=True),
        sa.Column("diagnostic", sa.Text(), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("effect", sa.String(), nullable=True),
        sa.Column("digest", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["subscriber"], ["subscribers.row"], name=op.f("fk_bounces_subscriber")),
        sa.ForeignKeyConstraint(["send"], ["sends.row"], name=op.f("fk_bounces_send")),
        sa.PrimaryKeyConstraint("row", name=op.f("pk_bounces")),
        sa.UniqueConstraint("digest", name=op.f("uq_bounces_digest")),
    )
    op.create_index(op.f("ix_bounces_subscriber_received_at"), "bounces", ["subscriber", "received_at"])
    suppressions = op.create_table(
        "suppressions",
        sa.Column("address_digest", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("address_digest", name=op.f("pk_suppressions")),
    )
    ended = sa.text(
        "SELECT email_key, state, state_since AS since FROM subscribers WHERE state IN ('unsubscribed', 'bounced')"
    ).columns(since=sa.DateTime(timezone=True))
    rows = [
        {"address_digest": hashlib.sha256(row.email_key.encode()).hexdigest(), "reason": row.state, "since": row.since}
        for row in op.get_bind().execute(ended)
    ]
    if rows:
        op.bulk_insert(suppressions, rows)
