"""The sends in the store: the log of what each subscriber was sent, and the state each message is in.

A send is claimed by a process, started just before its message goes on the wire, and settled just after the server's
answer. So a process that dies leaves one started send a session, and those alone are in doubt.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    RowMapping,
    and_,
    bindparam,
    case,
    delete,
    exists,
    func,
    or_,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from newsletter.model import Choice, Digest, Paper, Send, SendState, SubscriberState
from newsletter.store import papers as paper_store
from newsletter.store.schema import bounces, papers, send_papers, sends, subscribers
from newsletter.store.schema import ranked_with as ranked_with_table

_BLOCK = 500


@dataclass(frozen=True, slots=True)
class Basis:
    """What a digest was ranked with, so that it can be ranked again.

    Attributes:
        space: the version of the space. ``now``: when the papers that were new stood fast (UTC).
        after_row: above which row papers were new. ``content``: what the subscriber followed, and the rules.
    """

    space: str
    now: datetime
    after_row: int
    content: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A digest to be sent, or a subscriber to be skipped with a reason."""

    subscriber: int
    email: str
    message_id: str
    digest: Digest
    skip_reason: str | None = None
    basis: Basis | None = None


def plan(connection: Connection, plans: Iterable[Plan], now: datetime) -> list[int]:
    """Write down what is to be sent, before anything is.

    A subscriber who has a send in the edition already is left alone, unless it was skipped: then a digest takes its
    place. So two processes that plan the same edition plan each subscriber once. A digest takes the place, too, of one
    that is still planned in another edition. Where a paper of a plan went on the wire, in an older digest, since the
    plan was made, what is new to the subscriber waits for the next edition.

    Args:
        plans: one a subscriber at most.

    Returns:
        The rows of the sends now planned.
    """
    todo = list(plans)
    while True:
        with connection.begin_nested() as attempt:
            planned = _write_down(connection, todo, now)
            overtaken = _hold_papers(connection, planned)
            if not overtaken:
                return sorted(planned)
            attempt.rollback()
        todo = [one for one in todo if one.subscriber not in overtaken]


def _write_down(connection: Connection, plans: Sequence[Plan], now: datetime) -> dict[int, Plan]:
    """The rows of the sends that are planned now, each with its plan; those that stand for skipped ones are not among
    them.
    """
    if not plans:
        return {}
    _keep_contents(connection, plans)
    statement = _upsert(connection)(sends)
    written = ("email", "domain", "state", "reason", "considered", "since", "seen_row", "planned_at", "settled_at")
    new = {name: statement.excluded[name] for name in (*written, "space", "after_row", "ranked_with", "not_before")}
    statement = statement.on_conflict_do_update(
        index_elements=["edition", "subscriber"], set_=new, where=sends.c.state == SendState.SKIPPED.value
    )
    found = connection.execute(
        statement.returning(sends.c.row, sends.c.subscriber), [_values(one, now) for one in plans]
    )
    by_subscriber = {one.subscriber: one for one in plans if one.skip_reason is None}
    planned = {row: by_subscriber[subscriber] for row, subscriber in found if subscriber in by_subscriber}
    _take_places(connection, planned, now)
    return planned


def _values(one: Plan, now: datetime) -> dict[str, Any]:
    basis = one.basis
    return {
        "edition": one.digest.edition,
        "subscriber": one.subscriber,
        "message_id": one.message_id,
        "attempts": 0,
        "email": one.email,
        "domain": domain_of(one.email),
        "state": (SendState.SKIPPED if one.skip_reason else SendState.PLANNED).value,
        "reason": one.skip_reason,
        "considered": one.digest.considered,
        "since": one.digest.since,
        "seen_row": one.digest.seen_row,
        "planned_at": basis.now if basis else now,
        "settled_at": now if one.skip_reason else None,
        "not_before": None,
        "space": basis.space if basis else None,
        "after_row": basis.after_row if basis else None,
        "ranked_with": _name(basis.content) if basis else None,
    }


def domain_of(email: str) -> str:
    """The domain of an address, in small letters."""
    return email.rpartition("@")[2].lower()


def _upsert(connection: Connection) -> Any:
    return postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert


def _keep_contents(connection: Connection, plans: Sequence[Plan]) -> None:
    """Keep what subscribers follow, once for all the time it stays the same."""
    contents = [
        {"subscriber": one.subscriber, "digest": _name(one.basis.content), "content": one.basis.content}
        for one in plans
        if one.basis is not None
    ]
    if contents:
        connection.execute(_upsert(connection)(ranked_with_table).on_conflict_do_nothing(), contents)


