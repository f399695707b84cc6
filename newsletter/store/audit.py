"""The audit log: what operators and programs did, and when."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, insert, select

from newsletter.store.schema import audit_log

COMMAND_LINE = "command line"
"""The actor of what is done by a command."""

SUBSCRIBER = "the subscriber"
"""The actor of what subscribers change themselves, by their links or by email."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """A line of the audit log.

    Attributes:
        at: when it was done (UTC).
        actor: who did it: the name of an operator, ``token`` and the name of a token, :data:`COMMAND_LINE`, or
            :data:`SUBSCRIBER`.
        action: what was done, such as ``subscriber.pause``.
        target: what it was done to, such as an address or the subject of an announcement.
        subscriber: the row of the subscriber it is about, None if it is about nobody, or somebody who was forgotten.
        details: what changed, as JSON values; never a secret.
        row: the number of the line, 0 before it is stored.
    """

    at: datetime
    actor: str
    action: str
    target: str = ""
    subscriber: int | None = None
    details: Mapping[str, Any]
    row: int = 0


_COLUMNS = tuple(audit_log.c[name] for name in AuditEntry.__dataclass_fields__)


def record(
    connection: Connection,
    actor: str,
    action: str,
    target: str,
    now: datetime,
    subscriber: int | None = None,
    **details: Any,
) -> None:
    """Add a line, in the transaction in which the thing itself is done."""
    values = {"actor": actor, "action": action, "target": target, "subscriber": subscriber, "details": details}
    connection.execute(insert(audit_log).values(at=now, **values))


def page(
    connection: Connection,
    before: int | None,
    limit: int | None,
    subscriber: int | None = None,
    actor: str | None = None,
) -> list[AuditEntry]:
    """Return the lines, newest first, starting before row ``before``.

    Args:
        limit: the maximum number of lines; None for all.
        subscriber: only those about this subscriber (by row). ``actor``: only what this one did.
    """
    query = select(*_COLUMNS).order_by(audit_log.c.row.desc()).limit(limit)
    if before is not None:
        query = query.where(audit_log.c.row < before)
    if subscriber is not None:
        query = query.where(audit_log.c.subscriber == subscriber)
    if actor is not None:
        query = query.where(audit_log.c.actor == actor)
    return [AuditEntry(**row) for row in connection.execute(query).mappings()]


def forget(connection: Connection, before: datetime, limit: int) -> int:
    """Delete up to ``limit`` lines from before a given time (UTC); return how many."""
    rows = list(connection.execute(select(audit_log.c.row).where(audit_log.c.at < before).limit(limit)).scalars())
    connection.execute(delete(audit_log).where(audit_log.c.row.in_(rows)))
    return len(rows)
