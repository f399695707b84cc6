"""The sends in the store: the log of what each subscriber was sent, and the state each message is in.

A send is claimed just before its message goes on the wire and settled just after the server's answer, each in a
transaction of its own. So a process that dies leaves one claimed send a session, and that one alone is in doubt.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, and_, delete, exists, insert, or_, select, update
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
    that is still planned in another edition.

    Returns:
        The rows of the sends now planned.
    """
    planned = []
    for one in plans:
        if one.skip_reason is None and _is_overtaken(connection, one):
            continue
        row = _plan_one(connection, one, now)
        if row is not None and one.skip_reason is None:
            _take_place(connection, row, one, now)
            connection.execute(delete(send_papers).where(send_papers.c.send == row))
            _hold_papers(connection, row, one)
            planned.append(row)
    return planned


def _is_overtaken(connection: Connection, one: Plan) -> bool:
    """Whether a paper of a plan went on the wire, in an older digest, since the plan was made. What is new to the
    subscriber then waits for the next edition.
    """
    chosen = [choice.paper.row for choice in one.digest.choices]
    on_wire = select(sends.c.row).where(sends.c.subscriber == one.subscriber, sends.c.state != SendState.PLANNED.value)
    taken = select(send_papers.c.paper).where(
        send_papers.c.subscriber == one.subscriber,
        ~send_papers.c.released,
        send_papers.c.paper.in_(chosen),
        send_papers.c.send.in_(on_wire),
    )
    return connection.execute(taken.limit(1)).first() is not None


def _take_place(connection: Connection, row: int, one: Plan, now: datetime) -> None:
    """Skip the subscriber's other sends that are planned yet, and release their papers: a plan has them in view."""
    older = connection.execute(
        update(sends)
        .where(sends.c.subscriber == one.subscriber, sends.c.state == SendState.PLANNED.value, sends.c.row != row)
        .values(
            state=SendState.SKIPPED.value,
            reason=f"not sent before the digest of {one.digest.edition} was made, which took its place",
            settled_at=now,
        )
        .returning(sends.c.row)
    )
    _release(connection, [other.row for other in older])


def _plan_one(connection: Connection, one: Plan, now: datetime) -> int | None:
    values: dict[str, Any] = {
        "email": one.email,
        "state": (SendState.SKIPPED if one.skip_reason else SendState.PLANNED).value,
        "reason": one.skip_reason,
        "considered": one.digest.considered,
        "since": one.digest.since,
        "seen_row": one.digest.seen_row,
        "planned_at": now,
        "settled_at": now if one.skip_reason else None,
    }
    if one.basis is not None:
        values |= {
            "planned_at": one.basis.now,
            "space": one.basis.space,
            "after_row": one.basis.after_row,
            "ranked_with": _keep_content(connection, one.subscriber, one.basis.content),
        }
    statement = _upsert(connection)(sends).values(
        edition=one.digest.edition, subscriber=one.subscriber, message_id=one.message_id, attempts=0, **values
    )
    statement = statement.on_conflict_do_update(
        index_elements=["edition", "subscriber"], set_=values, where=sends.c.state == SendState.SKIPPED.value
    )
    return connection.execute(statement.returning(sends.c.row)).scalar()


def _upsert(connection: Connection) -> Any:
    return postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert


def _keep_content(connection: Connection, subscriber: int, content: Mapping[str, Any]) -> str:
    """Keep what a subscriber follows, once for all the time it stays the same; returns its name."""
    name = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]
    statement = _upsert(connection)(ranked_with_table).values(subscriber=subscriber, digest=name, content=content)
    connection.execute(statement.on_conflict_do_nothing())
    return name


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


def _hold_papers(connection: Connection, row: int, one: Plan) -> None:
    connection.execute(
        insert(send_papers),
        [
            {
                "send": row,
                "rank": choice.rank,
                "subscriber": one.subscriber,
                "paper": choice.paper.row,
                "score": choice.score,
                "section": choice.section,
                "because": choice.because,
            }
            for choice in one.digest.choices
        ],
    )


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
    planned = select(sends.c.row).where(sends.c.state == SendState.PLANNED.value)
    for start in range(0, len(subscriber_rows), _BLOCK):
        query = select(send_papers.c.subscriber, send_papers.c.paper).where(
            send_papers.c.subscriber.in_(subscriber_rows[start : start + _BLOCK]),
            ~send_papers.c.released,
            send_papers.c.paper.in_(recent),
            send_papers.c.send.not_in(planned),
        )
        if leaving_out is not None:
            same = select(sends.c.row).where(sends.c.edition == leaving_out, sends.c.subscriber.in_(subscriber_rows))
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


def waiting(
    connection: Connection, now: datetime, subscriber: int | None = None, after: int = 0, limit: int = 100
) -> list[Send]:
    """The sends that may go on the wire now: planned, or deferred until a time that has come; lowest row first."""
    query = select(sends).where(_ready(now), sends.c.row > after).order_by(sends.c.row).limit(limit)
    if subscriber is not None:
        query = query.where(sends.c.subscriber == subscriber)
    return [_send(row) for row in connection.execute(query).mappings()]


def _ready(now: datetime) -> ColumnElement[bool]:
    put_off = and_(sends.c.state == SendState.DEFERRED.value, sends.c.not_before <= now)
    return or_(sends.c.state == SendState.PLANNED.value, put_off)


