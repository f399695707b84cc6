"""The send log: what each subscriber was sent, and what each digest was ranked with."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, and_, exists, func, select

from newsletter.model import Digest, DigestItem, Paper, Send, SendState
from newsletter.store import mailings, paper_events
from newsletter.store import papers as paper_store
from newsletter.store.mailings import MailingKind
from newsletter.store.plans import RankingInputs
from newsletter.store.schema import papers, send_papers, sends, subscribers
from newsletter.store.schema import ranked_with as ranked_with_table
from newsletter.store.sends import IS_DIGEST, IS_TAKEN_UP, SEND_COLUMNS, send_of

_BLOCK = 500

_FREQUENT = frozenset({SendState.SENT, SendState.SKIPPED})
"""The states that most sends of the log are in."""


def ranked_with(connection: Connection, subscriber: int, edition: date) -> tuple[Send, RankingInputs] | None:
    """Return a subscriber's send of an edition with what it was ranked with; None if the log does not have it."""
    query = (
        select(sends, ranked_with_table.c.content)
        .join(
            ranked_with_table,
            and_(
                ranked_with_table.c.subscriber == sends.c.subscriber, ranked_with_table.c.digest == sends.c.ranked_with
            ),
        )
        .where(sends.c.subscriber == subscriber, sends.c.edition == edition, IS_DIGEST)
    )
    row = connection.execute(query).mappings().first()
    if row is None:
        return None
    return send_of(row), RankingInputs(row["model_version"], row["planned_at"], row["after_row"], row["content"])


def held_before(connection: Connection, send: Send) -> set[int]:
    """Return the rows of the papers that a subscriber was sent, or may have been, before a send."""
    query = select(send_papers.c.paper).where(
        send_papers.c.subscriber == send.subscriber, send_papers.c.send < send.row, ~send_papers.c.released
    )
    return set(connection.execute(query).scalars())


def held_papers(
    connection: Connection, subscriber_rows: Sequence[int], first_seen_after: datetime, leaving_out: date | None = None
) -> dict[int, set[int]]:
    """Return the papers each subscriber was sent, or may have been, as sets of paper rows by subscriber row.

    Papers of a digest that is only planned do not count, since a newer one replaces it.

    Args:
        first_seen_after: only papers first seen after this (UTC); older ones are not candidates.
        leaving_out: an edition to ignore.
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
    """Return when a subscriber's last digest before an edition was ranked (UTC), and the highest paper row then."""
    query = (
        select(sends.c.planned_at, sends.c.seen_row)
        .where(_sent_to(subscriber), sends.c.edition < edition)
        .order_by(sends.c.row.desc())
    )
    row = connection.execute(query).first()
    return (row.planned_at, row.seen_row) if row is not None else (None, 0)


def by_message_id(connection: Connection, message_ids: Sequence[str]) -> Send | None:
    """Return a send that has one of these Message-IDs."""
    row = connection.execute(select(sends).where(sends.c.message_id.in_(message_ids))).mappings().first()
    return send_of(row) if row is not None else None


def of_edition(connection: Connection, subscriber: int, edition: date) -> Send | None:
    """Return the send of a subscriber's digest in an edition."""
    query = select(sends).where(sends.c.subscriber == subscriber, sends.c.edition == edition, IS_DIGEST)
    row = connection.execute(query).mappings().first()
    return send_of(row) if row is not None else None


def latest_to(connection: Connection, subscriber: int, at: datetime | None) -> Send | None:
    """Return the message to a subscriber's present address that was the latest at a given time (UTC); if none was sent
    by then, or without a time, the latest of all.
    """
    query = select(sends).join(subscribers, subscribers.c.row == sends.c.subscriber)
    sent = (
        sends.c.subscriber == subscriber,
        sends.c.state == SendState.SENT.value,
        sends.c.email == subscribers.c.email,
    )
    query = query.where(*sent).order_by(sends.c.settled_at.desc(), sends.c.row.desc()).limit(1)
    earlier = query.where(sends.c.settled_at <= at) if at is not None else query
    row = connection.execute(earlier).mappings().first() or connection.execute(query).mappings().first()
    return send_of(row) if row is not None else None


def of_mailing(connection: Connection, subscriber: int, mailing: int) -> Send | None:
    """Return the send of an announcement or a message (by row) to a subscriber."""
    query = select(sends).where(sends.c.subscriber == subscriber, sends.c.mailing == mailing)
    row = connection.execute(query).mappings().first()
    return send_of(row) if row is not None else None


