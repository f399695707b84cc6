"""The space of meaning: papers and profiles as vectors of what they say, whatever their words.

The vectors come from a sentence model (:mod:`newsletter.ranking.encoder`). They are compared relative to the usual
paper: all papers of a store have something in common, which says nothing (Mu and Viswanath, "All-but-the-Top", 2018).
Papers' vectors are kept in whole numbers from -127 to 127, one byte each. Only the direction of a vector counts, so
each is scaled to use the whole range.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from newsletter.ranking.encoder import Encoder
from newsletter.ranking.tfidf import FEW, in_steps, of_length_one

_SAMPLE = 500
_SEED = 0
_HIGHEST = 127


@dataclass(frozen=True, slots=True)
class Encodings:
    """The encodings of some papers: their rows in the store, ascending, and their vectors (papers × width, int8)."""

    rows: np.ndarray
    vectors: np.ndarray


def to_bytes(vectors: np.ndarray) -> np.ndarray:
    """Convert vectors (texts × width) to whole numbers of one byte, each scaled to its greatest component."""
    greatest = np.abs(vectors).max(axis=1, keepdims=True, initial=0)
    return np.asarray(np.rint(vectors * (_HIGHEST / np.where(greatest > 0, greatest, 1))), dtype=np.int8)


def directions(encodings: np.ndarray) -> np.ndarray:
    """Return encodings (papers × width, of any type) as vectors of length 1; zeros stay zeros."""
    return of_length_one(encodings.astype(np.float32))


def encodings_of(parts: Sequence[Encodings], rows: np.ndarray, width: int) -> np.ndarray:
    """Return the vectors of papers (papers × width, int8) by row in the store; zeros for those that no part has.

    If two parts have the same paper, the later one has its newer text.
    """
    found = np.zeros((len(rows), width), dtype=np.int8)
    for part in parts:
        if len(part.rows):
            at = np.minimum(np.searchsorted(part.rows, rows), len(part.rows) - 1)
            here = np.flatnonzero(part.rows[at] == rows)
            found[here] = part.vectors[at[here]]
    return found


@dataclass(frozen=True, slots=True)
class MeaningSpace:
    """The space of meaning of a store.

    Attributes:
        usual: the usual paper (width). ``sample``: some papers to standardise scores with (papers × width, int8).
        parts: the encodings of the store's papers.
    """

    encoder: Encoder
    usual: np.ndarray
    sample: np.ndarray
    parts: tuple[Encodings, ...] = ()

    @property
    def width(self) -> int:
        """The number of components of a vector."""
        return len(self.usual)

    def encodings(self, rows: np.ndarray) -> np.ndarray:
        """Return the vectors of papers (papers × width, int8) by row in the store; zeros for unknown ones."""
        return encodings_of(self.parts, rows, self.width)

    def relative(self, vectors: np.ndarray) -> np.ndarray:
        """Return vectors (texts × width) relative to the usual paper and of length 1; zeros stay zeros."""
        some = vectors.any(axis=1, keepdims=True)
        return of_length_one((directions(vectors) - self.usual) * some)

    def with_parts(self, *parts: Encodings) -> "MeaningSpace":
        """Return the same space with the encodings of other papers."""
        return replace(self, parts=parts)


def fit_meaning(encoder: Encoder, parts: Sequence[Encodings]) -> MeaningSpace:
    """Fit the space on the encodings of a store: the usual paper and the sample come from a random sample of them."""
    rows = np.unique(np.concatenate([np.array([], dtype=np.int64), *(part.rows for part in parts)]))
    drawn = np.sort(np.random.default_rng(_SEED).permutation(rows)[:_SAMPLE])
    sample = encodings_of(parts, drawn, encoder.width)
    usual = in_steps(directions(sample).sum(axis=0) / (len(sample) + FEW))
    return MeaningSpace(encoder, usual, sample, tuple(parts))
