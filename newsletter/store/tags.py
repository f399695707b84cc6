"""Stored tags, by which operators group subscribers."""

from collections.abc import Collection, Iterable

from sqlalchemy import Connection, delete, func, select

from newsletter.store.database import upsert
from newsletter.store.schema import subscriber_tags


def add(connection: Connection, subscriber: int, names: Iterable[str]) -> None:
    """Give a subscriber (by row) tags, in addition to those it has."""
    values = [{"tag": name, "subscriber": subscriber} for name in dict.fromkeys(names)]
    if values:
        connection.execute(upsert(connection, subscriber_tags).on_conflict_do_nothing(), values)


def remove(connection: Connection, subscriber: int, names: Collection[str]) -> None:
    """Take tags from a subscriber (by row)."""
    own = subscriber_tags.c.subscriber == subscriber
    connection.execute(delete(subscriber_tags).where(own, subscriber_tags.c.tag.in_(names)))


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
