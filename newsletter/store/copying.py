"""Copy a whole store into an empty one, from and to either kind of database.

Rows are transferred in the form in which SQLite stores them: numbers and texts, with times as texts in UTC. Nothing is
kept unless reading back the new store gives the same checksums.
"""

import hashlib
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    JSON,
    Boolean,
    Connection,
    Date,
    Engine,
    ForeignKeyConstraint,
    Integer,
    Table,
    bindparam,
    func,
    literal_column,
    select,
    text,
    tuple_,
)
from sqlalchemy.schema import AddConstraint, DropConstraint

from newsletter.errors import NewsletterError, UserError
from newsletter.store.column_types import StoredJson, UtcDateTime
from newsletter.store.database import display_name, reading, without_foreign_keys, writing
from newsletter.store.schema import metadata

OnProgress = Callable[[str, int, int], None]
"""Called with the current table, the number of its rows done, and the total."""

_BLOCK = 5_000
_CACHE = 64_000  # kB, for the indexes, which SQLite updates at random places

_NUL_IN_REPR, _IN_ITS_PLACE = r"\x00", "\N{REPLACEMENT CHARACTER}"


@dataclass(frozen=True, slots=True)
class TableChecksum:
    """The number of rows of a table, and the sum of their digests, which does not depend on their order."""

    rows: int = 0
    digests: int = 0

    @property
    def checksum(self) -> str:
        """Return the sum of the digests in the form that is shown."""
        return f"{self.digests:032x}"


def copy(source: Engine, target: Engine, on_progress: OnProgress) -> dict[str, TableChecksum]:
    """Copy everything in a store, as of one moment, into an empty one: all of it or nothing.

    The scheduled jobs of ``newsletter run`` are not copied; it creates them again.

    Returns:
        The contents of each table, the same in both stores.

    Raises:
        UserError: the target is not empty.
        NewsletterError: a store is unavailable, or the copy differs from the original.
    """
    tables = metadata.sorted_tables
    with reading(target) as connection:
        for table in tables:
            if connection.execute(select(table.primary_key.columns.values()[0]).limit(1)).first() is not None:
                raise UserError(f"TO: {display_name(target)} already contains a newsletter; choose an empty store")
    with reading(source) as origin, _to_be_filled(target) as connection, writing(target, connection) as copied:
        _prepare(copied)
        sums = {}
        for table in tables:
            sums[table.name] = _copy_table(origin, copied, table, on_progress)
            _carry_on_numbers(origin, copied, table)
        _finish(copied)
        for table in tables:
            if _sum_of(copied, table, on_progress, sums[table.name].rows) != sums[table.name]:
                raise NewsletterError(
                    f"{display_name(target)}: the copy of {table.name} differs from the original; nothing was kept"
                )
    return sums


@contextmanager
def _to_be_filled(target: Engine) -> Iterator[Connection]:
    """Open a connection that fills a store in one go.

    Meanwhile SQLite works without its write-ahead log (WAL), in which it would look up every page: an empty file has
    nothing to lose.
    """
    with without_foreign_keys(target) as connection:
        if target.dialect.name != "sqlite":
            yield connection
            return
        driver: Any = connection.connection.driver_connection
        try:
            driver.execute("PRAGMA journal_mode=DELETE")
        except sqlite3.OperationalError as error:
            raise NewsletterError(
                f"TO: {display_name(target)}: {error}; choose a store that no other process uses"
            ) from None
        try:
            yield connection
        finally:
            driver.execute("PRAGMA journal_mode=WAL")


def _copy_table(origin: Connection, copied: Connection, table: Table, on_progress: OnProgress) -> TableChecksum:
    rows = origin.execute(select(func.count()).select_from(table)).scalar_one()
    so_far = TableChecksum()
    on_progress(table.name, 0, rows)
    write = _write_postgresql if copied.dialect.name == "postgresql" else _write_sqlite
    for block in _blocks(origin, table):
        texts = list(map(repr, block))
        if copied.dialect.name == "postgresql" and any(_NUL_IN_REPR in one for one in texts):
            block = _without_nul(block)
            texts = list(map(repr, block))
        so_far = _add(so_far, texts)
        write(copied, table, block)
        on_progress(table.name, so_far.rows, rows)
    return so_far


def _sum_of(connection: Connection, table: Table, on_progress: OnProgress, rows: int) -> TableChecksum:
    so_far = TableChecksum()
    for block in _blocks(connection, table):
        so_far = _add(so_far, map(repr, block))
        on_progress(f"{table.name}, again", so_far.rows, rows)
    return so_far


def _add(so_far: TableChecksum, rows: Iterable[str]) -> TableChecksum:
    digests = [int.from_bytes(hashlib.blake2b(one.encode(), digest_size=16).digest()) for one in rows]
    return TableChecksum(so_far.rows + len(digests), (so_far.digests + sum(digests)) % 2**128)