def last_sent(connection: Connection, subscriber: int, limit: int) -> list[Send]:
    """Return the last digests that a subscriber was sent, newest first."""
    query = select(sends).where(_sent_to(subscriber))
    rows = connection.execute(query.order_by(sends.c.edition.desc()).limit(limit)).mappings()
    return [send_of(row) for row in rows]


def _sent_to(subscriber: int) -> ColumnElement[bool]:
    """Return a condition for the digests that a subscriber was sent."""
    return and_(sends.c.subscriber == subscriber, sends.c.state == SendState.SENT.value, IS_DIGEST)


def failed_since(connection: Connection, edition: date, limit: int) -> list[Send]:
    """Return the failed sends of editions since a day, newest first."""
    # Uses the index of editions and states.
    days = select(sends.c.edition).where(sends.c.edition >= edition).distinct()
    query = select(*SEND_COLUMNS).where(sends.c.edition.in_(days), sends.c.state == SendState.FAILED.value)
    rows = connection.execute(query.order_by(sends.c.edition.desc(), sends.c.row.desc()).limit(limit)).mappings()
    return [send_of(row) for row in rows]


def in_edition(connection: Connection, pairs: Mapping[int, date]) -> set[int]:
    """Return the subscribers (by row, each with their edition) who have a send that no run plans again."""
    rows = sorted(pairs)
    settled: set[int] = set()
    for start in range(0, len(rows), _BLOCK):
        query = select(sends.c.subscriber, sends.c.edition).where(
            sends.c.subscriber.in_(rows[start : start + _BLOCK]),
            sends.c.edition.in_(set(pairs.values())),
            ~IS_TAKEN_UP,
            IS_DIGEST,
        )
        settled |= {row.subscriber for row in connection.execute(query) if pairs[row.subscriber] == row.edition}
    return settled


def model_versions(connection: Connection) -> set[str]:
    """Return the versions of the space that the digests in the log were ranked with."""
    query = select(sends.c.model_version).where(sends.c.model_version.is_not(None)).distinct()
    return set(connection.execute(query).scalars())


