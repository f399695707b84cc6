"""Delete stored data: what is old, in blocks to keep transactions short, and people who ask for it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, delete, exists, func, not_, or_, select, tuple_, update

from newsletter.model import AlertKind, SendState
from newsletter.store import openalex, webhooks
from newsletter.store.preferences import stored_preferences
from newsletter.store.schema import (
    audit_log,
    bounces,
    feedback,
    idempotency_keys,
    libraries,
    library_items,
    mailings,
    ranked_with,
    saved_papers,
    send_events,
    send_papers,
    sends,
    sign_ups,
    subscriber_tags,
    subscribers,
)

_Name = tuple[int, str]


def forget_skipped(connection: Connection, before: datetime, limit: int) -> int:
    """Delete up to ``limit`` log lines of skipped sends planned before a given time (UTC); return how many."""
    # Uses the index of states, in which the oldest come first.
    return _forget(connection, limit, sends.c.state == SendState.SKIPPED.value, sends.c.planned_at < before)


def forget_settled(connection: Connection, before: datetime, limit: int) -> int:
    """Delete up to ``limit`` log lines of sends that were sent or failed, planned before a given time (UTC).

    Returns how many. Sends that are waiting, on the wire or unsure stay, however old they are.
    """
    # Uses the index of editions: before that day nearly all are in these states. An edition may be planned later than
    # its day, when its time was missed, or on the day before, far to the west.
    settled = func.coalesce(sends.c.state, "").in_([SendState.SENT.value, SendState.FAILED.value])
    near = sends.c.edition <= before.date() + timedelta(days=1)
    return _forget(connection, limit, near, settled, sends.c.planned_at < before)


def _forget(connection: Connection, limit: int, *old: ColumnElement[bool]) -> int:
    rows = list(connection.execute(select(sends.c.row).where(*old).limit(limit)).scalars())
    forget_sends(connection, rows)
    return len(rows)


def forget_sends(connection: Connection, rows: Sequence[int]) -> None:
    """Delete sends, with their papers and what they told of papers. Their bounces are kept."""
    for table in (send_papers, send_events):
        connection.execute(delete(table).where(table.c.send.in_(rows)))
    connection.execute(update(bounces).where(bounces.c.send.in_(rows)).values(send=None))
    connection.execute(delete(sends).where(sends.c.row.in_(rows)))


def forget_bounces(connection: Connection, before: datetime, limit: int) -> int:
    """Delete up to ``limit`` bounces received before a given time (UTC), except those that led to a subscriber's
    present state; return how many.
    """
    stands = exists().where(
        subscribers.c.row == bounces.c.subscriber,
        subscribers.c.state == bounces.c.effect,
        subscribers.c.state_since == bounces.c.received_at,
    )
    old = select(bounces.c.row).where(bounces.c.received_at < before, not_(stands)).order_by(bounces.c.row)
    rows = list(connection.execute(old.limit(limit)).scalars())
    connection.execute(delete(bounces).where(bounces.c.row.in_(rows)))
    return len(rows)


def forget_contents(connection: Connection, after: _Name, limit: int) -> _Name | None:
    """Delete stored interests that no digest in the log was ranked with, among the ``limit`` contents after a given
    one, by name (subscriber and digest).

    Returns:
        The last name checked, None after the last one.
    """
    name: Any = tuple_(ranked_with.c.subscriber, ranked_with.c.digest)
    query = select(ranked_with.c.subscriber, ranked_with.c.digest).where(name > after).order_by(*name.clauses)
    names = [(row.subscriber, row.digest) for row in connection.execute(query.limit(limit))]
    if not names:
        return None
    named = exists().where(sends.c.subscriber == ranked_with.c.subscriber, sends.c.ranked_with == ranked_with.c.digest)
    connection.execute(delete(ranked_with).where(name > after, name <= names[-1], not_(named)))
    return names[-1]


@dataclass(frozen=True, slots=True)
class DataCounts:
    """The data of a person besides the subscription: the number of log lines, verdicts on papers, saved papers,
    libraries, and bounces.
    """

    sends: int
    feedback: int
    saved_papers: int
    libraries: int
    bounces: int


def data_counts(connection: Connection, subscriber: int) -> DataCounts:
    """Count the data of a subscriber (by row)."""
    numbers = (
        connection.execute(select(func.count()).where(table.c.subscriber == subscriber)).scalar_one()
        for table in (sends, feedback, saved_papers, libraries, bounces)
    )
    return DataCounts(*numbers)


def with_a_process(connection: Connection, subscriber: int) -> date | None:
    """Return the edition of a subscriber's digest that a process has claimed, None if none is claimed.

    Nothing else is planned for the subscriber before this transaction ends.
    """
    connection.execute(select(subscribers.c.row).where(subscribers.c.row == subscriber).with_for_update())
    claimed = select(sends.c.edition).where(sends.c.subscriber == subscriber, sends.c.state == SendState.CLAIMED.value)
    return connection.execute(claimed).scalar()


def forget_person(connection: Connection, subscriber: int, now: datetime) -> None:
    """Delete a subscriber (by row) with all related data."""
    # Locked first, so that a sync stores no more items of a library that is about to be deleted.
    for table, own_row in ((subscribers, subscribers.c.row), (libraries, libraries.c.subscriber)):
        connection.execute(select(table.c.row).where(own_row == subscriber).order_by(table.c.row).with_for_update())
    own = select(sends.c.row).where(sends.c.subscriber == subscriber)
    cited = _cited_by_alerts(connection, subscriber)
    for table in (send_papers, send_events):
        connection.execute(delete(table).where(table.c.send.in_(own)))
    held = select(libraries.c.row).where(libraries.c.subscriber == subscriber)
    connection.execute(delete(library_items).where(library_items.c.library.in_(held)))
    for table in (bounces, feedback, saved_papers, libraries, sends, ranked_with, subscriber_tags, idempotency_keys):
        connection.execute(delete(table).where(table.c.subscriber == subscriber))
    own_key = select(subscribers.c.email_key).where(subscribers.c.row == subscriber).scalar_subquery()
    connection.execute(
        delete(sign_ups).where(or_(sign_ups.c.email_key == own_key, sign_ups.c.subscriber == subscriber))
    )
    # The log of what operators did keeps its lines, without whom they are about.
    of_person = audit_log.c.subscriber == subscriber
    connection.execute(update(audit_log).where(of_person).values(subscriber=None, target="", details={}))
    connection.execute(delete(mailings).where(mailings.c.subscriber == subscriber))
    webhooks.forget_subscriber(connection, subscriber, now)
    connection.execute(delete(subscribers).where(subscribers.c.row == subscriber))
    openalex.forget_unwatched(connection, cited)


def _cited_by_alerts(connection: Connection, subscriber: int) -> list[str]:
    query = select(subscribers.c.email, subscribers.c.preferences).where(subscribers.c.row == subscriber)
    found = [stored_preferences(row.email, row.preferences)[0] for row in connection.execute(query)]
    return [alert.value for one in found for alert in one.alerts if alert.kind is AlertKind.CITES]
