"""Stored API tokens of programs. Of a token only a digest is stored."""

import hashlib
import hmac
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, delete, insert, select, update

from newsletter.model import Scope
from newsletter.store.schema import operator_tokens

_BEGINS = "nl_"
_BYTES = 32
_USED_EVERY = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Token:
    """A token, as stored.

    Attributes:
        name: its owner or purpose.
        scopes: what it allows, in the order of :class:`Scope`.
        created_at, expires_at, last_used: in UTC. ``expires_at`` None: never. ``last_used`` None: not yet.
        created_by: who created it, as in the audit log; empty for one from before there was an audit log.
    """

    row: int
    name: str
    scopes: tuple[Scope, ...]
    created_at: datetime
    expires_at: datetime | None
    last_used: datetime | None
    created_by: str

    def holds(self, now: datetime) -> bool:
        """Return whether it has not expired."""
        return self.expires_at is None or now < self.expires_at

    @property
    def actor(self) -> str:
        """What the audit log calls whoever uses it."""
        return f"token {self.name}"


_COLUMNS = tuple(operator_tokens.c[name] for name in Token.__dataclass_fields__)


def create(
    connection: Connection,
    name: str,
    scopes: Iterable[Scope],
    now: datetime,
    expires_at: datetime | None,
    created_by: str,
) -> str | None:
    """Create a token and return it, which is possible only now; None if a token of that name exists."""
    if connection.execute(select(operator_tokens.c.row).where(operator_tokens.c.name == name)).first() is not None:
        return None
    token = _BEGINS + secrets.token_urlsafe(_BYTES)
    values = {"name": name, "digest": digest_of(token), "created_at": now, "expires_at": expires_at}
    allowed = [scope.value for scope in _in_order(scopes)]
    connection.execute(insert(operator_tokens).values(**values, scopes=allowed, created_by=created_by))
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
    shown, found = digest_of(token), None
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


def digest_of(secret: str) -> str:
    """Return the digest of a token or a cookie. These are long and random, so a plain digest reveals nothing."""
    return hashlib.sha256(secret.encode()).hexdigest()


def _token(fields: Sequence[object]) -> Token:
    row, name, scopes, *others = fields
    known = [scope for scope in Scope if scope.value in (scopes if isinstance(scopes, list) else ())]
    return Token(row, name, tuple(known), *others)  # type: ignore[arg-type]


def _in_order(scopes: Iterable[Scope]) -> list[Scope]:
    chosen = set(scopes)
    return [scope for scope in Scope if scope in chosen]
