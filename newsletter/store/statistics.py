"""Statistics for the operator: sends by edition and state, bounces, what is waiting, and the number of subscribers."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import islice

from sqlalchemy import Connection, delete, func, insert, select

from newsletter.model import SendState, SubscriberState
from newsletter.store import subscribers as subscriber_store
from newsletter.store.database import advisory_lock
from newsletter.store.schema import bounces, daily_counts, edition_counts, rate_limits, sends, subscribers
from newsletter.store.sends import IS_DIGEST

_SETTLED = {SendState.SENT, SendState.SKIPPED, SendState.FAILED}


def editions(connection: Connection, limit: int, before: date | None = None) -> dict[date, dict[SendState, int]]:
    """Return the latest editions, newest first, with the number of digests in each state.

    For past editions these are the counts when :func:`keep_edition` ran.

    Args:
        before: only editions of earlier days.
    """
    days = list(islice(_days(connection, before or date.max), limit))
    kept: dict[date, dict[SendState, int]] = {}
    for row in connection.execute(select(edition_counts).where(edition_counts.c.edition.in_(days))):
        kept.setdefault(row.edition, {})[SendState(row.state)] = row.number
    return {day: kept.get(day) or totals(connection, day) for day in days}


def _days(connection: Connection, before: date) -> Iterator[date]:
    """Yield the days of editions, newest first."""
    # One after the other, each with one index lookup; in one query, all lines of the log would be scanned.
    query = select(func.max(sends.c.edition)).where(IS_DIGEST)
    while (day := connection.execute(query.where(sends.c.edition < before)).scalar()) is not None:
        yield day
        before = day


def to_be_kept(connection: Connection, before: date) -> list[date]:
    """Return the editions before a day that were not counted yet, newest first."""
    counted = set(connection.execute(select(edition_counts.c.edition).distinct()).scalars())
    return [day for day in _days(connection, before) if day not in counted]


def keep_edition(connection: Connection, day: date) -> None:
    """Count a past edition permanently, unless some of its sends are waiting or unsure."""
    advisory_lock(connection, "edition counts")
    counts = totals(connection, day)
    if counts and counts.keys() <= _SETTLED:
        rows = [{"edition": day, "state": state.value, "number": number} for state, number in counts.items()]
        connection.execute(delete(edition_counts).where(edition_counts.c.edition == day))
        connection.execute(insert(edition_counts), rows)


def forget_editions(connection: Connection) -> None:
    """Delete the counts of editions that the log no longer has."""
    oldest = connection.execute(select(func.min(sends.c.edition))).scalar() or date.max
    connection.execute(delete(edition_counts).where(edition_counts.c.edition < oldest))


def totals(connection: Connection, edition: date | None = None) -> dict[SendState, int]:
    """Count the sends in the log, or the digests of an edition, by state."""
    query = select(sends.c.state, func.count()).group_by(sends.c.state)
    if edition is not None:
        query = query.where(sends.c.edition == edition, IS_DIGEST)
    return {SendState(row[0]): row[1] for row in connection.execute(query)}


def bounces_by_day(connection: Connection, since: datetime) -> dict[date, dict[str, int]]:
    """Count the bounces by the day they were read (UTC) and kind, since a given time."""
    counted: dict[date, dict[str, int]] = {}
    query = select(bounces.c.received_at, bounces.c.kind).where(bounces.c.received_at >= since)
    for moment, kind in connection.execute(query):
        of_day = counted.setdefault(moment.astimezone(UTC).date(), {})
        of_day[kind] = of_day.get(kind, 0) + 1
    return counted


def bounces_by_kind(connection: Connection) -> dict[str, int]:
    """Count the stored bounces by kind."""
    query = select(bounces.c.kind, func.count()).group_by(bounces.c.kind)
    return {row[0]: row[1] for row in connection.execute(query)}


@dataclass(frozen=True, slots=True)
class DeferredGroup:
    """Sends that were deferred for one reason: how many, and when the first and the last of them may go (UTC)."""

    reason: str
    count: int
    first: datetime
    last: datetime


def deferred_groups(connection: Connection, limit: int) -> list[DeferredGroup]:
    """Return why sends were deferred, the most frequent reason first."""
    query = (
        select(sends.c.reason, func.count(), func.min(sends.c.not_before), func.max(sends.c.not_before))
        .where(sends.c.state == SendState.DEFERRED.value, sends.c.not_before.is_not(None))
        .group_by(sends.c.reason)
        .order_by(func.count().desc(), sends.c.reason)
        .limit(limit)
    )
    return [
        DeferredGroup(reason or "", number, first, last) for reason, number, first, last in connection.execute(query)
    ]


def active_back_offs(connection: Connection, now: datetime) -> dict[str, datetime]:
    """Return the accounts and domains whose servers throttle us, and until when (UTC)."""
    query = (
        select(rate_limits.c.key, rate_limits.c.held_until)
        .where(rate_limits.c.held_until > now)
        .order_by(rate_limits.c.key)
    )
    return {row.key: row.held_until for row in connection.execute(query)}


def new_since(connection: Connection, moment: datetime) -> int:
    """Count today's subscribers who joined since a given time (UTC), whatever their state is now."""
    query = select(func.count()).select_from(subscribers).where(subscribers.c.created_at >= moment)
    return connection.execute(query).scalar_one()


def left_since(connection: Connection, moment: datetime) -> int:
    """Count those who unsubscribed since a given time (UTC) and have not come back."""
    gone = subscribers.c.state == SubscriberState.UNSUBSCRIBED.value
    query = select(func.count()).select_from(subscribers).where(gone, subscribers.c.state_since >= moment)
    return connection.execute(query).scalar_one()


def keep_counts(connection: Connection, day: date) -> None:
    """Store the number of subscribers in each state as the count of a day."""
    advisory_lock(connection, "daily counts")
    connection.execute(delete(daily_counts).where(daily_counts.c.day == day))
    rows = [{"day": day, "state": state, "number": n} for state, n in subscriber_store.counts(connection).items()]
    if rows:
        connection.execute(insert(daily_counts), rows)


def counts_by_day(connection: Connection, days: int, until: date) -> Mapping[date, Mapping[str, int]]:
    """Return the number of subscribers in each state on the days that were counted, oldest first.

    Args:
        days: number of days back from ``until`` (inclusive).
    """
    span = daily_counts.c.day.between(until - timedelta(days=days - 1), until)
    counted: dict[date, dict[str, int]] = {}
    for row in connection.execute(select(daily_counts).where(span).order_by(daily_counts.c.day)):
        counted.setdefault(row.day, {})[row.state] = row.number
    return counted
