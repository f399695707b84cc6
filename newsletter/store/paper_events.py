"""What became of papers: events that are recorded when a source says so, and sends that report them.

An event is reported to a subscriber once, as a paper is sent once: its place in a send is reserved when the send is
planned, and released if the send fails.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, delete, exists, func, or_, select, union, update

from newsletter.highlights.sentences import sentences
from newsletter.model import EventKind, Notice, Paper, PaperEvent, PaperStatus, PaperUpdate, SendState
from newsletter.store.database import upsert
from newsletter.store.papers import by_rows
from newsletter.store.schema import paper_events, saved_papers, send_events, send_papers, sends
from newsletter.support.identifiers import is_preprint_doi
from newsletter.support.text import to_single_line

_ABOUT_THE_PAPER = {PaperStatus.WITHDRAWN: EventKind.WITHDRAWN, PaperStatus.RETRACTED: EventKind.RETRACTED}
_BY_NOTICE = (EventKind.CORRECTED, EventKind.CONCERN)
_DETAILS = ("venue", "doi", "url", "version", "former_title", "added", "removed")
_MOST_SENTENCES = 10
_LONGEST_SENTENCE = 500
_BLOCK = 500


def of_new(paper: Paper, row: int, source: str, now: datetime) -> list[PaperEvent]:
    """Return what became of a paper before it was first stored, as far as the source says.

    Args:
        row: the paper's row. ``source``: the name of the source. ``now``: the time (UTC).
    """
    kind = _ABOUT_THE_PAPER.get(paper.status) if paper.status is not None else None
    return [PaperEvent(kind=kind, paper=row, source=source, seen_at=now)] if kind is not None else []


def of_change(stored: Paper, incoming: Paper, notice: Notice | None, source: str, now: datetime) -> list[PaperEvent]:
    """Return what became of a stored paper.

    Args:
        incoming: the paper as it is now.
        notice: what says so, if it is a notice. ``source``: the name of the source. ``now``: the time (UTC).
    """
    new = PaperEvent(kind=EventKind.REVISED, paper=stored.row, source=source, seen_at=now)
    noticed = new
    if notice is not None:
        noticed = replace(new, kind=notice.kind, day=notice.day, venue=notice.venue, doi=notice.doi, url=notice.url)
    found = [noticed] if noticed.kind in _BY_NOTICE else []
    if incoming.status is not None and stored.status not in (incoming.status, PaperStatus.RETRACTED):
        kind = _ABOUT_THE_PAPER[incoming.status]
        found.append(noticed if noticed.kind is kind else replace(new, kind=kind))
    elif stored.version and (incoming.version or 0) > stored.version:
        found.append(_revision(stored, incoming, replace(new, day=noticed.day or incoming.version_day)))
    if not is_published(stored) and _is_preprint(stored) and is_published(incoming):
        found.append(_publication(incoming, noticed if noticed.kind is EventKind.PUBLISHED else None, new))
    return found


def _revision(stored: Paper, incoming: Paper, new: PaperEvent) -> PaperEvent:
    before, after = (
        [to_single_line(one) for one in sentences(paper.abstract) if one.strip()] for paper in (stored, incoming)
    )
    added = [one[:_LONGEST_SENTENCE] for one in after if one not in set(before)] if before else []
    removed = [one[:_LONGEST_SENTENCE] for one in before if one not in set(after)] if after else []
    retitled = incoming.title and to_single_line(incoming.title) != to_single_line(stored.title)
    return replace(
        new,
        kind=EventKind.REVISED,
        version=incoming.version,
        former_title=stored.title if retitled else None,
        added=tuple(added[:_MOST_SENTENCES]),
        removed=tuple(removed[:_MOST_SENTENCES]),
    )


def _publication(incoming: Paper, noticed: PaperEvent | None, new: PaperEvent) -> PaperEvent:
    doi = next((one for one in (incoming.doi, *incoming.other_ids) if one and _is_journal_doi(one)), None)
    event = replace(noticed or new, kind=EventKind.PUBLISHED, venue=incoming.venue, doi=doi)
    # The date of a preprint is not that of its publication.
    is_article = doi is not None and doi == incoming.doi and incoming.arxiv_id is None
    return replace(event, day=incoming.published) if noticed is None and is_article else event


def is_published(paper: Paper) -> bool:
    """Return whether a paper is published in a journal, in a book or at a conference, as far as is known."""
    return bool(paper.venue) or any(_is_journal_doi(one) for one in (paper.doi, *paper.other_ids) if one)


def _is_preprint(paper: Paper) -> bool:
    """Return whether a paper is on a preprint server, or was submitted to a conference on OpenReview."""
    named = (one for one in (paper.doi, *paper.other_ids) if one)
    return paper.arxiv_id is not None or any(is_preprint_doi(one) or one.startswith("openreview:") for one in named)


def _is_journal_doi(identifier: str) -> bool:
    return identifier.startswith("10.") and not is_preprint_doi(identifier)


def record(connection: Connection, events: Iterable[PaperEvent]) -> int:
    """Record what became of papers; return how many of the events are new."""
    values = [
        {
            "paper": one.paper,
            "kind": one.kind.value,
            "key": _key(one),
            "day": one.day,
            "details": {name: value for name in _DETAILS if (value := getattr(one, name)) not in (None, ())},
            "source": one.source,
            "seen_at": one.seen_at,
        }
        for one in events
    ]
    if not values:
        return 0
    statement = upsert(connection, paper_events).on_conflict_do_nothing().returning(paper_events.c.row)
    return len(connection.execute(statement, values).all())


def _key(event: PaperEvent) -> str:
    """Return what tells an event from others of its kind: a paper is published, withdrawn and retracted once."""
    if event.kind is EventKind.REVISED:
        return str(event.version)
    return (event.doi or str(event.day or "")) if event.kind in _BY_NOTICE else ""


def move(connection: Connection, paper: int, to: int) -> None:
    """Make the events of one paper those of another (both by row), with which it was merged.

    Whoever learned of one that the other paper has too is not to learn of it again.
    """
    other = paper_events.alias("other")
    same = (other.c.paper == to, other.c.kind == paper_events.c.kind, other.c.key == paper_events.c.key)
    both = select(paper_events.c.row, other.c.row.label("kept")).join(other, and_(*same))
    for row, kept in connection.execute(both.where(paper_events.c.paper == paper)).all():
        held = send_events.alias("held")
        has = exists().where(
            or_(
                held.c.send == send_events.c.send,
                and_(held.c.subscriber == send_events.c.subscriber, ~held.c.released, ~send_events.c.released),
            ),
            held.c.event == kept,
        )
        connection.execute(update(send_events).where(send_events.c.event == row, ~has).values(event=kept))
        connection.execute(delete(send_events).where(send_events.c.event == row))
        connection.execute(delete(paper_events).where(paper_events.c.row == row))
    connection.execute(update(paper_events).where(paper_events.c.paper == paper).values(paper=to))


def history(connection: Connection, paper: int) -> list[PaperEvent]:
    """Return what became of the paper in a row, oldest first."""
    return histories(connection, [paper]).get(paper, [])


def histories(connection: Connection, papers: Sequence[int]) -> dict[int, list[PaperEvent]]:
    """Return what became of the papers in some rows, oldest first; papers without events are left out."""
    found: dict[int, list[PaperEvent]] = {}
    for start in range(0, len(papers), _BLOCK):
        query = select(paper_events).where(paper_events.c.paper.in_(papers[start : start + _BLOCK]))
        for row in connection.execute(query.order_by(paper_events.c.seen_at, paper_events.c.row)):
            found.setdefault(row.paper, []).append(_event(row))
    return found


def _event(row: Any) -> PaperEvent:
    details: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in row.details.items()
    }
    return PaperEvent(
        kind=EventKind(row.kind),
        paper=row.paper,
        seen_at=row.seen_at,
        day=row.day,
        source=row.source,
        row=row.row,
        **details,
    )


def unreported(
    connection: Connection, subscribers: Sequence[int], since: datetime, leaving_out: date | None = None
) -> dict[int, list[PaperUpdate]]:
    """Return what became of papers after subscribers were sent or saved them, as far as no digest reported it to them,
    oldest first; subscribers without any are left out.

    Events of a digest that is only planned count as not reported, since a newer one replaces it.

    Args:
        subscribers: their rows. ``since``: events first seen before this (UTC) are too old.
        leaving_out: an edition to ignore.
    """
    recent = select(paper_events.c.row).where(paper_events.c.seen_at > since)
    if connection.execute(recent.limit(1)).first() is None:
        return {}
    found: dict[int, list[int]] = {}
    for start in range(0, len(subscribers), _BLOCK):
        query = _unreported(subscribers[start : start + _BLOCK], since, leaving_out)
        for subscriber, event in connection.execute(query):
            found.setdefault(subscriber, []).append(event)
    updates = _updates(connection, [(subscriber, event) for subscriber, own in found.items() for event in sorted(own)])
    return {subscriber: list(own) for subscriber, own in updates.items()}


def _updates(connection: Connection, pairs: Sequence[tuple[int, int]]) -> dict[int, tuple[PaperUpdate, ...]]:
    """Return the updates for subscribers, by subscriber, for pairs of a subscriber and an event (both by row)."""
    events = _by_rows(connection, sorted({event for _, event in pairs}))
    papers = by_rows(connection, {one.paper for one in events.values()})
    sent: dict[tuple[int, int], date] = {}
    saved: set[tuple[int, int]] = set()
    people = sorted({subscriber for subscriber, _ in pairs})
    for start in range(0, len(people), _BLOCK):
        block = people[start : start + _BLOCK]
        for some in range(0, len(rows := sorted(events)), _BLOCK):
            own = paper_events.c.row.in_(rows[some : some + _BLOCK])
            edition = func.min(sends.c.edition).label("edition")
            first = _sent(block, edition).where(own).group_by(send_papers.c.subscriber, paper_events.c.row)
            sent |= {(row.subscriber, row.event): row.edition for row in connection.execute(first)}
            saved |= {(row.subscriber, row.event) for row in connection.execute(_saved(block).where(own))}
    found: dict[int, tuple[PaperUpdate, ...]] = {}
    for one in pairs:
        event = events[one[1]]
        update = PaperUpdate(papers[event.paper], event, sent.get(one), one in saved)
        found[one[0]] = (*found.get(one[0], ()), update)
    return found


def _sent(block: Sequence[int], *more: ColumnElement[Any]) -> Select[Any]:
    """Select the events of papers that subscribers were sent before, or may have been."""
    return (
        select(send_papers.c.subscriber, paper_events.c.row.label("event"), *more)
        .join(send_papers, send_papers.c.paper == paper_events.c.paper)
        .join(sends, sends.c.row == send_papers.c.send)
        .where(
            send_papers.c.subscriber.in_(block),
            ~send_papers.c.released,
            sends.c.state.in_((SendState.SENT.value, SendState.UNSURE.value)),
            sends.c.planned_at < paper_events.c.seen_at,
        )
    )


def _saved(block: Sequence[int]) -> Select[Any]:
    """Select the events of papers that subscribers had saved before."""
    return (
        select(saved_papers.c.subscriber, paper_events.c.row.label("event"))
        .join(saved_papers, saved_papers.c.paper == paper_events.c.paper)
        .where(saved_papers.c.subscriber.in_(block), saved_papers.c.saved_at < paper_events.c.seen_at)
    )


def _unreported(block: Sequence[int], since: datetime, leaving_out: date | None) -> Select[Any]:
    recent = paper_events.c.seen_at > since
    had = union(_sent(block).where(recent), _saved(block).where(recent)).subquery()
    line = send_events.c
    reported = exists().where(line.subscriber == had.c.subscriber, line.event == had.c.event, ~line.released)
    planned = select(sends.c.row).where(sends.c.subscriber.in_(block), sends.c.state == SendState.PLANNED.value)
    reported = reported.where(line.send.not_in(planned))
    if leaving_out is not None:
        same = select(sends.c.row).where(sends.c.edition == leaving_out, sends.c.subscriber.in_(block))
        reported = reported.where(line.send.not_in(same))
    return select(had.c.subscriber, had.c.event).where(~reported)


def _by_rows(connection: Connection, rows: Sequence[int]) -> dict[int, PaperEvent]:
    found: dict[int, PaperEvent] = {}
    for start in range(0, len(rows), _BLOCK):
        query = select(paper_events).where(paper_events.c.row.in_(rows[start : start + _BLOCK]))
        found |= {row.row: _event(row) for row in connection.execute(query)}
    return found


def of_sends(connection: Connection, rows: Sequence[int]) -> dict[int, tuple[PaperUpdate, ...]]:
    """Return the events that some sends tell, by the send's row, oldest first."""
    query = select(send_events.c.send, send_events.c.subscriber, send_events.c.event)
    query = query.where(send_events.c.send.in_(rows)).order_by(send_events.c.send, send_events.c.event)
    held = connection.execute(query).all()
    if not held:
        return {}
    updates = _updates(connection, list(dict.fromkeys((one.subscriber, one.event) for one in held)))
    known = {(subscriber, one.event.row): one for subscriber, own in updates.items() for one in own}
    found: dict[int, tuple[PaperUpdate, ...]] = {}
    for one in held:
        found[one.send] = (*found.get(one.send, ()), known[one.subscriber, one.event])
    return found


