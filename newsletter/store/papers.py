"""Stored papers: one row for each paper, however many sources list it."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from datetime import date, datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    RowMapping,
    Select,
    Text,
    and_,
    cast,
    func,
    insert,
    or_,
    select,
    update,
)

from newsletter.model import Paper, PaperRef
from newsletter.store import paper_authors
from newsletter.store.database import advisory_lock
from newsletter.store.schema import papers
from newsletter.support.identifiers import arxiv_id, doi, title_id, title_key

_TUPLES = ("authors", "categories", "keywords", "sources")
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
_BLOCK = 500


@dataclass(frozen=True, slots=True)
class UpsertCounts:
    """The result of storing papers: how many there were, and how many of them were new or changed."""

    papers: int = 0
    new: int = 0
    changed: int = 0


def upsert(connection: Connection, found: Iterable[Paper], source: str, now: datetime) -> UpsertCounts:
    """Store papers from one source, each merged with the row it belongs to.

    Papers match by arXiv id, then DOI, then title (:func:`newsletter.support.identifiers.title_key`), unless their
    identifiers contradict each other. Counts are refreshed, gaps filled, and a newer version replaces the text.

    Args:
        found: the papers as the source returned them. ``source``: its name.
        now: the ``first_seen`` of new papers (UTC).
    """
    # Row numbers must be in the order of visibility, since papers above the last row seen are new to a subscriber; and
    # a search by title must find a paper that another process is about to store.
    advisory_lock(connection, "papers")
    kept = UpsertCounts()
    for paper in found:
        stored = find_same(connection, paper)
        incoming = replace(paper, sources=(source,))
        if stored is None:
            _insert(connection, replace(incoming, first_seen=now))
            kept = UpsertCounts(kept.papers + 1, kept.new + 1, kept.changed)
        else:
            changes = _changes(connection, stored, incoming)
            if changes.keys() & _INDEXED:
                changes["text_change"] = connection.execute(select(func.max(papers.c.text_change) + 1)).scalar_one()
            if changes:
                connection.execute(update(papers).where(papers.c.row == stored.row).values(**changes))
            if "authors" in changes:
                paper_authors.save(connection, stored.row, changes["authors"], stored.authors)
            kept = UpsertCounts(kept.papers + 1, kept.new, kept.changed + bool(changes))
    return kept


def find_same(connection: Connection, paper: Paper) -> Paper | None:
    """Return the stored paper that a paper of a source is, as :func:`upsert` matches them; None if it is new."""
    for column, value in ((papers.c.arxiv_id, paper.arxiv_id), (papers.c.doi, paper.doi)):
        if value is not None:
            row = connection.execute(select(papers).where(column == value)).mappings().first()
            if row is not None:
                return _paper(row)
    same_title = select(papers).where(papers.c.title_key == title_key(paper.title)).order_by(papers.c.row)
    # Unless both have an identifier, and they differ.
    for column, value in ((papers.c.arxiv_id, paper.arxiv_id), (papers.c.doi, paper.doi)):
        if value is not None:
            same_title = same_title.where(column.is_(None))
    row = connection.execute(same_title.limit(1)).mappings().first()
    return _paper(row) if row is not None else None


def _insert(connection: Connection, paper: Paper) -> None:
    public = paper.arxiv_id or paper.doi or title_id(paper.title)
    if connection.execute(select(papers.c.row).where(papers.c.id == public)).first() is not None:
        # Another paper has the id already: same title, but contradicting identifiers.
        public = f"{public}-{connection.execute(select(func.max(papers.c.row))).scalar_one() + 1}"
    values = {item.name: getattr(paper, item.name) for item in fields(paper) if item.name != "row"}
    values.update({name: list(values[name]) for name in _TUPLES})
    values.update(id=public, title_key=title_key(paper.title))
    row = connection.execute(insert(papers).returning(papers.c.row), values).scalar_one()
    paper_authors.save(connection, row, paper.authors)


def _changes(connection: Connection, stored: Paper, incoming: Paper) -> dict[str, Any]:
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
        changes.update(
            {name: getattr(incoming, name) for name in _TEXT if getattr(incoming, name) not in (None, "", ())}
        )
        changes["title_key"] = title_key(incoming.title)
    for name in _COUNTS:
        if getattr(incoming, name) is not None and getattr(incoming, name) != getattr(stored, name):
            changes[name] = getattr(incoming, name)
    for column, name in ((papers.c.arxiv_id, "arxiv_id"), (papers.c.doi, "doi")):
        value = getattr(incoming, name)
        if getattr(stored, name) is None and value is not None:
            taken = connection.execute(select(papers.c.row).where(column == value)).first()
            if taken is None:
                changes[name] = value
    if changes.keys() & {"listed_on", "published"}:
        changes["day"] = next(
            day
            for name in ("listed_on", "published")
            if (day := changes.get(name) or getattr(stored, name)) is not None
        )
    if not set(incoming.sources) <= set(stored.sources):
        changes["sources"] = sorted({*stored.sources, *incoming.sources})
    return {name: list(value) if isinstance(value, tuple) else value for name, value in changes.items()}


def count(connection: Connection) -> int:
    """Count the papers."""
    return connection.execute(select(func.count()).select_from(papers)).scalar_one()


@dataclass(frozen=True, slots=True)
class Extent:
    """The extent of the store: how many papers, the highest row and that paper's id, and how many text changes."""

    count: int
    last_row: int
    last_id: str
    text_change: int


