"""Coverage: how much of what an interest says in words a paper has.

An interest may say several things, each of which is enough for a paper to be relevant: its text, and each keyword.
These are its alternatives.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_matrix

from newsletter.ranking.tfidf import TfidfModel
from newsletter.ranking.wanted import WantedRow, stacked


class Alternatives(NamedTuple):
    """The alternatives of some interests, one interest after the other.

    Attributes:
        words, pairs: the weights of their single words and of their pairs (alternatives × terms).
        unknown: the weight of phrases that no paper of the store has.
        first: for each interest the index of its first alternative, and at last their number.
    """

    words: csr_matrix
    pairs: csr_matrix
    unknown: np.ndarray
    first: np.ndarray


class Coverage(NamedTuple):
    """What papers have of alternatives (arrays of one shape).

    Attributes:
        words: the number of an alternative's words. ``shared``: how many of them a paper has.
        words_covered, pairs_covered: the share of the words' weight that the paper has, and of the pairs', 0 to 1.
    """

    words: np.ndarray
    shared: np.ndarray
    words_covered: np.ndarray
    pairs_covered: np.ndarray


def make_alternatives(model: TfidfModel, said: Sequence[Sequence[WantedRow]]) -> Alternatives:
    """Prepare the alternatives of some interests; an interest of liked papers alone has none."""
    vectors, unknown = stacked(model, [row for own in said for row in own])
    words, pairs = _words_and_pairs(model, vectors)
    return Alternatives(words, pairs, unknown, np.cumsum([0, *map(len, said)]))


def _words_and_pairs(model: TfidfModel, vectors: csr_matrix) -> tuple[csr_matrix, csr_matrix]:
    """Divide vectors (alternatives × terms) into their single words and their pairs of words."""
    terms, at = np.unique(vectors.indices, return_inverse=True)
    is_pair = np.array([" " in term for term in model.terms[terms].tolist()], dtype=bool)[at]
    parts = vectors.copy(), vectors.copy()
    parts[0].data[is_pair] = 0
    parts[1].data[~is_pair] = 0
    for part in parts:
        part.eliminate_zeros()
    return parts


def coverage(alternatives: Alternatives, turned: csr_matrix) -> Coverage:
    """Return what each paper has of each alternative (alternatives × papers).

    Args:
        turned: the papers' vectors, transposed (terms × papers).
    """
    present = csr_matrix((np.ones(turned.nnz, np.float32), turned.indices, turned.indptr), turned.shape, copy=False)
    words, pairs, unknown, _ = alternatives
    counted = csr_matrix((np.ones(words.nnz, np.float32), words.indices, words.indptr), words.shape, copy=False)
    of_words, of_pairs = (np.asarray(one.sum(axis=1)).ravel() for one in (words, pairs))
    return Coverage(
        words=np.broadcast_to(np.diff(words.indptr)[:, None], (words.shape[0], turned.shape[1])),
        shared=(counted @ present).toarray(),
        words_covered=(words @ present).toarray() / _not_zero(of_words),
        pairs_covered=(pairs @ present).toarray() / _not_zero(of_pairs + unknown),
    )


def _not_zero(totals: np.ndarray) -> np.ndarray:
    return np.asarray(np.where(totals > 0, totals, 1)[:, None], dtype=np.float32)


def best_of(covered: Coverage, odds: np.ndarray, first: np.ndarray, rows: np.ndarray, places: np.ndarray) -> Coverage:
    """Return the coverage of the best alternative for pairs of an interest and a paper; zeros without alternatives.

    Args:
        covered, odds: the coverage of each alternative, and how much it is worth (alternatives × papers).
        first: see :class:`Alternatives`. ``rows``, ``places``: the interest and the paper of each pair.
    """
    numbers = np.diff(first)[rows]
    found = Coverage(*(np.zeros(len(rows), dtype=np.float32) for _ in covered))
    some = np.flatnonzero(numbers)
    best, most = np.zeros(len(some), dtype=int), np.full(len(some), -np.inf)
    for number in range(int(numbers.max(initial=0))):
        alternative = first[rows[some]] + np.minimum(number, numbers[some] - 1)
        better = odds[alternative, places[some]] > most
        best[better] = alternative[better]
        most[better] = odds[alternative, places[some]][better]
    for part, values in zip(found, covered, strict=True):
        part[some] = values[best, places[some]]
    return found
