"""The index: a fitted TF-IDF model and the vectors of the store's papers.

Papers are kept in segments, each written once and never changed: one with the papers the model was fitted on, and one
with those that came later. Segments can be memory-mapped (:mod:`newsletter.ranking.index_files`), so a large store
needs little memory.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.sparse import csr_matrix, vstack

from newsletter.model import Paper
from newsletter.ranking.sparse import Row, row_of
from newsletter.ranking.tfidf import TfidfModel, paper_text, score_deviation


@dataclass(frozen=True, slots=True)
class PaperMatrix:
    """Papers as ranking needs them, in one order.

    Attributes:
        vectors: papers × terms. ``turned``: the same, terms × papers.
        centre: what each scores with the mean paper.
        factor: how much less than usual each one's score varies, whoever reads (1 is usual).
    """

    vectors: csr_matrix
    turned: csr_matrix
    centre: np.ndarray
    factor: np.ndarray


def build_matrix(model: TfidfModel, vectors: csr_matrix) -> PaperMatrix:
    """Get papers (papers × terms) ready for ranking: once for all subscribers."""
    return PaperMatrix(vectors, vectors.T.tocsr(), *background_of(model, vectors))


def background_of(model: TfidfModel, vectors: csr_matrix) -> tuple[np.ndarray, np.ndarray]:
    """The ``centre`` and the ``factor`` of papers (papers × terms)."""
    centre = np.asarray(vectors @ model.mean, dtype=np.float32)
    if model.usual <= 0:
        return centre, np.ones(vectors.shape[0], dtype=np.float32)
    deviation = np.maximum(score_deviation(vectors, model.directions, model.variance), 1e-3 * model.usual)
    return centre, (model.usual / deviation).astype(np.float32)


@dataclass(frozen=True, slots=True)
class Segment:
    """Some of the store's papers: their rows in the store, ascending, and what ranking needs of them."""

    rows: np.ndarray
    paper_matrix: PaperMatrix


@dataclass(frozen=True, slots=True)
class Index:
    """A space with papers. Where two parts have the same paper, the later one has its newer text.

    Attributes:
        version: the name under which the space is kept, empty for one that is not.
    """

    model: TfidfModel
    sample: PaperMatrix
    segments: tuple[Segment, ...] = ()
    version: str = ""

    def vectors(self, rows: np.ndarray) -> csr_matrix:
        """The vectors of papers (papers × terms) by row in the store; zeros for one that the index does not have."""
        order = np.full(len(rows), 0)
        taken, height = [self.model.zeros()], 1
        for segment in self.segments:
            at = np.minimum(np.searchsorted(segment.rows, rows), len(segment.rows) - 1)
            here = np.flatnonzero(segment.rows[at] == rows) if len(segment.rows) else np.array([], int)
            taken.append(segment.paper_matrix.vectors[at[here]])
            order[here] = height + np.arange(len(here))
            height += len(here)
        return csr_matrix(csr_matrix(vstack(taken))[order], dtype=np.float32)

    def holds(self, rows: Sequence[int]) -> np.ndarray:
        """Which of some rows in the store the index has."""
        wanted = np.array(rows, dtype=np.int64)
        held = np.zeros(len(wanted), dtype=bool)
        for segment in self.segments:
            held |= np.isin(wanted, segment.rows)
        return held

    def row(self, row: int) -> Row:
        """The vector of one paper, its terms ascending; an empty one for a paper that the index does not have."""
        for segment in reversed(self.segments):
            at = int(np.searchsorted(segment.rows, row))
            if at < len(segment.rows) and segment.rows[at] == row:
                found = row_of(segment.paper_matrix.vectors, at)
                order = found.terms.argsort()
                return Row(found.terms[order], found.values[order])
        return Row(np.array([], dtype=np.int32), np.array([], dtype=np.float32))

    def segment_of(self, rows: np.ndarray) -> Segment:
        """Some papers, by row ascending, as a part of their own: their vectors alone, to be looked up."""
        none = np.zeros(0, dtype=np.float32)
        return Segment(rows, PaperMatrix(self.vectors(rows), self.model.zeros(0), none, none))

    def without_papers(self) -> "Index":
        """What profiles are made with, and measured by: a small part of an index, which can be handed to other
        processes. No paper can be got ready for ranking with it.
        """
        model = replace(self.model, directions=self.model.directions[:0], variance=self.model.variance[:0])
        return Index(model, self.sample, (), self.version)

    def replaced(self, number: int) -> np.ndarray:
        """The places of a part's papers that stand in a later part too."""
        own = self.segments[number].rows
        later = np.unique(np.concatenate([own[:0], *(segment.rows for segment in self.segments[number + 1 :])]))
        at = np.searchsorted(own, later)
        later, at = later[at < len(own)], at[at < len(own)]
        return np.asarray(at[own[at] == later])


def make_index(model: TfidfModel, segments: tuple[Segment, ...] = (), version: str = "") -> Index:
    """An index of some parts."""
    return Index(model, build_matrix(model, model.sample), segments, version)


def make_segment(model: TfidfModel, papers: Iterable[Paper]) -> Segment:
    """A part of papers of the store."""
    ordered = sorted(papers, key=lambda paper: paper.row)
    vectors = model.vectors(paper_text(paper) for paper in ordered) if ordered else model.zeros(0)
    return Segment(np.array([paper.row for paper in ordered], dtype=np.int64), build_matrix(model, vectors))
