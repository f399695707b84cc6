"""Reading lists: the papers that each subscriber saved, with when; a paper is on a list at most once.

A paper may also go into the subscriber's Zotero library, which is called its export.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, delete, exists, func, select, update

from newsletter.store.database import upsert
from newsletter.store.schema import saved_papers


@dataclass(frozen=True, slots=True)
class SavedPaper:
    """A paper on a reading list (by row), and when it was saved (UTC)."""

    paper: int
    saved_at: datetime


@dataclass(frozen=True, slots=True)
class Export:
    """The export of a paper on a reading list (both by row).

    Attributes:
        key: of its item in Zotero.
        exported_at: when it was written there (UTC); None if it was not.
        attempts: how many failed. ``not_before``: when it is tried again (UTC); None if it is not.
        error: why the last attempt failed.
    """

    subscriber: int
    paper: int
    key: str
    exported_at: datetime | None = None
    attempts: int = 0
    not_before: datetime | None = None
    error: str | None = None


def request_export(
    connection: Connection, subscriber: int, paper: int, key: str, not_before: datetime
) -> Export | None:
    """Request the export of a paper on a reading list (both by row), unless it was requested before.

    Args:
        key: of its item in Zotero. ``not_before``: when to try it (UTC), unless it succeeds before that.

    Returns:
        The export; None if the paper is not on the list.
    """
    wanted = (*_of(subscriber, paper), saved_papers.c.export_key.is_(None))
    connection.execute(update(saved_papers).where(*wanted).values(export_key=key, export_not_before=not_before))
    return export_of(connection, subscriber, paper)


def export_of(connection: Connection, subscriber: int, paper: int) -> Export | None:
    """Return the export of a paper on a reading list (both by row); None if none was requested."""
    query = select(saved_papers).where(*_of(subscriber, paper), saved_papers.c.export_key.is_not(None))
    found = connection.execute(query).one_or_none()
    return _export(found) if found is not None else None


def exports_due(connection: Connection, now: datetime, limit: int) -> list[Export]:
    """Return exports whose time has come, those that waited longest first."""
    due = select(saved_papers).where(saved_papers.c.export_not_before <= now)
    due = due.order_by(saved_papers.c.export_not_before, saved_papers.c.subscriber, saved_papers.c.paper)
    return [_export(row) for row in connection.execute(due.limit(limit))]


def record_export(connection: Connection, export: Export, now: datetime) -> None:
    """Record that a paper was exported, or was in the library already."""
    values = {"exported_at": now, "export_not_before": None, "export_error": None}
    connection.execute(update(saved_papers).where(*_of(export.subscriber, export.paper)).values(**values))


def record_export_failure(connection: Connection, export: Export, error: str, again_at: datetime | None) -> None:
    """Record why an export failed, and when it is tried again (UTC); None: never."""
    waiting = (*_of(export.subscriber, export.paper), saved_papers.c.exported_at.is_(None))
    values = {"export_attempts": export.attempts + 1, "export_not_before": again_at, "export_error": error}
    connection.execute(update(saved_papers).where(*waiting).values(**values))


def _of(subscriber: int, paper: int) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return saved_papers.c.subscriber == subscriber, saved_papers.c.paper == paper


def _export(row: Row[Any]) -> Export:
    return Export(
        subscriber=row.subscriber,
        paper=row.paper,
        key=row.export_key,
        exported_at=row.exported_at,
        attempts=row.export_attempts,
        not_before=row.export_not_before,
        error=row.export_error,
    )


def save(connection: Connection, subscriber: int, paper: int, now: datetime) -> None:
    """Add a paper to a subscriber's reading list (both by row). One that is on it already keeps its time."""
    statement = upsert(connection, saved_papers).values(subscriber=subscriber, paper=paper, saved_at=now)
    connection.execute(statement.on_conflict_do_nothing(index_elements=["subscriber", "paper"]))


def remove(connection: Connection, subscriber: int, paper: int) -> None:
    """Remove a paper from a subscriber's reading list (both by row)."""
    connection.execute(delete(saved_papers).where(*_of(subscriber, paper)))


def has(connection: Connection, subscriber: int, paper: int) -> bool:
    """Return whether a paper is on a subscriber's reading list (both by row)."""
    return bool(connection.execute(select(exists().where(*_of(subscriber, paper)))).scalar_one())


def count(connection: Connection, subscriber: int) -> int:
    """Count the papers on a subscriber's reading list."""
    own = select(func.count()).where(saved_papers.c.subscriber == subscriber)
    return connection.execute(own).scalar_one()


def of(connection: Connection, subscriber: int, limit: int | None = None, offset: int = 0) -> list[SavedPaper]:
    """Return the reading list of a subscriber (by row), last saved first.

    Args:
        limit: the maximum number of papers; None for all. ``offset``: how many to leave out before them.
    """
    query = (
        select(saved_papers.c.paper, saved_papers.c.saved_at)
        .where(saved_papers.c.subscriber == subscriber)
        .order_by(saved_papers.c.saved_at.desc(), saved_papers.c.paper.desc())
    )
    rows = connection.execute(query.limit(limit).offset(offset))
    return [SavedPaper(row.paper, row.saved_at) for row in rows]
