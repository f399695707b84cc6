"""Opening a store: SQLite by default, PostgreSQL by URL, brought to the present schema as it is opened."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, inspect
from sqlalchemy.engine import make_url
from sqlalchemy.exc import (
    ArgumentError,
    DatabaseError,
    DataError,
    IntegrityError,
    NoSuchModuleError,
    NotSupportedError,
    OperationalError,
    ProgrammingError,
)

from newsletter.errors import NewsletterError, UserError

HEAD = "0009"
"""The revision of the schema that this program works with: the last one in ``migrations/versions/``."""

_BUSY_SECONDS = 30.0
_TURN = 2  # milliseconds
_BEGIN_WRITING = "BEGIN IMMEDIATE"


def open_store(url: str) -> Engine:
    """Open the store at an SQLAlchemy URL, making or migrating it where needed.

    Raises:
        UserError: the URL names no store that can be opened.
        NewsletterError: the store was made by a newer program, or is damaged.
    """
    try:
        parsed = make_url(url)
        if parsed.get_backend_name() == "sqlite" and parsed.database and parsed.database != ":memory:":
            Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
            # It holds people's addresses: for its owner alone.
            Path(parsed.database).touch(mode=0o600)
        engine = create_engine(parsed, **_options(parsed.get_backend_name()))
    except (ArgumentError, NoSuchModuleError, ModuleNotFoundError, ValueError) as error:
        raise UserError(
            f"store.url: {url.partition('://')[0]!r} cannot be used: {error}; write it like sqlite:///var/newsletter.db"
        ) from None
    except OSError as error:
        raise UserError(f"store.url: {error.filename}: {error.strerror}; choose a folder that can be written") from None
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _set_up_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    try:
        with _told(engine):
            engine.connect().close()
    except TypeError as error:  # an option behind a question mark that the driver does not know
        raise UserError(f"store.url: {_shown(engine)}: {error}; write it like sqlite:///var/newsletter.db") from None
    _migrate(engine)
    return engine


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A transaction that only reads.

    Raises:
        NewsletterError: the store cannot be read at present, or is damaged.
    """
    with _told(engine), engine.connect() as connection, connection.begin():
        yield connection


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A transaction that writes: all of it or nothing. SQLite takes its write lock at once, so that it never has to
    give up a transaction that began with reading.

    Raises:
        NewsletterError: the store stayed locked, is damaged, or its disk is full.
    """
    writes = {"newsletter_writes": True}
    with _told(engine), engine.connect().execution_options(**writes) as connection, connection.begin():
        yield connection


@contextmanager
def erasing(engine: Engine) -> Iterator[Connection]:
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


def rewrite(engine: Engine) -> None:
    """Write SQLite's file anew from what is in the store, so that nothing is left in it of what was deleted, nor in the
    log beside it. It takes as much room again as the store, for so long.

    Raises:
        NewsletterError: other processes use the store all the time, or the disk is full.
    """
    if engine.dialect.name != "sqlite":
        return
    outside = engine.connect().execution_options(newsletter_transaction=False)
    with _told(engine), outside as connection:
        connection.exec_driver_sql("VACUUM")
        busy, *_ = connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").one()
    if busy:
        raise NewsletterError(f"store: {_shown(engine)}: other processes read it; run it again")


@contextmanager
def _told(engine: Engine) -> Iterator[None]:
    """What goes wrong with the store itself, in our words. Many a command that only reads writes a little on its way
    (files that changed), so that nothing is said of what was kept.
    """
    try:
        yield
    except OperationalError as error:
        raise NewsletterError(
            f"store: {_shown(engine)}: {error.orig}; check the disk and who else uses it, then run it again"
        ) from error
    except IntegrityError as error:
        raise NewsletterError(
            f"store: {_shown(engine)}: another process was first ({error.orig}); run it again"
        ) from error
    except (DataError, NotSupportedError, ProgrammingError):
        raise  # a mistake of ours
    except DatabaseError as error:
        raise NewsletterError(
            f"store: {_shown(engine)} is damaged, or no newsletter's store: {error.orig}; restore it from a backup"
        ) from error


def _options(backend: str) -> dict[str, Any]:
    if backend == "sqlite":
        return {"connect_args": {"timeout": _BUSY_SECONDS, "check_same_thread": False}}
    return {"pool_pre_ping": True}


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
            f"store: {_shown(engine)} was made by a newer newsletter ({present}); upgrade this program"
        )
    writes = {"newsletter_writes": True}
    with (
        _told(engine),
        engine.connect().execution_options(**writes) as connection,
        _without_foreign_keys(connection),
        connection.begin(),
    ):
        # A second process may wait here while the first migrates; Alembic then finds nothing left to do.
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


@contextmanager
def _without_foreign_keys(connection: Connection) -> Iterator[None]:
    """SQLite can change a table that others refer to only by making it anew, and cannot leave off checking inside a
    transaction.
    """
    if connection.dialect.name != "sqlite":
        yield
        return
    # Below SQLAlchemy, which would begin a transaction.
    cursor = connection.connection.cursor()
    cursor.execute("PRAGMA foreign_keys=OFF")
    try:
        yield
    finally:
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.close()


def _revision(engine: Engine) -> str | None:
    with reading(engine) as connection:
        if not inspect(connection).has_table("alembic_version"):
            return None
        found = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
    return str(found) if found is not None else None


def _shown(engine: Engine) -> str:
    return engine.url.database if engine.dialect.name == "sqlite" and engine.url.database else str(engine.url)
