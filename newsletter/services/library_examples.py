"""The libraries of subscribers as examples of what they like, prepared for ranking.

The papers of a library are not in the index, which everybody shares. They get vectors of their own for each batch of
subscribers, under negative row numbers. Those that are stored too are ranked by the text that the store has.
"""

import base64
import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from sqlalchemy import Connection

from newsletter.model import LibraryItem, Paper, PaperRef, Subscriber
from newsletter.ranking.encoder import Encoder
from newsletter.ranking.index import Index, PaperMatrix, Segment, no_meaning
from newsletter.ranking.meaning import Encodings, to_bytes
from newsletter.ranking.profile import InterestFeedback
from newsletter.ranking.tfidf import paper_text, title_once
from newsletter.services.context import AppContext
from newsletter.store import libraries, papers, reading, writing
from newsletter.store.libraries import Library, StoredEncoding

_MOST_ENCODED = 300
"""New papers that are encoded at once; the others follow when the reader's papers are ranked again."""


@dataclass(frozen=True, slots=True)
class LibraryExamples:
    """The papers in the libraries of some subscribers.

    Attributes:
        liked: for each subscriber (by row) and interest (by name), references to the papers, with negative rows.
        papers: all of them, by these rows, with the texts to rank by.
        held: for each subscriber, the rows of the stored papers that are in a library.
    """

    liked: Mapping[int, Mapping[str, tuple[PaperRef, ...]]]
    papers: Mapping[int, Paper]
    held: Mapping[int, set[int]]


NONE = LibraryExamples({}, {}, {})
"""Those of subscribers without libraries."""


def load_library_examples(connection: Connection, batch: Sequence[Subscriber]) -> LibraryExamples:
    """Load the libraries of a batch of subscribers, as they were last synced."""
    owners = [one.row for one in batch]
    known = libraries.of_all(connection, owners)
    if not known:
        return NONE
    items = libraries.items(connection, [library.row for own in known.values() for library in own])
    by_library: dict[int, list[LibraryItem]] = {}
    for item in items:
        by_library.setdefault(item.library, []).append(item)
    liked = {one.row: _liked(one, known.get(one.row, ()), by_library) for one in batch}
    return LibraryExamples(liked, _texts(connection, items), libraries.held_papers(connection, owners))


def _liked(
    subscriber: Subscriber, known: Sequence[Library], by_library: Mapping[int, Sequence[LibraryItem]]
) -> dict[str, tuple[PaperRef, ...]]:
    """Return the papers of the libraries that each interest of a subscriber names."""
    rows = {library.address: library.row for library in known}
    liked = {}
    for interest in subscriber.preferences.interests:
        found = {}
        for library in interest.libraries:
            for item in by_library.get(rows.get(library.address, 0), ()):
                if library.keeps(item.collections):
                    found[item.row] = PaperRef(-item.row, "", item.paper.title)
        liked[interest.name] = tuple(found.values())
    return liked


def library_mark(examples: LibraryExamples, rows: Iterable[int]) -> str:
    """Return a digest of the texts of some papers of libraries (by negative row); empty without any."""
    texts = [f"{row}\n{paper_text(examples.papers[row])}" for row in sorted(rows) if row in examples.papers]
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:16] if texts else ""


def load_items(connection: Connection, rows: Collection[int]) -> LibraryExamples:
    """Load papers of libraries by their negative rows, to rank as at another time; those that are gone are left out."""
    items = libraries.items_by_rows(connection, (-row for row in rows))
    return LibraryExamples({}, _texts(connection, list(items.values())), {})


def _texts(connection: Connection, items: Sequence[LibraryItem]) -> dict[int, Paper]:
    """Return the papers to rank by, by their negative rows: as the store has them, if it has more than a title."""
    same = libraries.stored_papers(connection, {item.library for item in items})
    stored = {paper.row: paper for paper in papers.texts(connection, sorted({*same.values()}))}
    found = {}
    for item in items:
        paper = stored.get(same.get(item.row, 0))
        found[-item.row] = replace(paper if paper is not None and paper.abstract else item.paper, row=-item.row)
    return found


def with_libraries(
    known_feedback: Mapping[int, Sequence[InterestFeedback]], examples: LibraryExamples
) -> dict[int, list[InterestFeedback]]:
    """Return the interests of subscribers with the papers of their libraries among the liked ones."""
    merged = {}
    for row, own in known_feedback.items():
        liked = examples.liked.get(row, {})
        merged[row] = [
            replace(one, liked=(*one.liked, *((ref, None) for ref in liked.get(one.interest.name, ())))) for one in own
        ]
    return merged


def with_examples(context: AppContext, index: Index, examples: LibraryExamples) -> Index:
    """Return an index that has the papers of libraries too, for look-ups."""
    if not examples.papers:
        return index
    rows = np.array(sorted(examples.papers), dtype=np.int64)
    texts = [paper_text(examples.papers[row]) for row in rows.tolist()]
    none = np.zeros(0, dtype=np.float32)
    vectors = index.model.vectors(texts)
    matrix = PaperMatrix(vectors, index.model.zeros(0), none, none, none, no_meaning(len(rows)))
    meaning = index.meaning
    if meaning is not None:
        encoded = _encodings(context, meaning.encoder, rows, texts)
        meaning = meaning.with_parts(*meaning.parts, Encodings(rows, encoded))
    return replace(index, segments=(*index.segments, Segment(rows, matrix)), meaning=meaning)


def _encodings(context: AppContext, encoder: Encoder, rows: np.ndarray, texts: Sequence[str]) -> np.ndarray:
    """Return the encodings of library papers (papers × width, int8); those that are new are stored.

    An encoding takes about ten milliseconds, and a page may be waiting: of many new ones, the rest is zero for now.
    """
    marks = [hashlib.sha256(f"{encoder.fingerprint}\n{text}".encode()).hexdigest()[:32] for text in texts]
    items = (-rows).tolist()
    with reading(context.engine) as connection:
        stored = libraries.encodings(connection, items)
    found = []
    made: dict[int, StoredEncoding] = {}
    for item, mark, text in zip(items, marks, texts, strict=True):
        known = stored.get(item)
        if known is not None and known.mark == mark:
            found.append(np.frombuffer(base64.b64decode(known.encoding), dtype=np.int8))
            continue
        if len(made) == _MOST_ENCODED:
            found.append(np.zeros(encoder.width, dtype=np.int8))
            continue
        vector = to_bytes(encoder.encode([title_once(text)]))[0]
        made[item] = StoredEncoding(mark, base64.b64encode(vector.tobytes()).decode("ascii"))
        found.append(vector)
    if made:
        with writing(context.engine) as connection:
            libraries.set_encodings(connection, made)
    return np.array(found, dtype=np.int8)
