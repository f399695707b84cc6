"""Which stored paper a paper of a source is: by its identifiers, or else by its title and its authors.

A preprint and its journal version are one paper, though their DOIs differ. A row that turns out to be a paper of
another row is merged into that one: it keeps its number and its id, which lead to the other (``papers.same_as``).
"""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, Table, delete, exists, false, func, select, union_all, update

from newsletter.model import Paper
from newsletter.store import paper_authors, paper_events
from newsletter.store.database import upsert
from newsletter.store.papers import ROW_OF_PAPER
from newsletter.store.schema import (
    citations,
    feedback,
    openalex_works,
    paper_identifiers,
    papers,
    saved_papers,
    send_papers,
)
from newsletter.support.identifiers import is_preprint_doi, title_key
from newsletter.support.person_names import parse_name

_MIN_TITLE = 20
"""Characters of the key of a title that says enough to tell a paper whose DOI differs. "Editorial" does not."""

_MAX_YEARS = 4
"""Between a preprint and its journal version."""

_MAX_SAME_TITLE = 20


def identifiers_of(paper: Paper) -> list[str]:
    """Return all identifiers of a paper."""
    found = (paper.arxiv_id, paper.doi, *paper.other_ids)
    return list(dict.fromkeys(one for one in found if one))


def rows_with(connection: Connection, identifiers: Sequence[str]) -> list[int]:
    """Return the rows of the papers that have one of some identifiers, ascending."""
    if not identifiers:
        return []
    found = union_all(
        select(papers.c.row).where(papers.c.arxiv_id.in_(identifiers)),
        select(papers.c.row).where(papers.c.doi.in_(identifiers)),
        select(paper_identifiers.c.paper).where(paper_identifiers.c.identifier.in_(identifiers)),
    )
    return sorted(set(connection.execute(found).scalars()))


def row_with_title(connection: Connection, paper: Paper) -> int | None:
    """Return the row of the oldest paper that has the same title and can be the same; None if there is none."""
    columns = (
        ROW_OF_PAPER.label("main"),
        papers.c.arxiv_id,
        papers.c.doi,
        papers.c.other_ids,
        papers.c.authors,
        papers.c.published,
    )
    same_title = select(*columns).where(papers.c.title_key == title_key(paper.title)).order_by(papers.c.row)
    for row in connection.execute(same_title.limit(_MAX_SAME_TITLE)):
        if _can_be_same(row, paper):
            return int(row.main)
    return None


def _can_be_same(row: Any, paper: Paper) -> bool:
    """Return whether a row and a paper of the same title can be one paper.

    Identifiers of one kind that differ speak against it, except the DOIs of a preprint and of what it became; then the
    authors must agree.
    """
    if row.arxiv_id and paper.arxiv_id and row.arxiv_id != paper.arxiv_id:
        return False
    agree = _agree(row.authors, paper.authors)
    if row.doi is None or paper.doi is None or row.doi == paper.doi:
        return agree is not False
    is_preprint = bool(row.arxiv_id or paper.arxiv_id or is_preprint_doi(row.doi) or is_preprint_doi(paper.doi))
    apart = abs(row.published.year - paper.published.year) if row.published and paper.published else 0
    return is_preprint and bool(agree) and apart <= _MAX_YEARS and len(title_key(paper.title)) >= _MIN_TITLE


def _agree(some: Sequence[str], others: Sequence[str]) -> bool | None:
    """Return whether two lists of authors have half of the shorter one in common; None if one of them names nobody, or
    only a collaboration whose members the other one names.
    """
    if not some or not others:
        return None
    ours, theirs = ([parse_name(name) for name in names] for names in (some, others))
    our_keys, their_keys = ({key for name in names for key in name.keys} for names in (ours, theirs))
    common = sum(not their_keys.isdisjoint(name.keys) for name in ours)
    common = min(common, sum(not our_keys.isdisjoint(name.keys) for name in theirs))
    if 2 * common >= min(len(some), len(others)):
        return True
    return False if all(any(name.given for name in names) for names in (ours, theirs)) else None


def add_identifiers(connection: Connection, row: int, identifiers: Iterable[str]) -> None:
    """Store that a paper has some other identifiers; one that another paper has stays with that."""
    values = [{"identifier": one, "paper": row} for one in identifiers]
    if values:
        connection.execute(upsert(connection, paper_identifiers).on_conflict_do_nothing(), values)


def merge(connection: Connection, main: Paper, other: Paper) -> None:
    """Merge one stored paper into another: what subscribers did with it, and what became of it.

    Its row keeps only what leads to the other paper: its id and the key of its title.
    """
    words = {"title": "", "abstract": "", "authors": [], "keywords": [], "text_change": _next_text_change(connection)}
    gone = {"arxiv_id": None, "doi": None, "upvotes": None, "comments": None, "listed_on": None, "same_as": main.row}
    connection.execute(update(papers).where(papers.c.row == other.row).values(**words, **gone))
    connection.execute(update(papers).where(papers.c.same_as == other.row).values(same_as=main.row))
    connection.execute(update(paper_identifiers).where(paper_identifiers.c.paper == other.row).values(paper=main.row))
    paper_authors.save(connection, other.row, (), other.authors)
    _move(connection, send_papers, main.row, other.row, ("subscriber",), unless_released=True)
    for table in (feedback, saved_papers):
        _move(connection, table, main.row, other.row, ("subscriber",))
    _move(connection, citations, main.row, other.row, ("cited",))
    paper_events.move(connection, other.row, main.row)
    for table in (feedback, saved_papers, citations, openalex_works):
        connection.execute(delete(table).where(table.c.paper == other.row))


def _next_text_change(connection: Connection) -> int:
    return int(connection.execute(select(func.max(papers.c.text_change) + 1)).scalar_one())


def _move(
    connection: Connection,
    table: Table,
    main: int,
    other: int,
    unique: Sequence[str],
    *,
    unless_released: bool = False,
) -> None:
    """Give the rows of one paper to another, except those that it has already.

    Args:
        unique: the columns of which the other paper must not have the same values.
        unless_released: whether only rows that were not released must be unique.
    """
    held = table.alias("held")
    has = exists().where(held.c.paper == main, *(held.c[name] == table.c[name] for name in unique))
    if unless_released:
        has = has.where(held.c.released == false())
    connection.execute(update(table).where(table.c.paper == other, ~has).values(paper=main))
