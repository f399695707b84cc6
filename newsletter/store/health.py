"""The health of a store: whether it is intact and writable, its latest time, and what is waiting in it."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, and_, func, select, text
from sqlalchemy.exc import OperationalError

from newsletter.model import SendState, SubscriberState
from newsletter.store.database import HEAD
from newsletter.store.schema import papers, sends, sources, subscribers
from newsletter.store.sends import IS_DIGEST

_STEPS = 100_000
"""The number of SQLite's steps between two checks of the clock."""


def damage(connection: Connection, seconds: float) -> str | None:
    """Return the first damage that SQLite finds; None if the store is intact.

    Raises:
        TimeoutError: the check takes longer than ``seconds``.
    """
    if connection.dialect.name != "sqlite":
        return None
    end = time.monotonic() + seconds
    driver: Any = connection.connection.driver_connection
    driver.set_progress_handler(lambda: time.monotonic() > end, _STEPS)
    try:
        found = str(connection.exec_driver_sql("PRAGMA quick_check(1)").scalar())
    except OperationalError:
        if time.monotonic() > end:
            raise TimeoutError from None
        raise
    finally:
        driver.set_progress_handler(None, 0)
    return None if found == "ok" else found


def journal(connection: Connection) -> str:
    """Return SQLite's journal mode, which should be ``wal``. Empty for another database."""
    if connection.dialect.name != "sqlite":
        return ""
    return str(connection.exec_driver_sql("PRAGMA journal_mode").scalar())


def write_nothing(connection: Connection) -> None:
    """Write a value that is there already, which goes to disk like any other change."""
    connection.execute(text("UPDATE alembic_version SET version_num = version_num"))


def is_current(connection: Connection) -> bool:
    """Return whether the store has the schema that this program works with."""
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar() == HEAD


def newest(connection: Connection) -> datetime | None:
    """Return the latest past time (UTC) recorded in the store; None if it is empty."""
    # Announcements are planned for times to come.
    last_send = select(sends.c.planned_at).where(IS_DIGEST).order_by(sends.c.row.desc()).limit(1)
    last_subscriber = select(subscribers.c.created_at).order_by(subscribers.c.row.desc()).limit(1)
    queries = (last_send, last_subscriber, select(func.max(papers.c.first_seen)), select(func.max(sources.c.last_try)))
    found = [connection.execute(query).scalar() for query in queries]
    return max((moment for moment in found if moment is not None), default=None)


@dataclass(frozen=True, slots=True)
class WaitingCount:
    """The number of sends in one state, and when the oldest of them was planned (UTC)."""

    count: int
    since: datetime


def waiting(connection: Connection, now: datetime) -> Mapping[SendState, WaitingCount]:
    """Return the sends that are not settled, or unsure, by state; empty states are left out.

    Announcements planned for later than a given time (UTC) do not wait yet.
    """
    states = (SendState.PLANNED, SendState.CLAIMED, SendState.DEFERRED, SendState.UNSURE)
    is_later = and_(sends.c.state == SendState.PLANNED.value, func.coalesce(sends.c.not_before, now) > now)
    query = (
        select(sends.c.state, func.count(), func.min(sends.c.planned_at))
        .where(sends.c.state.in_([state.value for state in states]), ~is_later)
        .group_by(sends.c.state)
    )
    return {SendState(row[0]): WaitingCount(row[1], row[2]) for row in connection.execute(query)}


def overdue(connection: Connection, before: datetime) -> WaitingCount | None:
    """Return the active subscribers who were due before a given time; None if there are none."""
    active = subscribers.c.state == SubscriberState.ACTIVE.value
    query = select(func.count(), func.min(subscribers.c.next_due)).where(active, subscribers.c.next_due < before)
    count, since = connection.execute(query).one()
    return WaitingCount(count, since) if count else None
