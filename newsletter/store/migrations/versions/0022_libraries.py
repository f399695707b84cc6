"""Libraries of subscribers, alerts, and what OpenAlex knows about papers."""

import sqlalchemy as sa
from alembic import op

from newsletter.store.column_types import UtcDateTime

revision = "0022"
down_revision = "0021"


def upgrade() -> None:
    op.add_column("papers", sa.Column("venue", sa.Text()))
    op.add_column("saved_papers", sa.Column("exported_at", UtcDateTime()))
    op.add_column("saved_papers", sa.Column("export_key", sa.String()))
    op.add_column("saved_papers", sa.Column("export_attempts", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("saved_papers", sa.Column("export_not_before", UtcDateTime()))
    op.add_column("saved_papers", sa.Column("export_error", sa.Text()))
    op.create_index(op.f("ix_saved_papers_export_not_before"), "saved_papers", ["export_not_before"])
    op.add_column("sign_ups", sa.Column("library_name", sa.Text()))
    op.add_column("sign_ups", sa.Column("library_size", sa.Integer()))
    op.add_column("sign_ups", sa.Column("library", sa.Text()))
    _create_libraries()
    _create_openalex()


def _create_libraries() -> None:
    op.create_table(
        "libraries",
        sa.Column("row", sa.Integer(), nullable=False),
        sa.Column("subscriber", sa.Integer(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("collections", sa.JSON(), nullable=False),
        sa.Column("version", sa.Text()),
        sa.Column("encrypted_key", sa.Text()),
        sa.Column("can_write", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("tried_at", UtcDateTime()),
        sa.Column("synced_at", UtcDateTime()),
        sa.Column("error", sa.Text()),
        sa.Column("reported_at", UtcDateTime()),
        sa.ForeignKeyConstraint(["subscriber"], ["subscribers.row"], name=op.f("fk_libraries_subscriber")),
        sa.PrimaryKeyConstraint("row", name=op.f("pk_libraries")),
        sa.UniqueConstraint("subscriber", "address", name=op.f("uq_libraries_subscriber_address")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "library_items",
        sa.Column("row", sa.Integer(), nullable=False),
        sa.Column("library", sa.Integer(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("title_key", sa.Text(), nullable=False),
        sa.Column("abstract", sa.Text(), nullable=False),
        sa.Column("authors", sa.JSON(), nullable=False),
        sa.Column("arxiv_id", sa.String()),
        sa.Column("doi", sa.String()),
        sa.Column("published", sa.Date()),
        sa.Column("venue", sa.Text()),
        sa.Column("url", sa.Text()),
        sa.Column("keywords", sa.JSON(), nullable=False),
        sa.Column("collections", sa.JSON(), nullable=False),
        sa.Column("encoding", sa.Text()),
        sa.Column("encoded_by", sa.String()),
        sa.ForeignKeyConstraint(["library"], ["libraries.row"], name=op.f("fk_library_items_library")),
        sa.PrimaryKeyConstraint("row", name=op.f("pk_library_items")),
        sa.UniqueConstraint("library", "key", name=op.f("uq_library_items_library_key")),
        sqlite_autoincrement=True,
    )
    for column in ("title_key", "arxiv_id", "doi"):
        op.create_index(op.f(f"ix_library_items_{column}"), "library_items", [column])


def _create_openalex() -> None:
    op.create_table(
        "openalex_works",
        sa.Column("paper", sa.Integer(), nullable=False),
        sa.Column("openalex_id", sa.String()),
        sa.Column("authors", sa.JSON(), nullable=False),
        sa.Column("institutions", sa.JSON(), nullable=False),
        sa.Column("checked_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["paper"], ["papers.row"], name=op.f("fk_openalex_works_paper")),
        sa.PrimaryKeyConstraint("paper", name=op.f("pk_openalex_works")),
    )
    op.create_index(op.f("ix_openalex_works_checked_at"), "openalex_works", ["checked_at"])
    op.create_table(
        "cited_works",
        sa.Column("identifier", sa.String(), nullable=False),
        sa.Column("openalex_id", sa.String()),
        sa.Column("title", sa.Text()),
        sa.Column("checked_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("identifier", name=op.f("pk_cited_works")),
    )
    op.create_table(
        "citations",
        sa.Column("cited", sa.String(), nullable=False),
        sa.Column("paper", sa.Integer(), nullable=False),
        sa.Column("found_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["paper"], ["papers.row"], name=op.f("fk_citations_paper")),
        sa.PrimaryKeyConstraint("cited", "paper", name=op.f("pk_citations")),
    )
    for column in ("found_at", "paper"):
        op.create_index(op.f(f"ix_citations_{column}"), "citations", [column])
