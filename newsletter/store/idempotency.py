"""Answers to requests of the API that programs may repeat, by the key that they choose
(draft-ietf-httpapi-idempotency-key-header).
"""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, delete, null, or_, select, update

from newsletter.store.database import upsert
from newsletter.store.schema import idempotency_keys

KEPT = timedelta(hours=24)
"""How long an answer is kept, so that a request with its key is not executed again."""

_LONGEST_ATTEMPT = timedelta(minutes=5)
"""After this time an attempt without an answer has failed: its process ended."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """The execution of a request, which stores its answer with :func:`finish`."""

    digest: str
    name: str


@dataclass(frozen=True, slots=True)
class StoredRequest:
    """A request that was executed before, or is being executed.

    Attributes:
        request_digest: of its content. ``status``, ``response``: of the answer; None while it is in progress.
    """

    request_digest: str
    status: int | None
    response: Any


def begin(connection: Connection, token: int, key: str, request_digest: str, now: datetime) -> Attempt | StoredRequest:
    """Begin the request that a token (by row) makes with a key (in a transaction of its own), so that nobody else
    executes it meanwhile.

    Returns:
        The attempt, or the request that the token made with this key before.
    """
    attempt = Attempt(_digest(token, key), secrets.token_hex(16))
    values = {
        "request_digest": request_digest,
        "attempt": attempt.name,
        "status": None,
        "response": None,
        "subscriber": None,
        "created_at": now,
    }
    failed = idempotency_keys.c.status.is_(null()) & (idempotency_keys.c.created_at < now - _LONGEST_ATTEMPT)
    is_over = or_(failed, idempotency_keys.c.created_at < now - KEPT)
    statement = upsert(connection, idempotency_keys).values(digest=attempt.digest, **values)
    statement = statement.on_conflict_do_update(index_elements=["digest"], set_=values, where=is_over)
    if connection.execute(statement.returning(idempotency_keys.c.digest)).first() is not None:
        return attempt
    columns = (idempotency_keys.c.request_digest, idempotency_keys.c.status, idempotency_keys.c.response)
    found = connection.execute(select(*columns).where(idempotency_keys.c.digest == attempt.digest)).first()
    # One that failed a moment ago counts as in progress still: the program makes it again.
    return StoredRequest(*found) if found is not None else StoredRequest(request_digest, None, None)


def finish(connection: Connection, attempt: Attempt, status: int, response: Any, subscriber: int | None) -> bool:
    """Store the answer to a request, in the transaction in which the request is executed.

    Args:
        subscriber: whom the answer is about (by row).

    Returns:
        False if another attempt has begun, because this one took too long: then undo what it did.
    """
    values = {"status": status, "response": response, "subscriber": subscriber}
    return bool(connection.execute(update(idempotency_keys).where(_in_progress(attempt)).values(**values)).rowcount)


def abandon(connection: Connection, attempt: Attempt) -> None:
    """Delete an attempt that failed, so that the request may be made again at once."""
    connection.execute(delete(idempotency_keys).where(_in_progress(attempt)))


def forget(connection: Connection, now: datetime) -> None:
    """Delete the answers that need not be kept any longer."""
    connection.execute(delete(idempotency_keys).where(idempotency_keys.c.created_at < now - KEPT))


def _in_progress(attempt: Attempt) -> Any:
    own = (idempotency_keys.c.digest == attempt.digest) & (idempotency_keys.c.attempt == attempt.name)
    return own & idempotency_keys.c.status.is_(null())


def _digest(token: int, key: str) -> str:
    return hashlib.sha256(f"{token}|{key}".encode()).hexdigest()
