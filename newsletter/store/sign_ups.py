"""Stored requests from the site that are answered by email: each waits for its email, then for confirmation."""

import base64
import zlib
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, delete, exists, func, insert, select, update

from newsletter.model import Preferences, SubscriberState
from newsletter.store.database import advisory_lock, writes
from newsletter.store.preferences import stored_preferences, to_json
from newsletter.store.schema import sign_ups, subscribers
from newsletter.store.subscribers import email_key


class Kind(StrEnum):
    """The kind of request. The first two may come from anybody who knows an address, the others only from somebody with
    a link to a subscriber's preferences. All come from the site, except those for interests.
    """

    SIGN_UP = "sign_up"
    NEW_LINK = "new_link"
    EXPORT = "export"
    FORGET = "forget"
    CHANGE_ADDRESS = "change_address"
    """The present address is asked to approve the move."""
    NEW_ADDRESS = "new_address"
    """It approved, and the new address is asked."""
    INTERESTS = "interests"
    """An email was to change the interests; the answer says whether it did: then the request has the new ones."""
    UPLOAD = "upload"
    """The library of a confirmed sign-up, until it is stored as one. No email goes out."""


@dataclass(frozen=True, slots=True)
class SignUp:
    """A request.

    Attributes:
        preferences: include the address that the email goes to.
        network: where the request came from, as far as that is kept. ``asked_at``: when (UTC).
        attempts: how many times the email was tried.
        subscriber: the subscriber who made it (by row), for the kinds that have one.
        new_email: the address to move to.
        upload: the library that was uploaded with it: the file's name and its content; None without one.
        left_out: the name of an uploaded file for which there was no room; None without one.
    """

    row: int
    preferences: Preferences
    network: str
    asked_at: datetime
    attempts: int
    kind: Kind = Kind.SIGN_UP
    subscriber: int | None = None
    new_email: str | None = None
    upload: tuple[str, bytes] | None = None
    left_out: str | None = None

    @property
    def email(self) -> str:
        """The address that the email goes to."""
        return self.preferences.email


def one_by_one(connection: Connection) -> None:
    """Lock the counting of requests until this transaction ends: each is checked against the limits."""
    advisory_lock(connection, "sign-ups")


def add(
    connection: Connection,
    preferences: Preferences,
    network: str,
    now: datetime,
    kind: Kind = Kind.SIGN_UP,
    subscriber: int | None = None,
    new_email: str | None = None,
    upload: tuple[str, bytes] | None = None,
    left_out: str | None = None,
) -> None:
    """Store a request; its email may be sent right away."""
    library = base64.b64encode(zlib.compress(upload[1])).decode("ascii") if upload is not None else None
    connection.execute(
        insert(sign_ups).values(
            email=preferences.email,
            email_key=email_key(preferences.email),
            preferences=to_json(preferences),
            network=network,
            asked_at=now,
            not_before=now if kind is not Kind.UPLOAD else None,
            attempts=0,
            kind=kind.value,
            subscriber=subscriber,
            new_email=new_email,
            library_name=upload[0] if upload is not None else left_out,
            library_size=len(library) if library is not None else None,
            library=library,
        )
    )


def size_of_uploads(connection: Connection) -> int:
    """Return how many characters the uploaded libraries of all requests take in the store."""
    total = func.coalesce(func.sum(sign_ups.c.library_size), 0)
    return int(connection.execute(select(total)).scalar_one())


def waiting_uploads(connection: Connection, before: datetime, subscriber: int | None = None) -> list[int]:
    """Return the rows of confirmed uploads that are not stored as libraries: those confirmed before a time (UTC), of
    all subscribers or of one (by row).
    """
    query = select(sign_ups.c.row).where(sign_ups.c.kind == Kind.UPLOAD.value, sign_ups.c.asked_at < before)
    if subscriber is not None:
        query = query.where(sign_ups.c.subscriber == subscriber)
    return list(connection.execute(query.order_by(sign_ups.c.row)).scalars())


