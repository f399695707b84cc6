"""Solved proof-of-work challenges: each is valid for one request, in whichever process."""

from datetime import datetime

from sqlalchemy import Connection, delete

from newsletter.store.database import upsert
from newsletter.store.schema import solved_challenges


def add(connection: Connection, digest: str, expires_at: datetime) -> bool:
    """Record that a challenge was used; return whether it was unused before."""
    statement = upsert(connection, solved_challenges).values(digest=digest, expires_at=expires_at)
    statement = statement.on_conflict_do_nothing(index_elements=["digest"]).returning(solved_challenges.c.digest)
    return connection.execute(statement).first() is not None


def forget(connection: Connection, before: datetime) -> None:
    """Delete the expired ones."""
    connection.execute(delete(solved_challenges).where(solved_challenges.c.expires_at < before))
