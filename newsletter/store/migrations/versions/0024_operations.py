"""Announcements and messages, tags, accounts, an audit log, and webhooks."""

from typing import Any

import sqlalchemy as sa
from alembic import op

from newsletter.store.column_types import Key, RowNumber, UtcDateTime

revision = "0024"
down_revision = "0023"

_DIGEST, _MAILING = "mailing IS NULL", "mailing IS NOT NULL"


def upgrade() -> None:
    _create_mailings()
    _change_sends()
    _create_accounts()
    _create_webhooks()
    _create_reloads()


def _create_mailings() -> None:
    op.create_table(
        "subscriber_tags",
        sa.Column("tag", Key, nullable=False),
        sa.Column("subscriber", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["subscriber"], ["subscribers.row"], name=op.f("fk_subscriber_tags_subscriber")),
        sa.PrimaryKeyConstraint("tag", "subscriber", name=op.f("pk_subscriber_tags")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_subscriber_tags_subscriber"), "subscriber_tags", ["subscriber"])
    op.create_table(
        "mailings",
        sa.Column("row", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("paused_at", UtcDateTime()),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("format", sa.String(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("data", sa.JSON(), nullable=False, server_default="{}"),
        sa.Column("tag", Key),
        sa.Column("subscriber", sa.Integer()),
        sa.Column("send_at", UtcDateTime(), nullable=False),
        sa.Column("local_time", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("planned_row", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("planned_at", UtcDateTime()),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("form", Key),
        sa.Column("settled_at", UtcDateTime()),
        sa.PrimaryKeyConstraint("row", name=op.f("pk_mailings")),
        sa.UniqueConstraint("form", name=op.f("uq_mailings_form")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_mailings_state"), "mailings", ["state"])
    op.create_index(op.f("ix_mailings_subscriber"), "mailings", ["subscriber"])


def _change_sends() -> None:
    """Let a subscriber have a digest and mailings on one day: SQLite changes a constraint by a new table only."""
    key = op.f("fk_sends_mailing")
    if op.get_bind().dialect.name == "sqlite":
        with op.batch_alter_table("sends", recreate="always") as sends:
            sends.drop_constraint("uq_sends_edition_subscriber", type_="unique")
            sends.add_column(sa.Column("mailing", sa.Integer()))
            sends.create_foreign_key(key, "mailings", ["mailing"], ["row"])
        _index_sends()
        return
    op.add_column("sends", sa.Column("mailing", sa.Integer()))
    op.create_foreign_key(key, "sends", "mailings", ["mailing"], ["row"])
    # Concurrently with writers; an interrupted one has left invalid indexes.
    with op.get_context().autocommit_block():
        for name in ("uq_sends_digest", "uq_sends_mailing", "ix_sends_mailing_state", "ix_sends_edition_state_mailing"):
            op.drop_index(name, table_name="sends", if_exists=True, postgresql_concurrently=True)
        _index_sends(postgresql_concurrently=True)
        op.execute("ALTER TABLE sends DROP CONSTRAINT IF EXISTS uq_sends_edition_subscriber")


def _index_sends(**how: Any) -> None:
    of_edition, of_mailing = ["edition", "subscriber"], ["mailing", "subscriber"]
    for name, columns, where in (("digest", of_edition, _DIGEST), ("mailing", of_mailing, _MAILING)):
        only = sa.text(where)
        op.create_index(
            f"uq_sends_{name}", "sends", columns, unique=True, sqlite_where=only, postgresql_where=only, **how
        )
    only = sa.text(_MAILING)
    op.create_index(
        op.f("ix_sends_mailing_state"), "sends", ["mailing", "state"], sqlite_where=only, postgresql_where=only, **how
    )
    op.create_index(op.f("ix_sends_edition_state_mailing"), "sends", ["edition", "state", "mailing"], **how)
    op.drop_index(op.f("ix_sends_edition_state"), table_name="sends", if_exists=True, **how)


def _create_accounts() -> None:
    # What a token was good for before: reading.
    scopes = """'["read", "metrics"]'"""
    op.add_column("operator_tokens", sa.Column("scopes", sa.JSON(), nullable=False, server_default=sa.text(scopes)))
    op.add_column("operator_tokens", sa.Column("created_by", sa.Text(), nullable=False, server_default=""))
    op.create_table(
        "operators",
        sa.Column("row", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("name_key", Key, nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("last_login", UtcDateTime()),
        sa.PrimaryKeyConstraint("row", name=op.f("pk_operators")),
        sa.UniqueConstraint("name_key", name=op.f("uq_operators_name_key")),
        sqlite_autoincrement=True,
    )
    # Sessions were started with tokens before; whoever had one logs in with an account.
    op.drop_table("operator_sessions")
    op.create_table(
        "operator_sessions",
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("operator", sa.Integer(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("expires_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["operator"], ["operators.row"], name=op.f("fk_operator_sessions_operator"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_operator_sessions")),
    )
    op.create_index(op.f("ix_operator_sessions_operator"), "operator_sessions", ["operator"])
    op.create_table(
        "audit_log",
        sa.Column("row", sa.Integer(), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("action", sa.String(), nullable=False),
        sa.Column("subscriber", sa.Integer()),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("details", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("row", name=op.f("pk_audit_log")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_audit_log_at"), "audit_log", ["at"])
    op.create_index(op.f("ix_audit_log_subscriber"), "audit_log", ["subscriber"])
    op.create_index(op.f("ix_audit_log_actor_row"), "audit_log", ["actor", "row"])


def _create_webhooks() -> None:
    op.create_table(
        "idempotency_keys",
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("request_digest", sa.String(), nullable=False),
        sa.Column("attempt", sa.String(), nullable=False),
        sa.Column("status", sa.Integer()),
        sa.Column("response", sa.JSON(), nullable=False, server_default="null"),
        sa.Column("subscriber", sa.Integer()),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_idempotency_keys")),
    )
    op.create_index(op.f("ix_idempotency_keys_subscriber"), "idempotency_keys", ["subscriber"])
    op.create_index(op.f("ix_idempotency_keys_created_at"), "idempotency_keys", ["created_at"])
    op.create_table(
        "provider_notices",
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("received_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_provider_notices")),
    )
    op.create_index(op.f("ix_provider_notices_received_at"), "provider_notices", ["received_at"])
    op.create_table(
        "webhook_events",
        sa.Column("row", RowNumber, nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("payload", sa.JSON(), nullable=False),
        sa.Column("subscriber", sa.Integer()),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("row", name=op.f("pk_webhook_events")),
        sa.UniqueConstraint("id", name=op.f("uq_webhook_events_id")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_webhook_events_created_at"), "webhook_events", ["created_at"])
    op.create_index(op.f("ix_webhook_events_subscriber"), "webhook_events", ["subscriber"])
    op.create_table(
        "webhook_deliveries",
        sa.Column("event", RowNumber, nullable=False),
        sa.Column("endpoint", Key, nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("since", UtcDateTime(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_at", UtcDateTime()),
        sa.Column("status", sa.Integer()),
        sa.Column("error", sa.Text()),
        sa.Column("settled_at", UtcDateTime()),
        sa.ForeignKeyConstraint(["event"], ["webhook_events.row"], name=op.f("fk_webhook_deliveries_event")),
        sa.PrimaryKeyConstraint("event", "endpoint", name=op.f("pk_webhook_deliveries")),
    )
    op.create_index(
        op.f("ix_webhook_deliveries_endpoint_state_next_at"), "webhook_deliveries", ["endpoint", "state", "next_at"]
    )
    op.create_index(op.f("ix_webhook_deliveries_state_settled_at"), "webhook_deliveries", ["state", "settled_at"])
    op.create_table(
        "webhook_stops",
        sa.Column("endpoint", Key, nullable=False),
        sa.Column("since", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("endpoint", name=op.f("pk_webhook_stops")),
    )


def _create_reloads() -> None:
    op.create_table(
        "config_reloads",
        sa.Column("row", sa.Integer(), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("process", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("changed", sa.JSON(), nullable=False),
        sa.Column("needs_restart", sa.JSON(), nullable=False),
        sa.Column("problems", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("row", name=op.f("pk_config_reloads")),
        sqlite_autoincrement=True,
    )
