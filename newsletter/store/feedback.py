"""Stored feedback: more or less like this, one verdict per subscriber and paper; the latest counts."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Row, delete, func, select, update

from newsletter.model import PaperRef
from newsletter.store import papers as paper_store
from newsletter.store.database import upsert
from newsletter.store.schema import feedback


class Verdict(StrEnum):
    """A subscriber's verdict on a paper."""

    MORE = "more"
    LESS = "less"


@dataclass(frozen=True, slots=True)
class Feedback:
    """A verdict on behalf of an interest (by name; None for the best fit), and when it was given (UTC)."""

    paper: PaperRef
    verdict: Verdict
    interest: str | None
    given_at: datetime


def give(
    connection: Connection, subscriber: int, paper: int, verdict: Verdict, interest: str | None, now: datetime
) -> None:
    """Store a subscriber's verdict on a paper (both by row), replacing an earlier one."""
    said = {"verdict": verdict.value, "interest": interest, "given_at": now}
    statement = upsert(connection, feedback).values(subscriber=subscriber, paper=paper, **said)
    connection.execute(statement.on_conflict_do_update(index_elements=["subscriber", "paper"], set_=said))


def take_back(connection: Connection, subscriber: int, paper: int) -> None:
    """Remove a subscriber's verdict on a paper (both by row)."""
    connection.execute(delete(feedback).where(feedback.c.subscriber == subscriber, feedback.c.paper == paper))


def rename_interest(connection: Connection, subscriber: int, old: str, new: str) -> None:
    """Move a subscriber's verdicts for an interest to its new name."""
    of_old = update(feedback).where(feedback.c.subscriber == subscriber, feedback.c.interest == old)
    connection.execute(of_old.values(interest=new))


def of(connection: Connection, subscribers: Sequence[int]) -> dict[int, list[Feedback]]:
    """Return the feedback of some subscribers, by row, oldest first."""
    query = select(feedback).where(feedback.c.subscriber.in_(subscribers)).order_by(feedback.c.given_at)
    rows = connection.execute(query).all()
    given: dict[int, list[Feedback]] = {subscriber: [] for subscriber in subscribers}
    for row, one in zip(rows, _read(connection, rows), strict=True):
        given[row.subscriber].append(one)
    return given


def count(connection: Connection, subscriber: int) -> int:
    """Count the verdicts of a subscriber (by row)."""
    return connection.execute(select(func.count()).where(feedback.c.subscriber == subscriber)).scalar_one()


def newest(connection: Connection, subscriber: int, limit: int, offset: int = 0) -> list[Feedback]:
    """Return the verdicts of a subscriber (by row), newest first.

    Args:
        limit: the maximum number of verdicts. ``offset``: how many to leave out before them.
    """
    query = (
        select(feedback)
        .where(feedback.c.subscriber == subscriber)
        .order_by(feedback.c.given_at.desc(), feedback.c.paper.desc())
    )
    return _read(connection, connection.execute(query.limit(limit).offset(offset)).all())


def _read(connection: Connection, rows: Sequence[Row[Any]]) -> list[Feedback]:
    known = paper_store.names(connection, (row.paper for row in rows))
    return [Feedback(known[row.paper], Verdict(row.verdict), row.interest, row.given_at) for row in rows]
