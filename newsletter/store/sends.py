"""Stored sends: the state of each message.

A send is claimed by a process, marked as on the wire just before its message is sent, and settled right after the
server's answer. So a process that dies leaves one send on the wire per session, and only those are in doubt.
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
    null,
    or_,
    select,
    update,
)

from newsletter.model import Send, SendState, SubscriberState
from newsletter.store import paper_events, webhooks, worker_stats
from newsletter.store.pauses import IS_PAUSED
from newsletter.store.schema import mailings, send_papers, sends, subscribers

CANCELLED = "cancelled by the operator"
"""The reason of a skipped send that no later run of its edition plans again."""

IS_DIGEST = sends.c.mailing.is_(None)
"""SQL condition: this send carries a digest, no announcement or message."""

_IS_HELD = sends.c.mailing.in_(select(mailings.c.row).where(mailings.c.paused_at.is_not(None)))
_MAY_GO = or_(IS_DIGEST, ~_IS_HELD)
"""SQL condition: the operator has not paused the mailing that this send carries."""

IS_TAKEN_UP = and_(sends.c.state == SendState.SKIPPED.value, or_(sends.c.reason.is_(None), sends.c.reason != CANCELLED))
"""SQL condition: a later run of the edition may plan this send again."""


def domain_of(email: str) -> str:
    """Return the domain of an address, in lower case."""
    return email.rpartition("@")[2].lower()


@dataclass(frozen=True, slots=True)
class ClaimFilter:
    """A filter for waiting sends.

    Attributes:
        only: only those to these domains; None for any. ``without``: none to these domains.
        subscriber: only those of this subscriber (by row).
    """

    only: str | None = None
    without: tuple[str, ...] = ()
    subscriber: int | None = None


def claim(
    connection: Connection, claim_filter: ClaimFilter, owner: str, now: datetime, limit: int, is_test: bool = False
) -> list[Send]:
    """Claim sends that may go on the wire now: planned ones, oldest first, and those whose time has come, whether they
    were deferred or planned for it.

    Each goes to the current address of its subscriber.

    Args:
        is_test: claim any of them, to test an account: the oldest may be refused for reasons unrelated to the account.
    """
    fields = _in_lane(claim_filter)
    planned = and_(sends.c.state == SendState.PLANNED.value, sends.c.not_before.is_(None))
    claimed: list[Send] = []
    for ready in (_in_time(SendState.DEFERRED, now), _in_time(SendState.PLANNED, now), planned):
        if len(claimed) < limit:
            order = [func.random()] if is_test else [sends.c.not_before, sends.c.row]
            rows = select(sends.c.row).where(ready, *fields).order_by(*order)
            # Separate from the update: PostgreSQL might run a subquery more than once, and lock more rows.
            free = rows.limit(limit - len(claimed)).with_for_update(skip_locked=True).cte("free")
            taken = (
                update(sends)
                .where(sends.c.row.in_(select(free.c.row)))
                .values(
                    state=SendState.CLAIMED.value,
                    claimed_at=now,
                    claimed_by=owner,
                    email=_address(),
                    # A planned one whose time has come is planned again if it is released; a deferred one deferred.
                    not_before=case((sends.c.state == SendState.DEFERRED.value, sends.c.not_before), else_=null()),
                )
                .returning(*SEND_COLUMNS)
            )
            claimed += sorted(map(send_of, connection.execute(taken).mappings()), key=lambda send: send.row)
    return claimed


def _in_lane(claim_filter: ClaimFilter) -> list[ColumnElement[bool]]:
    fields: list[ColumnElement[bool]] = [_MAY_GO]
    if claim_filter.only is not None:
        fields.append(sends.c.domain == claim_filter.only)
    if claim_filter.without:
        fields.append(sends.c.domain.not_in(claim_filter.without))
    if claim_filter.subscriber is not None:
        fields.append(sends.c.subscriber == claim_filter.subscriber)
    return fields


def _in_time(state: SendState, now: datetime) -> ColumnElement[bool]:
    return and_(sends.c.state == state.value, sends.c.not_before <= now)


def _address() -> Any:
    return select(subscribers.c.email).where(subscribers.c.row == sends.c.subscriber).scalar_subquery()


def waiting(connection: Connection, now: datetime, claim_filter: ClaimFilter) -> int:
    """Count the waiting sends that :func:`claim` would take now."""
    planned = and_(sends.c.state == SendState.PLANNED.value, sends.c.not_before.is_(None))
    ready = or_(planned, _in_time(SendState.PLANNED, now), _in_time(SendState.DEFERRED, now))
    return connection.execute(
        select(func.count()).select_from(sends).where(ready, *_in_lane(claim_filter))
    ).scalar_one()


def deferred(connection: Connection, now: datetime, claim_filter: ClaimFilter) -> tuple[int, datetime | None]:
    """Count the sends that are deferred until after a given time (UTC); return when the first of them may go, too."""
    later = and_(sends.c.state == SendState.DEFERRED.value, sends.c.not_before > now)
    query = select(func.count(), func.min(sends.c.not_before)).where(later, *_in_lane(claim_filter))
    number, first = connection.execute(query).one()
    return number, first


def requeue_stuck(connection: Connection, latest: datetime, now: datetime) -> None:
    """Have sends that were deferred until after ``latest`` tried now: the clock was wrong when they were deferred."""
    stuck = and_(sends.c.state == SendState.DEFERRED.value, sends.c.not_before > latest)
    connection.execute(update(sends).where(stuck).values(not_before=now))


def mark_on_wire(connection: Connection, rows: Mapping[int, str], owner: str, now: datetime) -> set[int]:
    """Record that claimed sends go on the wire.

    Args:
        rows: by row, the account each is sent through.

    Returns:
        The rows of those that may go. The others are no longer ours, or their subscribers are no longer active (they
        are skipped) or have changed their address since, or all sending is paused (they are released).
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
        release_contents(connection, gone_away)
        worker_stats.count(connection, owner, [SendState.SKIPPED] * len(gone_away), now)
        # One of them may be on the wire under the same name: claimed again after another session released it
        # unanswered.
        release_claims(connection, left, owner, on_wire=False)
    return gone


