"""Opening a store: SQLite by default, PostgreSQL by URL, brought to the present schema as it is opened."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import cache
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, Table, create_engine, event, func, inspect, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import make_url
from sqlalchemy.exc import (
    ArgumentError,
    DatabaseError,
    DataError,
    DBAPIError,
    IntegrityError,
    NoSuchModuleError,
    NotSupportedError,
    OperationalError,
    ProgrammingError,
)

from newsletter.errors import NewsletterError, UserError

HEAD = "0016"
"""The revision of the schema that this program works with: the last one in ``migrations/versions/``."""

_BUSY_SECONDS = 30.0
_TURN = 2  # milliseconds
_BEGIN_WRITING = "BEGIN IMMEDIATE"

_CONNECT_SECONDS = 10
_LOCKS = 0x6E6C  # ours among the advisory locks of a PostgreSQL that others use too
_LOOK_SECONDS = 0.1
_POSTGRESQL = {
    "lock_timeout": int(_BUSY_SECONDS * 1000),
    # The server, too, is to miss a client that is cut off: what it had locked is free before others give up.
    "tcp_keepalives_idle": 10,
    "tcp_keepalives_interval": 5,
    "tcp_keepalives_count": 2,
    "tcp_user_timeout": 20_000,
}


def open_store(url: str, named: str = "store.url") -> Engine:
    """Open the store at an SQLAlchemy URL, making or migrating it where needed.

    Args:
        named: what the URL is called where it was given.

    Raises:
        UserError: the URL names no store that can be opened.
        NewsletterError: the store cannot be reached, was made by a newer program, or is damaged.
    """
    engine = _connect(url, named)
    _migrate(engine)
    return engine


def _connect(url: str, named: str) -> Engine:
    try:
        parsed = _with_driver(make_url(url))
        if parsed.get_backend_name() == "sqlite" and parsed.database and parsed.database != ":memory:":
            Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
            # It holds people's addresses: for its owner alone.
            Path(parsed.database).touch(mode=0o600)
        engine = create_engine(parsed, **_options(parsed))
    except ImportError as error:
        if url.startswith("postgres"):
            raise UserError(f"{named}: PostgreSQL needs a driver; pip install 'newsletter[postgresql]'") from None
        raise UserError(f"{named}: {url.partition('://')[0]!r} cannot be used: {error}") from None
    except (ArgumentError, NoSuchModuleError, ValueError) as error:
        raise UserError(
            f"{named}: {url.partition('://')[0]!r} cannot be used: {error}; write it like sqlite:///var/newsletter.db"
        ) from None
    except OSError as error:
        raise UserError(f"{named}: {error.filename}: {error.strerror}; choose a folder that can be written") from None
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _set_up_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    else:
        event.listen(engine, "connect", _set_up_postgresql)
    try:
        with translate_errors(engine):
            engine.connect().close()
    except TypeError as error:  # an option behind a question mark that the driver does not know
        raise UserError(
            f"{named}: {display_name(engine)}: {error}; write it like sqlite:///var/newsletter.db"
        ) from None
    except ProgrammingError as error:  # the same, of PostgreSQL's driver
        raise UserError(
            f"{named}: {display_name(engine)}: {_words(error)}; see docs/reference/configuration.md"
        ) from None
    return engine


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A transaction that only reads, and sees one moment of the store from its first query to its last.

    Raises:
        NewsletterError: the store cannot be read at present, or is damaged.
    """
    options: dict[str, Any] = {}
    if engine.dialect.name == "postgresql":
        options = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
    with translate_errors(engine), engine.connect().execution_options(**options) as connection, connection.begin():
        yield connection


@contextmanager
def writing(engine: Engine, connected: Connection | None = None) -> Iterator[Connection]:
    """A transaction that writes: all of it or nothing. SQLite takes its write lock at once, so that it never has to
    give up a transaction that began with reading.

    Args:
        connected: a connection to use, instead of any.

    Raises:
        NewsletterError: the store stayed locked, is damaged, or its disk is full.
    """
    with translate_errors(engine), engine.connect() if connected is None else nullcontext(connected) as connection:
        connection.execution_options(newsletter_writes=True)
        with connection.begin():
            yield connection


def writes(connection: Connection) -> bool:
    """Whether this is a transaction of :func:`writing`. What it reads of one person, and is to judge by, it locks."""
    return bool(connection.get_execution_options().get("newsletter_writes", False))


