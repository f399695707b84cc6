"""Who is due, in batches that are ranked together."""

from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from functools import cache

from sqlalchemy import Connection

from newsletter.audience import subscriptions
from newsletter.audience.due import due_edition, local_day, next_due
from newsletter.model import Subscriber
from newsletter.services.context import AppContext
from newsletter.services.planning import SubscriberBatch
from newsletter.store import reading, subscribers, writing
from newsletter.store.subscribers import DueSubscriber
from newsletter.support.time_zones import describe, is_known

BATCH_SIZE = 200
"""Subscribers ranked together: enough for one matrix product to be worth its while, few enough for any memory."""

_DUE_PAGE = 1000
_WITHIN_A_DAY = timedelta(hours=20)
"""Two moments of a schedule are further apart than this, whatever a clock change does to a day."""


def end_pauses(context: AppContext) -> int:
    """Bring back those whose pause is over; returns how many."""
    back = 0
    while True:
        with reading(context.engine) as connection:
            if not subscribers.pauses_over(connection, context.clock(), 1):
                return back
        with writing(context.engine) as connection:
            back += subscriptions.end_pauses(connection, context.clock(), BATCH_SIZE)


def bring_due_back(context: AppContext) -> None:
    """Have nobody wait longer than until the next moment of their schedule: a file read with ``--now`` in the future,
    or by a clock that was wrong, may have set a later one.
    """
    now = context.clock()
    first = cache(lambda schedule: next_due(schedule, now))  # Many have the same schedule.
    moment, row = now + _WITHIN_A_DAY, 0
    while True:
        with reading(context.engine) as connection:
            page = subscribers.due_after(connection, moment, row, _DUE_PAGE)
        if not page:
            return
        late = {one.row: first(one.schedule) for one in page if one.next_due and first(one.schedule) < one.next_due}
        if late:
            with writing(context.engine) as connection:
                subscribers.set_next_due(connection, late)
        row, moment = page[-1].row, page[-1].next_due or moment


def due_batches(context: AppContext) -> Iterator[SubscriberBatch]:
    """The subscribers whose time has come, each with the edition of that time."""
    now = context.clock()
    for page in _pages(context, lambda connection, after: subscribers.due(connection, now, after, BATCH_SIZE)):
        editions = {one.row: due_edition(one.schedule, one.next_due or now, now) for one in page}
        yield SubscriberBatch(editions, unknown_zones=_unknown_zones(page))


def active_batches(context: AppContext) -> Iterator[SubscriberBatch]:
    """All subscribers who get mail, each with the edition of their today."""
    for page in _pages(context, lambda connection, after: subscribers.active(connection, after, BATCH_SIZE)):
        now = context.clock()
        yield SubscriberBatch(
            {one.row: local_day(one.schedule, now) for one in page}, unknown_zones=_unknown_zones(page)
        )


def _unknown_zones(page: Sequence[DueSubscriber]) -> frozenset[int]:
    return frozenset(one.row for one in page if not is_known(one.schedule.timezone))


def batch_of(context: AppContext, subscriber: Subscriber) -> SubscriberBatch:
    """One subscriber, with the edition of the subscriber's today."""
    schedule, row = subscriber.preferences.schedule, subscriber.row
    unknown = frozenset() if is_known(schedule.timezone) else frozenset((row,))
    return SubscriberBatch({row: local_day(schedule, context.clock())}, unknown_zones=unknown)


def _pages(
    context: AppContext, page: Callable[[Connection, DueSubscriber | None], list[DueSubscriber]]
) -> Iterator[list[DueSubscriber]]:
    after: DueSubscriber | None = None
    while True:
        with reading(context.engine) as connection:
            found = page(connection, after)
        if not found:
            return
        yield found
        after = found[-1]


def with_zone_warnings(
    context: AppContext, batches: Iterator[SubscriberBatch], notes: list[str]
) -> Iterator[SubscriberBatch]:
    """The same blocks; notes get a line for each subscriber whose time zone is not known here."""
    for batch in batches:
        if batch.unknown_zones:
            with reading(context.engine) as connection:
                people = subscribers.by_rows(connection, batch.unknown_zones)
            for one in people.values():
                name = describe(one.preferences.schedule.timezone)
                fix = f"'newsletter subscribe {one.email} --timezone ZONE' sets another"
                notes.append(f"{one.email}: time zone {name}; {fix}")
        yield batch
