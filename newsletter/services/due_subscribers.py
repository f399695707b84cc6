"""Find the subscribers who are due, in batches that are ranked together."""

from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from functools import cache

from sqlalchemy import Connection

from newsletter.audience import subscriber_states
from newsletter.audience.next_due import due_edition, local_day, next_due
from newsletter.model import Subscriber
from newsletter.services.context import AppContext
from newsletter.services.planning import SubscriberBatch
from newsletter.store import reading, subscribers, writing
from newsletter.store.subscribers import DueSubscriber
from newsletter.support.time_zones import describe, is_known

BATCH_SIZE = 200
"""Subscribers ranked together: enough to make a matrix product worthwhile, few enough to fit in memory."""

_FIRST_SIZE = 25
"""Subscribers of the first batch. Each further one has twice as many, so that the first messages leave soon."""

_DUE_PAGE = 1000
_WITHIN_A_DAY = timedelta(hours=20)
"""Two times of a schedule are always further apart than this, even across a clock change."""


def end_pauses(context: AppContext) -> int:
    """Reactivate subscribers whose pause is over; return how many."""
    back = 0
    while True:
        with reading(context.engine) as connection:
            if not subscribers.pauses_over(connection, context.clock(), 1):
                return back
        with writing(context.engine) as connection:
            back += subscriber_states.end_pauses(connection, context.clock(), BATCH_SIZE)


def bring_due_back(context: AppContext) -> None:
    """Move due times back to the next time of each schedule where they are later than that.

    A later one may have been set by a file that was read with ``--now`` in the future, or while the clock was wrong.
    """
    now = context.clock()
    first = cache(lambda schedule: next_due(schedule, now))  # Many subscribers share a schedule.
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
    """Yield the subscribers who are due, each with the edition of their due time."""
    now = context.clock()
    for page in _pages(context, lambda connection, after, size: subscribers.due(connection, now, after, size)):
        editions = {one.row: due_edition(one.schedule, one.next_due or now, now) for one in page}
        yield SubscriberBatch(editions, unknown_zones=_unknown_zones(page))


def active_batches(context: AppContext) -> Iterator[SubscriberBatch]:
    """Yield all active subscribers, each with the edition of today in their time zone."""
    for page in _pages(context, lambda connection, after, size: subscribers.active(connection, after, size)):
        now = context.clock()
        yield SubscriberBatch(
            {one.row: local_day(one.schedule, now) for one in page}, unknown_zones=_unknown_zones(page)
        )


def _unknown_zones(page: Sequence[DueSubscriber]) -> frozenset[int]:
    return frozenset(one.row for one in page if not is_known(one.schedule.timezone))


def batch_of(context: AppContext, subscriber: Subscriber) -> SubscriberBatch:
    """Return a batch of one subscriber, with the edition of today in their time zone."""
    schedule, row = subscriber.preferences.schedule, subscriber.row
    unknown = frozenset() if is_known(schedule.timezone) else frozenset((row,))
    return SubscriberBatch({row: local_day(schedule, context.clock())}, unknown_zones=unknown)


def _pages(
    context: AppContext, page: Callable[[Connection, DueSubscriber | None, int], list[DueSubscriber]]
) -> Iterator[list[DueSubscriber]]:
    after: DueSubscriber | None = None
    size = _FIRST_SIZE
    while True:
        with reading(context.engine) as connection:
            found = page(connection, after, size)
        if not found:
            return
        yield found
        after, size = found[-1], min(2 * size, BATCH_SIZE)


def with_zone_warnings(
    context: AppContext, batches: Iterator[SubscriberBatch], notes: list[str]
) -> Iterator[SubscriberBatch]:
    """Pass batches on; add a line to ``notes`` for each subscriber whose time zone is unknown on this machine."""
    for batch in batches:
        if batch.unknown_zones:
            with reading(context.engine) as connection:
                people = subscribers.by_rows(connection, batch.unknown_zones)
            for one in people.values():
                name = describe(one.preferences.schedule.timezone)
                fix = f"'newsletter subscribe {one.email} --timezone ZONE' sets another one"
                notes.append(f"{one.email}: time zone {name}; {fix}")
        yield batch
