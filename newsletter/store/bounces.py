"""Stored bounces: a row for each report, complaint or unsubscribe email that was verified."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, Select, delete, func, insert, select

from newsletter.store import webhooks
from newsletter.store.database import advisory_lock
from newsletter.store.schema import bounces, sends, subscribers
from newsletter.store.subscribers import email_key

_TOLD = ("hard", "soft", "refused", "complaint")
"""The kinds that the endpoints of webhooks are told; the others are emails that subscribers wrote."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounce:
    """A verified bounce, complaint or unsubscribe email.

    Attributes:
        kind: hard, soft, refused, complaint or unsubscribe.
        status: the enhanced status code (RFC 3463), if any. ``diagnostic``: the server's text.
        received_at: when it was read (UTC).
        effect: the state the subscriber was moved to, None if nothing changed.
        email: the subscriber's address. ``edition``, ``message_id``: of the send, if it was about one.
    """

    kind: str
    status: str | None
    diagnostic: str
    received_at: datetime
    effect: str | None
    email: str | None
    edition: date | None
    message_id: str | None


def is_known(connection: Connection, digest: str) -> bool:
    """Return whether a message with this digest was stored before. Other processes with the same message wait."""
    advisory_lock(connection, f"bounce {digest}")
    return connection.execute(select(bounces.c.row).where(bounces.c.digest == digest)).first() is not None


def keep(
    connection: Connection,
    *,
    subscriber: int | None,
    send: int | None,
    kind: str,
    status: str | None,
    diagnostic: str,
    effect: str | None,
    digest: str,
    now: datetime,
) -> None:
    """Store a bounce."""
    connection.execute(
        insert(bounces).values(
            subscriber=subscriber,
            send=send,
            kind=kind,
            status=status,
            diagnostic=diagnostic,
            effect=effect,
            digest=digest,
            received_at=now,
        )
    )
    if kind in _TOLD:
        bounce = {"kind": kind, "status": status, "diagnostic": diagnostic}
        webhooks.record_bounce(connection, send, subscriber, bounce, now)


def remove(connection: Connection, digest: str) -> str | None:
    """Remove a bounce by its digest; return its effect, None if it had none or does not exist."""
    gone = delete(bounces).where(bounces.c.digest == digest).returning(bounces.c.effect)
    return connection.execute(gone).scalar()


def sends_back(connection: Connection, subscriber: int, kind: str, email: str, since: datetime) -> set[int]:
    """Return the sends (by row) to a subscriber's address with a bounce of some kind since a given time (UTC)."""
    query = (
        select(sends.c.row, sends.c.email)
        .join(bounces, bounces.c.send == sends.c.row)
        .where(bounces.c.subscriber == subscriber, bounces.c.kind == kind, bounces.c.received_at >= since)
    )
    key = email_key(email)
    return {row for row, address in connection.execute(query) if email_key(address) == key}


def hard_bounced(connection: Connection, domain: str) -> set[str]:
    """Return the addresses at a domain that hard-bounced, as far back as the log goes."""
    query = select(sends.c.email).join(bounces, bounces.c.send == sends.c.row)
    return set(connection.execute(query.where(bounces.c.kind == "hard", sends.c.domain == domain)).scalars())


def last_effect(connection: Connection, subscriber: int) -> tuple[str, datetime] | None:
    """Return the last effect that a bounce had on a subscriber, and when (UTC)."""
    query = (
        select(bounces.c.effect, bounces.c.received_at)
        .where(bounces.c.subscriber == subscriber, bounces.c.effect.is_not(None))
        .order_by(bounces.c.row.desc())
    )
    row = connection.execute(query).first()
    return (row.effect, row.received_at) if row is not None else None


def everything(connection: Connection) -> Iterator[Bounce]:
    """Yield all bounces, oldest first."""
    for row in connection.execute(_all()).mappings():
        yield _bounce(row)


def of_subscriber(connection: Connection, subscriber: int, since: datetime) -> list[Bounce]:
    """Return the bounces of a subscriber (by row) since a given time (UTC), oldest first."""
    query = _all().where(bounces.c.subscriber == subscriber, bounces.c.received_at >= since)
    return [_bounce(row) for row in connection.execute(query).mappings()]


def _all() -> Select[Any]:
    return (
        select(bounces, func.coalesce(sends.c.email, subscribers.c.email).label("email"), sends.c.edition)
        .add_columns(sends.c.message_id)
        .outerjoin(sends, sends.c.row == bounces.c.send)
        .outerjoin(subscribers, subscribers.c.row == bounces.c.subscriber)
        .order_by(bounces.c.row)
    )


def _bounce(row: RowMapping) -> Bounce:
    return Bounce(**{name: row[name] for name in Bounce.__dataclass_fields__})