def claim(connection: Connection, row: int, email: str, owner: str, now: datetime) -> bool:
    """Take a send just before its message goes on the wire.

    Args:
        email: the address it goes to, which the log is to name.

    Returns:
        Whether it was there to take: False when another process took it, perhaps to have it put off again, or when its
        subscriber gets no mail any more (the send is then skipped).
    """
    active = exists().where(
        subscribers.c.row == sends.c.subscriber, subscribers.c.state == SubscriberState.ACTIVE.value
    )
    ready = _ready(now)
    claimed = connection.execute(
        update(sends)
        .where(sends.c.row == row, ready, active)
        .values(
            state=SendState.CLAIMED.value,
            email=email,
            claimed_at=now,
            claimed_by=owner,
            attempts=sends.c.attempts + 1,
            not_before=None,
            reason=None,
        )
    )
    if claimed.rowcount:
        return True
    gone = update(sends).where(sends.c.row == row, ready, ~active)
    values = {
        "state": SendState.SKIPPED.value,
        "reason": "the subscriber gets no mail any more",
        "settled_at": now,
    }
    if connection.execute(gone.values(**values)).rowcount:
        _release(connection, [row])
    return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """What became of a claimed send."""

    state: SendState
    smtp_reply: str | None = None
    reason: str | None = None
    not_before: datetime | None = None


def settle(connection: Connection, row: int, owner: str, settlement: Settlement, now: datetime) -> bool:
    """Write down what became of a send that ``owner`` claimed. One that failed for good releases its papers.

    Returns:
        Whether the claim still held; when it was given up meanwhile, nothing is changed.
    """
    values = {
        "state": settlement.state.value,
        "smtp_reply": settlement.smtp_reply,
        "reason": settlement.reason,
        "not_before": settlement.not_before,
        "settled_at": now,
        "claimed_by": None,
    }
    settled = connection.execute(
        update(sends)
        .where(sends.c.row == row, sends.c.state == SendState.CLAIMED.value, sends.c.claimed_by == owner)
        .values(**values)
    )
    if not settled.rowcount:
        return False
    if settlement.state is SendState.FAILED:
        _release(connection, [row])
    if settlement.state is SendState.SENT:
        sent = connection.execute(select(sends).where(sends.c.row == row)).one()
        connection.execute(
            update(subscribers)
            # One that was put off may arrive after a newer one.
            .where(subscribers.c.row == sent.subscriber, subscribers.c.seen_row <= sent.seen_row)
            .values(last_digest=sent.planned_at, seen_row=sent.seen_row)
        )
    return True


def unclaim(connection: Connection, row: int, owner: str) -> None:
    """Give back a claimed send whose message certainly did not reach the server."""
    connection.execute(
        update(sends)
        .where(sends.c.row == row, sends.c.state == SendState.CLAIMED.value, sends.c.claimed_by == owner)
        .values(state=SendState.PLANNED.value, claimed_by=None, attempts=sends.c.attempts - 1)
    )


def spaces(connection: Connection) -> set[str]:
    """The versions of the space that the digests of the log were ranked with."""
    query = select(sends.c.space).where(sends.c.space.is_not(None)).distinct()
    return set(connection.execute(query).scalars())


def claims(connection: Connection) -> list[tuple[int, str, datetime]]:
    """The sends on the wire by the store's account: row, owner and since when (UTC)."""
    query = select(sends.c.row, sends.c.claimed_by, sends.c.claimed_at).where(sends.c.state == SendState.CLAIMED.value)
    return [(row.row, row.claimed_by or "", row.claimed_at) for row in connection.execute(query)]


def by_rows(connection: Connection, rows: Sequence[int]) -> list[Send]:
    """The sends with these row numbers, lowest first."""
    query = select(sends).where(sends.c.row.in_(rows)).order_by(sends.c.row)
    return [_send(row) for row in connection.execute(query).mappings()]


def give_up_claim(connection: Connection, row: int, owner: str, reason: str, now: datetime) -> bool:
    """Mark a claimed send unsure because its owner is gone. Its papers stay held: the message may have arrived."""
    done = connection.execute(
        update(sends)
        .where(sends.c.row == row, sends.c.state == SendState.CLAIMED.value, sends.c.claimed_by == owner)
        .values(state=SendState.UNSURE.value, reason=reason, settled_at=now, claimed_by=None)
    )
    return bool(done.rowcount)


def digests(connection: Connection, rows: Sequence[Send]) -> dict[int, Digest]:
    """The digests of some sends, by the send's row, as they were written down when planned."""
    by_send: dict[int, list[Any]] = {send.row: [] for send in rows}
    query = (
        select(send_papers)
        .where(send_papers.c.send.in_(list(by_send)))
        .order_by(send_papers.c.send, send_papers.c.rank)
    )
    for row in connection.execute(query):
        by_send[row.send].append(row)
    known = paper_store.by_rows(connection, (row.paper for chosen in by_send.values() for row in chosen))
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
    connection.execute(update(send_papers).where(send_papers.c.send.in_(rows)).values(released=True))


_SEND_FIELDS = tuple(Send.__dataclass_fields__)


def _send(row: RowMapping) -> Send:
    values = {name: row[name] for name in _SEND_FIELDS}
    return Send(**{**values, "state": SendState(row["state"])})