def _name(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def _take_places(connection: Connection, planned: Mapping[int, Plan], now: datetime) -> None:
    """Skip the subscribers' other sends that are planned yet, and release their papers: the plans have them in view."""
    older: list[int] = []
    for edition in {one.digest.edition for one in planned.values()}:
        rows = [row for row, one in planned.items() if one.digest.edition == edition]
        found = connection.execute(
            update(sends)
            .where(
                sends.c.subscriber.in_([planned[row].subscriber for row in rows]),
                sends.c.state == SendState.PLANNED.value,
                sends.c.row.not_in(rows),
            )
            .values(
                state=SendState.SKIPPED.value,
                reason=f"not sent before the digest of {edition} was made, which took its place",
                settled_at=now,
            )
            .returning(sends.c.row)
        )
        older += found.scalars()
    if older:
        _release(connection, older)
    connection.execute(delete(send_papers).where(send_papers.c.send.in_(list(planned))))


def _hold_papers(connection: Connection, planned: Mapping[int, Plan]) -> set[int]:
    """Hold the papers of planned digests.

    Returns:
        The subscribers for whom another digest holds one of them; none when all is well.
    """
    values = [
        {
            "send": row,
            "rank": choice.rank,
            "subscriber": one.subscriber,
            "paper": choice.paper.row,
            "score": choice.score,
            "section": choice.section,
            "because": choice.because,
        }
        for row, one in planned.items()
        for choice in one.digest.choices
    ]
    if not values:
        return set()
    held = connection.execute(_upsert(connection)(send_papers).on_conflict_do_nothing(), values)
    if held.rowcount == len(values):
        return set()
    counted = select(send_papers.c.send, func.count()).where(send_papers.c.send.in_(list(planned)))
    numbers = {row[0]: row[1] for row in connection.execute(counted.group_by(send_papers.c.send))}
    return {one.subscriber for row, one in planned.items() if numbers.get(row, 0) < len(one.digest.choices)}


def ranked_with(connection: Connection, subscriber: int, edition: date) -> tuple[Send, Basis] | None:
    """A subscriber's send of an edition with what it was ranked with; None when the log does not have it."""
    query = (
        select(sends, ranked_with_table.c.content)
        .join(
            ranked_with_table,
            and_(
                ranked_with_table.c.subscriber == sends.c.subscriber, ranked_with_table.c.digest == sends.c.ranked_with
            ),
        )
        .where(sends.c.subscriber == subscriber, sends.c.edition == edition)
    )
    row = connection.execute(query).mappings().first()
    if row is None:
        return None
    return _send(row), Basis(row["space"], row["planned_at"], row["after_row"], row["content"])


def held_before(connection: Connection, send: Send) -> set[int]:
    """The rows of the papers that a subscriber was sent, or may have been, before a send."""
    query = select(send_papers.c.paper).where(
        send_papers.c.subscriber == send.subscriber, send_papers.c.send < send.row, ~send_papers.c.released
    )
    return set(connection.execute(query).scalars())


def held_papers(
    connection: Connection, subscriber_rows: Sequence[int], first_seen_after: datetime, leaving_out: date | None = None
) -> dict[int, set[int]]:
    """The papers each subscriber was sent, or may have been, as sets of paper rows by subscriber row. Those of a digest
    that is only planned do not count: a newer one takes its place.

    Args:
        first_seen_after: only papers first seen after this (UTC); no others stand for choice.
        leaving_out: an edition that does not count.
    """
    held: dict[int, set[int]] = {row: set() for row in subscriber_rows}
    recent = select(papers.c.row).where(papers.c.first_seen > first_seen_after)
    for start in range(0, len(subscriber_rows), _BLOCK):
        block = subscriber_rows[start : start + _BLOCK]
        planned = select(sends.c.row).where(sends.c.subscriber.in_(block), sends.c.state == SendState.PLANNED.value)
        query = select(send_papers.c.subscriber, send_papers.c.paper).where(
            send_papers.c.subscriber.in_(block),
            ~send_papers.c.released,
            send_papers.c.paper.in_(recent),
            send_papers.c.send.not_in(planned),
        )
        if leaving_out is not None:
            same = select(sends.c.row).where(sends.c.edition == leaving_out, sends.c.subscriber.in_(block))
            query = query.where(send_papers.c.send.not_in(same))
        for subscriber, paper in connection.execute(query):
            held[subscriber].add(paper)
    return held


def last_sent_before(connection: Connection, subscriber: int, edition: date) -> tuple[datetime | None, int]:
    """When a subscriber's last digest before an edition was made up (UTC), and the highest paper row it had in view."""
    query = (
        select(sends.c.planned_at, sends.c.seen_row)
        .where(sends.c.subscriber == subscriber, sends.c.state == SendState.SENT.value, sends.c.edition < edition)
        .order_by(sends.c.row.desc())
    )
    row = connection.execute(query).first()
    return (row.planned_at, row.seen_row) if row is not None else (None, 0)


def by_message_id(connection: Connection, message_ids: Sequence[str]) -> Send | None:
    """A send that has one of these Message-IDs."""
    row = connection.execute(select(sends).where(sends.c.message_id.in_(message_ids))).mappings().first()
    return _send(row) if row is not None else None


def of_edition(connection: Connection, subscriber: int, edition: date) -> Send | None:
    """A subscriber's send in an edition."""
    query = select(sends).where(sends.c.subscriber == subscriber, sends.c.edition == edition)
    row = connection.execute(query).mappings().first()
    return _send(row) if row is not None else None


def in_edition(connection: Connection, pairs: Mapping[int, date]) -> set[int]:
    """Which of the subscribers (by row, each with the edition it is to get) have a send that was not skipped."""
    rows = sorted(pairs)
    settled: set[int] = set()
    for start in range(0, len(rows), _BLOCK):
        query = select(sends.c.subscriber, sends.c.edition).where(
            sends.c.subscriber.in_(rows[start : start + _BLOCK]),
            sends.c.edition.in_(set(pairs.values())),
            sends.c.state != SendState.SKIPPED.value,
        )
        settled |= {row.subscriber for row in connection.execute(query) if pairs[row.subscriber] == row.edition}
    return settled


@dataclass(frozen=True, slots=True)
class Lane:
    """Which of the waiting sends are meant.

    Attributes:
        only: those to these domains alone; None for any. ``without``: those to these domains not.
        subscriber: those of this one alone (row).
    """

    only: str | None = None
    without: tuple[str, ...] = ()
    subscriber: int | None = None


def claim(connection: Connection, lane: Lane, owner: str, now: datetime, limit: int) -> list[Send]:
    """Take sends that may go on the wire now: planned ones, oldest first, and those put off until a time that has come.
    Each goes to the address that its subscriber has now.
    """
    fields = _in_lane(lane)
    planned = and_(sends.c.state == SendState.PLANNED.value, sends.c.not_before.is_(None))
    put_off = and_(sends.c.state == SendState.DEFERRED.value, sends.c.not_before <= now)
    claimed: list[Send] = []
    for ready in (put_off, planned):
        if len(claimed) < limit:
            rows = select(sends.c.row).where(ready, *fields).order_by(sends.c.not_before, sends.c.row)
            rows = rows.limit(limit - len(claimed)).with_for_update(skip_locked=True)
            taken = (
                update(sends)
                .where(sends.c.row.in_(rows.scalar_subquery()))
                .values(state=SendState.CLAIMED.value, claimed_at=now, claimed_by=owner, email=_address())
                .returning(*_SEND_COLUMNS)
            )
            claimed += sorted(map(_send, connection.execute(taken).mappings()), key=lambda send: send.row)
    return claimed


def _in_lane(lane: Lane) -> list[ColumnElement[bool]]:
    fields = []
    if lane.only is not None:
        fields.append(sends.c.domain == lane.only)
    if lane.without:
        fields.append(sends.c.domain.not_in(lane.without))
    if lane.subscriber is not None:
        fields.append(sends.c.subscriber == lane.subscriber)
    return fields


def _address() -> Any:
    return select(subscribers.c.email).where(subscribers.c.row == sends.c.subscriber).scalar_subquery()


def waiting(connection: Connection, now: datetime, lane: Lane) -> int:
    """How many sends wait that :func:`claim` would take now."""
    put_off = and_(sends.c.state == SendState.DEFERRED.value, sends.c.not_before <= now)
    ready = or_(sends.c.state == SendState.PLANNED.value, put_off)
    return connection.execute(select(func.count()).select_from(sends).where(ready, *_in_lane(lane))).scalar_one()


def start(connection: Connection, rows: Mapping[int, str], owner: str, now: datetime) -> set[int]:
    """Note that claimed sends go on the wire.

    Args:
        rows: by row, the account that each goes by.

    Returns:
        The rows of those that may go. The others are not ours any more, or their subscribers get no mail any more
        (they are skipped), or have another address since they were claimed (they are put back).
    """
    ours = and_(sends.c.state == SendState.CLAIMED.value, sends.c.claimed_by == owner, sends.c.wire_at.is_(None))
    active = exists().where(
        subscribers.c.row == sends.c.subscriber, subscribers.c.state == SubscriberState.ACTIVE.value
    )
    gone: set[int] = set()
    for account in set(rows.values()):
        chosen = [row for row, by in rows.items() if by == account]
        going = (
            update(sends)
            .where(sends.c.row.in_(chosen), ours, active, sends.c.email == _address())
            .values(wire_at=now, account=account, attempts=sends.c.attempts + 1, not_before=None, reason=None)
        )
        gone |= set(connection.execute(going.returning(sends.c.row)).scalars())
    left = [row for row in rows if row not in gone]
    if left:
        values = {"state": SendState.SKIPPED.value, "reason": _NO_MAIL, "settled_at": now, "claimed_by": None}
        skipped = update(sends).where(sends.c.row.in_(left), ours, ~active).values(**values)
        _release(connection, list(connection.execute(skipped.returning(sends.c.row)).scalars()))
        unclaim(connection, left, owner)
    return gone


_NO_MAIL = "the subscriber gets no mail any more"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """What became of a claimed send."""

    state: SendState
    smtp_reply: str | None = None
    reason: str | None = None
    not_before: datetime | None = None


def settle(connection: Connection, settled: Mapping[int, Settlement], owner: str, now: datetime) -> set[int]:
    """Write down what became of sends that ``owner`` claimed, by row. One that failed for good releases its papers.

    Returns:
        The rows of those whose claim still held; of one that was given up meanwhile nothing is changed.
    """
    mine = (sends.c.state == SendState.CLAIMED.value, sends.c.claimed_by == owner)
    held = set(connection.execute(select(sends.c.row).where(sends.c.row.in_(list(settled)), *mine)).scalars())
    values = [
        {
            "settled_row": row,
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
    written: dict[str, Any] = {name: bindparam(name) for name in ("state", "smtp_reply", "reason", "not_before")}
    statement = update(sends).where(sends.c.row == bindparam("settled_row"), *mine)
    connection.execute(statement.values(**written, settled_at=now, claimed_by=None, wire_at=None), values)
    _release(connection, [row for row in held if settled[row].state is SendState.FAILED])
    _move_on(connection, [row for row in held if settled[row].state is SendState.SENT])
    return held


def _move_on(connection: Connection, rows: Sequence[int]) -> None:
    """Have the subscribers of sent digests be told next of what is newer."""
    if not rows:
        return
    sent = connection.execute(
        select(sends.c.subscriber, sends.c.planned_at, sends.c.seen_row).where(sends.c.row.in_(rows))
    )
    values = [{"who": who, "planned_at": planned_at, "seen": seen} for who, planned_at, seen in sent]
    # One that was put off may arrive after a newer one.
    statement = update(subscribers).where(
        subscribers.c.row == bindparam("who"), subscribers.c.seen_row <= bindparam("seen")
    )
    connection.execute(statement.values(last_digest=bindparam("planned_at"), seen_row=bindparam("seen")), values)


def unclaim(connection: Connection, rows: Sequence[int], owner: str) -> None:
    """Give back claimed sends whose messages certainly did not reach the server."""
    was_put_off = sends.c.not_before.is_not(None)
    on_wire = sends.c.wire_at.is_not(None)
    connection.execute(
        update(sends)
        .where(sends.c.row.in_(rows), sends.c.state == SendState.CLAIMED.value, sends.c.claimed_by == owner)
        .values(
            state=case((was_put_off, SendState.DEFERRED.value), else_=SendState.PLANNED.value),
            attempts=case((on_wire, sends.c.attempts - 1), else_=sends.c.attempts),
            claimed_by=None,
            wire_at=None,
        )
    )


def renew(connection: Connection, owner: str, now: datetime) -> None:
    """Have the claims of an owner hold from now on."""
    held = and_(sends.c.state == SendState.CLAIMED.value, sends.c.claimed_by == owner)
    connection.execute(update(sends).where(held).values(claimed_at=now))


def spaces(connection: Connection) -> set[str]:
    """The versions of the space that the digests of the log were ranked with."""
    query = select(sends.c.space).where(sends.c.space.is_not(None)).distinct()
    return set(connection.execute(query).scalars())


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
    return [_send(row) for row in connection.execute(query).mappings()]


def give_up_claim(connection: Connection, row: int, owner: str, reason: str, now: datetime) -> bool:
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
    query = select(*_SEND_COLUMNS).where(sends.c.state == SendState.UNSURE.value).order_by(sends.c.row)
    return [_send(row) for row in connection.execute(query).mappings()]


def resolve(connection: Connection, rows: Sequence[int], arrived: bool, now: datetime) -> None:
    """Settle unsure sends as the operator says: they arrived, or they are to be sent again."""
    still = and_(sends.c.row.in_(rows), sends.c.state == SendState.UNSURE.value)
    state, reason = (SendState.SENT, "it arrived, says the operator") if arrived else (SendState.PLANNED, None)
    values = {"state": state.value, "reason": reason, "settled_at": now if arrived else None}
    found = connection.execute(update(sends).where(still).values(**values).returning(sends.c.row)).scalars().all()
    if arrived:
        _move_on(connection, found)


def digests(connection: Connection, rows: Sequence[Send], known: dict[int, Paper] | None = None) -> dict[int, Digest]:
    """The digests of some sends, by the send's row, as they were written down when planned.

    Args:
        known: papers by row that were read before; those that are read now are added.
    """
    known = {} if known is None else known
    by_send: dict[int, list[Any]] = {send.row: [] for send in rows}
    query = (
        select(send_papers)
        .where(send_papers.c.send.in_(list(by_send)))
        .order_by(send_papers.c.send, send_papers.c.rank)
    )
    for row in connection.execute(query):
        by_send[row.send].append(row)
    wanted = {row.paper for chosen in by_send.values() for row in chosen}
    known |= paper_store.by_rows(connection, wanted - known.keys())
    return {
        send.row: Digest(
            edition=send.edition,
            choices=tuple(_choice(row, known) for row in by_send[send.row]),
            considered=send.considered,
            since=send.since,
            seen_row=send.seen_row,
        )
        for send in rows
    }


def _choice(row: Any, known: Mapping[int, Paper]) -> Choice:
    return Choice(known[row.paper], row.rank, row.score, row.section, row.because)


def log(
    connection: Connection, subscriber: int | None = None, edition: date | None = None
) -> Iterator[tuple[Send, Digest]]:
    """The log, oldest first: each send with its digest, read in blocks."""
    after = (date.min, 0)
    while True:
        query = select(sends).where(
            or_(sends.c.edition > after[0], and_(sends.c.edition == after[0], sends.c.row > after[1]))
        )
        if subscriber is not None:
            query = query.where(sends.c.subscriber == subscriber)
        if edition is not None:
            query = query.where(sends.c.edition == edition)
        block = [
            _send(row) for row in connection.execute(query.order_by(sends.c.edition, sends.c.row).limit(200)).mappings()
        ]
        if not block:
            return
        chosen = digests(connection, block)
        yield from ((send, chosen[send.row]) for send in block)
        after = (block[-1].edition, block[-1].row)


def forget_skipped(connection: Connection, before: date) -> int:
    """Remove the log lines of skipped sends of editions before a day; returns how many."""
    old = select(sends.c.row).where(sends.c.state == SendState.SKIPPED.value, sends.c.edition < before)
    connection.execute(delete(send_papers).where(send_papers.c.send.in_(old)))
    connection.execute(update(bounces).where(bounces.c.send.in_(old)).values(send=None))
    gone = delete(sends).where(sends.c.state == SendState.SKIPPED.value, sends.c.edition < before)
    return connection.execute(gone).rowcount


def _release(connection: Connection, rows: Sequence[int]) -> None:
    if not rows:
        return
    connection.execute(update(send_papers).where(send_papers.c.send.in_(rows)).values(released=True))


_SEND_FIELDS = tuple(Send.__dataclass_fields__)
_SEND_COLUMNS = tuple(sends.c[name] for name in _SEND_FIELDS)


def _send(row: RowMapping) -> Send:
    values = {name: row[name] for name in _SEND_FIELDS}
    return Send(**{**values, "state": SendState(row["state"])})
