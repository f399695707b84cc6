"""Deliveries of recorded events to the endpoints of webhooks: which are due, and what became of each."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, and_, bindparam, delete, exists, func, insert, or_, select, tuple_, update

from newsletter.store.schema import webhook_deliveries, webhook_events, webhook_stops
from newsletter.store.webhooks import DeliveryState

_WAITING = webhook_deliveries.c.state == DeliveryState.WAITING.value
_FAILED = webhook_deliveries.c.state == DeliveryState.FAILED.value


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """An event and its delivery to an endpoint.

    Attributes:
        event: the row of the event. ``id``: its identifier, the same at each attempt.
        created_at: when it happened (UTC). ``since``: since when it is tried.
        attempts: how often it was tried, with the attempt that it is claimed for.
        next_at: when a waiting one is tried next (UTC).
        status: of the last answer. ``error``: of the last attempt that failed.
        settled_at: when it was delivered or given up.
    """

    event: int
    endpoint: str
    id: str
    kind: str
    payload: Mapping[str, Any]
    created_at: datetime
    since: datetime
    attempts: int
    state: DeliveryState
    next_at: datetime | None
    status: int | None
    error: str | None
    settled_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryOutcome:
    """What became of an attempt; ``next_at``: when a waiting one is tried again (UTC)."""

    event: int
    state: DeliveryState
    status: int | None = None
    error: str | None = None
    next_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointSummary:
    """How the deliveries to an endpoint stand; by default, without any.

    Attributes:
        counts: the number of deliveries, by state. ``oldest``: since when the oldest waiting one is tried (UTC).
        last_delivered: when the last one was delivered. ``stopped``: when it answered with status 410.
    """

    counts: Mapping[DeliveryState, int] = field(default_factory=dict)
    oldest: datetime | None = None
    last_delivered: datetime | None = None
    stopped: datetime | None = None


def endpoints_due(connection: Connection, endpoints: Collection[str], now: datetime) -> list[str]:
    """Return those of some endpoints to which something is due, and that were not stopped."""
    halted = stops(connection)
    return [name for name in endpoints if name not in halted and _has_due(connection, name, now)]


def _has_due(connection: Connection, endpoint: str, now: datetime) -> bool:
    due = select(webhook_deliveries.c.event).where(*_due(endpoint, now)).limit(1)
    return connection.execute(due).first() is not None


def _due(endpoint: str, now: datetime) -> tuple[Any, ...]:
    return webhook_deliveries.c.endpoint == endpoint, _WAITING, webhook_deliveries.c.next_at <= now


def claim(connection: Connection, endpoint: str, now: datetime, until: datetime, limit: int) -> list[Delivery]:
    """Claim deliveries to an endpoint that are due, oldest first. If this process ends, they are due again at
    ``until`` (UTC).
    """
    due = select(webhook_deliveries.c.event).where(*_due(endpoint, now))
    ordered = due.order_by(webhook_deliveries.c.next_at, webhook_deliveries.c.event).limit(limit)
    rows = connection.execute(ordered.with_for_update(skip_locked=True)).scalars().all()
    if not rows:
        return []
    taken = and_(webhook_deliveries.c.endpoint == endpoint, webhook_deliveries.c.event.in_(rows))
    attempts = webhook_deliveries.c.attempts + 1
    connection.execute(update(webhook_deliveries).where(taken).values(next_at=until, attempts=attempts))
    return _read(connection, _all().where(taken).order_by(webhook_deliveries.c.event))


_SETTLE = (
    update(webhook_deliveries)
    .where(
        webhook_deliveries.c.endpoint == bindparam("of_endpoint"),
        webhook_deliveries.c.event == bindparam("of_event"),
        _WAITING,
    )
    .values(
        {name: bindparam(f"new_{name}") for name in ("state", "status", "error", "next_at", "settled_at")},
    )
)


def record_outcomes(
    connection: Connection, endpoint: str, outcomes: Collection[DeliveryOutcome], now: datetime
) -> None:
    """Record what became of claimed deliveries. An event that was deleted meanwhile stays so."""
    if outcomes:
        connection.execute(_SETTLE, [_settled(endpoint, one, now) for one in outcomes])


def _settled(endpoint: str, one: DeliveryOutcome, now: datetime) -> dict[str, Any]:
    return {
        "of_endpoint": endpoint,
        "of_event": one.event,
        "new_state": one.state.value,
        "new_status": one.status,
        "new_error": one.error,
        "new_next_at": one.next_at,
        "new_settled_at": None if one.state is DeliveryState.WAITING else now,
    }


def hold(connection: Connection, endpoint: str, until: datetime) -> None:
    """Have nothing delivered to an endpoint before a given time (UTC)."""
    early = and_(webhook_deliveries.c.endpoint == endpoint, _WAITING, webhook_deliveries.c.next_at < until)
    connection.execute(update(webhook_deliveries).where(early).values(next_at=until))


def stop(connection: Connection, endpoint: str, now: datetime) -> None:
    """Record that an endpoint answered with status 410; its events wait until :func:`retry`."""
    if connection.execute(select(webhook_stops.c.since).where(webhook_stops.c.endpoint == endpoint)).first() is None:
        connection.execute(insert(webhook_stops).values(endpoint=endpoint, since=now))


def stops(connection: Connection) -> dict[str, datetime]:
    """Return the endpoints that answered with status 410, each with when."""
    return {row.endpoint: row.since for row in connection.execute(select(webhook_stops))}


def retry(connection: Connection, endpoint: str, now: datetime) -> int:
    """Have all deliveries to an endpoint that failed or wait tried now, for as long as new ones; return how many."""
    connection.execute(delete(webhook_stops).where(webhook_stops.c.endpoint == endpoint))
    again = and_(webhook_deliveries.c.endpoint == endpoint, or_(_FAILED, _WAITING))
    values = {"state": DeliveryState.WAITING.value, "attempts": 0, "since": now, "next_at": now, "settled_at": None}
    return connection.execute(update(webhook_deliveries).where(again).values(**values)).rowcount


def summaries(connection: Connection) -> dict[str, EndpointSummary]:
    """Return how deliveries stand, for each endpoint that had any or was stopped."""
    since, settled = func.min(webhook_deliveries.c.since), func.max(webhook_deliveries.c.settled_at)
    counted = select(webhook_deliveries.c.endpoint, webhook_deliveries.c.state, func.count(), since, settled)
    grouped = counted.group_by(webhook_deliveries.c.endpoint, webhook_deliveries.c.state)
    counts: dict[str, dict[DeliveryState, int]] = {}
    oldest: dict[str, datetime] = {}
    delivered: dict[str, datetime] = {}
    for name, state, number, first, last in connection.execute(grouped):
        counts.setdefault(name, {})[DeliveryState(state)] = number
        if state == DeliveryState.WAITING.value:
            oldest[name] = first
        elif state == DeliveryState.DELIVERED.value:
            delivered[name] = last
    halted = stops(connection)
    return {
        name: EndpointSummary(
            counts=counts.get(name, {}),
            oldest=oldest.get(name),
            last_delivered=delivered.get(name),
            stopped=halted.get(name),
        )
        for name in {**counts, **halted}
    }


def failures(connection: Connection, endpoint: str | None, limit: int) -> list[Delivery]:
    """Return deliveries that failed, or that wait after a failed attempt, newest event first.

    Args:
        endpoint: only those to this endpoint.
    """
    tried = and_(_WAITING, webhook_deliveries.c.error.is_not(None))
    query = _all().where(or_(_FAILED, tried)).order_by(webhook_deliveries.c.event.desc(), webhook_deliveries.c.endpoint)
    if endpoint is not None:
        query = query.where(webhook_deliveries.c.endpoint == endpoint)
    return _read(connection, query.limit(limit))


def latest(connection: Connection, limit: int) -> list[Delivery]:
    """Return the deliveries of the latest events, newest event first."""
    query = _all().order_by(webhook_deliveries.c.event.desc(), webhook_deliveries.c.endpoint)
    return _read(connection, query.limit(limit))


def _all() -> Select[Any]:
    event = (webhook_events.c[name] for name in ("id", "kind", "payload", "created_at"))
    own = ("event", "endpoint", "since", "attempts", "state", "next_at", "status", "error", "settled_at")
    delivery = (webhook_deliveries.c[name] for name in own)
    return select(*delivery, *event).join(webhook_events, webhook_events.c.row == webhook_deliveries.c.event)


def _read(connection: Connection, query: Select[Any]) -> list[Delivery]:
    found = connection.execute(query).mappings()
    return [Delivery(**{**row, "state": DeliveryState(row["state"])}) for row in found]


def give_up_unknown(connection: Connection, endpoints: Collection[str], now: datetime) -> int:
    """Give up the waiting deliveries to endpoints that are no longer configured; return how many."""
    gone = and_(_WAITING, webhook_deliveries.c.endpoint.not_in(list(endpoints)))
    values = {"state": DeliveryState.FAILED.value, "settled_at": now, "next_at": None}
    error = "the endpoint is not in the configuration"
    connection.execute(delete(webhook_stops).where(webhook_stops.c.endpoint.not_in(list(endpoints))))
    return connection.execute(update(webhook_deliveries).where(gone).values(**values, error=error)).rowcount


def forget(connection: Connection, delivered_before: datetime, failed_before: datetime, limit: int) -> int:
    """Delete up to ``limit`` deliveries that were settled before given times (UTC), and the events that have none left;
    return how many.
    """
    old = or_(
        and_(
            webhook_deliveries.c.state == DeliveryState.DELIVERED.value,
            webhook_deliveries.c.settled_at < delivered_before,
        ),
        and_(_FAILED, webhook_deliveries.c.settled_at < failed_before),
    )
    query = select(webhook_deliveries.c.event, webhook_deliveries.c.endpoint).where(old).limit(limit)
    found: Sequence[Any] = [tuple(row) for row in connection.execute(query)]
    if not found:
        return 0
    key = tuple_(webhook_deliveries.c.event, webhook_deliveries.c.endpoint)
    connection.execute(delete(webhook_deliveries).where(key.in_(found)))
    left = exists().where(webhook_deliveries.c.event == webhook_events.c.row)
    events = list({event for event, _ in found})
    connection.execute(delete(webhook_events).where(webhook_events.c.row.in_(events), ~left))
    return len(found)
