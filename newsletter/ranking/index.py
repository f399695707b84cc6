"""The index: a fitted TF-IDF model and the vectors of the store's papers.

Papers are kept in segments, each written once and never changed: one with the papers the model was fitted on, and one
with those that arrived later. Segments can be memory-mapped (:mod:`newsletter.ranking.index_files`), so a large store
needs little memory.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy.sparse import csr_matrix, vstack

from newsletter.model import Paper
from newsletter.ranking.meaning import Encodings, MeaningSpace
from newsletter.ranking.products import TermProducts, prepare
from newsletter.ranking.sparse import Row, row_of
from newsletter.ranking.tfidf import TfidfModel, of_length_one, paper_text, score_deviation


@dataclass(frozen=True)
class PaperMatrix:
    """Papers prepared for ranking, in one order.

    Attributes:
        vectors: papers × terms. ``turned``: the transpose, terms × papers.
        centre: the score of each with the mean paper.
        factor: the inverse of how much each one's score varies across readers (1 is usual).
        topics: the topics of each (papers × topics), of length 1.
        meaning: the encoding of each (papers × width, int8), see :mod:`newsletter.ranking.meaning`; papers × 0 in a
            store without a space of meaning, and in the segments of one with it, which keeps them all together.
    """

    vectors: csr_matrix
    turned: csr_matrix
    centre: np.ndarray
    factor: np.ndarray
    topics: np.ndarray
    meaning: np.ndarray

    @cached_property
    def products(self) -> TermProducts:
        """The papers prepared for products with profiles; for some papers, not for a segment of a large store."""
        return prepare(self.turned)


def no_meaning(papers: int) -> np.ndarray:
    """Return what stands for the encodings of papers that have none (papers × 0)."""
    return np.zeros((papers, 0), dtype=np.int8)


def build_matrix(model: TfidfModel, vectors: csr_matrix, meaning: np.ndarray | None = None) -> PaperMatrix:
    """Prepare papers (papers × terms) for ranking, once for all subscribers; ``meaning`` has their encodings."""
    encoded = no_meaning(vectors.shape[0]) if meaning is None else meaning
    return PaperMatrix(vectors, vectors.T.tocsr(), *background_of(model, vectors), encoded)


def background_of(model: TfidfModel, vectors: csr_matrix) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Compute ``centre``, ``factor`` and ``topics`` of papers (papers × terms)."""
    centre, along = np.asarray(vectors @ model.mean, dtype=np.float32), np.asarray(vectors @ model.topics)
    if model.usual <= 0:
        return centre, np.ones(vectors.shape[0], dtype=np.float32), of_length_one(along)
    deviation = np.maximum(score_deviation(vectors, along * model.strengths, model.variance), 1e-3 * model.usual)
    return centre, (model.usual / deviation).astype(np.float32), of_length_one(along)


@dataclass(frozen=True, slots=True)
class Segment:
    """A segment of the store's papers: their rows in the store, ascending, and their matrix for ranking."""

    rows: np.ndarray
    paper_matrix: PaperMatrix