def digests(connection: Connection, rows: Sequence[Send], known: dict[int, Paper] | None = None) -> dict[int, Digest]:
    """Return the digests of some sends, by the send's row, as recorded when planned.

    Args:
        known: papers read before, by row; newly read ones are added.
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
    updates = paper_events.of_sends(connection, list(by_send))
    wanted = {row.paper for chosen in by_send.values() for row in chosen}
    known |= paper_store.by_rows(connection, wanted - known.keys())
    return {
        send.row: Digest(
            edition=send.edition,
            choices=tuple(_choice(row, known, send.after_row or 0) for row in by_send[send.row]),
            considered=send.considered,
            since=send.since,
            seen_row=send.seen_row,
            updates=updates.get(send.row, ()),
        )
        for send in rows
    }


def _choice(row: Any, known: Mapping[int, Paper], after_row: int) -> DigestItem:
    return DigestItem(known[row.paper], row.rank, row.score, row.section, row.because, row.paper <= after_row)


@dataclass(frozen=True, slots=True)
class LoggedPaper:
    """A paper of a logged digest: its id, rank (1 is first), score and section."""

    id: str
    rank: int
    score: float
    section: str


DIGEST = "digest"
"""The kind of sends without a mailing, in exports."""


class LogLine(NamedTuple):
    """A line of the log: a send, and the papers of its digest by rank.

    Attributes:
        kind: of the mailing that it carries instead of a digest; None for a digest. ``subject``: that of the mailing.
    """

    send: Send
    papers: tuple[LoggedPaper, ...]
    kind: MailingKind | None = None
    subject: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LogFilter:
    """A filter for log lines; None, or no states, means any.

    Attributes:
        subscriber: the subscriber's row. ``paper``: the row of one of its papers.
        since, until: days of editions, inclusive.
        states: one of these.
        mailing: the row of the announcement or message that they carry.
        digests_only: without announcements and messages. ``mailings_only``: only these.
    """

    subscriber: int | None = None
    paper: int | None = None
    mailing: int | None = None
    digests_only: bool = False
    mailings_only: bool = False
    since: date | None = None
    until: date | None = None
    states: tuple[SendState, ...] = ()


def span(connection: Connection, wanted: LogFilter) -> tuple[int, int]:
    """Return the first and last row of sends between which all wanted lines are (inclusive).

    The log is then read by row, each row once, whatever is asked of it.
    """
    narrowed = _narrowed(wanted)
    if narrowed:
        # By the index of what is asked for; for the ends of rows alone, PostgreSQL may read all rows up to the first.
        row = _unindexed(sends.c.row)
        first, last = connection.execute(select(func.min(row), func.max(row)).where(*narrowed)).one()
    else:
        # Separate queries, each at one end of the index; for both at once SQLite would scan all rows.
        first, last = (connection.execute(select(end(sends.c.row))).scalar() for end in (func.min, func.max))
    if wanted.paper is not None and wanted.subscriber is None:
        send = _unindexed(send_papers.c.send)
        of_paper = select(func.min(send), func.max(send))
        one = connection.execute(of_paper.where(send_papers.c.paper == wanted.paper)).one()
        first, last = max(first or 0, one[0] or 0), min(last or 0, one[1] or 0)
    return first or 0, last or 0


def _narrowed(wanted: LogFilter) -> list[ColumnElement[bool]]:
    """Return the conditions of a filter that an index has few rows for."""
    found: list[ColumnElement[bool]] = []
    if wanted.subscriber is not None:
        found.append(sends.c.subscriber == wanted.subscriber)
    elif wanted.mailing is not None:
        found.append(sends.c.mailing == wanted.mailing)
    elif wanted.since is not None or wanted.until is not None:
        found.append(sends.c.edition.between(wanted.since or date.min, wanted.until or date.max))
    if wanted.states and _FREQUENT.isdisjoint(wanted.states):
        found.append(sends.c.state.in_([state.value for state in wanted.states]))
    return found


def page(connection: Connection, wanted: LogFilter, first: int, last: int, limit: int) -> list[LogLine]:
    """Return the first wanted lines among the sends from row ``first`` to row ``last``, in the order in which they were
    first planned.
    """
    query = select(*SEND_COLUMNS).where(sends.c.row.between(first, last))
    if wanted.subscriber is not None:
        query = query.where(sends.c.subscriber == wanted.subscriber)
    if wanted.since is not None or wanted.until is not None:
        # Not by an index, after which all of them would be sorted by row for every page; nor by the one of states.
        query = query.where(_unindexed(sends.c.edition).between(wanted.since or date.min, wanted.until or date.max))
    if wanted.states:
        query = query.where(_unindexed(sends.c.state).in_([state.value for state in wanted.states]))
    if wanted.mailing is not None:
        query = query.where(_unindexed(sends.c.mailing) == wanted.mailing)
    if wanted.digests_only:
        query = query.where(IS_DIGEST)
    if wanted.mailings_only:
        query = query.where(~IS_DIGEST)
    if wanted.paper is not None:
        held = exists().where(send_papers.c.send == sends.c.row, send_papers.c.paper == wanted.paper)
        query = query.where(held)
    found = [send_of(row) for row in connection.execute(query.order_by(sends.c.row).limit(limit)).mappings()]
    chosen = _logged_papers(connection, [send.row for send in found])
    named = mailings.subjects(connection, {send.mailing for send in found if send.mailing is not None})
    return [
        LogLine(send, tuple(chosen.get(send.row, ())), *named.get(send.mailing or 0, (None, None))) for send in found
    ]


def _unindexed(column: ColumnElement[Any]) -> ColumnElement[Any]:
    return func.coalesce(column, column, type_=column.type)


def _logged_papers(connection: Connection, rows: Sequence[int]) -> dict[int, list[LoggedPaper]]:
    query = (
        select(send_papers.c.send, papers.c.id, send_papers.c.rank, send_papers.c.score, send_papers.c.section)
        .join(papers, papers.c.row == send_papers.c.paper)
        .where(send_papers.c.send.in_(rows))
        .order_by(send_papers.c.send, send_papers.c.rank)
    )
    found: dict[int, list[LoggedPaper]] = {}
    for row in connection.execute(query):
        found.setdefault(row.send, []).append(LoggedPaper(row.id, row.rank, row.score, row.section))
    return found


def log(connection: Connection, wanted: LogFilter | None = None) -> Iterator[LogLine]:
    """Yield the wanted lines of the log in the order in which they were first planned, read in blocks."""
    wanted = wanted or LogFilter()
    first, last = span(connection, wanted)
    while lines := page(connection, wanted, first, last, _BLOCK):
        yield from lines
        first = lines[-1].send.row + 1


def editions_made(connection: Connection, days: Iterable[date]) -> set[date]:
    """Return the days, among some, for which the log has a digest of anybody."""
    # In the order of an index, so that PostgreSQL uses it instead of reading the table up to the first one.
    one = select(sends.c.row).where(IS_DIGEST).order_by(sends.c.edition, sends.c.subscriber).limit(1)
    return {day for day in days if connection.execute(one.where(sends.c.edition == day)).first()}
