"""What OpenAlex knows: the authors and institutions of papers, and which papers cite those that alerts name."""

import json
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Text, and_, cast, delete, or_, select

from newsletter.model import AlertKind
from newsletter.store.database import upsert
from newsletter.store.schema import citations, cited_works, openalex_works, papers, subscribers

SOURCE = "alerts:openalex"
"""The source of papers that only the look-ups for alerts found, and the name under which their status is recorded. A
source in the configuration has no colon in its name."""

_BLOCK = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """A paper as OpenAlex describes it.

    Attributes:
        openalex_id: such as ``W2741809807``; None for a paper that OpenAlex does not have yet.
        authors: names, each with an ORCID iD in its bare form or None.
        institutions: names, each with a ROR id in its bare form or None.
    """

    openalex_id: str | None
    authors: tuple[tuple[str, str | None], ...] = ()
    institutions: tuple[tuple[str, str | None], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CitedWork:
    """A paper whose citations are looked for.

    Attributes:
        identifier: its DOI or arXiv id, as alerts have it.
        openalex_id, title: None for one that OpenAlex does not have.
        checked_at: when OpenAlex was last asked for it or, once it has it, for papers that cite it (UTC).
    """

    identifier: str
    openalex_id: str | None
    title: str | None
    checked_at: datetime


@dataclass(frozen=True, slots=True)
class PaperToLookUp:
    """A paper that OpenAlex is asked for: its row and the identifiers that it has."""

    row: int
    doi: str | None
    arxiv_id: str | None


def works(connection: Connection, rows: Iterable[int]) -> dict[int, Work]:
    """Return what OpenAlex knows about some papers (by row); those without an answer are left out."""
    table = openalex_works.c
    return {
        row.paper: Work(
            openalex_id=row.openalex_id,
            authors=tuple((one["name"], one["orcid"]) for one in row.authors),
            institutions=tuple((one["name"], one["ror"]) for one in row.institutions),
        )
        for block in _blocks(rows)
        for row in connection.execute(select(openalex_works).where(table.paper.in_(block)))
    }


def save_work(connection: Connection, paper: int, work: Work, now: datetime) -> None:
    """Store what OpenAlex knows about a paper (by row)."""
    values = {
        "openalex_id": work.openalex_id,
        "authors": [{"name": name, "orcid": orcid} for name, orcid in work.authors],
        "institutions": [{"name": name, "ror": ror} for name, ror in work.institutions],
        "checked_at": now,
    }
    statement = upsert(connection, openalex_works).values(paper=paper, **values)
    connection.execute(statement.on_conflict_do_update(index_elements=["paper"], set_=values))


def papers_to_look_up(
    connection: Connection, seen_after: datetime, checked_before: datetime, limit: int
) -> list[PaperToLookUp]:
    """Return papers with an identifier that were first seen after a time and that OpenAlex was not asked for yet, or
    did not have and was not asked for since ``checked_before`` (UTC); those not asked for come first, newest first.
    """
    never = openalex_works.c.paper.is_(None)
    again = and_(openalex_works.c.openalex_id.is_(None), openalex_works.c.checked_at < checked_before)
    query = (
        select(papers.c.row, papers.c.doi, papers.c.arxiv_id)
        .outerjoin(openalex_works, openalex_works.c.paper == papers.c.row)
        .where(papers.c.first_seen > seen_after, or_(papers.c.doi.is_not(None), papers.c.arxiv_id.is_not(None)))
        .where(or_(never, again))
        .order_by(openalex_works.c.checked_at.is_(None).desc(), papers.c.row.desc())
    )
    return [PaperToLookUp(*row) for row in connection.execute(query.limit(limit))]


def cited(connection: Connection, identifiers: Iterable[str] | None = None) -> dict[str, CitedWork]:
    """Return the papers whose citations are looked for (all, or some by identifier), by identifier."""
    query = select(cited_works)
    if identifiers is None:
        return {row.identifier: CitedWork(**row._mapping) for row in connection.execute(query)}
    return {
        row.identifier: CitedWork(**row._mapping)
        for block in _blocks(identifiers)
        for row in connection.execute(query.where(cited_works.c.identifier.in_(block)))
    }


def save_cited(connection: Connection, work: CitedWork) -> None:
    """Store a paper whose citations are looked for."""
    values = {"openalex_id": work.openalex_id, "title": work.title, "checked_at": work.checked_at}
    statement = upsert(connection, cited_works).values(identifier=work.identifier, **values)
    connection.execute(statement.on_conflict_do_update(index_elements=["identifier"], set_=values))


def forget_cited(connection: Connection, keep: Collection[str]) -> int:
    """Delete the papers whose citations no alert looks for any longer. Returns how many there were."""
    gone = cited(connection).keys() - set(keep)
    _delete_cited(connection, gone)
    return len(gone)


def forget_unwatched(connection: Connection, identifiers: Iterable[str]) -> None:
    """Delete those of some cited papers (by identifier) that no subscriber's preferences name."""
    left = {identifier: json.dumps(identifier) for identifier in identifiers}
    if not left:
        return
    written = cast(subscribers.c.preferences, Text)
    naming = select(written).where(written.contains(f'"{AlertKind.CITES}"')).execution_options(yield_per=_BLOCK)
    # One scan, however many there are.
    for preferences in connection.execute(naming).scalars():
        left = {one: in_json for one, in_json in left.items() if in_json not in preferences}
    _delete_cited(connection, left)


def _delete_cited(connection: Connection, identifiers: Iterable[str]) -> None:
    for block in _blocks(identifiers):
        connection.execute(delete(citations).where(citations.c.cited.in_(block)))
        connection.execute(delete(cited_works).where(cited_works.c.identifier.in_(block)))


def save_citations(connection: Connection, found: Iterable[tuple[str, int]], now: datetime) -> int:
    """Store that papers (by row) cite others (by identifier); those known already keep their time. Returns how many are
    new.
    """
    new = 0
    for identifier, paper in found:
        statement = upsert(connection, citations).values(cited=identifier, paper=paper, found_at=now)
        new += connection.execute(statement.on_conflict_do_nothing(index_elements=["cited", "paper"])).rowcount
    return new


def citing(connection: Connection, rows: Iterable[int]) -> dict[str, set[int]]:
    """Return which of some papers (by row) cite another, by the identifier of that one."""
    found: dict[str, set[int]] = {}
    for block in _blocks(rows):
        for row in connection.execute(select(citations).where(citations.c.paper.in_(block))):
            found.setdefault(row.cited, set()).add(row.paper)
    return found


def late_cited(connection: Connection, since: datetime) -> list[int]:
    """Return the rows of papers first seen up to a time whose citation of another was found after it (UTC).

    A digest since that time did not see them as citing papers; each is returned once if every digest asks since the one
    before.
    """
    query = (
        select(papers.c.row)
        .join(citations, citations.c.paper == papers.c.row)
        .where(citations.c.found_at > since, papers.c.first_seen <= since)
    )
    return sorted(connection.execute(query.distinct()).scalars())


def late_described(connection: Connection, since: datetime) -> list[int]:
    """Return the rows of papers first seen up to a time whose authors and institutions became known after it (UTC)."""
    query = (
        select(papers.c.row)
        .join(openalex_works, openalex_works.c.paper == papers.c.row)
        .where(openalex_works.c.checked_at > since, openalex_works.c.openalex_id.is_not(None))
        .where(papers.c.first_seen <= since)
    )
    return sorted(connection.execute(query).scalars())


def _blocks(values: Iterable[Any]) -> Iterator[Sequence[Any]]:
    listed = sorted(set(values))
    for start in range(0, len(listed), _BLOCK):
        yield listed[start : start + _BLOCK]
