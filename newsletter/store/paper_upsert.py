"""Store the papers of sources, each merged with the row it belongs to, and record what became of them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, insert, select, update

from newsletter.model import EventKind, Notice, Paper, PaperStatus
from newsletter.store import paper_authors, paper_events, same_paper
from newsletter.store.database import advisory_lock
from newsletter.store.papers import by_rows
from newsletter.store.schema import papers
from newsletter.support.identifiers import title_id, title_key

_COUNTS = ("upvotes", "comments", "code_stars")
_TEXT = ("title", "abstract", "authors", "author_count", "categories", "version")
_FILLED = (
    "abstract",
    "authors",
    "author_count",
    "organization",
    "venue",
    "version",
    "published",
    "listed_on",
    "categories",
    "url",
    "pdf_url",
    "code_url",
    "project_url",
    "thumbnail_url",
    "summary",
    "keywords",
)
_INDEXED = {"title", "abstract", "keywords"}
_STATUS = {EventKind.WITHDRAWN: PaperStatus.WITHDRAWN, EventKind.RETRACTED: PaperStatus.RETRACTED}
_MOST_LINKS = 20


@dataclass(frozen=True, slots=True)
class UpsertCounts:
    """The result of storing papers: how many there were, how many of them were new or changed, and the number of events
    recorded.
    """

    papers: int = 0
    new: int = 0
    changed: int = 0
    events: int = 0

    def plus(self, papers: int = 0, new: int = 0, changed: int = 0, events: int = 0) -> "UpsertCounts":
        """Return the counts with some more."""
        return UpsertCounts(self.papers + papers, self.new + new, self.changed + changed, self.events + events)


def upsert(connection: Connection, found: Iterable[Paper | Notice], source: str, now: datetime) -> UpsertCounts:
    """Store papers from one source, each merged with the row it belongs to, and record what became of stored ones.

    Papers match by any identifier, then by title and authors (:mod:`newsletter.store.same_paper`). Counts are
    refreshed, gaps filled, and a newer version replaces the text. A notice about a paper that is not in the store is
    ignored.

    Args:
        found: what the source returned. ``source``: its name.
        now: the ``first_seen`` of new papers and the ``seen_at`` of events (UTC).
    """
    # Row numbers must be in the order of visibility, since papers above the last row seen are new to a subscriber; and
    # a search by title must find a paper that another process is about to store.
    advisory_lock(connection, "papers")
    counts = UpsertCounts()
    for item in found:
        if isinstance(item, Notice):
            changed, events = _apply(connection, item, source, now)
            counts = counts.plus(changed=changed, events=events)
            continue
        same = _all_same(connection, item)
        incoming = replace(item, sources=(source,))
        if not same:
            events = _insert(connection, replace(incoming, first_seen=now), source, now)
            counts = counts.plus(papers=1, new=1, events=events)
        else:
            stored = _merged(connection, same)
            changed, events = _update(connection, stored, incoming, source, now)
            counts = counts.plus(papers=1, changed=changed or stored != same[0], events=events)
    return counts


def find_same(connection: Connection, paper: Paper) -> Paper | None:
    """Return the stored paper that a paper of a source is, as :func:`upsert` matches them; None if it is new."""
    return next(iter(_all_same(connection, paper)), None)


def _all_same(connection: Connection, paper: Paper) -> list[Paper]:
    """Return the stored papers that a paper of a source is, the oldest first; its identifiers may name several."""
    rows = same_paper.rows_with(connection, same_paper.identifiers_of(paper))
    if not rows:
        row = same_paper.row_with_title(connection, paper)
        rows = [row] if row is not None else []
    found = by_rows(connection, rows)
    return [found[row] for row in rows]


def _merged(connection: Connection, found: Sequence[Paper]) -> Paper:
    """Merge papers that turned out to be one; those with an arXiv id of their own stay apart."""
    main, *others = found
    for other in others:
        if main.arxiv_id is None or other.arxiv_id is None:
            same_paper.merge(connection, main, other)
            changes = _changes(main, replace(other, version=None), taken=set())
            _write(connection, main, changes)
            main = by_rows(connection, [main.row])[main.row]
    return main


def _insert(connection: Connection, paper: Paper, source: str, now: datetime) -> int:
    """Store a new paper; return the number of events recorded."""
    public = paper.arxiv_id or paper.doi or title_id(paper.title)
    if connection.execute(select(papers.c.row).where(papers.c.id == public)).first() is not None:
        # Another paper has the id already: same title, but contradicting identifiers.
        public = f"{public}-{connection.execute(select(func.max(papers.c.row))).scalar_one() + 1}"
    values = {item.name: getattr(paper, item.name) for item in fields(paper) if item.name not in ("row", "version_day")}
    values = _columns({**values, "id": public, "title_key": title_key(paper.title)})
    row = connection.execute(insert(papers).returning(papers.c.row), values).scalar_one()
    paper_authors.save(connection, row, paper.authors)
    same_paper.add_identifiers(connection, row, paper.other_ids)
    return paper_events.record(connection, paper_events.of_new(paper, row, source, now))


def _apply(connection: Connection, notice: Notice, source: str, now: datetime) -> tuple[int, int]:
    """Bring the paper that a notice is about up to date; return whether it changed, and the number of events."""
    rows = same_paper.rows_with(connection, notice.of)
    if not rows:
        return 0, 0
    stored = by_rows(connection, rows[:1])[rows[0]]
    incoming = notice.paper or Paper(title=stored.title)
    if notice.kind is EventKind.PUBLISHED:
        dois = (notice.doi,) if notice.doi else ()
        incoming = replace(incoming, venue=notice.venue, other_ids=(*incoming.other_ids, *dois))
    incoming = replace(incoming, status=_STATUS.get(notice.kind, incoming.status), sources=stored.sources)
    return _update(connection, stored, incoming, source, now, notice)


def _update(
    connection: Connection, stored: Paper, incoming: Paper, source: str, now: datetime, notice: Notice | None = None
) -> tuple[int, int]:
    """Bring a stored paper up to date; return whether it changed, and the number of events recorded."""
    more = set(same_paper.identifiers_of(incoming)) - set(same_paper.identifiers_of(stored))
    taken = set(same_paper.rows_with(connection, sorted(more))) - {stored.row}
    changes = _changes(stored, incoming, taken)
    events = paper_events.of_change(stored, incoming, notice, source, now)
    _write(connection, stored, changes)
    return bool(changes), paper_events.record(connection, events)


def _write(connection: Connection, stored: Paper, changes: dict[str, Any]) -> None:
    if not changes:
        return
    if changes.keys() & _INDEXED:
        changes["text_change"] = connection.execute(select(func.max(papers.c.text_change) + 1)).scalar_one()
    connection.execute(update(papers).where(papers.c.row == stored.row).values(**_columns(changes)))
    if "authors" in changes:
        paper_authors.save(connection, stored.row, changes["authors"], stored.authors)
    same_paper.add_identifiers(connection, stored.row, changes.get("other_ids", ()))


def _columns(values: dict[str, Any]) -> dict[str, Any]:
    return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}


def _changes(stored: Paper, incoming: Paper, taken: set[int]) -> dict[str, Any]:
    """Return what a paper of a source changes in the stored one, by column.

    Args:
        taken: the rows of other papers that have one of its identifiers, which stay with those.
    """
    changes: dict[str, Any] = {}
    for name in _FILLED:
        if getattr(stored, name) in (None, "", ()) and getattr(incoming, name) not in (None, "", ()):
            changes[name] = getattr(incoming, name)
    if incoming.summary and stored.summary and stored.abstract.startswith(stored.summary.rstrip("…")):
        # Earlier versions took the abstract that Hugging Face calls "summary" for the summary.
        changes.update(summary=incoming.summary, summary_by=incoming.summary_by)
    same_summary = incoming.summary is not None and incoming.summary == changes.get("summary", stored.summary)
    if same_summary and incoming.summary_by is not None and incoming.summary_by != stored.summary_by:
        changes["summary_by"] = incoming.summary_by
    if (incoming.version or 0) > (stored.version or 0):
        changes.update(_new_version(incoming))
    for name in _COUNTS:
        if getattr(incoming, name) is not None and getattr(incoming, name) != getattr(stored, name):
            changes[name] = getattr(incoming, name)
    if incoming.status is not None and stored.status not in (incoming.status, PaperStatus.RETRACTED):
        changes["status"] = incoming.status
    changes.update(_identifier_changes(stored, incoming, bool(taken)))
    links = tuple(dict.fromkeys(link for link in (*stored.links, incoming.url, *incoming.links) if link))
    links = tuple(link for link in links if link != (stored.url or incoming.url))[:_MOST_LINKS]
    if links != stored.links:
        changes["links"] = links
    if changes.keys() & {"listed_on", "published"}:
        changes["day"] = next(
            day
            for name in ("listed_on", "published")
            if (day := changes.get(name) or getattr(stored, name)) is not None
        )
    if not set(incoming.sources) <= set(stored.sources):
        changes["sources"] = tuple(sorted({*stored.sources, *incoming.sources}))
    return changes


def _new_version(incoming: Paper) -> dict[str, Any]:
    """Return what a newer version replaces. The text of a withdrawn one only says that it is withdrawn."""
    if incoming.status is not None:
        return {"version": incoming.version}
    changes = {name: getattr(incoming, name) for name in _TEXT if getattr(incoming, name) not in (None, "", ())}
    return {**changes, "title_key": title_key(incoming.title)}


def _identifier_changes(stored: Paper, incoming: Paper, taken: bool) -> dict[str, Any]:
    """Return the identifiers that a stored paper gets; a second DOI is one of ``other_ids``."""
    changes: dict[str, Any] = {}
    known = {*same_paper.identifiers_of(stored)}
    more = [one for one in same_paper.identifiers_of(incoming) if one not in known]
    for name in ("arxiv_id", "doi"):
        value = getattr(incoming, name)
        if getattr(stored, name) is None and value in more and not taken:
            changes[name] = value
    others = [one for one in more if one not in changes.values()]
    if others and not taken:
        changes["other_ids"] = (*stored.other_ids, *others)[: len(stored.other_ids) + _MOST_LINKS]
    return changes
