"""Stored libraries: the collections of papers that subscribers already have, by the addresses their interests name.

The papers of a library are examples of what its reader likes. They are not papers of the newsletter: nobody else sees
them, and they are removed with the library.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, bindparam, delete, false, func, or_, select, update

from newsletter.model import LibraryItem, Paper, SubscriberState
from newsletter.store.database import upsert, writes
from newsletter.store.papers import ROW_OF_PAPER
from newsletter.store.schema import libraries, library_items, paper_identifiers, papers, subscribers
from newsletter.support.identifiers import title_key
from newsletter.support.person_names import compare_names, parse_name

_BLOCK = 500

_TELLING_TITLE = 20
"""Letters and digits of a title that no two papers have by chance."""

_AUTHORS_COMPARED = 20
_TUPLES = ("authors", "keywords")
_PAPER = ("title", "abstract", "authors", "arxiv_id", "doi", "published", "venue", "url", "keywords")


@dataclass(frozen=True, slots=True, kw_only=True)
class Library:
    """A library of a subscriber.

    Attributes:
        row: the store's number for it. ``subscriber``: that of its reader.
        address: as in :attr:`newsletter.model.LibraryRef.address`.
        collections: which collections its items were limited to, as patterns; empty for all.
        version: what the source called its state at the last sync; None before the first.
        encrypted_key: the key of a Zotero library, see :mod:`newsletter.services.library_keys`. ``can_write``: whether
            it allows adding papers.
        tried_at, synced_at: the last try to sync, and the last that succeeded (UTC).
        error: why the last try failed; None if it succeeded. ``reported_at``: when that was reported (UTC).
    """

    row: int
    subscriber: int
    address: str
    collections: tuple[str, ...] = ()
    version: str | None = None
    encrypted_key: str | None = None
    can_write: bool = False
    tried_at: datetime | None = None
    synced_at: datetime | None = None
    error: str | None = None
    reported_at: datetime | None = None


def of(connection: Connection, subscriber: int) -> list[Library]:
    """Return the libraries of a subscriber (by row), oldest first."""
    query = select(libraries).where(libraries.c.subscriber == subscriber).order_by(libraries.c.row)
    return [_library(row) for row in connection.execute(query)]


def of_all(connection: Connection, people: Collection[int]) -> dict[int, list[Library]]:
    """Return the libraries of some subscribers (by row), oldest first; those without any are left out."""
    query = select(libraries).where(libraries.c.subscriber.in_(people)).order_by(libraries.c.row)
    found: dict[int, list[Library]] = {}
    for row in connection.execute(query):
        found.setdefault(row.subscriber, []).append(_library(row))
    return found


def ensure(connection: Connection, subscriber: int, address: str) -> Library:
    """Return a subscriber's library with an address; add an empty one if there is none."""
    statement = upsert(connection, libraries).values(subscriber=subscriber, address=address, collections=[])
    connection.execute(statement.on_conflict_do_nothing(index_elements=["subscriber", "address"]))
    query = select(libraries).where(libraries.c.subscriber == subscriber, libraries.c.address == address)
    return _library(connection.execute(query).one())


def by_row(connection: Connection, row: int) -> Library | None:
    """Return a library; None if it was removed. A writing transaction locks it until it ends."""
    query = select(libraries).where(libraries.c.row == row)
    found = connection.execute(query.with_for_update() if writes(connection) else query).one_or_none()
    return _library(found) if found is not None else None


def holds(connection: Connection, library: int, paper: int) -> bool:
    """Return whether a paper of the store (by row) is also an item of a library (by row), as in
    :func:`stored_papers`.
    """
    both = and_(library_items.c.library == library, papers.c.row == paper)
    return next(_same_papers(connection, both), None) is not None


def set_key(connection: Connection, library: int, encrypted_key: str | None, can_write: bool) -> None:
    """Store the encrypted key of a library (by row), and whether it allows writing."""
    values = {"encrypted_key": encrypted_key, "can_write": can_write}
    connection.execute(update(libraries).where(libraries.c.row == library).values(**values))


def record_success(
    connection: Connection, library: int, version: str | None, collections: Sequence[str], now: datetime
) -> None:
    """Record that a library (by row) was synced."""
    values = {
        "version": version,
        "collections": list(collections),
        "tried_at": now,
        "synced_at": now,
        "error": None,
        "reported_at": None,
    }
    connection.execute(update(libraries).where(libraries.c.row == library).values(**values))


def record_failure(connection: Connection, library: int, error: str, now: datetime) -> bool:
    """Record why a library (by row) could not be synced. Its items stay.

    Returns:
        Whether this is to be reported: an error that lasts is reported once, and another one again.
    """
    own = libraries.c.row == library
    last = connection.execute(select(libraries.c.error, libraries.c.reported_at).where(own)).first()
    reported = last.reported_at if last is not None and last.error == error else None
    values = {"tried_at": now, "error": error, "reported_at": reported or now}
    connection.execute(update(libraries).where(own).values(**values))
    return reported is None


