"""Stored rate limits: what all processes know about each account and each limited domain."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, delete, or_, select, tuple_

from newsletter.store.database import advisory_lock, upsert, writes
from newsletter.store.schema import rate_limit_counts, rate_limits


@dataclass(frozen=True, slots=True)
class RateState:
    """When the next message may be sent (UTC), when the server's back-off ends, and how many came in a row."""

    next_at: datetime
    held_until: datetime | None = None
    held_times: int = 0


def state(connection: Connection, key: str) -> RateState | None:
    """Return the state of a key. A writing transaction locks it until it ends, even if it does not exist yet.

    Otherwise two processes would assign the same send time, or the last message of a day twice.
    """
    if writes(connection):
        advisory_lock(connection, f"pace {key}")
    query = select(rate_limits.c.next_at, rate_limits.c.held_until, rate_limits.c.held_times).where(
        rate_limits.c.key == key
    )
    row = connection.execute(query).first()
    return RateState(row.next_at, row.held_until, row.held_times) if row is not None else None


def keep_state(connection: Connection, key: str, known: RateState) -> None:
    """Store the state of a key."""
    values = {"next_at": known.next_at, "held_until": known.held_until, "held_times": known.held_times}
    statement = upsert(connection, rate_limits).values(key=key, **values)
    connection.execute(statement.on_conflict_do_update(index_elements=["key"], set_=values))


def counts(connection: Connection, key: str, after: int) -> list[tuple[int, int]]:
    """Return the number of messages in each minute after a minute (since 1970, UTC), oldest first."""
    query = select(rate_limit_counts.c.minute, rate_limit_counts.c.number).where(
        rate_limit_counts.c.key == key, rate_limit_counts.c.minute > after
    )
    return [(row.minute, row.number) for row in connection.execute(query.order_by(rate_limit_counts.c.minute))]


def count(connection: Connection, key: str, minute: int, number: int) -> None:
    """Count messages of a minute; a negative number subtracts."""
    statement = upsert(connection, rate_limit_counts).values(key=key, minute=minute, number=number)
    statement = statement.on_conflict_do_update(
        index_elements=["key", "minute"], set_={"number": rate_limit_counts.c.number + statement.excluded.number}
    )
    connection.execute(statement)


def forget_counts(connection: Connection, key: str, before: int, after: int) -> None:
    """Delete the counts of minutes long ago, and of those that a wrong clock put into the future."""
    gone = or_(rate_limit_counts.c.minute < before, rate_limit_counts.c.minute > after)
    connection.execute(delete(rate_limit_counts).where(rate_limit_counts.c.key == key, gone))


def forget_old_counts(connection: Connection, before: int) -> None:
    """Delete the counts of minutes long ago of all keys, except those that another transaction is deleting."""
    old = select(rate_limit_counts.c.key, rate_limit_counts.c.minute).where(rate_limit_counts.c.minute < before)
    name = tuple_(rate_limit_counts.c.key, rate_limit_counts.c.minute)
    connection.execute(delete(rate_limit_counts).where(name.in_(old.with_for_update(skip_locked=True))))