def extent(connection: Connection) -> Extent:
    """Return the current extent of the store."""
    held, changed = connection.execute(
        select(func.count(), func.coalesce(func.max(papers.c.text_change), 0)).select_from(papers)
    ).one()
    last = connection.execute(select(papers.c.row, papers.c.id).order_by(papers.c.row.desc()).limit(1)).first()
    return Extent(held, last.row if last else 0, last.id if last else "", changed)


def id_of(connection: Connection, row: int) -> str | None:
    """Return the id of the paper in a row, None if the row does not exist."""
    return connection.execute(select(papers.c.id).where(papers.c.row == row)).scalar()


def rows_after(connection: Connection, row: int) -> list[int]:
    """Return the rows of all papers above a row, ascending."""
    query = select(papers.c.row).where(papers.c.row > row).order_by(papers.c.row)
    return list(connection.execute(query).scalars())


def rows_changed(connection: Connection, after: int) -> list[int]:
    """Return the rows of papers whose text has changed since a text change number."""
    return list(connection.execute(select(papers.c.row).where(papers.c.text_change > after)).scalars())


def texts(connection: Connection, rows: Sequence[int]) -> Iterator[Paper]:
    """Yield the papers with these row numbers, ascending, with only their texts: title, abstract and keywords."""
    for start in range(0, len(rows), _BLOCK):
        block = [int(row) for row in rows[start : start + _BLOCK]]
        query = select(papers.c.row, papers.c.id, papers.c.title, papers.c.abstract, papers.c.keywords)
        for row in connection.execute(query.where(papers.c.row.in_(block)).order_by(papers.c.row)):
            yield Paper(title=row.title, abstract=row.abstract, keywords=tuple(row.keywords), id=row.id, row=row.row)


def first_seen_since(connection: Connection, moment: datetime) -> list[Paper]:
    """Return the papers first seen after ``moment`` (UTC), oldest first."""
    # Sorted here: to sort them by row, SQLite would scan all rows.
    found = _select(connection, select(papers).where(papers.c.first_seen > moment))
    return sorted(found, key=lambda paper: paper.row)


def by_rows(connection: Connection, rows: Iterable[int]) -> dict[int, Paper]:
    """Return the papers with these row numbers, by row number."""
    wanted = sorted(set(rows))
    blocks = (wanted[start : start + _BLOCK] for start in range(0, len(wanted), _BLOCK))
    return {
        paper.row: paper
        for block in blocks
        for paper in _select(connection, select(papers).where(papers.c.row.in_(block)))
    }


def find(connection: Connection, named: str) -> Paper | None:
    """Return the paper with this id, arXiv id, DOI, URL or title; None if the store has none."""
    named = named.strip()
    conditions = [papers.c.id == named, papers.c.url == named]
    if (known := arxiv_id(named)) is not None:
        conditions.append(papers.c.arxiv_id == known[0])
    if (found_doi := doi(named)) is not None:
        conditions.append(papers.c.doi == found_doi)
    for condition in (or_(*conditions), papers.c.title_key == title_key(named)):
        paper = next(_select(connection, select(papers).where(condition).order_by(papers.c.row).limit(1)), None)
        if paper is not None:
            return paper
    return None


def names(connection: Connection, rows: Iterable[int]) -> dict[int, PaperRef]:
    """Return references to the papers with these row numbers, by row number."""
    columns = (papers.c.row, papers.c.id, papers.c.title)
    wanted = sorted(set(rows))
    blocks = (wanted[start : start + _BLOCK] for start in range(0, len(wanted), _BLOCK))
    return {
        row.row: PaperRef(row.row, row.id, row.title)
        for block in blocks
        for row in connection.execute(select(*columns).where(papers.c.row.in_(block)))
    }


def find_all(connection: Connection, named: Iterable[str]) -> dict[str, PaperRef]:
    """Find papers by name; return those found as :func:`find` finds each, by the name given.

    Names that are ids, as most are, take one query for hundreds.
    """
    wanted = sorted({*named})
    found: dict[str, PaperRef] = {}
    columns = (papers.c.row, papers.c.id, papers.c.title)
    for start in range(0, len(wanted), _BLOCK):
        ids: dict[str, list[str]] = {}
        for name in wanted[start : start + _BLOCK]:
            known = arxiv_id(name)
            ids.setdefault(known[0] if known else doi(name) or name.strip(), []).append(name)
        for row in connection.execute(select(*columns).where(papers.c.id.in_(list(ids)))):
            found.update(dict.fromkeys(ids[row.id], PaperRef(row.row, row.id, row.title)))
    for name in wanted:
        if name not in found and (paper := find(connection, name)) is not None:
            found[name] = PaperRef(paper.row, paper.id, paper.title)
    return found


