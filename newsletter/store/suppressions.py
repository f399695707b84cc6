"""The suppression list: addresses that get no mail, even if they are added again.

Only a digest of each address is stored, so that the list may outlive all other data on a person. The digest has no key:
with another key, or without it, the list would silently stop working, and an attacker who has the store has every
subscriber's address in plain text anyway.
"""

import hashlib
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import Connection, delete, select

from newsletter.store import subscribers as subscriber_store
from newsletter.store.database import upsert
from newsletter.store.schema import subscribers, suppressions

_PAGE = 1000


class Reason(StrEnum):
    """Why an address is suppressed; a later reason replaces an earlier one of less weight."""

    FORGOTTEN = "forgotten"
    UNSUBSCRIBED = "unsubscribed"
    BOUNCED = "bounced"
    COMPLAINT = "complaint"


_WEIGHT = {Reason.FORGOTTEN: 0, Reason.UNSUBSCRIBED: 1, Reason.BOUNCED: 2, Reason.COMPLAINT: 3}


@dataclass(frozen=True, slots=True)
class Suppression:
    """A suppressed address.

    Attributes:
        since: when it was suppressed (UTC).
        email: the address if a subscriber has it; otherwise it is unknown.
    """

    reason: Reason
    since: datetime
    email: str | None = None


def suppress(connection: Connection, email: str, reason: Reason, now: datetime) -> None:
    """Put an address on the list."""
    values = {"reason": reason.value, "since": now}
    lighter = [one.value for one in Reason if _WEIGHT[one] < _WEIGHT[reason]]
    statement = upsert(connection, suppressions).values(address_digest=_digest(email), **values)
    statement = statement.on_conflict_do_update(
        index_elements=["address_digest"], set_=values, where=suppressions.c.reason.in_(lighter)
    )
    connection.execute(statement)


def find(connection: Connection, email: str) -> Suppression | None:
    """Return why an address is on the list, None if it is not."""
    row = connection.execute(select(suppressions).where(suppressions.c.address_digest == _digest(email))).first()
    return Suppression(Reason(row.reason), row.since, email) if row is not None else None


def lift(connection: Connection, email: str) -> bool:
    """Remove an address from the list; return whether it was on it."""
    gone = delete(suppressions).where(suppressions.c.address_digest == _digest(email))
    return bool(connection.execute(gone).rowcount)


def bounced(connection: Connection, since: datetime | None) -> list[str]:
    """Return the digests of the addresses that are suppressed for bouncing, since a given time (UTC) or later."""
    query = select(suppressions.c.address_digest).where(suppressions.c.reason == Reason.BOUNCED.value)
    if since is not None:
        query = query.where(suppressions.c.since >= since)
    return list(connection.execute(query).scalars())


def lift_bounced(connection: Connection, digests: Collection[str]) -> None:
    """Remove addresses, by their digests, that are on the list for bouncing."""
    these = suppressions.c.address_digest.in_(digests)
    connection.execute(delete(suppressions).where(these, suppressions.c.reason == Reason.BOUNCED.value))


def everything(connection: Connection) -> Iterator[Suppression]:
    """Yield the whole list, starting with the addresses that subscribers have."""
    query = select(suppressions).order_by(suppressions.c.since, suppressions.c.address_digest)
    rows = {row.address_digest: Suppression(Reason(row.reason), row.since) for row in connection.execute(query)}
    after = 0
    while rows:
        people = select(subscribers.c.row, subscribers.c.email).where(subscribers.c.row > after)
        page = connection.execute(people.order_by(subscribers.c.row).limit(_PAGE)).all()
        if not page:
            break
        for one in page:
            found = rows.pop(_digest(one.email), None)
            if found is not None:
                yield Suppression(found.reason, found.since, one.email)
        after = page[-1].row
    yield from rows.values()


def _digest(email: str) -> str:
    return digest_of(subscriber_store.email_key(email))


def digest_of(email_key: str) -> str:
    """Return the digest of an address, given its key (:func:`newsletter.store.subscribers.email_key`)."""
    return hashlib.sha256(email_key.encode()).hexdigest()
