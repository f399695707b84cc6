"""Lists of papers for the site: by day, by discussion, and newest first."""

from collections.abc import Sequence
from datetime import date
from typing import Any

from sqlalchemy import Connection, Select, desc, func, or_, select

from newsletter.model import Paper, PaperStatus
from newsletter.store.papers import IS_PAPER
from newsletter.store.row_list import is_listed, row_list
from newsletter.store.schema import papers

ABSTRACT_READ = 1_200
"""The number of characters of an abstract that a list reads, of which it shows the beginning."""

_DISCUSSION = func.coalesce(papers.c.upvotes, 0) + 2 * func.coalesce(papers.c.comments, 0)
_SHOWN = (
    papers.c.row,
    papers.c.id,
    papers.c.title,
    func.substr(papers.c.abstract, 1, ABSTRACT_READ).label("abstract"),
    func.coalesce(papers.c.author_count, func.json_array_length(papers.c.authors)).label("author_count"),
    papers.c.organization,
    papers.c.status,
    papers.c.published,
    papers.c.listed_on,
    papers.c.first_seen,
    papers.c.url,
    papers.c.pdf_url,
    papers.c.code_url,
    papers.c.code_stars,
    papers.c.project_url,
    papers.c.summary,
    papers.c.summary_by,
    papers.c.upvotes,
    papers.c.comments,
)
_NAMES = tuple(column.key for column in _SHOWN)


def rows_of_days(connection: Connection, first: date, last: date, limit: int, offset: int = 0) -> list[int]:
    """Return the rows of the papers of a range of days (inclusive), the most discussed first (a comment counts as two
    votes), then in order of arrival.
    """
    query = _of_days(select(papers.c.row), first, last).order_by(desc(_DISCUSSION), papers.c.row)
    return list(connection.execute(query.limit(limit).offset(offset)).scalars())


def count_of_days(connection: Connection, first: date, last: date) -> int:
    """Count the papers of a range of days (inclusive)."""
    return int(connection.execute(_of_days(select(func.count()).select_from(papers), first, last)).scalar_one())


def _of_days(query: Select[Any], first: date, last: date) -> Select[Any]:
    return query.where(papers.c.day >= first, papers.c.day <= last, IS_PAPER)


def last_day(connection: Connection, before: date) -> date | None:
    """Return the last day before a given one that has papers."""
    return connection.execute(select(func.max(papers.c.day)).where(papers.c.day < before, IS_PAPER)).scalar()


def first_day(connection: Connection, after: date) -> date | None:
    """Return the first day after a given one that has papers."""
    return connection.execute(select(func.min(papers.c.day)).where(papers.c.day > after, IS_PAPER)).scalar()


def discussed(connection: Connection, until: date, limit: int) -> list[Paper]:
    """Return the newest papers that the community discusses, with only their counts, day and row.

    Args:
        until: the last day (inclusive).
    """
    columns = (papers.c.row, papers.c.day, papers.c.upvotes, papers.c.comments)
    talked_of = or_(papers.c.upvotes > 0, papers.c.comments > 0)
    query = select(*columns).where(talked_of, papers.c.status.is_(None), papers.c.day <= until, IS_PAPER)
    query = query.order_by(papers.c.day.desc()).limit(limit)
    return [
        Paper(title="", row=row, listed_on=day, upvotes=upvotes, comments=comments)
        for row, day, upvotes, comments in connection.execute(query)
    ]


def newest_rows(connection: Connection, limit: int) -> list[int]:
    """Return the rows of the papers first seen last, newest first."""
    query = select(papers.c.row).where(IS_PAPER).order_by(papers.c.first_seen.desc(), papers.c.row.desc()).limit(limit)
    return list(connection.execute(query).scalars())


def listed(connection: Connection, rows: Sequence[int]) -> list[Paper]:
    """Return the papers with these row numbers, in this order, with only what a list shows: the number of authors and
    the beginning of the abstract.
    """
    found = {values[0]: _paper(*values) for values in connection.execute(_LISTED, row_list(rows))}
    return [found[row] for row in rows if row in found]


# Made once: to make it takes longer than to execute it.
_LISTED = select(*_SHOWN).where(is_listed(papers.c.row))


def _paper(*values: Any) -> Paper:
    shown: dict[str, Any] = dict(zip(_NAMES, values, strict=True))
    if shown["status"]:
        shown["status"] = PaperStatus(shown["status"])
    return Paper(**shown)
