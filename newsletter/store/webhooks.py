"""Recorded events of subscribers and sends, for the endpoints of webhooks (a transactional outbox).

An event is recorded in the transaction of the change itself, with one waiting delivery for each endpoint that wants it:
so no event is lost, and none is sent of a change that was rolled back. Which endpoints want what is an option of the
engine, see :func:`listening`; without any, nothing is read or written here.
"""

import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Engine, delete, insert, select

from newsletter.model import SendState, SubscriberState, WebhookKind
from newsletter.store.schema import sends, subscribers, webhook_deliveries, webhook_events

_OPTION = "newsletter_webhooks"
_BLOCK = 500

_OF_STATE = {
    SubscriberState.ACTIVE: WebhookKind.SUBSCRIBER_RESUMED,
    SubscriberState.PAUSED: WebhookKind.SUBSCRIBER_PAUSED,
    SubscriberState.UNSUBSCRIBED: WebhookKind.SUBSCRIBER_UNSUBSCRIBED,
    SubscriberState.BOUNCED: WebhookKind.SUBSCRIBER_BOUNCED,
}
_OF_OUTCOME = {
    SendState.SENT: WebhookKind.SEND_SENT,
    SendState.DEFERRED: WebhookKind.SEND_DEFERRED,
    SendState.FAILED: WebhookKind.SEND_FAILED,
}


class DeliveryState(StrEnum):
    """The state of an event's delivery to an endpoint."""

    WAITING = "waiting"
    DELIVERED = "delivered"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class NewEvent:
    """An event to record.

    Attributes:
        payload: its data, as JSON values. ``subscriber``: whom they name (by row), None for nobody.
    """

    kind: WebhookKind
    payload: Mapping[str, Any]
    subscriber: int | None = None


@dataclass(frozen=True, slots=True)
class SubscriberFacts:
    """The facts about a subscriber in an event."""

    row: int
    email: str
    state: SubscriberState
    preferences: Mapping[str, Any] | None = field(default=None, repr=False)


def listening(engine: Engine, wanted: Mapping[WebhookKind, Sequence[str]]) -> Engine:
    """Return the engine with which events are recorded, for the endpoints (by name) that want each kind."""
    # An engine that had some keeps them unless they are replaced.
    is_set = wanted or _OPTION in engine.get_execution_options()
    return engine.execution_options(**{_OPTION: dict(wanted)}) if is_set else engine


def new_id() -> str:
    """Return a new identifier of an event, which cannot be guessed."""
    return f"msg_{secrets.token_urlsafe(20)}"


def _wanted(connection: Connection) -> Mapping[WebhookKind, Sequence[str]]:
    found: Mapping[WebhookKind, Sequence[str]] = connection.get_execution_options().get(_OPTION, {})
    return found


def record(
    connection: Connection,
    kind: WebhookKind,
    payload: Mapping[str, Any],
    now: datetime,
    subscriber: int | None = None,
) -> None:
    """Record an event, if any endpoint wants it; see :class:`NewEvent`."""
    record_all(connection, [NewEvent(kind, payload, subscriber)], now)


def record_all(connection: Connection, events: Iterable[NewEvent], now: datetime) -> None:
    """Record events, each with a waiting delivery to every endpoint that wants it."""
    wanted = _wanted(connection)
    values = [
        {
            "id": new_id(),
            "kind": one.kind.value,
            "payload": one.payload,
            "subscriber": one.subscriber,
            "created_at": now,
        }
        for one in events
        if one.kind in wanted
    ]
    if not values:
        return
    found = connection.execute(insert(webhook_events).returning(webhook_events.c.row, webhook_events.c.kind), values)
    connection.execute(
        insert(webhook_deliveries),
        [
            {"event": row, "endpoint": endpoint, "since": now, "next_at": now}
            | {"state": DeliveryState.WAITING.value, "attempts": 0}
            for row, kind in found
            for endpoint in wanted[WebhookKind(kind)]
        ],
    )


def subscriber_facts(connection: Connection, row: int, *kinds: WebhookKind) -> SubscriberFacts | None:
    """Return a subscriber (by row) before a change; None if no endpoint wants any of the events that it may cause."""
    if not any(kind in _wanted(connection) for kind in kinds):
        return None
    query = select(subscribers.c.email, subscribers.c.state, subscribers.c.preferences).where(subscribers.c.row == row)
    found = connection.execute(query).first()
    if found is None:
        return None
    return SubscriberFacts(row, found.email, SubscriberState(found.state), found.preferences)


