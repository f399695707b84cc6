"""Stored operator tokens and the sessions started with them. Only digests of tokens and cookies are stored."""

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, delete, insert, select, update

from newsletter.store.schema import operator_sessions, operator_tokens

_BEGINS = "nl_"
_BYTES = 32
_USED_EVERY = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Token:
    """A token, as stored.

    Attributes:
        name: its owner or purpose.
        created_at, expires_at, last_used: in UTC. ``expires_at`` None: never. ``last_used`` None: not yet.
    """

    row: int
    name: str
    created_at: datetime
    expires_at: datetime | None
    last_used: datetime | None

    def holds(self, now: datetime) -> bool:
        """Return whether it has not expired."""
        return self.expires_at is None or now < self.expires_at


_COLUMNS = tuple(operator_tokens.c[name] for name in Token.__dataclass_fields__)


def create(connection: Connection, name: str, now: datetime, expires_at: datetime | None) -> str | None:
    """Create a token and return it, which is possible only now; None if a token of that name exists."""
    if connection.execute(select(operator_tokens.c.row).where(operator_tokens.c.name == name)).first() is not None:
        return None
    token = _BEGINS + secrets.token_urlsafe(_BYTES)
    connection.execute(
        insert(operator_tokens).values(name=name, digest=_digest(token), created_at=now, expires_at=expires_at)
    )
    return token


def everything(connection: Connection) -> list[Token]:
    """Return all tokens, by name."""
    query = select(*_COLUMNS).order_by(operator_tokens.c.name)
    return [Token(*row) for row in connection.execute(query)]


def revoke(connection: Connection, name: str) -> bool:
    """Revoke a token and the sessions started with it; return whether there was one of that name."""
    return bool(connection.execute(delete(operator_tokens).where(operator_tokens.c.name == name)).rowcount)


def find(connection: Connection, token: str, now: datetime) -> Token | None:
    """Return the token that a caller presents, None if it is invalid or expired. The time taken is always the same."""
    shown, found = _digest(token), None
    for *fields, digest in connection.execute(select(*_COLUMNS, operator_tokens.c.digest)):
        if hmac.compare_digest(digest, shown):
            found = Token(*fields)
    return found if found is not None and found.holds(now) else None


def begin_session(connection: Connection, token: int, expires_at: datetime) -> str:
    """Start a session with a token (by row); return the value of the cookie, which is not stored."""
    cookie = secrets.token_urlsafe(_BYTES)
    connection.execute(insert(operator_sessions).values(digest=_digest(cookie), token=token, expires_at=expires_at))
    return cookie


def of_session(connection: Connection, cookie: str, now: datetime) -> Token | None:
    """Return the token a session was started with; None if there is no such session, or it or the token has expired."""
    # The duration of looking up a digest says nothing about a cookie.
    query = select(*_COLUMNS).join(operator_sessions, operator_sessions.c.token == operator_tokens.c.row)
    one = connection.execute(
        query.where(operator_sessions.c.digest == _digest(cookie), operator_sessions.c.expires_at > now)
    ).first()
    found = Token(*one) if one is not None else None
    return found if found is not None and found.holds(now) else None


def end_session(connection: Connection, cookie: str) -> None:
    """End a session, if there is one."""
    connection.execute(delete(operator_sessions).where(operator_sessions.c.digest == _digest(cookie)))


def forget_sessions(connection: Connection, now: datetime) -> None:
    """Delete the sessions that are over."""
    connection.execute(delete(operator_sessions).where(operator_sessions.c.expires_at <= now))


def is_stale(token: Token, now: datetime) -> bool:
    """Return whether its last use should be recorded again: not each time, since a token in constant use would cause
    constant writes.
    """
    return token.last_used is None or abs(now - token.last_used) > _USED_EVERY


def note_use(connection: Connection, row: int, now: datetime) -> None:
    """Record that a token was used."""
    connection.execute(update(operator_tokens).where(operator_tokens.c.row == row).values(last_used=now))


def _digest(secret: str) -> str:
    # A token or a cookie is long and random, so a plain digest reveals nothing.
    return hashlib.sha256(secret.encode()).hexdigest()
