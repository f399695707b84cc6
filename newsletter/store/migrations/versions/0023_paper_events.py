"""All identifiers and links of a paper, what became of it, and who was told."""

import sqlalchemy as sa
from alembic import op

from newsletter.store.column_types import Key, RowNumber, UtcDateTime

revision = "0023"
down_revision = "0022"


def upgrade() -> None:
    op.add_column("papers", sa.Column("other_ids", sa.JSON(), nullable=False, server_default="[]"))
    op.add_column("papers", sa.Column("status", sa.String()))
    op.add_column("papers", sa.Column("links", sa.JSON(), nullable=False, server_default="[]"))
    op.add_column("papers", sa.Column("same_as", sa.Integer()))
    op.create_index(op.f("ix_papers_same_as"), "papers", ["same_as"])
    op.create_table(
        "paper_identifiers",
        sa.Column("identifier", Key, nullable=False),
        sa.Column("paper", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["paper"], ["papers.row"], name=op.f("fk_paper_identifiers_paper")),
        sa.PrimaryKeyConstraint("identifier", name=op.f("pk_paper_identifiers")),
    )
    op.create_index(op.f("ix_paper_identifiers_paper"), "paper_identifiers", ["paper"])
    _create_events()


def _create_events() -> None:
    op.create_table(
        "paper_events",
        sa.Column("row", sa.Integer(), nullable=False),
        sa.Column("paper", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("key", Key, nullable=False),
        sa.Column("day", sa.Date()),
        sa.Column("details", sa.JSON(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("seen_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["paper"], ["papers.row"], name=op.f("fk_paper_events_paper")),
        sa.PrimaryKeyConstraint("row", name=op.f("pk_paper_events")),
        sa.UniqueConstraint("paper", "kind", "key", name=op.f("uq_paper_events_paper_kind_key")),
    )
    op.create_index(op.f("ix_paper_events_seen_at"), "paper_events", ["seen_at"])
    op.create_table(
        "send_events",
        sa.Column("send", RowNumber, nullable=False),
        sa.Column("event", sa.Integer(), nullable=False),
        sa.Column("subscriber", sa.Integer(), nullable=False),
        sa.Column("released", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.ForeignKeyConstraint(["event"], ["paper_events.row"], name=op.f("fk_send_events_event")),
        sa.ForeignKeyConstraint(["send"], ["sends.row"], name=op.f("fk_send_events_send")),
        sa.ForeignKeyConstraint(["subscriber"], ["subscribers.row"], name=op.f("fk_send_events_subscriber")),
        sa.PrimaryKeyConstraint("send", "event", name=op.f("pk_send_events")),
    )
    op.create_index(
        "uq_send_events_subscriber_event",
        "send_events",
        ["subscriber", "event"],
        unique=True,
        sqlite_where=sa.text("released = 0"),
        postgresql_where=sa.text("NOT released"),
    )
