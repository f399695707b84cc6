"""The sends in the store: the state that each message is in.

A send is claimed by a process, started just before its message goes on the wire, and settled just after the server's
answer. So a process that dies leaves one started send a session, and those alone are in doubt.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Connection,
    RowMapping,
    and_,
    bindparam,
    case,
    exists,
    func,
    or_,
    select,
    update,
)

from newsletter.model import Send, SendState, SubscriberState
from newsletter.store import worker_stats
from newsletter.store.pauses import IS_PAUSED
from newsletter.store.schema import send_papers, sends, subscribers

CANCELLED = "cancelled by the operator"
"""Why a send was skipped that no later run of its edition takes up again."""

IS_TAKEN_UP = and_(sends.c.state == SendState.SKIPPED.value, or_(sends.c.reason.is_(None), sends.c.reason != CANCELLED))
"""Whether a later run of the edition may plan a send anew."""


def domain_of(email: str) -> str:
    """The domain of an address, in small letters."""
    return email.rpartition("@")[2].lower()


@dataclass(frozen=True, slots=True)
class ClaimFilter:
    """Which of the waiting sends are meant.

    Attributes:
        only: those to these domains alone; None for any. ``without``: those to these domains not.
        subscriber: those of this one alone (row).
    """

    only: str | None = None
    without: tuple[str, ...] = ()
    subscriber: int | None = None


def claim(
    connection: Connection, claim_filter: ClaimFilter, owner: str, now: datetime, limit: int, is_test: bool = False
) -> list[Send]:
    """Take sends that may go on the wire now: planned ones, oldest first, and those put off until a time that has come.
    Each goes to the address that its subscriber has now.

    Args:
        is_test: take any of them, to test an account with: the oldest may be refused for a reason of its own.
    """
    fields = _in_lane(claim_filter)
    planned = and_(sends.c.state == SendState.PLANNED.value, sends.c.not_before.is_(None))
    put_off = and_(sends.c.state == SendState.DEFERRED.value, sends.c.not_before <= now)
    claimed: list[Send] = []
    for ready in (put_off, planned):
        if len(claimed) < limit:
            order = [func.random()] if is_test else [sends.c.not_before, sends.c.row]
            rows = select(sends.c.row).where(ready, *fields).order_by(*order)
            # By itself, before the update: PostgreSQL might carry out a subquery more than once, and lock more.
            free = rows.limit(limit - len(claimed)).with_for_update(skip_locked=True).cte("free")
            taken = (
                update(sends)
                .where(sends.c.row.in_(select(free.c.row)))
                .values(state=SendState.CLAIMED.value, claimed_at=now, claimed_by=owner, email=_address())
                .returning(*SEND_COLUMNS)
            )
            claimed += sorted(map(send_of, connection.execute(taken).mappings()), key=lambda send: send.row)
    return claimed


def _in_lane(claim_filter: ClaimFilter) -> list[ColumnElement[bool]]:
    fields = []
    if claim_filter.only is not None:
        fields.append(sends.c.domain == claim_filter.only)
    if claim_filter.without:
        fields.append(sends.c.domain.not_in(claim_filter.without))
    if claim_filter.subscriber is not None:
        fields.append(sends.c.subscriber == claim_filter.subscriber)
    return fields


def _address() -> Any:
    return select(subscribers.c.email).where(subscribers.c.row == sends.c.subscriber).scalar_subquery()


def waiting(connection: Connection, now: datetime, claim_filter: ClaimFilter) -> int:
    """How many sends wait that :func:`claim` would take now."""
    put_off = and_(sends.c.state == SendState.DEFERRED.value, sends.c.not_before <= now)
    ready = or_(sends.c.state == SendState.PLANNED.value, put_off)
    return connection.execute(
        select(func.count()).select_from(sends).where(ready, *_in_lane(claim_filter))
    ).scalar_one()


def deferred(connection: Connection, now: datetime, claim_filter: ClaimFilter) -> tuple[int, datetime | None]:
    """How many sends are put off until after a moment (UTC), and until when the first of them."""
    later = and_(sends.c.state == SendState.DEFERRED.value, sends.c.not_before > now)
    query = select(func.count(), func.min(sends.c.not_before)).where(later, *_in_lane(claim_filter))
    number, first = connection.execute(query).one()
    return number, first


def requeue_stuck(connection: Connection, latest: datetime, now: datetime) -> None:
    """Have sends that were put off until after ``latest`` be tried now: a clock that was wrong put them there."""
    stuck = and_(sends.c.state == SendState.DEFERRED.value, sends.c.not_before > latest)
    connection.execute(update(sends).where(stuck).values(not_before=now))


def mark_on_wire(connection: Connection, rows: Mapping[int, str], owner: str, now: datetime) -> set[int]:
    """Note that claimed sends go on the wire.

    Args:
        rows: by row, the account that each goes by.

    Returns:
        The rows of those that may go. The others are not ours any more, or their subscribers get no mail any more
        (they are skipped), or have another address since they were claimed, or all sending is paused (they are put
        back).
    """
    gone: set[int] = set()
    for account in set(rows.values()):
        chosen = [row for row, by in rows.items() if by == account]
        values = {"those": chosen, "owner": owner, "by": account, "now": now}
        gone |= set(connection.execute(_START, values).scalars())
    left = [row for row in rows if row not in gone]
    if left:
        skipped = connection.execute(_SKIP, {"those": left, "owner": owner, "now": now})
        gone_away = list(skipped.scalars())
        release_papers(connection, gone_away)
        worker_stats.count(connection, owner, [SendState.SKIPPED] * len(gone_away), now)
        # One of them may be on the wire in the same name: claimed again after another freed it for want of an answer.
        release_claims(connection, left, owner, on_wire=False)
    return gone


# Made once: these run for every message, and to make a statement takes longer than to execute it.
_THOSE = sends.c.row.in_(bindparam("those", expanding=True))
_OWN = and_(sends.c.state == SendState.CLAIMED.value, sends.c.claimed_by == bindparam("owner"))
_OWN_OFF_WIRE = and_(_THOSE, _OWN, sends.c.wire_at.is_(None))
_NOW: BindParameter[datetime] = bindparam("now", type_=sends.c.settled_at.type)
_ACTIVE = exists().where(subscribers.c.row == sends.c.subscriber, subscribers.c.state == SubscriberState.ACTIVE.value)
_START = (
    update(sends)
    .where(_OWN_OFF_WIRE, _ACTIVE, sends.c.email == _address(), ~IS_PAUSED)
    .values(wire_at=_NOW, account=bindparam("by"), attempts=sends.c.attempts + 1, not_before=None, reason=None)
    .returning(sends.c.row)
)
_SKIP = (
    update(sends)
    .where(_OWN_OFF_WIRE, ~_ACTIVE)
    .values(
        state=SendState.SKIPPED.value,
        reason="the subscriber gets no mail any more",
        settled_at=_NOW,
        claimed_by=None,
    )
    .returning(sends.c.row)
)
_ON_WIRE = sends.c.wire_at.is_not(None)
# Locked, so that what is found to be held is still held when it is settled.
_HELD = {
    on_wire: select(sends.c.row).where(_THOSE, _OWN, there).order_by(sends.c.row).with_for_update()
    for on_wire, there in ((True, _ON_WIRE), (False, ~_ON_WIRE))
}
_SETTLE = (
    update(sends)
    .where(sends.c.row == bindparam("one"), _OWN)
    .values(
        **{name: bindparam(name) for name in ("state", "smtp_reply", "reason", "not_before")},
        settled_at=_NOW,
        claimed_by=None,
        wire_at=None,
    )
)
_PEOPLE = (
    select(subscribers.c.row)
    .where(subscribers.c.row.in_(select(sends.c.subscriber).where(_THOSE)))
    .order_by(subscribers.c.row)
    .with_for_update(key_share=True)
)
# One that was put off may arrive after a newer one.
_MOVE_ON = (
    update(subscribers)
    .where(_THOSE, subscribers.c.row == sends.c.subscriber, subscribers.c.seen_row <= sends.c.seen_row)
    .values(last_digest=sends.c.planned_at, seen_row=sends.c.seen_row)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SendOutcome:
    """What became of a claimed send."""

    state: SendState
    smtp_reply: str | None = None
    reason: str | None = None
    not_before: datetime | None = None


def record_outcomes(
    connection: Connection, settled: Mapping[int, SendOutcome], owner: str, now: datetime, on_wire: bool = True
) -> set[int]:
    """Write down what became of sends that ``owner`` claimed, by row. One that failed for good releases its papers.

    Args:
        on_wire: of those that ``owner`` started; else of those that it did not.

    Returns:
        The rows of those whose claim still held; of one that was given up meanwhile nothing is changed.
    """
    held = set(connection.execute(_HELD[on_wire], {"those": list(settled), "owner": owner}).scalars())
    values = [
        {
            "one": row,
            "owner": owner,
            "now": now,
            "state": one.state.value,
            "smtp_reply": one.smtp_reply,
            "reason": one.reason,
            "not_before": one.not_before,
        }
        for row, one in settled.items()
        if row in held
    ]
    if not values:
        return held
    connection.execute(_SETTLE, values)
    worker_stats.count(connection, owner, (settled[row].state for row in held), now)
    release_papers(connection, [row for row in held if settled[row].state is SendState.FAILED])
    _move_on(connection, [row for row in held if settled[row].state is SendState.SENT])
    return held


def _move_on(connection: Connection, rows: Sequence[int]) -> None:
    """Have the subscribers of sent digests be told next of what is newer."""
    if not rows:
        return
    if connection.dialect.name == "postgresql":
        # In the order in which whoever plans locks them, so that neither waits for the other.
        connection.execute(_PEOPLE, {"those": rows})
    connection.execute(_MOVE_ON, {"those": rows})


def release_claims(connection: Connection, rows: Sequence[int], owner: str, on_wire: bool) -> None:
    """Give back claimed sends whose messages certainly did not reach the server.

    Args:
        on_wire: those that ``owner`` started, which only who started them can know; else those that it did not.
    """
    was_put_off = sends.c.not_before.is_not(None)
    own = and_(sends.c.state == SendState.CLAIMED.value, sends.c.claimed_by == owner)
    connection.execute(
        update(sends)
        .where(sends.c.row.in_(rows), own, _ON_WIRE if on_wire else ~_ON_WIRE)
        .values(
            state=case((was_put_off, SendState.DEFERRED.value), else_=SendState.PLANNED.value),
            attempts=sends.c.attempts - int(on_wire),
            claimed_by=None,
            wire_at=None,
        )
    )


def renew(connection: Connection, owner: str, now: datetime) -> None:
    """Have the claims of an owner hold from now on."""
    held = and_(sends.c.state == SendState.CLAIMED.value, sends.c.claimed_by == owner)
    connection.execute(update(sends).where(held).values(claimed_at=now))


@dataclass(frozen=True, slots=True)
class Claim:
    """Who holds a send: since when, and since when its message may be on the wire (UTC; None: it is not)."""

    row: int
    owner: str
    since: datetime
    wire_at: datetime | None


def claims(connection: Connection) -> list[Claim]:
    """All claims there are."""
    query = select(sends.c.row, sends.c.claimed_by, sends.c.claimed_at, sends.c.wire_at)
    found = connection.execute(query.where(sends.c.state == SendState.CLAIMED.value))
    return [Claim(row.row, row.claimed_by or "", row.claimed_at, row.wire_at) for row in found]


def by_rows(connection: Connection, rows: Sequence[int]) -> list[Send]:
    """The sends with these row numbers, lowest first."""
    query = select(sends).where(sends.c.row.in_(rows)).order_by(sends.c.row)
    return [send_of(row) for row in connection.execute(query).mappings()]


def mark_unsure(connection: Connection, row: int, owner: str, reason: str, now: datetime) -> bool:
    """Mark a send unsure whose owner is gone while its message was on the wire. Its papers stay held: it may have
    arrived.
    """
    done = connection.execute(
        update(sends)
        .where(
            sends.c.row == row,
            sends.c.state == SendState.CLAIMED.value,
            sends.c.claimed_by == owner,
            sends.c.wire_at.is_not(None),
        )
        .values(state=SendState.UNSURE.value, reason=reason, settled_at=now, claimed_by=None, wire_at=None)
    )
    return bool(done.rowcount)


def unsure(connection: Connection) -> list[Send]:
    """The sends of which nobody knows whether they arrived, oldest first."""
    query = select(*SEND_COLUMNS).where(sends.c.state == SendState.UNSURE.value).order_by(sends.c.row)
    return [send_of(row) for row in connection.execute(query).mappings()]


def resolve(connection: Connection, rows: Sequence[int], arrived: bool, now: datetime) -> None:
    """Settle unsure sends as the operator says: they arrived, or they are to be sent again."""
    still = and_(sends.c.row.in_(rows), sends.c.state == SendState.UNSURE.value)
    state, reason = (SendState.SENT, "it arrived, says the operator") if arrived else (SendState.PLANNED, None)
    values = {"state": state.value, "reason": reason, "settled_at": now if arrived else None}
    found = connection.execute(update(sends).where(still).values(**values).returning(sends.c.row)).scalars().all()
    if arrived:
        _move_on(connection, found)


def release_papers(connection: Connection, rows: Sequence[int]) -> None:
    """Let go of the papers of sends, so that their subscribers may be sent them."""
    if not rows:
        return
    connection.execute(update(send_papers).where(send_papers.c.send.in_(rows)).values(released=True))


_SEND_FIELDS = tuple(Send.__dataclass_fields__)
SEND_COLUMNS = tuple(sends.c[name] for name in _SEND_FIELDS)


def send_of(row: RowMapping) -> Send:
    """The send of a row of ``SEND_COLUMNS``."""
    values = {name: row[name] for name in _SEND_FIELDS}
    return Send(**{**values, "state": SendState(row["state"])})
