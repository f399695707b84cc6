"""Stored status of the sources, and their cache validators (ETag, Last-Modified)."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, delete, select

from newsletter.store.database import upsert
from newsletter.store.schema import sources, validators


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceStatus:
    """The status of a source: times in UTC, counts of its last success, ``error`` None after a success."""

    name: str
    last_try: datetime
    last_success: datetime | None = None
    papers: int | None = None
    new_papers: int | None = None
    bad_papers: int | None = None
    error: str | None = None


def statuses(connection: Connection) -> dict[str, SourceStatus]:
    """Return the status of all sources tried so far, by name."""
    return {row["name"]: SourceStatus(**row) for row in connection.execute(select(sources)).mappings()}


def record_success(connection: Connection, name: str, now: datetime, counts: Mapping[str, int]) -> None:
    """Record a success of a source; ``counts`` has papers, new_papers and bad_papers."""
    _write(connection, name, {"last_try": now, "last_success": now, "error": None, **counts})


def record_failure(connection: Connection, name: str, now: datetime, error: str) -> None:
    """Record a failure of a source; its last success stays."""
    _write(connection, name, {"last_try": now, "error": error})


def forget(connection: Connection, name: str) -> bool:
    """Delete the status of a source that is no longer configured; return whether there was one."""
    return bool(connection.execute(delete(sources).where(sources.c.name == name)).rowcount)


def _write(connection: Connection, name: str, values: Mapping[str, object]) -> None:
    statement = upsert(connection, sources).values(name=name, **values)
    connection.execute(statement.on_conflict_do_update(index_elements=["name"], set_=values))


def known_validators(connection: Connection) -> dict[str, tuple[str | None, str | None]]:
    """Return the last stored ETag and Last-Modified, by URL."""
    return {row.url: (row.etag, row.last_modified) for row in connection.execute(select(validators))}


def keep_validators(connection: Connection, seen: Mapping[str, tuple[str | None, str | None]]) -> None:
    """Store validators, once the papers that came with them are stored."""
    for url, (etag, last_modified) in sorted(seen.items()):
        said = {"etag": etag, "last_modified": last_modified}
        statement = upsert(connection, validators).values(url=url, **said)
        connection.execute(statement.on_conflict_do_update(index_elements=["url"], set_=said))
