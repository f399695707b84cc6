"""Changes of stored sends by an operator: plan again, cancel, or mark as sent.

A send that was sent is never changed, and a paper that a subscriber got in one digest is removed from another before
that is planned again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

from sqlalchemy import ColumnElement, Connection, and_, case, delete, exists, func, or_, select, update

from newsletter.model import Send, SendState, SubscriberState
from newsletter.store import paper_events
from newsletter.store.database import upsert
from newsletter.store.mailings import MailingState
from newsletter.store.schema import bounces, mailings, papers, send_papers, sends, subscribers
from newsletter.store.sends import CANCELLED, IS_DIGEST, SEND_COLUMNS, by_rows, domain_of, release_contents, send_of

_NOTED = "marked as sent by the operator"
_IS_OF_CANCELLED = sends.c.mailing.in_(select(mailings.c.row).where(mailings.c.state == MailingState.CANCELLED.value))


class Retry(StrEnum):
    """The result of retrying a send: ``planned``, ``made_again`` (its digest could not be composed, so the subscriber
    is due again), ``inactive`` (the subscriber is not active), ``nothing_left`` (all its papers were sent in other
    digests), or ``cancelled`` (its announcement was cancelled).
    """

    PLANNED = "planned"
    MADE_AGAIN = "made_again"
    INACTIVE = "inactive"
    NOTHING_LEFT = "nothing_left"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """A selection of sends; None means any.

    Attributes:
        states: in one of these. ``edition``: of this day. ``since``: of this day or later.
        domain: to this domain. ``subscriber``: to this subscriber (by row).
        mailing: that carry this announcement or message (by row).
    """

    states: Sequence[SendState]
    edition: date | None = None
    since: date | None = None
    domain: str | None = None
    subscriber: int | None = None
    mailing: int | None = None


def select_sends(connection: Connection, wanted: Selection, before: int | None, limit: int) -> list[Send]:
    """Return the selected sends, newest first, starting before row ``before``."""
    query = select(*SEND_COLUMNS).where(sends.c.state.in_([state.value for state in wanted.states]))
    if wanted.edition is not None:
        query = query.where(sends.c.edition == wanted.edition, IS_DIGEST)
    if wanted.since is not None:
        query = query.where(sends.c.edition >= wanted.since)
    if wanted.domain is not None:
        query = query.where(sends.c.domain == wanted.domain)
    if wanted.subscriber is not None:
        query = query.where(sends.c.subscriber == wanted.subscriber)
    if wanted.mailing is not None:
        query = query.where(sends.c.mailing == wanted.mailing)
    if before is not None:
        query = query.where(sends.c.row < before)
    rows = connection.execute(query.order_by(sends.c.row.desc()).limit(limit)).mappings()
    return [send_of(row) for row in rows]


def retry(connection: Connection, chosen: Sequence[Send], now: datetime, dry: bool = False) -> list[Retry]:
    """Plan failed sends again, under the same Message-IDs, and have deferred ones retried now.

    Args:
        chosen: failed or deferred sends. ``dry``: change nothing.

    Returns:
        The result for each, in the same order.
    """
    states = select(subscribers.c.row, subscribers.c.state).where(
        subscribers.c.row.in_([send.subscriber for send in chosen])
    )
    active = {row.row for row in connection.execute(states) if row.state == SubscriberState.ACTIVE.value}
    of_cancelled = connection.execute(select(sends.c.row).where(_rows(chosen), _IS_OF_CANCELLED)).scalars().all()
    outcomes = []
    for send in chosen:
        if send.subscriber not in active:
            outcomes.append(Retry.INACTIVE)
        elif send.row in of_cancelled:
            outcomes.append(Retry.CANCELLED)
        elif send.state is SendState.DEFERRED:
            outcomes.append(Retry.PLANNED)
            if not dry:
                still = and_(sends.c.row == send.row, sends.c.state == SendState.DEFERRED.value)
                connection.execute(update(sends).where(still).values(not_before=now))
        else:
            outcomes.append(_plan_again(connection, send, now, dry))
    return outcomes


def _rows(chosen: Sequence[Send]) -> ColumnElement[bool]:
    return sends.c.row.in_([send.row for send in chosen])


def _plan_again(connection: Connection, send: Send, now: datetime, dry: bool) -> Retry:
    held = exists().where(
        _OTHER.c.subscriber == send_papers.c.subscriber,
        _OTHER.c.paper == send_papers.c.paper,
        _OTHER.c.send != send_papers.c.send,
        ~_OTHER.c.released,
    )
    query = select(send_papers.c.rank, held.label("held")).where(send_papers.c.send == send.row)
    found = connection.execute(query.order_by(send_papers.c.rank)).all()
    still_failed = and_(sends.c.row == send.row, sends.c.state == SendState.FAILED.value)
    if send.mailing is None and not found:
        if not dry:
            again = {"state": SendState.SKIPPED.value, "reason": "the digest is to be made again"}
            connection.execute(update(sends).where(still_failed).values(**again))
            connection.execute(update(subscribers).where(subscribers.c.row == send.subscriber).values(next_due=now))
        return Retry.MADE_AGAIN
    free = [row.rank for row in found if not row.held]
    if send.mailing is None and not free:
        return Retry.NOTHING_LEFT
    if not dry:
        _keep_papers(connection, send.row, free)
        paper_events.hold_again(connection, [send.row])
        values = {"state": SendState.PLANNED.value, "settled_at": None}
        connection.execute(
            update(sends).where(still_failed).values(**values, not_before=None, smtp_reply=None, reason=None)
        )
    return Retry.PLANNED


def _keep_papers(connection: Connection, send: int, ranks: Sequence[int]) -> None:
    """Reserve the papers of a send at some ranks again, renumbered from 1, and leave out the others."""
    of_send = send_papers.c.send == send
    connection.execute(delete(send_papers).where(of_send, send_papers.c.rank.not_in(ranks)))
    for place, rank in enumerate(sorted(ranks), 1):
        at = and_(of_send, send_papers.c.rank == rank)
        connection.execute(update(send_papers).where(at).values(rank=place, released=False))


_OTHER = send_papers.alias("other")


def plan_refused_again(connection: Connection, account: str, since: datetime) -> list[int]:
    """Plan again the sends that a server refused permanently since a given time (UTC), through an account that turned
    out to be unusable. A send whose papers its subscriber got in another digest meanwhile stays as it is.

    Returns:
        The rows of the sends planned now.
    """
    refused = or_(sends.c.smtp_reply.is_(None), sends.c.smtp_reply.startswith("5"))
    return _plan_whole_again(connection, sends.c.account == account, sends.c.settled_at >= since, refused)


def plan_bounced_again(connection: Connection, subscriber: int, planned_since: datetime) -> date | None:
    """Plan a subscriber's latest digest again if it failed and counted as a bounce.

    A send planned before a given time (UTC), or whose papers the subscriber got in another digest meanwhile, stays as
    it is.

    Returns:
        The edition of the send planned now, None if no send was planned.
    """
    of_person = sends.c.subscriber == subscriber
    latest = select(func.max(sends.c.edition)).where(of_person, IS_DIGEST).scalar_subquery()
    rows = _plan_whole_again(
        connection,
        of_person,
        IS_DIGEST,
        sends.c.edition == latest,
        sends.c.planned_at >= planned_since,
        exists().where(bounces.c.send == sends.c.row),
    )
    return by_rows(connection, rows)[0].edition if rows else None


def _plan_whole_again(connection: Connection, *conditions: ColumnElement[bool]) -> list[int]:
    """Plan failed sends again that meet some conditions, with the papers they released.

    A send whose papers its subscriber got in another digest meanwhile, or gets in a later one of these, stays as it is.
    """
    may_go = or_(IS_DIGEST, ~_IS_OF_CANCELLED)
    failed = select(sends.c.row).where(sends.c.state == SendState.FAILED.value, may_go, *conditions).cte("failed")
    is_one = _OTHER.c.send.in_(select(failed.c.row))
    elsewhere = (
        select(send_papers.c.send)
        .select_from(send_papers)
        .join(
            _OTHER,
            and_(
                _OTHER.c.subscriber == send_papers.c.subscriber,
                _OTHER.c.paper == send_papers.c.paper,
                _OTHER.c.send != send_papers.c.send,
                or_(
                    ~_OTHER.c.released,
                    and_(_OTHER.c.send > send_papers.c.send, is_one),
                ),
            ),
        )
        .where(send_papers.c.send == sends.c.row)
    )
    found = connection.execute(
        update(sends)
        .where(sends.c.row.in_(select(failed.c.row)), ~exists(elsewhere))
        .values(state=SendState.PLANNED.value, settled_at=None, smtp_reply=None, reason=None, not_before=None)
        .returning(sends.c.row)
    )
    rows = list(found.scalars())
    if rows:
        connection.execute(update(send_papers).where(send_papers.c.send.in_(rows)).values(released=False))
        paper_events.hold_again(connection, rows)
    return rows


def cancel(connection: Connection, edition: date, now: datetime) -> tuple[int, int]:
    """Cancel the planned and deferred sends of an edition, and release their papers.

    Returns:
        How many sends were cancelled, and how many are on the wire and were not.
    """
    of_edition = and_(sends.c.edition == edition, IS_DIGEST)
    waits = sends.c.state.in_([SendState.PLANNED.value, SendState.DEFERRED.value])
    off_wire = and_(sends.c.state == SendState.CLAIMED.value, sends.c.wire_at.is_(None))
    values = {"state": SendState.SKIPPED.value, "reason": CANCELLED, "settled_at": now, "not_before": None}
    found = connection.execute(
        update(sends).where(of_edition, waits | off_wire).values(**values, claimed_by=None).returning(sends.c.row)
    )
    rows = list(found.scalars())
    release_contents(connection, rows)
    on_wire = select(func.count()).select_from(sends).where(of_edition, sends.c.state == SendState.CLAIMED.value)
    return len(rows), connection.execute(on_wire).scalar_one()


@dataclass(frozen=True, slots=True)
class Noted:
    """A subscriber (row and address) whose digest of an edition is recorded as sent, with the Message-ID it gets if the
    log has none yet, and when the next digest is due (UTC).
    """

    subscriber: int
    email: str
    message_id: str
    next_due: datetime


def without_edition(connection: Connection, rows: Sequence[int], edition: date) -> set[int]:
    """Return the subscribers (by row) without a send of an edition that was sent, failed, is unsure or on the wire."""
    done = (SendState.SENT, SendState.FAILED, SendState.UNSURE, SendState.CLAIMED)
    query = select(sends.c.subscriber).where(
        sends.c.edition == edition,
        sends.c.subscriber.in_(rows),
        sends.c.state.in_([state.value for state in done]),
        IS_DIGEST,
    )
    return set(rows) - set(connection.execute(query).scalars())


def mark_sent(connection: Connection, noted: Sequence[Noted], edition: date, now: datetime) -> None:
    """Record that subscribers got the digest of an edition that the log lacks.

    Papers stored until now are no longer new to them, nor sent as earlier ones: any of them may have been in it.
    """
    if not noted:
        return
    seen = connection.execute(select(func.max(papers.c.row))).scalar() or 0
    values = [
        {
            "edition": edition,
            "subscriber": one.subscriber,
            "message_id": one.message_id,
            "email": one.email,
            "domain": domain_of(one.email),
            "state": SendState.SENT.value,
            "reason": _NOTED,
            "attempts": 0,
            "considered": 0,
            "seen_row": seen,
            "planned_at": now,
            "settled_at": now,
        }
        for one in noted
    ]
    statement = upsert(connection, sends)
    taken = {name: statement.excluded[name] for name in ("state", "reason", "settled_at")}
    # One by one: an IN with values bound later does not work with executemany.
    waiting = (sends.c.state == state.value for state in (SendState.PLANNED, SendState.DEFERRED, SendState.SKIPPED))
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=["edition", "subscriber"],
            index_where=IS_DIGEST,
            set_={**taken, "not_before": None},
            where=or_(*waiting),
        ),
        values,
    )
    for one in noted:
        latest = case((subscribers.c.seen_row > seen, subscribers.c.seen_row), else_=seen)
        connection.execute(
            update(subscribers)
            .where(subscribers.c.row == one.subscriber)
            .values(last_digest=now, seen_row=latest, unlogged_row=latest, next_due=one.next_due)
        )