def counts(connection: Connection, rows: Sequence[int]) -> dict[int, int]:
    """Return how many events some sends (by row) report; those that report none are left out."""
    query = select(send_events.c.send, func.count()).where(send_events.c.send.in_(rows))
    return {row[0]: row[1] for row in connection.execute(query.group_by(send_events.c.send))}


def hold(connection: Connection, planned: Mapping[int, tuple[int, Sequence[PaperUpdate]]]) -> set[int]:
    """Reserve the events of planned sends.

    Args:
        planned: for the row of each send, its subscriber and the updates that it reports.

    Returns:
        The subscribers for whom another send has reserved one of them; empty if there is no conflict.
    """
    connection.execute(delete(send_events).where(send_events.c.send.in_(list(planned))))
    values = [
        {"send": send, "event": one.event.row, "subscriber": subscriber}
        for send, (subscriber, updates) in planned.items()
        for one in updates
    ]
    if not values:
        return set()
    connection.execute(upsert(connection, send_events).on_conflict_do_nothing(), values)
    numbers = counts(connection, list(planned))
    return {subscriber for send, (subscriber, updates) in planned.items() if numbers.get(send, 0) < len(updates)}


def release(connection: Connection, rows: Sequence[int]) -> None:
    """Release the events of some sends (by row), so that another send reports them."""
    connection.execute(update(send_events).where(send_events.c.send.in_(rows)).values(released=True))


def hold_again(connection: Connection, rows: Sequence[int]) -> None:
    """Reserve the events of sends that are planned again; those that another send reports are left out."""
    other = send_events.alias("other")
    held = exists().where(
        other.c.subscriber == send_events.c.subscriber,
        other.c.event == send_events.c.event,
        other.c.send != send_events.c.send,
        or_(~other.c.released, and_(other.c.send.in_(rows), other.c.send > send_events.c.send)),
    )
    connection.execute(delete(send_events).where(send_events.c.send.in_(rows), send_events.c.released, held))
    connection.execute(update(send_events).where(send_events.c.send.in_(rows)).values(released=False))
