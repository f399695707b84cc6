"""Stored tokens of programs that use the API. Of a token only a digest is stored."""

import hashlib
import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from newsletter.store.schema import operator_tokens

_BEGINS = "nl_"
_BYTES = 32
_USED_EVERY = timedelta(minutes=5)


class Scope(StrEnum):
    """What a token allows."""

    READ = "read"
    METRICS = "metrics"
    SUBSCRIBERS_WRITE = "subscribers:write"
    ANNOUNCEMENTS_WRITE = "announcements:write"
    MESSAGES_WRITE = "messages:write"


USUAL_SCOPES = (Scope.READ, Scope.METRICS)
"""What a token allows that was created without naming any: to read."""


@dataclass(frozen=True, slots=True)
class Token:
    """A token, as stored.

    Attributes:
        name: its owner or purpose.
        scopes: what it allows. ``created_by``: the operator who created it.
        created_at, expires_at, last_used: in UTC. ``expires_at`` None: never. ``last_used`` None: not yet.
    """

    row: int
    name: str
    created_at: datetime
    expires_at: datetime | None
    last_used: datetime | None
    scopes: tuple[Scope, ...]
    created_by: str

    def holds(self, now: datetime) -> bool:
        """Return whether it has not expired."""
        return self.expires_at is None or now < self.expires_at


_COLUMNS = tuple(operator_tokens.c[name] for name in Token.__dataclass_fields__)


def create(
    connection: Connection,
    name: str,
    now: datetime,
    expires_at: datetime | None,
    scopes: Sequence[Scope] = USUAL_SCOPES,
    created_by: str = "",
) -> str | None:
    """Create a token and return it, which is possible only now; None if a token of that name exists."""
    if connection.execute(select(operator_tokens.c.row).where(operator_tokens.c.name == name)).first() is not None:
        return None
    token = _BEGINS + secrets.token_urlsafe(_BYTES)
    connection.execute(
        insert(operator_tokens).values(
            name=name,
            digest=_digest(token),
            created_at=now,
            expires_at=expires_at,
            scopes=[scope.value for scope in scopes],
            created_by=created_by,
        )
    )
    return token


def everything(connection: Connection) -> list[Token]:
    """Return all tokens, by name."""
    query = select(*_COLUMNS).order_by(operator_tokens.c.name)
    return [_token(row) for row in connection.execute(query)]


def revoke(connection: Connection, name: str) -> bool:
    """Revoke a token; return whether there was one of that name."""
    return bool(connection.execute(delete(operator_tokens).where(operator_tokens.c.name == name)).rowcount)


def find(connection: Connection, token: str, now: datetime) -> Token | None:
    """Return the token that a caller presents, None if it is invalid or expired. The time taken is always the same."""
    shown, found = _digest(token), None
    for *fields, digest in connection.execute(select(*_COLUMNS, operator_tokens.c.digest)):
        if hmac.compare_digest(digest, shown):
            found = _token(fields)
    return found if found is not None and found.holds(now) else None


def is_stale(token: Token, now: datetime) -> bool:
    """Return whether its last use should be recorded again: not each time, since a token in constant use would cause
    constant writes.
    """
    return token.last_used is None or abs(now - token.last_used) > _USED_EVERY


def note_use(connection: Connection, row: int, now: datetime) -> None:
    """Record that a token was used."""
    connection.execute(update(operator_tokens).where(operator_tokens.c.row == row).values(last_used=now))


def _token(row: Any) -> Token:
    number, name, created_at, expires_at, last_used, scopes, created_by = row
    known = tuple(Scope(one) for one in scopes if one in list(Scope))
    return Token(number, name, created_at, expires_at, last_used, known, created_by)


def _digest(secret: str) -> str:
    # A token is long and random, so a plain digest reveals nothing.
    return hashlib.sha256(secret.encode()).hexdigest()
