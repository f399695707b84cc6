"""Stored pause of all sending by the operator: one row, which every sending process checks."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, delete, exists, select

from newsletter.store.database import upsert
from newsletter.store.schema import sending_pauses

_ONLY = 1

IS_PAUSED = exists(select(sending_pauses.c.row))
"""SQL condition for other statements: sending is paused."""


@dataclass(frozen=True, slots=True)
class SendingPause:
    """When all sending was paused (UTC), and why, in the operator's words (may be empty)."""

    since: datetime
    reason: str

    def __str__(self) -> str:
        why = f" ({self.reason})" if self.reason else ""
        return f"sending is paused since {self.since:%Y-%m-%d %H:%M} UTC{why}; 'newsletter resume' continues it"


def find(connection: Connection) -> SendingPause | None:
    """Return the pause in force, if any."""
    row = connection.execute(select(sending_pauses.c.since, sending_pauses.c.reason)).first()
    return SendingPause(row.since, row.reason) if row is not None else None


def begin(connection: Connection, reason: str, now: datetime) -> None:
    """Pause all sending; if it is paused already, keep the start time and replace the reason."""
    statement = upsert(connection, sending_pauses).values(row=_ONLY, since=now, reason=reason)
    connection.execute(statement.on_conflict_do_update(index_elements=["row"], set_={"reason": reason}))


def end(connection: Connection) -> bool:
    """End the pause; return whether there was one."""
    return bool(connection.execute(delete(sending_pauses)).rowcount)