@dataclass(frozen=True, slots=True)
class Index:
    """A space with papers. If two segments have the same paper, the later one has its newer text.

    Attributes:
        version: the name under which the space is stored, empty if it is not.
        meaning: the space of meaning; None if papers are ranked without it.
    """

    model: TfidfModel
    sample: PaperMatrix
    segments: tuple[Segment, ...] = ()
    version: str = ""
    meaning: MeaningSpace | None = None

    def vectors(self, rows: np.ndarray) -> csr_matrix:
        """Return the vectors of papers (papers × terms) by row in the store; zeros for those that the index lacks."""
        order = np.full(len(rows), 0)
        taken, height = [self.model.zeros()], 1
        for segment in self.segments:
            at = np.minimum(np.searchsorted(segment.rows, rows), len(segment.rows) - 1)
            here = np.flatnonzero(segment.rows[at] == rows) if len(segment.rows) else np.array([], int)
            taken.append(segment.paper_matrix.vectors[at[here]])
            order[here] = height + np.arange(len(here))
            height += len(here)
        return csr_matrix(csr_matrix(vstack(taken))[order], dtype=np.float32)

    def encodings(self, rows: np.ndarray) -> np.ndarray:
        """Return the encodings of papers by row in the store (papers × width, int8); papers × 0 without any."""
        return no_meaning(len(rows)) if self.meaning is None else self.meaning.encodings(rows)

    def meaning_of(self, encodings: np.ndarray) -> np.ndarray:
        """Return encodings (papers × width) relative to the usual paper and of length 1; see :class:`MeaningSpace`."""
        return encodings.astype(np.float32) if self.meaning is None else self.meaning.relative(encodings)

    @property
    def meaning_sample(self) -> np.ndarray:
        """The papers by which scores in the space of meaning are standardised (papers × width); 0 × 0 without it."""
        return np.zeros((0, 0), np.float32) if self.meaning is None else self.meaning.relative(self.meaning.sample)

    @property
    def usual_meaning(self) -> np.ndarray:
        """The usual paper in the space of meaning, as encoded (1 × width); 1 × 0 without it."""
        return np.zeros((1, 0), np.float32) if self.meaning is None else self.meaning.usual[None, :]

    def matrix(self, rows: np.ndarray) -> PaperMatrix:
        """Return papers prepared for ranking, by row in the store."""
        return build_matrix(self.model, self.vectors(rows), self.encodings(rows))

    def holds(self, rows: Sequence[int]) -> np.ndarray:
        """Return which of some rows in the store the index has."""
        wanted = np.array(rows, dtype=np.int64)
        held = np.zeros(len(wanted), dtype=bool)
        for segment in self.segments:
            held |= np.isin(wanted, segment.rows)
        return held

    def row(self, row: int) -> Row:
        """Return the vector of one paper, its terms ascending; empty for a paper that the index lacks."""
        for segment in reversed(self.segments):
            at = int(np.searchsorted(segment.rows, row))
            if at < len(segment.rows) and segment.rows[at] == row:
                found = row_of(segment.paper_matrix.vectors, at)
                order = found.terms.argsort()
                return Row(found.terms[order], found.values[order])
        return Row(np.array([], dtype=np.int32), np.array([], dtype=np.float32))

    def segment_of(self, rows: np.ndarray) -> Segment:
        """Return some papers, by row ascending, as a segment of their own: only their vectors, for look-ups."""
        none = np.zeros(0, dtype=np.float32)
        encoded = self.encodings(rows)
        return Segment(rows, PaperMatrix(self.vectors(rows), self.model.zeros(0), none, none, none, encoded))

    def with_segment(self, segment: Segment) -> "Index":
        """Return the same space with the papers of :meth:`segment_of` alone."""
        own = Encodings(segment.rows, segment.paper_matrix.meaning)
        meaning = self.meaning.with_parts(own) if self.meaning is not None else None
        return replace(self, segments=(segment,), meaning=meaning)

    def without_papers(self) -> "Index":
        """Return what is needed to build profiles and measure scores: a small part of an index, which can be sent to
        other processes. Papers cannot be prepared for ranking with it.
        """
        model = replace(self.model, variance=self.model.variance[:0])
        meaning = self.meaning.with_parts() if self.meaning is not None else None
        return Index(model, self.sample, (), self.version, meaning)

    def replaced(self, number: int) -> np.ndarray:
        """Return the positions of a segment's papers that are also in a later segment."""
        own = self.segments[number].rows
        later = np.unique(np.concatenate([own[:0], *(segment.rows for segment in self.segments[number + 1 :])]))
        at = np.searchsorted(own, later)
        later, at = later[at < len(own)], at[at < len(own)]
        return np.asarray(at[own[at] == later])


def make_index(model: TfidfModel, segments: tuple[Segment, ...] = (), version: str = "") -> Index:
    """Create an index of some segments."""
    return Index(model, build_matrix(model, model.sample), segments, version)


def make_segment(model: TfidfModel, papers: Iterable[Paper]) -> Segment:
    """Create a segment of stored papers."""
    ordered = sorted(papers, key=lambda paper: paper.row)
    vectors = model.vectors(paper_text(paper) for paper in ordered) if ordered else model.zeros(0)
    return Segment(np.array([paper.row for paper in ordered], dtype=np.int64), build_matrix(model, vectors))
