"""Stored papers: one row for each paper, however many sources list it.

A row that turned out to be a paper of another row (``same_as``) is no paper of its own; it only leads to the other.
"""

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
    or_,
    select,
)

from newsletter.model import Paper, PaperRef, PaperStatus
from newsletter.store.row_list import is_listed, row_list
from newsletter.store.schema import paper_identifiers, papers
from newsletter.support.identifiers import arxiv_id, doi, normal_id, title_key

_TUPLES = ("authors", "categories", "keywords", "sources", "other_ids", "links")
_BLOCK = 500

IS_PAPER = papers.c.same_as.is_(None)
"""Whether a row is a paper of its own."""

ROW_OF_PAPER = func.coalesce(papers.c.same_as, papers.c.row)
"""The row of the paper that a row leads to."""


def count(connection: Connection) -> int:
    """Count the papers."""
    return connection.execute(select(func.count()).select_from(papers).where(IS_PAPER)).scalar_one()


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
    found = _select(connection, select(papers).where(papers.c.first_seen > moment, IS_PAPER))
    return sorted(found, key=lambda paper: paper.row)


def by_rows(connection: Connection, rows: Iterable[int]) -> dict[int, Paper]:
    """Return the papers that these row numbers lead to, by the number given."""
    wanted, found, leads_to = sorted(set(rows)), dict[int, Paper](), dict[int, int]()
    for start in range(0, len(wanted), _BLOCK):
        for row in connection.execute(_WHOLE, row_list(wanted[start : start + _BLOCK])).mappings():
            if row["same_as"] is None:
                found[row["row"]] = _paper(row)
            else:
                leads_to[row["row"]] = row["same_as"]
    if leads_to:
        mains = by_rows(connection, leads_to.values())
        found |= {row: mains[main] for row, main in leads_to.items()}
    return found


def find(connection: Connection, named: str) -> Paper | None:
    """Return the paper with this id, arXiv id, DOI, URL or title; None if the store has none."""
    named = named.strip()
    by_name = [papers.c.id == named, papers.c.url == named]
    for condition in (or_(*by_name, *_has_identifier(named)), papers.c.title_key == title_key(named)):
        if (paper := _first(connection, condition)) is not None:
            return paper
    return None


def by_id(connection: Connection, paper: str) -> Paper | None:
    """Return the paper with an id, which may also be another of its identifiers, such as an arXiv id with a version."""
    return _first(connection, or_(papers.c.id == paper, *_has_identifier(paper)))


def _has_identifier(text: str) -> list[ColumnElement[bool]]:
    """Return the conditions on a paper of which one is met if a text is an identifier of it."""
    known = normal_id(text)
    if known is None:
        return []
    other = select(paper_identifiers.c.paper).where(paper_identifiers.c.identifier == known)
    return [papers.c.arxiv_id == known, papers.c.doi == known, papers.c.row.in_(other)]


def _first(connection: Connection, condition: ColumnElement[bool]) -> Paper | None:
    """Return the paper that the first row leads to which meets a condition."""
    row = connection.execute(select(ROW_OF_PAPER).where(condition).order_by(papers.c.row).limit(1)).scalar()
    return by_rows(connection, [row])[row] if row is not None else None


def names(connection: Connection, rows: Iterable[int]) -> dict[int, PaperRef]:
    """Return references to the papers that these row numbers lead to, by the number given."""
    wanted = sorted(set(rows))
    blocks = (wanted[start : start + _BLOCK] for start in range(0, len(wanted), _BLOCK))
    main = papers.alias("main")
    query = select(papers.c.row.label("given"), main.c.row, main.c.id, main.c.title)
    query = query.join(main, main.c.row == ROW_OF_PAPER)
    return {
        row.given: PaperRef(row.row, row.id, row.title)
        for block in blocks
        for row in connection.execute(query.where(papers.c.row.in_(block)))
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
        for row in connection.execute(select(*columns).where(papers.c.id.in_(list(ids)), IS_PAPER)):
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
    conditions: list[ColumnElement[bool]] = [IS_PAPER]
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
    query = select(papers).where(and_(*_conditions(wanted))).order_by(_DAY.desc().nulls_last(), papers.c.row)
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
    query = select(papers).where(and_(*conditions)).order_by(papers.c.day.desc(), papers.c.row)
    return list(_select(connection, query.limit(limit)))


def category_lists(connection: Connection) -> list[tuple[list[str], int]]:
    """Return the different lists of categories that papers have, and the number of papers with each."""
    written = cast(papers.c.categories, Text)
    query = select(written, func.count()).where(IS_PAPER).group_by(written)
    return [(json.loads(categories), count) for categories, count in connection.execute(query)]


# Statements are made once where pages of the site wait for them: to make one takes longer than to execute it.
_LISTED = select(papers.c.row).where(is_listed(papers.c.row))
_PASSING = _LISTED.where(IS_PAPER)
_WHOLE = select(papers).where(is_listed(papers.c.row))


def passing(connection: Connection, rows: Sequence[int], wanted: PaperFilter) -> list[int]:
    """Return which of some rows pass the filter, in the order given."""
    query = _PASSING if wanted == PaperFilter() else _LISTED.where(*_conditions(wanted))
    passed = {*connection.execute(query, row_list(rows)).scalars()} if rows else set()
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


_FIELDS: Sequence[str] = tuple(item.name for item in fields(Paper) if item.name != "version_day")


def _paper(row: RowMapping) -> Paper:
    values = {name: row[name] for name in _FIELDS}
    values.update({name: tuple(values[name]) for name in _TUPLES})
    values["status"] = PaperStatus(values["status"]) if values["status"] else None
    return Paper(**values)