def record_refusal(connection: Connection, library: int, error: str) -> None:
    """Record that the key of a library (by row) was refused when a paper was added. The next sync, which is due at
    once, finds out what the key allows.
    """
    values = {"error": error, "can_write": False, "tried_at": None}
    connection.execute(update(libraries).where(libraries.c.row == library).values(**values))


def due(connection: Connection, before: datetime, after: int, limit: int) -> list[Library]:
    """Return the libraries of active subscribers that were not tried since a given time (UTC), by row, starting after
    ``after``.
    """
    query = (
        select(libraries)
        .join(subscribers, subscribers.c.row == libraries.c.subscriber)
        .where(subscribers.c.state == SubscriberState.ACTIVE.value, libraries.c.row > after)
        .where(or_(libraries.c.tried_at.is_(None), libraries.c.tried_at < before))
    )
    return [_library(row) for row in connection.execute(query.order_by(libraries.c.row).limit(limit))]


def remove(connection: Connection, library: int) -> None:
    """Delete a library (by row) with its items and its key."""
    by_row(connection, library)  # Locks it: a sync that is storing items would make them reappear.
    connection.execute(delete(library_items).where(library_items.c.library == library))
    connection.execute(delete(libraries).where(libraries.c.row == library))


def put_items(connection: Connection, library: int, items: Iterable[LibraryItem]) -> int:
    """Store items of a library (by row), replacing those with the same keys. Returns how many there were."""
    count = 0
    for item in items:
        values = _values(item)
        statement = upsert(connection, library_items).values(library=library, key=item.key, **values)
        connection.execute(statement.on_conflict_do_update(index_elements=["library", "key"], set_=values))
        count += 1
    return count


def merge_items(connection: Connection, library: int, items: Sequence[LibraryItem]) -> tuple[int, int]:
    """Store items of a library (by row); those that are stored with the same data keep their encodings.

    Returns:
        How many were new, and how many had other data.
    """
    by_key = {item.key: item for item in items}
    known: dict[str, LibraryItem] = {}
    for start in range(0, len(items), _BLOCK):
        wanted = [item.key for item in items[start : start + _BLOCK]]
        query = select(library_items).where(library_items.c.library == library, library_items.c.key.in_(wanted))
        known.update((row.key, _item(row)) for row in connection.execute(query))
    changed = [item for key, item in by_key.items() if key in known and _values(item) != _values(known[key])]
    new = [item for key, item in by_key.items() if key not in known]
    put_items(connection, library, [*changed, *new])
    return len(new), len(changed)


def remove_items(connection: Connection, library: int, keys: Collection[str]) -> int:
    """Delete items of a library (by row) by their keys. Returns how many there were."""
    listed, removed = sorted(keys), 0
    for start in range(0, len(listed), _BLOCK):
        gone = library_items.c.key.in_(listed[start : start + _BLOCK])
        removed += connection.execute(delete(library_items).where(library_items.c.library == library, gone)).rowcount
    return removed


def item_keys(connection: Connection, library: int) -> set[str]:
    """Return the keys of the items of a library (by row)."""
    return set(connection.execute(select(library_items.c.key).where(library_items.c.library == library)).scalars())


def counts(connection: Connection, rows: Collection[int]) -> dict[int, int]:
    """Count the items of some libraries (by row); those without any are left out."""
    query = select(library_items.c.library, func.count()).where(library_items.c.library.in_(rows))
    return {row[0]: row[1] for row in connection.execute(query.group_by(library_items.c.library))}


def items(connection: Connection, rows: Collection[int], limit: int | None = None) -> list[LibraryItem]:
    """Return the items of some libraries (by row), in the order in which they were stored."""
    query = select(library_items).where(library_items.c.library.in_(rows)).order_by(library_items.c.row)
    return [_item(row) for row in connection.execute(query.limit(limit))]


def items_by_rows(connection: Connection, rows: Iterable[int]) -> dict[int, LibraryItem]:
    """Return the items with these row numbers, by row number."""
    wanted = sorted(set(rows))
    blocks = (wanted[start : start + _BLOCK] for start in range(0, len(wanted), _BLOCK))
    return {
        row.row: _item(row)
        for block in blocks
        for row in connection.execute(select(library_items).where(library_items.c.row.in_(block)))
    }


@dataclass(frozen=True, slots=True)
class StoredEncoding:
    """The encoding of an item by a sentence model (int8, base64); ``mark`` identifies the model and the text."""

    mark: str
    encoding: str


