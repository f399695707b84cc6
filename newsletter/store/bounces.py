"""What came back in the store: a row for each report, complaint or letter that was believed."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, Select, delete, func, insert, select

from newsletter.store.database import advisory_lock
from newsletter.store.schema import bounces, sends, subscribers
from newsletter.store.subscribers import email_key


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounce:
    """What came back once.

    Attributes:
        kind: hard, soft, refused, complaint or unsubscribe.
        status: the enhanced status code (RFC 3463), where there is one. ``diagnostic``: the server's words.
        received_at: when it was read (UTC).
        effect: the state that it brought the subscriber into, None where it changed nothing.
        email: whom it was about. ``edition``, ``message_id``: of the send, where it was about one.
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
    """Whether a mail with this digest was kept before. Another process that has the same mail waits for the answer."""
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
    """Keep what came back."""
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


def remove(connection: Connection, digest: str) -> str | None:
    """Remove what came back, by its digest; returns its effect, None when it had none or is not there."""
    gone = delete(bounces).where(bounces.c.digest == digest).returning(bounces.c.effect)
    return connection.execute(gone).scalar()


def sends_back(connection: Connection, subscriber: int, kind: str, email: str, since: datetime) -> set[int]:
    """The sends (by row) to a subscriber at an address that came back in a kind since a moment (UTC)."""
    query = (
        select(sends.c.row, sends.c.email)
        .join(bounces, bounces.c.send == sends.c.row)
        .where(bounces.c.subscriber == subscriber, bounces.c.kind == kind, bounces.c.received_at >= since)
    )
    key = email_key(email)
    return {row for row, address in connection.execute(query) if email_key(address) == key}


def hard_bounced(connection: Connection, domain: str) -> set[str]:
    """The addresses at a domain from which something came back hard, as far as the log goes."""
    query = select(sends.c.email).join(bounces, bounces.c.send == sends.c.row)
    return set(connection.execute(query.where(bounces.c.kind == "hard", sends.c.domain == domain)).scalars())


def last_effect(connection: Connection, subscriber: int) -> tuple[str, datetime] | None:
    """The last effect that what came back had on a subscriber, and when (UTC)."""
    query = (
        select(bounces.c.effect, bounces.c.received_at)
        .where(bounces.c.subscriber == subscriber, bounces.c.effect.is_not(None))
        .order_by(bounces.c.row.desc())
    )
    row = connection.execute(query).first()
    return (row.effect, row.received_at) if row is not None else None


def everything(connection: Connection) -> Iterator[Bounce]:
    """All that came back, oldest first."""
    for row in connection.execute(_all()).mappings():
        yield _bounce(row)


def of_subscriber(connection: Connection, subscriber: int, since: datetime) -> list[Bounce]:
    """What came back of a subscriber (row) since a moment (UTC), oldest first."""
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