@dataclass(frozen=True, slots=True)
class PaperFilter:
    """A filter for papers. ``since`` and ``until`` are days of listing (or else of publication), inclusive."""

    source: str | None = None
    since: date | None = None
    until: date | None = None
    title: str | None = None
    category: str | None = None


_DAY = func.coalesce(papers.c.listed_on, papers.c.published)


def _conditions(wanted: PaperFilter) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if wanted.since is not None:
        conditions.append(wanted.since <= _DAY)
    if wanted.until is not None:
        conditions.append(wanted.until >= _DAY)
    if wanted.title is not None:
        conditions.append(papers.c.title.icontains(wanted.title, autoescape=True))
    for column, value in ((papers.c.sources, wanted.source), (papers.c.categories, wanted.category)):
        if value is not None:
            conditions.append(cast(column, Text).icontains(json.dumps(value), autoescape=True))
    return conditions


def listing(connection: Connection, wanted: PaperFilter, limit: int | None = None) -> Iterator[Paper]:
    """Yield the papers that pass the filter, newest day first."""
    query = select(papers).where(and_(True, *_conditions(wanted))).order_by(_DAY.desc().nulls_last(), papers.c.row)
    yield from _select(connection, query.limit(limit))


def page(connection: Connection, wanted: PaperFilter, after: Paper | None, limit: int) -> list[Paper]:
    """Return the next papers that pass the filter, newest day first (listed, published, or else first seen), starting
    after ``after``.
    """
    conditions = _conditions(replace(wanted, since=None, until=None))
    # Sort by the column that has an index.
    conditions += [wanted.since <= papers.c.day] if wanted.since is not None else []
    conditions += [wanted.until >= papers.c.day] if wanted.until is not None else []
    if after is not None:
        day = select(papers.c.day).where(papers.c.row == after.row).scalar_subquery()
        conditions.append(or_(papers.c.day < day, and_(papers.c.day == day, papers.c.row > after.row)))
    query = select(papers).where(and_(True, *conditions)).order_by(papers.c.day.desc(), papers.c.row)
    return list(_select(connection, query.limit(limit)))


def by_id(connection: Connection, paper: str) -> Paper | None:
    """Return the paper with an id, which may also be an arXiv id with a version, or a DOI of one."""
    known, found_doi = arxiv_id(paper), doi(paper)
    named = [papers.c.id == paper]
    named += [papers.c.arxiv_id == known[0]] if known is not None else []
    named += [papers.c.doi == found_doi] if found_doi is not None else []
    return next(_select(connection, select(papers).where(or_(*named)).order_by(papers.c.row).limit(1)), None)


def category_lists(connection: Connection) -> list[tuple[list[str], int]]:
    """Return the different lists of categories that papers have, and the number of papers with each."""
    written = cast(papers.c.categories, Text)
    query = select(written, func.count()).group_by(written)
    return [(json.loads(categories), count) for categories, count in connection.execute(query)]


def passing(connection: Connection, rows: Sequence[int], wanted: PaperFilter) -> list[int]:
    """Return which of some rows pass the filter, in the order given."""
    conditions = _conditions(wanted)
    if not conditions:
        return list(rows)
    passed: set[int] = set()
    for start in range(0, len(rows), _BLOCK):
        query = select(papers.c.row).where(papers.c.row.in_(rows[start : start + _BLOCK]), *conditions)
        passed.update(connection.execute(query).scalars())
    return [row for row in rows if row in passed]


def with_title(connection: Connection, word: str, wanted: PaperFilter, limit: int) -> list[int]:
    """Return the rows of papers that contain a string in their title and pass the filter, newest row first."""
    # The title keys are in an index, which takes a tenth of the time of the table to scan.
    titled = papers.c.title_key.contains(title_key(word), autoescape=True)
    found = connection.execute(select(papers.c.row).where(titled)).scalars()
    rows, passed = sorted(found, reverse=True), list[int]()
    for start in range(0, len(rows), _BLOCK):
        written = and_(papers.c.row.in_(rows[start : start + _BLOCK]), papers.c.title.icontains(word, autoescape=True))
        query = select(papers.c.row).where(written, *_conditions(wanted)).order_by(papers.c.row.desc())
        passed += connection.execute(query.limit(limit - len(passed))).scalars()
        if len(passed) == limit:
            break
    return passed


def _select(connection: Connection, query: Select[Any]) -> Iterator[Paper]:
    for row in connection.execute(query).mappings():
        yield _paper(row)


_FIELDS: Sequence[str] = tuple(item.name for item in fields(Paper))


def _paper(row: RowMapping) -> Paper:
    values = {name: row[name] for name in _FIELDS}
    values.update({name: tuple(values[name]) for name in _TUPLES})
    return Paper(**values)
