"""Reading lists: the papers that each subscriber saved, with when; a paper is on a list at most once."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, delete, exists, func, select

from newsletter.store.database import upsert
from newsletter.store.schema import saved_papers


@dataclass(frozen=True, slots=True)
class SavedPaper:
    """A paper on a reading list (by row), and when it was saved (UTC)."""

    paper: int
    saved_at: datetime


def save(connection: Connection, subscriber: int, paper: int, now: datetime) -> None:
    """Add a paper to a subscriber's reading list (both by row). One that is on it already keeps its time."""
    statement = upsert(connection, saved_papers).values(subscriber=subscriber, paper=paper, saved_at=now)
    connection.execute(statement.on_conflict_do_nothing(index_elements=["subscriber", "paper"]))


def remove(connection: Connection, subscriber: int, paper: int) -> None:
    """Remove a paper from a subscriber's reading list (both by row)."""
    of_both = (saved_papers.c.subscriber == subscriber, saved_papers.c.paper == paper)
    connection.execute(delete(saved_papers).where(*of_both))


def has(connection: Connection, subscriber: int, paper: int) -> bool:
    """Return whether a paper is on a subscriber's reading list (both by row)."""
    of_both = (saved_papers.c.subscriber == subscriber, saved_papers.c.paper == paper)
    return bool(connection.execute(select(exists().where(*of_both))).scalar_one())


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
