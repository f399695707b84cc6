"""Stored answers to requests of the API that programs may repeat, by the key that they choose
(draft-ietf-httpapi-idempotency-key-header).
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, select

from newsletter.store.database import upsert
from newsletter.store.schema import idempotency_keys


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """The answer to a request, with a digest of the request."""

    request_digest: str
    status: int
    response: Any


def find(connection: Connection, token: int, key: str) -> StoredAnswer | None:
    """Return the answer to the request that a token (by row) made with a key; None if it made none."""
    columns = (idempotency_keys.c.request_digest, idempotency_keys.c.status, idempotency_keys.c.response)
    row = connection.execute(select(*columns).where(idempotency_keys.c.digest == _digest(token, key))).first()
    return StoredAnswer(*row) if row is not None else None


def keep(connection: Connection, token: int, key: str, answer: StoredAnswer, now: datetime) -> bool:
    """Store an answer in the transaction of what it answers; return whether no other request was first."""
    statement = upsert(connection, idempotency_keys).values(
        digest=_digest(token, key),
        request_digest=answer.request_digest,
        status=answer.status,
        response=answer.response,
        created_at=now,
    )
    return bool(connection.execute(statement.on_conflict_do_nothing()).rowcount)


def forget(connection: Connection, before: datetime) -> None:
    """Delete the answers from before a given time (UTC)."""
    connection.execute(delete(idempotency_keys).where(idempotency_keys.c.created_at < before))


def _digest(token: int, key: str) -> str:
    return hashlib.sha256(f"{token}|{key}".encode()).hexdigest()
