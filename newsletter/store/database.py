"""Open a store: SQLite by default, PostgreSQL by URL; its schema is migrated when it is opened."""

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

HEAD = "0025"
"""The schema revision that this program works with: the latest in ``migrations/versions/``."""

_BUSY_SECONDS = 30.0
_TURN = 2  # milliseconds
_BEGIN_WRITING = "BEGIN IMMEDIATE"

_CONNECT_SECONDS = 10
_LOCKS = 0x6E6C  # namespace of our advisory locks in a shared PostgreSQL
_LOOK_SECONDS = 0.1
_POSTGRESQL = {
    "lock_timeout": int(_BUSY_SECONDS * 1000),
    # The server, too, must notice a client that is cut off, so that its locks are free before others time out.
    "tcp_keepalives_idle": 10,
    "tcp_keepalives_interval": 5,
    "tcp_keepalives_count": 2,
    "tcp_user_timeout": 20_000,
}


def open_store(url: str, named: str = "store.url") -> Engine:
    """Open the store at an SQLAlchemy URL, creating or migrating it if needed.

    Args:
        named: the name of the setting or argument that has the URL, for errors.

    Raises:
        UserError: the URL is not one of a store that can be opened.
        NewsletterError: the store cannot be reached, was created by a newer program, or is damaged.
    """
    engine = _connect(url, named)
    _migrate(engine)
    return engine


def _connect(url: str, named: str) -> Engine:
    try:
        parsed = _with_driver(make_url(url))
        if parsed.get_backend_name() == "sqlite" and parsed.database and parsed.database != ":memory:":
            Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
            # It contains personal data, so only its owner may read it.
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
        raise UserError(f"{named}: {error.filename}: {error.strerror}; choose a writable folder") from None
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _set_up_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    else:
        event.listen(engine, "connect", _set_up_postgresql)
    try:
        with translate_errors(engine):
            engine.connect().close()
    except TypeError as error:  # an option after the question mark that the driver does not know
        raise UserError(
            f"{named}: {display_name(engine)}: {error}; write it like sqlite:///var/newsletter.db"
        ) from None
    except ProgrammingError as error:  # the same, from PostgreSQL's driver
        raise UserError(
            f"{named}: {display_name(engine)}: {_words(error)}; see docs/reference/configuration.md"
        ) from None
    return engine


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """Open a read-only transaction, which sees the store as of one moment.

    Raises:
        NewsletterError: the store is unavailable or damaged.
    """
    options: dict[str, Any] = {}
    if engine.dialect.name == "postgresql":
        options = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
    with translate_errors(engine), engine.connect().execution_options(**options) as connection, connection.begin():
        yield connection


@contextmanager
def writing(engine: Engine, connected: Connection | None = None) -> Iterator[Connection]:
    """Open a writing transaction: all of it or nothing. SQLite takes its write lock right away, so that no transaction
    that began with reading has to be given up.

    Args:
        connected: a connection to use, instead of a new one.

    Raises:
        NewsletterError: the store stayed locked, is damaged, or its disk is full.
    """
    with translate_errors(engine), engine.connect() if connected is None else nullcontext(connected) as connection:
        connection.execution_options(newsletter_writes=True)
        with connection.begin():
            yield connection


def writes(connection: Connection) -> bool:
    """Return whether this is a transaction of :func:`writing`, which locks the subscribers it reads."""
    return bool(connection.get_execution_options().get("newsletter_writes", False))