def _blocks(connection: Connection, table: Table) -> Iterator[list[tuple[Any, ...]]]:
    """Yield the rows of a table in blocks, each starting after the key of the previous block's last row."""
    key = list(table.primary_key.columns)
    places = [list(table.columns).index(column) for column in key]
    columns: list[Any] = [literal_column(_as_kept(connection, column)) for column in table.columns]
    query = select(*columns).select_from(table).order_by(*key).limit(_BLOCK)
    after = [bindparam(f"after_{place}", type_=column.type) for place, column in enumerate(key)]
    further = query.where(tuple_(*key) > tuple_(*after) if len(key) > 1 else key[0] > after[0])
    block = list(map(tuple, connection.execute(query).all()))
    while block:
        yield block
        last = [_value(column.type, block[-1][place]) for column, place in zip(key, places, strict=True)]
        values = {one.key: value for one, value in zip(after, last, strict=True)}
        block = list(map(tuple, connection.execute(further, values).all()))


def _as_kept(connection: Connection, column: Any) -> str:
    name = f'"{column.name}"'
    if connection.dialect.name == "sqlite":
        # PostgreSQL does not accept damaged JSON; it is read as null here too.
        damaged = isinstance(column.type, StoredJson)
        return f"CASE WHEN json_valid({name}) THEN {name} ELSE 'null' END" if damaged else name
    if isinstance(column.type, UtcDateTime):
        return f"to_char({name} AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US')"
    if isinstance(column.type, Boolean):
        return f"{name}::int"
    return f"{name}::text" if isinstance(column.type, JSON | StoredJson | Date) else name


def _value(kind: Any, kept: Any) -> Any:
    """Convert a key's value, of which some are dates, to the type that SQLAlchemy expects."""
    return kind.python_type.fromisoformat(kept) if isinstance(kind, Date) else kept


def _without_nul(block: Sequence[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    return [tuple(one.replace("\0", _IN_ITS_PLACE) if isinstance(one, str) else one for one in row) for row in block]


def _write_sqlite(connection: Connection, table: Table, block: Sequence[tuple[Any, ...]]) -> None:
    marks = ", ".join("?" * len(table.columns))
    connection.exec_driver_sql(f'INSERT INTO "{table.name}" ({_names(table)}) VALUES ({marks})', list(block))  # noqa: S608


def _write_postgresql(connection: Connection, table: Table, block: Sequence[tuple[Any, ...]]) -> None:
    from psycopg.types.string import StrDumperUnknown

    cursor: Any = connection.connection.cursor()
    cursor.adapters.register_dumper(str, StrDumperUnknown)  # Faster; NUL characters are removed already.
    with cursor, cursor.copy(f'COPY "{table.name}" ({_names(table)}) FROM STDIN') as wire:
        for row in block:
            wire.write_row(row)


def _names(table: Table) -> str:
    return ", ".join(f'"{column.name}"' for column in table.columns)


def _prepare(connection: Connection) -> None:
    """Drop indexes and foreign keys for now: both are much faster for all rows together than for each."""
    for table in metadata.sorted_tables:
        for index in table.indexes:
            index.drop(connection)
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql(f"PRAGMA cache_size = -{_CACHE}")
        return
    connection.exec_driver_sql("SET LOCAL TimeZone = 'UTC'")
    for reference in _references():
        connection.execute(DropConstraint(reference))


def _finish(connection: Connection) -> None:
    for table in metadata.sorted_tables:
        for index in table.indexes:
            index.create(connection)
    if connection.dialect.name == "postgresql":
        for reference in _references():
            connection.execute(AddConstraint(reference))
        # Otherwise the first queries would be planned for empty tables.
        names = ", ".join(f'"{table.name}"' for table in metadata.sorted_tables)
        connection.exec_driver_sql(f"ANALYZE {names}")
    elif connection.exec_driver_sql("PRAGMA foreign_key_check").first() is not None:
        raise NewsletterError("FROM: some of its rows refer to missing rows; nothing was copied")


def _references() -> list[ForeignKeyConstraint]:
    found = (one for table in metadata.sorted_tables for one in table.foreign_key_constraints)
    return sorted(found, key=lambda one: str(one.name))


def _carry_on_numbers(origin: Connection, copied: Connection, table: Table) -> None:
    """Continue the numbering of the old store, so that no number it ever gave is reused: not even that of a deleted
    subscriber.
    """
    key = list(table.primary_key.columns)
    if len(key) > 1 or not isinstance(key[0].type, Integer) or not key[0].autoincrement:
        return
    highest = origin.execute(select(func.coalesce(func.max(key[0]), 0))).scalar_one()
    given = max(highest, _last_number(origin, table, key[0].name) or 0)
    if not given:
        return
    if copied.dialect.name == "postgresql":
        sequence = func.pg_get_serial_sequence(table.name, key[0].name)
        copied.execute(select(func.setval(sequence, given)))
    elif table.dialect_options["sqlite"]["autoincrement"]:
        copied.execute(text("DELETE FROM sqlite_sequence WHERE name = :name"), {"name": table.name})
        copied.execute(text("INSERT INTO sqlite_sequence VALUES (:name, :given)"), {"name": table.name, "given": given})


def _last_number(connection: Connection, table: Table, column: str) -> int | None:
    if connection.dialect.name == "postgresql":
        query = text("SELECT pg_sequence_last_value(pg_get_serial_sequence(:name, :column)::regclass)")
    elif table.dialect_options["sqlite"]["autoincrement"]:
        query = text("SELECT seq FROM sqlite_sequence WHERE name = :name AND :column != ''")
    else:
        return None
    found: int | None = connection.execute(query, {"name": table.name, "column": column}).scalar()
    return found
