"""Stored accounts of the admin site and their sessions. Of a cookie only a digest is stored."""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select, update

from newsletter.store.database import advisory_lock
from newsletter.store.schema import operator_sessions, operators

_BYTES = 32


class Role(StrEnum):
    """What an operator may do: look, also change subscribers and sending, also manage accounts and tokens."""

    VIEWER = "viewer"
    EDITOR = "editor"
    OWNER = "owner"

    def allows(self, needed: "Role") -> bool:
        """Return whether this role includes another."""
        order = list(Role)
        return order.index(self) >= order.index(needed)


@dataclass(frozen=True, slots=True)
class Operator:
    """An account.

    Attributes:
        created_at, last_login: in UTC; ``last_login`` is None before the first.
    """

    row: int
    name: str
    role: Role
    created_at: datetime
    last_login: datetime | None


_COLUMNS = tuple(operators.c[name] for name in Operator.__dataclass_fields__)


def name_key(name: str) -> str:
    """Return a key that all spellings of a name share."""
    return name.strip().casefold()


def add(connection: Connection, name: str, role: Role, password_hash: str, now: datetime) -> Operator | None:
    """Add an account; None if one of that name exists."""
    if find(connection, name) is not None:
        return None
    values = {"name": name, "name_key": name_key(name), "role": role.value, "password_hash": password_hash}
    connection.execute(insert(operators).values(**values, created_at=now))
    return find(connection, name)


def find(connection: Connection, name: str) -> Operator | None:
    """Return the account of a name, in whatever case it is written."""
    row = connection.execute(select(*_COLUMNS).where(operators.c.name_key == name_key(name))).first()
    return _operator(row) if row is not None else None


def by_row(connection: Connection, row: int) -> Operator | None:
    """Return the account in a row."""
    found = connection.execute(select(*_COLUMNS).where(operators.c.row == row)).first()
    return _operator(found) if found is not None else None


def everything(connection: Connection) -> list[Operator]:
    """Return all accounts, by name."""
    return [_operator(row) for row in connection.execute(select(*_COLUMNS).order_by(operators.c.name_key))]


def password_hash(connection: Connection, row: int) -> str:
    """Return the hash of the password of an account."""
    return str(connection.execute(select(operators.c.password_hash).where(operators.c.row == row)).scalar_one())


def set_password(connection: Connection, row: int, hashed: str) -> None:
    """Replace the hash of the password of an account, and end its sessions."""
    connection.execute(update(operators).where(operators.c.row == row).values(password_hash=hashed))
    end_sessions(connection, row)


def rehash(connection: Connection, row: int, hashed: str) -> None:
    """Store the same password with newer parameters."""
    connection.execute(update(operators).where(operators.c.row == row).values(password_hash=hashed))


def set_role(connection: Connection, row: int, role: Role) -> bool:
    """Change the role of an account, and end its sessions; return false if there would be no owner left."""
    advisory_lock(connection, "operators")
    if role is not Role.OWNER and _is_last_owner(connection, row):
        return False
    connection.execute(update(operators).where(operators.c.row == row).values(role=role.value))
    end_sessions(connection, row)
    return True


def remove(connection: Connection, row: int) -> bool:
    """Delete an account with its sessions; return false if there would be no owner left."""
    advisory_lock(connection, "operators")
    if _is_last_owner(connection, row):
        return False
    connection.execute(delete(operators).where(operators.c.row == row))
    return True


def _is_last_owner(connection: Connection, row: int) -> bool:
    owners = select(operators.c.row).where(operators.c.role == Role.OWNER.value)
    return list(connection.execute(owners).scalars()) == [row]


def begin_session(connection: Connection, row: int, now: datetime, expires_at: datetime) -> str:
    """Start a session of an account; return the value of the cookie, which is not stored."""
    cookie = secrets.token_urlsafe(_BYTES)
    values = {"digest": _digest(cookie), "operator": row, "created_at": now, "expires_at": expires_at}
    connection.execute(insert(operator_sessions).values(**values))
    connection.execute(update(operators).where(operators.c.row == row).values(last_login=now))
    return cookie


def of_session(connection: Connection, cookie: str, now: datetime) -> Operator | None:
    """Return the operator of a session; None if there is no such session, or it has expired."""
    # The duration of looking up a digest says nothing about a cookie.
    query = select(*_COLUMNS).join(operator_sessions, operator_sessions.c.operator == operators.c.row)
    row = connection.execute(
        query.where(operator_sessions.c.digest == _digest(cookie), operator_sessions.c.expires_at > now)
    ).first()
    return _operator(row) if row is not None else None


def sessions(connection: Connection, now: datetime) -> dict[int, int]:
    """Count the sessions that last, by the row of the account."""
    query = select(operator_sessions.c.operator, func.count()).where(operator_sessions.c.expires_at > now)
    return {row[0]: row[1] for row in connection.execute(query.group_by(operator_sessions.c.operator))}


def end_session(connection: Connection, cookie: str) -> None:
    """End a session, if there is one."""
    connection.execute(delete(operator_sessions).where(operator_sessions.c.digest == _digest(cookie)))


def end_sessions(connection: Connection, row: int) -> None:
    """End all sessions of an account."""
    connection.execute(delete(operator_sessions).where(operator_sessions.c.operator == row))


def forget_sessions(connection: Connection, now: datetime) -> None:
    """Delete the sessions that are over."""
    connection.execute(delete(operator_sessions).where(operator_sessions.c.expires_at <= now))


def _operator(row: Any) -> Operator:
    number, name, role, created_at, last_login = row
    return Operator(number, name, Role(role), created_at, last_login)


def _digest(cookie: str) -> str:
    # A cookie is long and random, so a plain digest reveals nothing.
    return hashlib.sha256(cookie.encode()).hexdigest()
