"""How the newsletter is doing: what the operator's page, the API and /metrics tell of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy import Connection

from newsletter.desk import Desk
from newsletter.model import Send, SendState
from newsletter.store import (
    circuit_breakers,
    fetches,
    figures,
    health,
    pauses,
    reading,
    send_log,
    sends,
    subscribers,
    workers,
)
from newsletter.store.circuit_breakers import CircuitBreaker
from newsletter.store.fetches import SourceRecord
from newsletter.store.figures import PutOff
from newsletter.store.health import Waiting
from newsletter.store.pauses import SendingPause
from newsletter.store.workers import Worker

_EDITIONS = 30
_DAYS = 90
_RECENT = timedelta(days=30)
_REASONS = 20
_AT_WORK = timedelta(minutes=10)
_FAILED_SHOWN = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class SourceHealth:
    """How a source fares; ``kind`` is None when config.yaml names it no longer, ``record`` when it was never tried."""

    name: str
    kind: str | None
    record: SourceRecord | None


@dataclass(frozen=True, slots=True)
class Queue:
    """What waits to be sent, and what holds it up.

    Attributes:
        waiting: sends that are not settled, or unsure, by state.
        put_off: why sends were put off, and until when.
        holds: accounts and domains whose servers asked for patience, and until when (UTC).
        overdue: active subscribers whose time passed more than a tick ago.
        next_tick: when ``newsletter run`` looks next (UTC); None when it never ran.
        pause: since when, and why, the operator has paused all sending; None when it goes on.
        set_aside: the accounts whose servers refused too many messages.
    """

    waiting: Mapping[SendState, Waiting]
    put_off: Sequence[PutOff]
    holds: Mapping[str, datetime]
    overdue: Waiting | None
    next_tick: datetime | None
    pause: SendingPause | None
    set_aside: Sequence[CircuitBreaker]


@dataclass(frozen=True, slots=True)
class Overview:
    """How the newsletter is doing now.

    Attributes:
        subscribers: how many are in each state. ``by_day``: how many were, on the days that were counted, oldest first.
        came, left: how many subscribers came, and unsubscribed, in the last 30 days.
        editions: the last ones, newest first, with how many sends are in each state.
        came_back: how much came back of each kind, by the day on which it was read (UTC), in the last 30 days.
        unsure: the sends of which nobody knows whether they arrived, the first of them.
        failed: the sends of the last seven days that failed, the latest of them, newest first.
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
    queue: Queue
    unsure: Sequence[Send]
    failed: Sequence[Send]
    workers: Sequence[Worker]


def overview(desk: Desk) -> Overview:
    """How the newsletter is doing.

    Raises:
        NewsletterError: the store cannot be read at present.
    """
    now = desk.clock()
    with reading(desk.engine) as connection:
        present = subscribers.counts(connection)
        return Overview(
            now=now,
            subscribers=present,
            by_day={**figures.counts_by_day(connection, _DAYS, now.date()), now.date(): present},
            came=figures.new_since(connection, now - _RECENT),
            left=figures.left_since(connection, now - _RECENT),
            editions=figures.editions(connection, _EDITIONS),
            came_back=figures.came_back(connection, now - _RECENT),
            sources=sources(desk, connection),
            queue=queue(desk, connection),
            unsure=sends.unsure(connection)[:_REASONS],
            failed=send_log.failed_since(connection, (now - _FAILED_SHOWN).date(), _REASONS),
            workers=workers.seen_since(connection, now - _AT_WORK),
        )


def queue(desk: Desk, connection: Connection) -> Queue:
    """What waits to be sent."""
    now = desk.clock()
    return Queue(
        waiting=health.waiting(connection),
        put_off=figures.put_off(connection, _REASONS),
        holds=figures.holds(connection, now),
        overdue=health.overdue(connection, now - timedelta(seconds=desk.config.schedule.tick_seconds)),
        next_tick=health.next_tick(connection),
        pause=pauses.find(connection),
        set_aside=circuit_breakers.set_aside(connection),
    )


def sources(desk: Desk, connection: Connection) -> list[SourceHealth]:
    """How the sources fare: those of config.yaml, then those that it names no longer."""
    records = fetches.records(connection)
    known = [SourceHealth(name, one.kind, records.get(name)) for name, one in desk.config.sources.items()]
    gone = [SourceHealth(name, None, records[name]) for name in records if name not in desk.config.sources]
    return [*known, *gone]
