"""Proof-of-work challenges that were used: each is good for one request, whichever process it comes to."""

from datetime import datetime

from sqlalchemy import Connection, delete

from newsletter.store.database import upsert
from newsletter.store.schema import solved_challenges


def add(connection: Connection, digest: str, expires_at: datetime) -> bool:
    """Note that a challenge was used; returns whether it had not been before."""
    statement = upsert(connection, solved_challenges).values(digest=digest, expires_at=expires_at)
    statement = statement.on_conflict_do_nothing(index_elements=["digest"]).returning(solved_challenges.c.digest)
    return connection.execute(statement).first() is not None


def forget(connection: Connection, before: datetime) -> None:
    """Forget those that have expired."""
    connection.execute(delete(solved_challenges).where(solved_challenges.c.expires_at < before))
