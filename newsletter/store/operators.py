"""Stored operators, who have accounts of the admin site, and their sessions. Of a cookie only a digest is stored."""

import secrets
import unicodedata
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Connection, delete, insert, select, update

from newsletter.errors import UserError
from newsletter.model import Role
from newsletter.store.database import upsert
from newsletter.store.schema import operator_sessions, operators
from newsletter.store.tokens import digest_of

_BYTES = 32


class LastOwner(UserError):
    """Without this operator there would be no owner."""

    def __init__(self, name: str) -> None:
        super().__init__(f"{name}: the only owner cannot be removed or get another role; make someone else owner first")


@dataclass(frozen=True, slots=True)
class Operator:
    """An operator, as stored.

    Attributes:
        name: as the operator writes it; operators log in with any case of it.
        created_at, last_login: in UTC. ``last_login`` None: not yet.
    """

    row: int
    name: str
    role: Role
    created_at: datetime
    last_login: datetime | None
    password_hash: str = field(repr=False)


_COLUMNS = tuple(operators.c[name] for name in Operator.__dataclass_fields__)


def add(connection: Connection, name: str, role: Role, password_hash: str, now: datetime) -> int | None:
    """Add an operator and return the row; None if there is one of that name."""
    values = {"name": name, "name_key": name_key(name), "role": role.value, "password_hash": password_hash}
    added = upsert(connection, operators).values(**values, created_at=now).on_conflict_do_nothing()
    row: int | None = connection.execute(added.returning(operators.c.row)).scalar()
    return row


def by_name(connection: Connection, name: str) -> Operator | None:
    """Return the operator of a name, in any case."""
    return _one(connection, operators.c.name_key == name_key(name))


def by_row(connection: Connection, row: int) -> Operator | None:
    """Return the operator of a row."""
    return _one(connection, operators.c.row == row)


def everything(connection: Connection) -> list[Operator]:
    """Return all operators, by name."""
    return [_operator(one) for one in connection.execute(select(*_COLUMNS).order_by(operators.c.name_key))]


def set_role(connection: Connection, row: int, role: Role) -> None:
    """Change an operator's role.

    Raises:
        LastOwner: no other operator is an owner.
    """
    if role is not Role.OWNER:
        _keep_an_owner(connection, row)
    connection.execute(update(operators).where(operators.c.row == row).values(role=role.value))


def set_password(connection: Connection, row: int, password_hash: str) -> None:
    """Change the hash of an operator's password."""
    connection.execute(update(operators).where(operators.c.row == row).values(password_hash=password_hash))


def remove(connection: Connection, row: int) -> None:
    """Remove an operator, with all sessions.

    Raises:
        LastOwner: no other operator is an owner.
    """
    _keep_an_owner(connection, row)
    end_sessions(connection, row)
    connection.execute(delete(operators).where(operators.c.row == row))


def begin_session(connection: Connection, row: int, now: datetime, expires_at: datetime) -> str:
    """Start a session of an operator; return the value of the cookie, which is not stored."""
    cookie = secrets.token_urlsafe(_BYTES)
    values = {"digest": digest_of(cookie), "operator": row, "created_at": now, "expires_at": expires_at}
    connection.execute(insert(operator_sessions).values(**values))
    connection.execute(update(operators).where(operators.c.row == row).values(last_login=now))
    return cookie


def of_session(connection: Connection, cookie: str, now: datetime) -> Operator | None:
    """Return the operator of a session; None if there is no such session or it is over."""
    # The duration of looking up a digest says nothing about a cookie.
    query = select(*_COLUMNS).join(operator_sessions, operator_sessions.c.operator == operators.c.row)
    holds = operator_sessions.c.expires_at > now
    one = connection.execute(query.where(operator_sessions.c.digest == digest_of(cookie), holds)).first()
    return _operator(one) if one is not None else None


def sessions(connection: Connection, now: datetime) -> dict[int, int]:
    """Return the number of sessions of the operators (by row) who are logged in."""
    counts: dict[int, int] = {}
    query = select(operator_sessions.c.operator).where(operator_sessions.c.expires_at > now)
    for row in connection.execute(query).scalars():
        counts[row] = counts.get(row, 0) + 1
    return counts


def end_session(connection: Connection, cookie: str) -> None:
    """End a session, if there is one."""
    connection.execute(delete(operator_sessions).where(operator_sessions.c.digest == digest_of(cookie)))


def end_sessions(connection: Connection, row: int) -> int:
    """End the sessions of an operator; return how many."""
    return connection.execute(delete(operator_sessions).where(operator_sessions.c.operator == row)).rowcount


def forget_sessions(connection: Connection, now: datetime) -> None:
    """Delete the sessions that are over."""
    connection.execute(delete(operator_sessions).where(operator_sessions.c.expires_at <= now))


def _keep_an_owner(connection: Connection, row: int) -> None:
    # Locked, so that two owners cannot remove each other at the same time.
    owners = select(operators.c.row, operators.c.name).where(operators.c.role == Role.OWNER.value)
    found = connection.execute(owners.order_by(operators.c.row).with_for_update()).all()
    if [one.row for one in found] == [row]:
        raise LastOwner(found[0].name)


def _one(connection: Connection, where: object) -> Operator | None:
    one = connection.execute(select(*_COLUMNS).where(where)).first()  # type: ignore[arg-type]
    return _operator(one) if one is not None else None


def _operator(one: tuple[object, ...]) -> Operator:
    row, name, role, *others = one
    return Operator(row, name, Role(role), *others)  # type: ignore[arg-type]


def name_key(name: str) -> str:
    """Return the form of a name that is the same for all its spellings."""
    return unicodedata.normalize("NFKC", name).casefold()
