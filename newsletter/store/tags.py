"""Stored tags, by which operators group subscribers."""

from collections.abc import Collection, Iterable
from datetime import datetime

from sqlalchemy import Connection, delete, func, select

from newsletter.model import WebhookKind
from newsletter.store import webhooks
from newsletter.store.database import upsert
from newsletter.store.schema import subscriber_tags
from newsletter.support.clock import utc_now


def add(connection: Connection, subscriber: int, names: Iterable[str], now: datetime | None = None) -> None:
    """Give a subscriber (by row) tags, in addition to those it has; ``now`` is by default the machine's time."""
    values = [{"tag": name, "subscriber": subscriber} for name in dict.fromkeys(names)]
    if values:
        statement = upsert(connection, subscriber_tags).on_conflict_do_nothing().returning(subscriber_tags.c.tag)
        _record(connection, subscriber, len(connection.execute(statement, values).all()), now)


def remove(connection: Connection, subscriber: int, names: Collection[str], now: datetime | None = None) -> None:
    """Take tags from a subscriber (by row); ``now`` is by default the machine's time."""
    own = subscriber_tags.c.subscriber == subscriber
    removed = connection.execute(delete(subscriber_tags).where(own, subscriber_tags.c.tag.in_(names))).rowcount
    _record(connection, subscriber, removed, now)


def _record(connection: Connection, subscriber: int, changed: int, now: datetime | None) -> None:
    """Record for the endpoints of webhooks which tags a subscriber has now."""
    facts = webhooks.subscriber_facts(connection, subscriber, WebhookKind.SUBSCRIBER_TAGGED) if changed else None
    if facts is not None:
        own = of_subscribers(connection, [subscriber]).get(subscriber, [])
        webhooks.record_subscriber(connection, WebhookKind.SUBSCRIBER_TAGGED, facts, now or utc_now(), tags=own)


def of_subscribers(connection: Connection, rows: Collection[int]) -> dict[int, list[str]]:
    """Return the tags of subscribers (by row), in alphabetical order; those without any are left out."""
    query = select(subscriber_tags).where(subscriber_tags.c.subscriber.in_(rows)).order_by(subscriber_tags.c.tag)
    found: dict[int, list[str]] = {}
    for one in connection.execute(query):
        found.setdefault(one.subscriber, []).append(one.tag)
    return found


def counts(connection: Connection) -> dict[str, int]:
    """Return the tags in use, in alphabetical order, each with the number of subscribers who have it."""
    query = select(subscriber_tags.c.tag, func.count()).group_by(subscriber_tags.c.tag).order_by(subscriber_tags.c.tag)
    return {row[0]: row[1] for row in connection.execute(query)}
