"""Large stores: indexes for all queries, and larger row numbers."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"

_NEW = (
    ("subscribers", ["state", "next_due", "row"]),
    ("subscribers", ["state", "state_since"]),
    ("subscribers", ["state", "paused_until"]),
    ("subscribers", ["created_at"]),
    ("sends", ["state", "not_before", "row", "domain"]),
    ("bounces", ["received_at"]),
)
_OLD = (("subscribers", "ix_subscribers_state_next_due"), ("sends", "ix_sends_state_not_before_row"))
_OF_SENDS = (("sends", "row"), ("send_papers", "send"), ("bounces", "send"))


def upgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        for table, columns in _NEW:
            op.create_index(_name(table, columns), table, columns)
        for table, name in _OLD:
            op.drop_index(name, table_name=table)
        return
    # More sends than four-byte numbers can count; no newsletter had its store in PostgreSQL before.
    for table, column in _OF_SENDS:
        op.alter_column(table, column, type_=sa.BigInteger(), existing_type=sa.Integer())
    op.execute("ALTER SEQUENCE sends_row_seq AS bigint")
    # Lets the index find common prefixes, whatever the language of the database.
    op.alter_column("subscribers", "email_key", type_=sa.Text(collation="C"), existing_type=sa.Text())
    # Each send changes its state twice: dead rows slow down the search for sends to claim.
    op.execute("ALTER TABLE sends SET (autovacuum_vacuum_scale_factor = 0.02)")
    # Concurrently with writers; an interrupted one has left an invalid index.
    with op.get_context().autocommit_block():
        for table, columns in _NEW:
            name = _name(table, columns)
            op.drop_index(name, table_name=table, if_exists=True, postgresql_concurrently=True)
            op.create_index(name, table, columns, postgresql_concurrently=True)
        for table, name in _OLD:
            op.drop_index(name, table_name=table, if_exists=True, postgresql_concurrently=True)


def _name(table: str, columns: list[str]) -> str:
    return "_".join(("ix", table, *columns))
