"""The authors of stored papers, found by any spelling of a name.

The table has a row for each key of an author's name (see :attr:`newsletter.support.person_names.PersonName.keys`) and
paper: a search reads the few rows with a key in common and compares their names. Since keys are stored, a change of how
names are parsed needs a migration that makes them again.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, delete, func, insert, select

from newsletter.store.schema import paper_authors
from newsletter.support.person_names import NameMatch, compare_names, parse_name

_BLOCK = 500


@dataclass(frozen=True, slots=True)
class KnownAuthor:
    """A spelling of an author's name in the store: how far it matches what was asked for, and its number of papers."""

    name: str
    agrees: NameMatch
    papers: int


def keyed_names(authors: Iterable[str]) -> set[tuple[str, str]]:
    """Return the keys of some authors, each with the name as written."""
    return {(key, author) for author in authors for key in parse_name(author).keys}


def save(connection: Connection, paper: int, authors: Sequence[str], replaced: Sequence[str] = ()) -> None:
    """Store the authors of a paper (by row), in place of those it had before."""
    new, old = keyed_names(authors), keyed_names(replaced)
    table = paper_authors.c
    gone = sorted(old - new)
    for start in range(0, len(gone), _BLOCK):
        keys, names = zip(*gone[start : start + _BLOCK], strict=True)
        # Names that are kept under the same key are written again below.
        connection.execute(
            delete(paper_authors).where(table.key.in_(keys), table.name.in_(names), table.paper == paper)
        )
    if added := sorted(new - old):
        connection.execute(insert(paper_authors), [{"key": key, "name": name, "paper": paper} for key, name in added])


def find(connection: Connection, names: Iterable[str]) -> dict[str, list[KnownAuthor]]:
    """Return the stored spellings that share a key with each name, those with most papers first.

    That includes names that do not match, of people with the same family name and initial.
    """
    wanted = {name: parse_name(name) for name in names}
    by_key = _counts(connection, sorted({key for name in wanted.values() for key in name.keys}))
    found: dict[str, list[KnownAuthor]] = {}
    for written, name in wanted.items():
        spellings = {one: count for key in name.keys for one, count in by_key.get(key, {}).items()}
        known = [KnownAuthor(one, compare_names(name, parse_name(one)), count) for one, count in spellings.items()]
        found[written] = sorted(known, key=lambda one: (-one.papers, one.name))
    return found


def _counts(connection: Connection, keys: Sequence[str]) -> dict[str, dict[str, int]]:
    counts: dict[str, dict[str, int]] = {}
    table = paper_authors.c
    for start in range(0, len(keys), _BLOCK):
        block = table.key.in_(keys[start : start + _BLOCK])
        query = select(table.key, table.name, func.count()).where(block).group_by(table.key, table.name)
        for key, name, count in connection.execute(query):
            counts.setdefault(key, {})[name] = count
    return counts


def with_family_name(connection: Connection, name: str, limit: int) -> list[KnownAuthor]:
    """Return the authors who have a given family name and another name, those with most papers first."""
    table = paper_authors.c
    query = select(table.name, func.count().label("papers")).where(_in_family(name)).group_by(table.name)
    found = connection.execute(query.order_by(func.count().desc(), table.name).limit(limit))
    return [KnownAuthor(row.name, NameMatch.NONE, row.papers) for row in found]


def papers_of_family_name(connection: Connection, name: str, limit: int) -> dict[int, str]:
    """Return the rows of papers by authors with a family name, newest row first, each with one such author."""
    query = select(paper_authors.c.paper, paper_authors.c.name).where(_in_family(name))
    return _by_paper(connection, query, limit)


def papers_by(connection: Connection, authors: Sequence[str], limit: int) -> dict[int, str]:
    """Return the rows of papers by authors (as the store spells them), newest row first, each with one such author."""
    keys, names = (sorted({*column}) for column in zip(*keyed_names(authors), strict=True)) if authors else ([], [])
    found: dict[int, str] = {}
    for start in range(0, len(names), _BLOCK):
        named = paper_authors.c.name.in_(names[start : start + _BLOCK]) & paper_authors.c.key.in_(keys)
        found |= _by_paper(connection, select(paper_authors.c.paper, paper_authors.c.name).where(named), limit)
    return {row: found[row] for row in sorted(found, reverse=True)[:limit]}


def _in_family(name: str) -> ColumnElement[bool]:
    prefix = parse_name(name).prefix
    # The character after the space that ends the prefix is the exclamation mark.
    return and_(paper_authors.c.key >= prefix, paper_authors.c.key < f"{prefix[:-1]}!")


def _by_paper(connection: Connection, query: Select[Any], limit: int) -> dict[int, str]:
    return {
        row.paper: row.name for row in connection.execute(query.order_by(paper_authors.c.paper.desc()).limit(limit))
    }
