"""Stored circuit breakers: how each account's server treats messages, shared by all sending processes."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime

from sqlalchemy import Connection, delete, select

from newsletter.store.database import advisory_lock, upsert, writes
from newsletter.store.schema import circuit_breakers


@dataclass(frozen=True, slots=True, kw_only=True)
class CircuitBreaker:
    """The state of an account; times are in UTC.

    Attributes:
        refused_in_row: messages refused since the last accepted one. ``since``: the time of the first of them.
        accepted, refused: recent messages, with exponential decay, as of ``counted_at``.
        opened_at: when the account was set aside, None while it is in use. ``reason``: why, in words.
        probe_at: when the next test message may be sent. ``probes``: how many were sent since.
    """

    account: str
    counted_at: datetime
    refused_in_row: int = 0
    since: datetime | None = None
    accepted: float = 0.0
    refused: float = 0.0
    opened_at: datetime | None = None
    reason: str | None = None
    probe_at: datetime | None = None
    probes: int = 0


_FIELDS = tuple(field.name for field in fields(CircuitBreaker))
_COLUMNS = tuple(circuit_breakers.c[name] for name in _FIELDS)


def find(connection: Connection, account: str) -> CircuitBreaker | None:
    """Return the state of an account. A writing transaction locks it until it ends."""
    if writes(connection):
        advisory_lock(connection, f"circuit breaker {account}")
    row = connection.execute(select(*_COLUMNS).where(circuit_breakers.c.account == account)).mappings().first()
    return CircuitBreaker(**row) if row is not None else None


def save(connection: Connection, known: CircuitBreaker) -> None:
    """Store the state of an account."""
    values = {name: getattr(known, name) for name in _FIELDS}
    statement = upsert(connection, circuit_breakers).values(**values)
    connection.execute(statement.on_conflict_do_update(index_elements=["account"], set_=values))


def set_aside(connection: Connection) -> list[CircuitBreaker]:
    """Return the accounts that are set aside, by name."""
    query = select(*_COLUMNS).where(circuit_breakers.c.opened_at.is_not(None)).order_by(circuit_breakers.c.account)
    return [CircuitBreaker(**row) for row in connection.execute(query).mappings()]


def reset(connection: Connection, accounts: Sequence[str]) -> None:
    """Use accounts again, with a clean record."""
    connection.execute(delete(circuit_breakers).where(circuit_breakers.c.account.in_(accounts)))
