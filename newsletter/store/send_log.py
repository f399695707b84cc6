"""The log: what each subscriber was sent, and what each digest was ranked with."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection, and_, delete, or_, select, update

from newsletter.model import Choice, Digest, Paper, Send, SendState
from newsletter.store import papers as paper_store
from newsletter.store.plans import Basis
from newsletter.store.schema import bounces, papers, send_papers, sends
from newsletter.store.schema import ranked_with as ranked_with_table
from newsletter.store.sends import send_of

_BLOCK = 500


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
    return send_of(row), Basis(row["space"], row["planned_at"], row["after_row"], row["content"])


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
    return send_of(row) if row is not None else None


def of_edition(connection: Connection, subscriber: int, edition: date) -> Send | None:
    """A subscriber's send in an edition."""
    query = select(sends).where(sends.c.subscriber == subscriber, sends.c.edition == edition)
    row = connection.execute(query).mappings().first()
    return send_of(row) if row is not None else None


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


def spaces(connection: Connection) -> set[str]:
    """The versions of the space that the digests of the log were ranked with."""
    query = select(sends.c.space).where(sends.c.space.is_not(None)).distinct()
    return set(connection.execute(query).scalars())


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
        query = query.order_by(sends.c.edition, sends.c.row).limit(200)
        block = [send_of(row) for row in connection.execute(query).mappings()]
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