def advisory_lock(connection: Connection, work: str) -> None:
    """Wait until no other transaction holds the same lock, and hold it until this one ends.

    Use it to read and then write where there is no row to lock yet. SQLite has only one writer at a time anyway.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_advisory_xact_lock(_LOCKS, func.hashtext(work))))


def upsert(connection: Connection, table: Table) -> Any:
    """Return an INSERT that supports ON CONFLICT, which SQLAlchemy has separately for each kind of database."""
    return upsert_for(connection.dialect.name, table)


def upsert_for(dialect: str, table: Table) -> Any:
    """Do the same for callers that reuse the statement on many connections to one kind of database."""
    return (postgresql.insert if dialect == "postgresql" else sqlite.insert)(table)


@contextmanager
def secure_delete(engine: Engine) -> Iterator[Connection]:
    """Open a writing transaction that also overwrites what it deletes in SQLite's file."""
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
    """Rebuild SQLite's file from the contents of the store, so that nothing deleted remains in it or in its log.

    Meanwhile this needs as much disk space again as the store.

    Raises:
        NewsletterError: other processes keep using the store, or the disk is full.
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
    """Translate database errors to our own, with a fix.

    They do not say what was kept: many a command that only reads also writes a little, such as subscriber files that
    changed.
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
        raise  # a bug of ours
    except DBAPIError as error:
        if engine.dialect.name == "postgresql":
            raise NewsletterError(f"store: {display_name(engine)}: {_words(error)}; run it again") from error
        if not isinstance(error, DatabaseError):
            raise
        raise NewsletterError(
            f"store: {display_name(engine)} is damaged or not a newsletter store: {error.orig}; restore a backup"
        ) from error


def _words(error: DBAPIError) -> str:
    """Return the database's error in one line: PostgreSQL adds details and hints on separate lines."""
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
        raise ValueError("a store must be SQLite, or PostgreSQL with psycopg")
    usual: dict[str, Any] = {
        "connect_timeout": _CONNECT_SECONDS,
        "application_name": "newsletter",
        # Notice a server that is cut off within a minute, not within the system's two hours.
        "keepalives_idle": 20,
        "keepalives_interval": 10,
        "keepalives_count": 3,
        "tcp_user_timeout": 50_000,
        "options": " ".join(f"-c {name}={value}" for name, value in _POSTGRESQL.items()),
    }
    return {
        # Replace connections that broke while idle.
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
            # PostgreSQL does not accept NUL in text, which SQLite does.
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
    """Take SQLite's write lock, polling in short intervals: SQLite's own waiting sleeps for up to a tenth of a second,
    and misses times when the lock is free.
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
    # Imported only here, since Alembic is slow to import and a store is nearly always up to date.
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
            f"store: {display_name(engine)} was created by a newer version ({present}); upgrade this program"
        )
    with translate_errors(engine), _connection_to_migrate(engine) as connection:
        # A second process may wait here while the first migrates; Alembic then finds nothing left to do.
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


@contextmanager
def _connection_to_migrate(engine: Engine) -> Iterator[Connection]:
    """Open a connection for migrations.

    SQLite is migrated in one transaction. PostgreSQL uses one for each migration, since indexes of large tables are
    created outside of any.
    """
    if engine.dialect.name == "sqlite":
        with without_foreign_keys(engine) as unchecked, writing(engine, unchecked) as connection:
            yield connection
        return
    lock = select(func.pg_try_advisory_lock(_LOCKS, func.hashtext("migrate")))
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as outside:
        # A process that waited for the lock inside a query would block the creation of an index.
        while not outside.execute(lock).scalar():
            time.sleep(_LOOK_SECONDS)
        try:
            with engine.connect() as connection:
                connection.exec_driver_sql("SET lock_timeout = 0")
                connection.commit()
                yield connection
                connection.rollback()
        finally:
            outside.invalidate()  # Ending the session releases the lock in any case.


@contextmanager
def without_foreign_keys(engine: Engine) -> Iterator[Connection]:
    """Open a connection on which SQLite does not check foreign keys.

    SQLite changes a table only by recreating it, even if others refer to it, and cannot turn the checks off inside a
    transaction.
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
    """Return a store's name for display: SQLite's file, or the URL without its secrets."""
    if engine.dialect.name == "sqlite" and engine.url.database:
        return engine.url.database
    return engine.url.set(query={}).render_as_string(hide_password=True)