def advisory_lock(connection: Connection, work: str) -> None:
    """Wait until no other transaction is at the same work, and keep others from it until this one ends. For what is
    read first and then written where no row is there to be locked. In SQLite who writes is alone anyway.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_advisory_xact_lock(_LOCKS, func.hashtext(work))))


def upsert(connection: Connection, table: Table) -> Any:
    """An INSERT that knows ON CONFLICT, which SQLAlchemy has for each kind of database apart."""
    return upsert_for(connection.dialect.name, table)


def upsert_for(dialect: str, table: Table) -> Any:
    """The same, for who keeps it for many connections to one kind of database."""
    return (postgresql.insert if dialect == "postgresql" else sqlite.insert)(table)


@contextmanager
def secure_delete(engine: Engine) -> Iterator[Connection]:
    """The same, with what is deleted overwritten in SQLite's file."""
    with writing(engine) as connection:
        if connection.dialect.name != "sqlite":
            yield connection
            return
        usual = connection.exec_driver_sql("PRAGMA secure_delete").scalar_one()
        connection.exec_driver_sql("PRAGMA secure_delete=ON")
        try:
            yield connection
        finally:
            connection.exec_driver_sql(f"PRAGMA secure_delete={usual}")


def vacuum(engine: Engine) -> None:
    """Write SQLite's file anew from what is in the store, so that nothing is left in it of what was deleted, nor in the
    log beside it. It takes as much room again as the store, for so long.

    Raises:
        NewsletterError: other processes use the store all the time, or the disk is full.
    """
    if engine.dialect.name != "sqlite":
        return
    outside = engine.connect().execution_options(newsletter_transaction=False)
    with translate_errors(engine), outside as connection:
        connection.exec_driver_sql("VACUUM")
        busy, *_ = connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").one()
    if busy:
        raise NewsletterError(f"store: {display_name(engine)}: other processes read it; run it again")


@contextmanager
def translate_errors(engine: Engine) -> Iterator[None]:
    """What goes wrong with the store itself, in our words. Many a command that only reads writes a little on its way
    (files that changed), so that nothing is said of what was kept.
    """
    try:
        yield
    except IntegrityError as error:
        raise NewsletterError(
            f"store: {display_name(engine)}: another process was first ({_words(error)}); run it again"
        ) from error
    except OperationalError as error:
        fix = "check the disk and who else uses it, then run it again"
        if engine.dialect.name == "postgresql":
            fix = "check that its server runs, and store.url, then run it again"
        raise NewsletterError(f"store: {display_name(engine)}: {_words(error)}; {fix}") from error
    except (DataError, NotSupportedError, ProgrammingError):
        raise  # a mistake of ours
    except DBAPIError as error:
        if engine.dialect.name == "postgresql":
            raise NewsletterError(f"store: {display_name(engine)}: {_words(error)}; run it again") from error
        if not isinstance(error, DatabaseError):
            raise
        raise NewsletterError(
            f"store: {display_name(engine)} is damaged or not a newsletter store: {error.orig}; restore a backup"
        ) from error


def _words(error: DBAPIError) -> str:
    """What the database says, in one line: PostgreSQL adds details and hints on lines of their own."""
    lines = [line.strip() for line in str(error.orig).splitlines()]
    return next((line for line in lines if line), type(error.orig).__name__).rstrip(".;")


def _with_driver(url: URL) -> URL:
    if url.drivername in ("postgresql", "postgres"):
        return url.set(drivername="postgresql+psycopg")
    return url


def _options(url: URL) -> dict[str, Any]:
    if url.get_backend_name() == "sqlite":
        return {"connect_args": {"timeout": _BUSY_SECONDS, "check_same_thread": False}}
    if url.get_driver_name() != "psycopg":
        raise ValueError("a newsletter's store is SQLite, or PostgreSQL by psycopg")
    usual: dict[str, Any] = {
        "connect_timeout": _CONNECT_SECONDS,
        "application_name": "newsletter",
        # A server that is cut off is missed within a minute, not within the system's two hours.
        "keepalives_idle": 20,
        "keepalives_interval": 10,
        "keepalives_count": 3,
        "tcp_user_timeout": 50_000,
        "options": " ".join(f"-c {name}={value}" for name, value in _POSTGRESQL.items()),
    }
    return {
        # A connection that broke while nobody used it is made anew.
        "pool_pre_ping": True,
        "connect_args": {name: value for name, value in usual.items() if name not in url.query},
    }


