"""Room for more sends than a number of four bytes counts, and keys that PostgreSQL compares byte by byte."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"

_OF_SENDS = (("sends", "row"), ("send_papers", "send"), ("bounces", "send"))


def upgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        return  # Its numbers have eight bytes, and it compares so.
    for table, column in _OF_SENDS:
        op.alter_column(table, column, type_=sa.BigInteger(), existing_type=sa.Integer())
    op.execute("ALTER SEQUENCE sends_row_seq AS bigint")
    # Those who begin alike are then found by the index, whatever language the database was made for.
    op.alter_column("subscribers", "email_key", type_=sa.Text(collation="C"), existing_type=sa.Text())