# Built once: these run for every message, and building a statement takes longer than executing it.
_THOSE = sends.c.row.in_(bindparam("those", expanding=True))
_OWN = and_(sends.c.state == SendState.CLAIMED.value, sends.c.claimed_by == bindparam("owner"))
_OWN_OFF_WIRE = and_(_THOSE, _OWN, sends.c.wire_at.is_(None))
_NOW: BindParameter[datetime] = bindparam("now", type_=sends.c.settled_at.type)
_ACTIVE = exists().where(subscribers.c.row == sends.c.subscriber, subscribers.c.state == SubscriberState.ACTIVE.value)
_START = (
    update(sends)
    .where(_OWN_OFF_WIRE, _ACTIVE, sends.c.email == _address(), ~IS_PAUSED, _MAY_GO)
    .values(wire_at=_NOW, account=bindparam("by"), attempts=sends.c.attempts + 1, not_before=None, reason=None)
    .returning(sends.c.row)
)
_SKIP = (
    update(sends)
    .where(_OWN_OFF_WIRE, ~_ACTIVE)
    .values(
        state=SendState.SKIPPED.value,
        reason="the subscriber no longer gets mail",
        settled_at=_NOW,
        claimed_by=None,
    )
    .returning(sends.c.row)
)
_ON_WIRE = sends.c.wire_at.is_not(None)
# Locked, so that what is claimed now is still claimed when it is settled.
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
# A deferred one may arrive after a newer one.
_MOVE_ON = (
    update(subscribers)
    .where(_THOSE, IS_DIGEST, subscribers.c.row == sends.c.subscriber, subscribers.c.seen_row <= sends.c.seen_row)
    .values(last_digest=sends.c.planned_at, seen_row=sends.c.seen_row)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SendOutcome:
    """The outcome of a claimed send."""

    state: SendState
    smtp_reply: str | None = None
    reason: str | None = None
    not_before: datetime | None = None


def record_outcomes(
    connection: Connection, settled: Mapping[int, SendOutcome], owner: str, now: datetime, on_wire: bool = True
) -> set[int]:
    """Record the outcomes of sends that ``owner`` claimed, by row. Failed ones release their papers.

    Args:
        on_wire: those that ``owner`` put on the wire; otherwise those that it did not.

    Returns:
        The rows of those whose claim still held; the others are not changed.
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
    webhooks.record_outcomes(connection, {row: settled[row].state for row in held}, now)
    release_contents(connection, [row for row in held if settled[row].state is SendState.FAILED])
    _move_on(connection, [row for row in held if settled[row].state is SendState.SENT])
    return held


def _move_on(connection: Connection, rows: Sequence[int]) -> None:
    """Advance what subscribers of sent digests have seen, so that the next digest has only newer papers."""
    if not rows:
        return
    if connection.dialect.name == "postgresql":
        # In the same order in which planning locks them, to avoid deadlocks.
        connection.execute(_PEOPLE, {"those": rows})
    connection.execute(_MOVE_ON, {"those": rows})


def release_claims(connection: Connection, rows: Sequence[int], owner: str, on_wire: bool) -> None:
    """Release claimed sends whose messages certainly did not reach the server.

    Args:
        on_wire: those that ``owner`` put on the wire, which only that owner can know; otherwise those that it did not.
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
    """Renew the claims of an owner as of now."""
    held = and_(sends.c.state == SendState.CLAIMED.value, sends.c.claimed_by == owner)
    connection.execute(update(sends).where(held).values(claimed_at=now))


@dataclass(frozen=True, slots=True)
class Claim:
    """The owner of a send's claim, since when it holds, and since when the message may be on the wire (UTC or None)."""

    row: int
    owner: str
    since: datetime
    wire_at: datetime | None


def claims(connection: Connection) -> list[Claim]:
    """Return all claims."""
    query = select(sends.c.row, sends.c.claimed_by, sends.c.claimed_at, sends.c.wire_at)
    found = connection.execute(query.where(sends.c.state == SendState.CLAIMED.value))
    return [Claim(row.row, row.claimed_by or "", row.claimed_at, row.wire_at) for row in found]


def by_rows(connection: Connection, rows: Sequence[int], lock: bool = False) -> list[Send]:
    """Return the sends with these row numbers, lowest first.

    Args:
        lock: nobody else may change them until this transaction ends, so that no worker claims what is decided here.
    """
    query = select(sends).where(sends.c.row.in_(rows)).order_by(sends.c.row)
    if lock:
        query = query.with_for_update()
    return [send_of(row) for row in connection.execute(query).mappings()]


def mark_unsure(connection: Connection, row: int, owner: str, reason: str, now: datetime) -> bool:
    """Mark a send unsure whose owner ended while its message was on the wire.

    Its papers stay reserved, since it may have arrived.
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


def unsure(connection: Connection, limit: int | None = None) -> list[Send]:
    """Return the sends of unknown outcome, oldest first: all, or the first ``limit``."""
    # Not in the order of the table, all of which would be read to find a few.
    in_order = func.coalesce(sends.c.row, 0)
    query = select(*SEND_COLUMNS).where(sends.c.state == SendState.UNSURE.value).order_by(in_order).limit(limit)
    return [send_of(row) for row in connection.execute(query).mappings()]


def resolve(connection: Connection, rows: Sequence[int], arrived: bool, now: datetime) -> None:
    """Settle unsure sends as the operator decides: they arrived, or they are to be sent again."""
    still = and_(sends.c.row.in_(rows), sends.c.state == SendState.UNSURE.value)
    state, reason = (SendState.SENT, "the operator confirmed that it arrived") if arrived else (SendState.PLANNED, None)
    values = {"state": state.value, "reason": reason, "settled_at": now if arrived else None}
    found = connection.execute(update(sends).where(still).values(**values).returning(sends.c.row)).scalars().all()
    if arrived:
        _move_on(connection, found)
        webhooks.record_outcomes(connection, dict.fromkeys(found, state), now)


def release_contents(connection: Connection, rows: Sequence[int]) -> None:
    """Release the papers and events of sends, so that their subscribers may get them later."""
    if not rows:
        return
    connection.execute(update(send_papers).where(send_papers.c.send.in_(rows)).values(released=True))
    paper_events.release(connection, rows)


_SEND_FIELDS = tuple(Send.__dataclass_fields__)
SEND_COLUMNS = tuple(sends.c[name] for name in _SEND_FIELDS)


def send_of(row: RowMapping) -> Send:
    """Create a send from a row of ``SEND_COLUMNS``."""
    values = {name: row[name] for name in _SEND_FIELDS}
    return Send(**{**values, "state": SendState(row["state"])})
