"""The status of the newsletter, for the admin site, the API and /metrics."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy import Connection

from newsletter.model import Send, SendState
from newsletter.services.context import AppContext
from newsletter.store import (
    circuit_breakers,
    health,
    pauses,
    reading,
    scheduled_jobs,
    send_log,
    sends,
    source_status,
    statistics,
    subscribers,
    worker_stats,
)
from newsletter.store.circuit_breakers import CircuitBreaker
from newsletter.store.health import WaitingCount
from newsletter.store.pauses import SendingPause
from newsletter.store.source_status import SourceStatus
from newsletter.store.statistics import DeferredGroup
from newsletter.store.worker_stats import WorkerStats

_EDITIONS = 30
_DAYS = 90
_RECENT = timedelta(days=30)
_REASONS = 20
_AT_WORK = timedelta(minutes=10)
_FAILED_SHOWN = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class SourceHealth:
    """The health of a source; ``kind`` is None if config.yaml no longer has it, ``record`` if it was never tried."""

    name: str
    kind: str | None
    record: SourceStatus | None


@dataclass(frozen=True, slots=True)
class QueueStatus:
    """What is waiting to be sent, and what holds it up.

    Attributes:
        waiting: the number of sends that are not settled, or unsure, by state.
        put_off: why sends were deferred, and until when.
        holds: accounts and domains whose servers throttle us, and until when (UTC).
        overdue: the number of active subscribers who were due more than a tick ago.
        next_tick: when ``newsletter run`` looks for due subscribers next (UTC); None if it never ran.
        pause: since when, and why, the operator has paused all sending; None if not paused.
        set_aside: the accounts that are set aside since their servers refused too many messages.
    """

    waiting: Mapping[SendState, WaitingCount]
    put_off: Sequence[DeferredGroup]
    holds: Mapping[str, datetime]
    overdue: WaitingCount | None
    next_tick: datetime | None
    pause: SendingPause | None
    set_aside: Sequence[CircuitBreaker]


@dataclass(frozen=True, slots=True)
class Status:
    """The current status of the newsletter.

    Attributes:
        subscribers: the number in each state. ``by_day``: the same for each day that was counted, oldest first.
        came, left: the number of subscribers who joined, and unsubscribed, in the last 30 days.
        editions: the latest editions, newest first, with the number of sends in each state.
        came_back: the number of bounces and complaints of each kind, by the day they were read (UTC), in the last 30
            days.
        unsure: the first of the sends whose outcome is unknown.
        failed: the latest sends of the last seven days that failed, newest first.
        workers: the processes that settled a send in the last ten minutes.
    """

    now: datetime
    subscribers: Mapping[str, int]
    by_day: Mapping[date, Mapping[str, int]]
    came: int
    left: int
    editions: Mapping[date, Mapping[SendState, int]]
    came_back: Mapping[date, Mapping[str, int]]
    sources: Sequence[SourceHealth]
    queue: QueueStatus
    unsure: Sequence[Send]
    failed: Sequence[Send]
    workers: Sequence[WorkerStats]


def read_status(context: AppContext) -> Status:
    """Read the status of the newsletter.

    Raises:
        NewsletterError: the store is unavailable.
    """
    now = context.clock()
    with reading(context.engine) as connection:
        present = subscribers.counts(connection)
        return Status(
            now=now,
            subscribers=present,
            by_day={**statistics.counts_by_day(connection, _DAYS, now.date()), now.date(): present},
            came=statistics.new_since(connection, now - _RECENT),
            left=statistics.left_since(connection, now - _RECENT),
            editions=statistics.editions(connection, _EDITIONS),
            came_back=statistics.bounces_by_day(connection, now - _RECENT),
            sources=source_statuses(context, connection),
            queue=queue_status(context, connection),
            unsure=sends.unsure(connection, _REASONS),
            failed=send_log.failed_since(connection, (now - _FAILED_SHOWN).date(), _REASONS),
            workers=worker_stats.seen_since(connection, now - _AT_WORK),
        )


def queue_status(context: AppContext, connection: Connection) -> QueueStatus:
    """Return what is waiting to be sent."""
    now = context.clock()
    return QueueStatus(
        waiting=health.waiting(connection, context.clock()),
        put_off=statistics.deferred_groups(connection, _REASONS),
        holds=statistics.active_back_offs(connection, now),
        overdue=health.overdue(connection, now - timedelta(seconds=context.config.schedule.tick_seconds)),
        next_tick=scheduled_jobs.next_tick(connection),
        pause=pauses.find(connection),
        set_aside=circuit_breakers.set_aside(connection),
    )


def source_statuses(context: AppContext, connection: Connection) -> list[SourceHealth]:
    """Return the status of each source: first those of config.yaml, then those that it no longer has."""
    records = source_status.statuses(connection)
    known = [SourceHealth(name, one.kind, records.get(name)) for name, one in context.config.sources.items()]
    gone = [SourceHealth(name, None, records[name]) for name in records if name not in context.config.sources]
    return [*known, *gone]