def begin_upload(connection: Connection, row: int) -> SignUp | None:
    """Count an attempt to store a confirmed upload, and return it; None if it was stored or is too old."""
    counted = update(sign_ups).where(sign_ups.c.row == row).values(attempts=sign_ups.c.attempts + 1)
    found = connection.execute(counted.returning(*sign_ups.c)).mappings().first()
    return _sign_up(found) if found is not None else None


def take(connection: Connection, now: datetime, hold: datetime) -> SignUp | None:
    """Claim the oldest request whose email may be sent now; no other process takes it until ``hold``."""
    ready = select(sign_ups.c.row).where(sign_ups.c.not_before <= now).order_by(sign_ups.c.row).limit(1)
    free = ready.with_for_update(skip_locked=True).cte("free")
    taken = (
        update(sign_ups)
        .where(sign_ups.c.row.in_(select(free.c.row)))
        .values(not_before=hold, attempts=sign_ups.c.attempts + 1)
        .returning(*sign_ups.c)
    )
    row = connection.execute(taken).mappings().first()
    return _sign_up(row) if row is not None else None


def find(connection: Connection, row: int) -> SignUp | None:
    """Return the request of a row, None if it was confirmed, or is too old."""
    query = select(sign_ups).where(sign_ups.c.row == row)
    found = connection.execute(query.with_for_update() if writes(connection) else query).mappings().first()
    return _sign_up(found) if found is not None else None


def next_mail_at(connection: Connection) -> datetime | None:
    """Return when the next email may be sent (UTC), None if none is waiting."""
    found: datetime | None = connection.execute(select(func.min(sign_ups.c.not_before))).scalar()
    return found


def put_off(connection: Connection, row: int, until: datetime | None) -> None:
    """Set when the email of a request may be sent; None once it was sent."""
    connection.execute(update(sign_ups).where(sign_ups.c.row == row).values(not_before=until))


def remove(connection: Connection, row: int) -> None:
    """Remove a request."""
    connection.execute(delete(sign_ups).where(sign_ups.c.row == row))


def remove_of(connection: Connection, email: str) -> None:
    """Remove all requests to sign up an address."""
    of_kind = sign_ups.c.kind == Kind.SIGN_UP.value
    connection.execute(delete(sign_ups).where(sign_ups.c.email_key == email_key(email), of_kind))


def remove_of_subscriber(connection: Connection, subscriber: int) -> None:
    """Remove the requests made with links of a subscriber (by row)."""
    with_link = sign_ups.c.kind != Kind.UPLOAD.value
    connection.execute(delete(sign_ups).where(sign_ups.c.subscriber == subscriber, with_link))


def forget(connection: Connection, before: datetime) -> int:
    """Remove the requests from before a given time (UTC); return how many."""
    return connection.execute(delete(sign_ups).where(sign_ups.c.asked_at < before)).rowcount


def never_confirmed(connection: Connection, consent: str, before: datetime, limit: int) -> list[int]:
    """Return the rows of subscribers who have been pending since before a given time (UTC), with this consent text, and
    no longer have a request.
    """
    of_kind = sign_ups.c.kind == Kind.SIGN_UP.value
    asks = exists().where(sign_ups.c.email_key == subscribers.c.email_key, of_kind)
    pending = subscribers.c.state == SubscriberState.PENDING.value
    query = select(subscribers.c.row).where(pending, subscribers.c.consent == consent, ~asks)
    return list(connection.execute(query.where(subscribers.c.state_since < before).limit(limit)).scalars())


def _sign_up(row: Any) -> SignUp:
    preferences, _ = stored_preferences(row["email"], row["preferences"])
    return SignUp(
        row=row["row"],
        preferences=preferences,
        network=row["network"],
        asked_at=row["asked_at"],
        attempts=row["attempts"],
        kind=Kind(row["kind"]),
        subscriber=row["subscriber"],
        new_email=row["new_email"],
        upload=_upload(row),
        left_out=row["library_name"] if row["library"] is None else None,
    )


def _upload(row: Any) -> tuple[str, bytes] | None:
    if row["library"] is None:
        return None
    return row["library_name"], zlib.decompress(base64.b64decode(row["library"]))