def before_state(connection: Connection, row: int) -> SubscriberFacts | None:
    """Return a subscriber before a change of its state, see :func:`subscriber_facts`."""
    return subscriber_facts(connection, row, WebhookKind.SUBSCRIBER_CONFIRMED, *_OF_STATE.values())


def record_state(connection: Connection, before: SubscriberFacts, state: SubscriberState, now: datetime) -> None:
    """Record that a subscriber changed its state, if it did."""
    if state is before.state or state not in _OF_STATE:
        return
    kind = _OF_STATE[state]
    if state is SubscriberState.ACTIVE and before.state is SubscriberState.PENDING:
        kind = WebhookKind.SUBSCRIBER_CONFIRMED
    record_subscriber(connection, kind, SubscriberFacts(before.row, before.email, state), now)


def record_subscriber(
    connection: Connection, kind: WebhookKind, subscriber: SubscriberFacts, now: datetime, **more: Any
) -> None:
    """Record an event of a subscriber; ``more`` is added to its address and state."""
    payload = {"id": subscriber.row, "email": subscriber.email, "state": subscriber.state.value, **more}
    record(connection, kind, payload, now, subscriber.row)


def record_outcomes(connection: Connection, states: Mapping[int, SendState], now: datetime) -> None:
    """Record what became of sends (by row)."""
    kinds = {row: _OF_OUTCOME[state] for row, state in states.items() if state in _OF_OUTCOME}
    _record_sends(connection, kinds, now)


def record_bounce(
    connection: Connection, send: int | None, subscriber: int | None, bounce: Mapping[str, Any], now: datetime
) -> None:
    """Record a bounce or a complaint.

    Args:
        send: the send that it is about (by row). ``subscriber``: the subscriber (by row).
        bounce: its ``kind``, ``status`` and ``diagnostic``, as stored.
    """
    complained = bounce["kind"] == "complaint"
    if send is not None:
        kind = WebhookKind.SEND_COMPLAINED if complained else WebhookKind.SEND_BOUNCED
        _record_sends(connection, {send: kind}, now, bounce=bounce)
    if complained and subscriber is not None:
        facts = subscriber_facts(connection, subscriber, WebhookKind.SUBSCRIBER_COMPLAINED)
        if facts is not None:
            record_subscriber(connection, WebhookKind.SUBSCRIBER_COMPLAINED, facts, now)


_SEND_FACTS = (
    *(sends.c[name] for name in ("row", "subscriber", "email", "state", "edition", "mailing", "message_id")),
    *(sends.c[name] for name in ("attempts", "smtp_reply", "reason")),
)


def _record_sends(connection: Connection, kinds: Mapping[int, WebhookKind], now: datetime, **more: Any) -> None:
    """Record events of sends (by row), as the sends are now."""
    rows = [row for row, kind in kinds.items() if kind in _wanted(connection)]
    for start in range(0, len(rows), _BLOCK):
        query = select(*_SEND_FACTS).where(sends.c.row.in_(rows[start : start + _BLOCK])).order_by(sends.c.row)
        events = []
        for found in connection.execute(query).mappings():
            facts = {name: found[name] for name in ("email", "state", "message_id", "attempts", "smtp_reply", "reason")}
            place = {"id": found["row"], "subscriber": found["subscriber"], "mailing": found["mailing"]}
            payload = {**place, "edition": found["edition"].isoformat(), **facts, **more}
            events.append(NewEvent(kinds[found["row"]], payload, found["subscriber"]))
        record_all(connection, events, now)


def forget_subscriber(connection: Connection, subscriber: int, now: datetime) -> None:
    """Delete the events that name a subscriber (by row), delivered or not, and record that it was forgotten."""
    own = select(webhook_events.c.row).where(webhook_events.c.subscriber == subscriber)
    connection.execute(delete(webhook_deliveries).where(webhook_deliveries.c.event.in_(own)))
    connection.execute(delete(webhook_events).where(webhook_events.c.subscriber == subscriber))
    record(connection, WebhookKind.SUBSCRIBER_FORGOTTEN, {"id": subscriber}, now)