def _set_up_postgresql(connection: Any, _record: object) -> None:
    connection.adapters.register_dumper(str, _text_dumper())


@cache
def _text_dumper() -> Any:
    from psycopg.types.string import StrDumperUnknown

    class TextDumper(StrDumperUnknown):
        def dump(self, obj: str) -> Any:
            # PostgreSQL keeps no NUL, which SQLite does.
            return super().dump(obj.replace("\0", "\N{REPLACEMENT CHARACTER}"))

    return TextDumper


def _set_up_sqlite(connection: Any, _record: object) -> None:
    # The driver's own transaction handling is switched off: it would begin too late for _begin_sqlite.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA foreign_keys=ON")
    # A settled send must survive a power cut, or it would be sent again.
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    options = connection.get_execution_options()
    if not options.get("newsletter_transaction", True):
        return
    if options.get("newsletter_writes", False):
        _begin_writing(connection)
    else:
        connection.exec_driver_sql("BEGIN")


def _begin_writing(connection: Connection) -> None:
    """Take the write lock of SQLite, in short turns: its own waiting sleeps longer and longer, up to a tenth of a
    second, while the lock is free for others again and again.
    """
    driver: Any = connection.connection.driver_connection
    (patience,) = driver.execute("PRAGMA busy_timeout").fetchone()
    end = time.monotonic() + patience / 1000
    driver.execute(f"PRAGMA busy_timeout={min(_TURN, patience)}")
    try:
        while True:
            try:
                driver.execute(_BEGIN_WRITING)
                return
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > end:
                    raise OperationalError(_BEGIN_WRITING, None, error) from error
    finally:
        driver.execute(f"PRAGMA busy_timeout={patience}")


def _migrate(engine: Engine) -> None:
    if _revision(engine) == HEAD:
        return
    # Only here, since Alembic is slow to import and a store is up to date nearly always.
    from alembic import command
    from alembic.config import Config as AlembicConfig
    from alembic.script import ScriptDirectory

    config = AlembicConfig()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    script = ScriptDirectory.from_config(config)
    present = _revision(engine)
    known = {revision.revision for revision in script.walk_revisions()}
    if present is not None and present not in known:
        raise NewsletterError(
            f"store: {display_name(engine)} was made by a newer newsletter ({present}); upgrade this program"
        )
    with translate_errors(engine), _connection_to_migrate(engine) as connection:
        # A second process may wait here while the first migrates; Alembic then finds nothing left to do.
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


@contextmanager
def _connection_to_migrate(engine: Engine) -> Iterator[Connection]:
    """SQLite is migrated in one transaction. PostgreSQL takes one for each migration, since an index of a large table
    is made outside of any.
    """
    if engine.dialect.name == "sqlite":
        with without_foreign_keys(engine) as unchecked, writing(engine, unchecked) as connection:
            yield connection
        return
    lock = select(func.pg_try_advisory_lock(_LOCKS, func.hashtext("migrate")))
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as outside:
        # Who waited for the lock inside a query would keep the index that is being made waiting for that query.
        while not outside.execute(lock).scalar():
            time.sleep(_LOOK_SECONDS)
        try:
            with engine.connect() as connection:
                connection.exec_driver_sql("SET lock_timeout = 0")
                connection.commit()
                yield connection
                connection.rollback()
        finally:
            outside.invalidate()  # With the session ends the lock, whatever became of it.


@contextmanager
def without_foreign_keys(engine: Engine) -> Iterator[Connection]:
    """A connection on which SQLite does not look whether the row is there that another refers to: it changes a table
    that others refer to only by making it anew, and cannot leave off looking inside a transaction.
    """
    with translate_errors(engine), engine.connect() as connection:
        if engine.dialect.name != "sqlite":
            yield connection
            return
        # Below SQLAlchemy, which would begin a transaction.
        cursor = connection.connection.cursor()
        cursor.execute("PRAGMA foreign_keys=OFF")
        try:
            yield connection
        finally:
            cursor.execute("PRAGMA foreign_keys=ON")
            cursor.close()


def _revision(engine: Engine) -> str | None:
    with reading(engine) as connection:
        if not inspect(connection).has_table("alembic_version"):
            return None
        found = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
    return str(found) if found is not None else None


def display_name(engine: Engine) -> str:
    """How a store is spoken of: SQLite's by its file, another by its URL without what is secret in it."""
    if engine.dialect.name == "sqlite" and engine.url.database:
        return engine.url.database
    return engine.url.set(query={}).render_as_string(hide_password=True)
