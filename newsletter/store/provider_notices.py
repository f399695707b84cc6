"""Requests and events of mail providers that were processed: each has an effect only once."""

from datetime import datetime

from sqlalchemy import Connection, delete, select

from newsletter.store.database import upsert
from newsletter.store.schema import provider_notices


def is_known(connection: Connection, digest: str) -> bool:
    """Return whether a request with this digest was processed."""
    query = select(provider_notices.c.digest).where(provider_notices.c.digest == digest)
    return connection.execute(query).first() is not None


def add(connection: Connection, digest: str, now: datetime) -> bool:
    """Record a request or an event; return whether it is new. Other processes with the same one wait."""
    statement = upsert(connection, provider_notices).values(digest=digest, received_at=now)
    statement = statement.on_conflict_do_nothing(index_elements=["digest"]).returning(provider_notices.c.digest)
    return connection.execute(statement).first() is not None


def forget(connection: Connection, before: datetime) -> None:
    """Delete those received before a given time (UTC)."""
    connection.execute(delete(provider_notices).where(provider_notices.c.received_at < before))