def encodings(connection: Connection, rows: Iterable[int]) -> dict[int, StoredEncoding]:
    """Return the stored encodings of items, by row."""
    columns = (library_items.c.row, library_items.c.encoded_by, library_items.c.encoding)
    wanted = sorted(set(rows))
    blocks = (wanted[start : start + _BLOCK] for start in range(0, len(wanted), _BLOCK))
    return {
        row.row: StoredEncoding(row.encoded_by, row.encoding)
        for block in blocks
        for row in connection.execute(select(*columns).where(library_items.c.row.in_(block)))
        if row.encoding is not None
    }


def set_encodings(connection: Connection, made: Mapping[int, StoredEncoding]) -> None:
    """Store the encodings of items, by row."""
    statement = (
        update(library_items)
        .where(library_items.c.row == bindparam("item"))
        .values(encoded_by=bindparam("mark"), encoding=bindparam("vector"))
    )
    values = [{"item": row, "mark": one.mark, "vector": one.encoding} for row, one in made.items()]
    connection.execute(statement, values)


def stored_papers(connection: Connection, rows: Collection[int]) -> dict[int, int]:
    """Return which items of some libraries (by row) are also papers of the store: the row of the paper, by that of the
    item.
    """
    found: dict[int, int] = {}
    for item, _, paper in _same_papers(connection, library_items.c.library.in_(rows)):
        found.setdefault(item, paper)
    return found


def held_papers(connection: Connection, people: Collection[int]) -> dict[int, set[int]]:
    """Return the rows of the stored papers that some subscribers (by row) have in their libraries."""
    found: dict[int, set[int]] = {}
    for _, subscriber, paper in _same_papers(connection, libraries.c.subscriber.in_(people)):
        found.setdefault(subscriber, set()).add(paper)
    return found


def _same_papers(connection: Connection, condition: ColumnElement[bool]) -> Iterator[tuple[int, int, int]]:
    """Yield the items of some libraries that are stored papers too: the rows of the item, its reader and the paper.

    They match by an identifier or by title, and by title even if their DOIs differ: a preprint and its article are one
    paper to their reader. A short title, such as "Editorial", also takes an author in common; without authors, it is
    enough that the identifiers do not contradict each other.
    """
    one, other = library_items.c, papers.c
    columns = (one.row.label("item"), libraries.c.subscriber, ROW_OF_PAPER.label("paper"))
    unlike = or_(one.arxiv_id != other.arxiv_id, one.doi != other.doi)  # NULL if one of the two is missing.
    named = (one.title_key, one.authors, other.authors.label("others"), func.coalesce(unlike, false()).label("unlike"))
    in_library = library_items.join(libraries, libraries.c.row == one.library)
    for same in (one.arxiv_id == other.arxiv_id, one.doi == other.doi):
        query = select(*columns).select_from(in_library.join(papers, same)).where(condition)
        yield from ((row.item, row.subscriber, row.paper) for row in connection.execute(query))
    known = paper_identifiers.c
    named_by = in_library.join(paper_identifiers, or_(known.identifier == one.doi, known.identifier == one.arxiv_id))
    query = select(*columns).select_from(named_by.join(papers, other.row == known.paper)).where(condition)
    yield from ((row.item, row.subscriber, row.paper) for row in connection.execute(query))
    joined = in_library.join(papers, one.title_key == other.title_key)
    for row in connection.execute(select(*columns, *named).select_from(joined).where(condition)):
        alike = _author_in_common(row.authors, row.others) if row.authors and row.others else not row.unlike
        if len(row.title_key) >= _TELLING_TITLE or alike:
            yield row.item, row.subscriber, row.paper


def _author_in_common(some: Sequence[str], others: Sequence[str]) -> bool:
    names = [parse_name(name) for name in others[:_AUTHORS_COMPARED]]
    return any(compare_names(parse_name(one), name) for one in some[:_AUTHORS_COMPARED] for name in names)


def _values(item: LibraryItem) -> Mapping[str, Any]:
    values = {name: getattr(item.paper, name) for name in _PAPER}
    values.update({name: list(values[name]) for name in _TUPLES})
    # Its text may be new, so an encoding of it is out of date.
    return {
        **values,
        "title_key": title_key(item.paper.title),
        "collections": list(item.collections),
        "encoding": None,
        "encoded_by": None,
    }


def _library(row: Row[Any]) -> Library:
    values = {**row._mapping, "collections": tuple(row.collections)}
    return Library(**values)


def _item(row: Row[Any]) -> LibraryItem:
    values = {name: getattr(row, name) for name in _PAPER}
    values.update({name: tuple(values[name]) for name in _TUPLES})
    return LibraryItem(
        key=row.key, paper=Paper(**values), collections=tuple(row.collections), row=row.row, library=row.library
    )
