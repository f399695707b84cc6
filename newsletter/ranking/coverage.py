"""Coverage: how much of what an interest says in words a paper has.

An interest may say several things, each of which is enough for a paper to be relevant: its text, and each keyword.
These are its alternatives. Of a text the single words count; a keyword of several words is a phrase first.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_matrix

from newsletter.ranking.tfidf import TfidfModel
from newsletter.ranking.wanted import WantedRow, stacked

_NEARLY_ALL = 0.9


class Alternatives(NamedTuple):
    """The alternatives of some interests, one interest after the other.

    Attributes:
        weights: the weight of each term (alternatives × terms). ``counted``: 1 for each of these that is a word.
        whole: the sum of the weights, with those of words and phrases that no paper of the store has.
        words: the number of words, with those that no paper has.
        enough: how sure a match a paper with all of it is, whatever its subject: 1 for all that an interest says and
            for several words, less for a single word among others, 0 for all of them together.
        first: for each interest the index of its first alternative, and at last their number.
    """

    weights: csr_matrix
    counted: csr_matrix
    whole: np.ndarray
    words: np.ndarray
    enough: np.ndarray
    first: np.ndarray


class Coverage(NamedTuple):
    """What papers have of alternatives, for some pairs of them: arrays of one length.

    Attributes:
        words: the number of an alternative's words. ``shared``: how many of them the paper has.
        share: the share of an alternative's weight that the paper has, 0 to 1.
        known: the share of its weight that papers of the store have at all, 0 to 1.
        sure: how sure a match it is in view of this alone: ``enough`` if the paper has all of the alternative, less if
            it has nearly all, else 0.
    """

    words: np.ndarray
    shared: np.ndarray
    share: np.ndarray
    known: np.ndarray
    sure: np.ndarray


class Alternative(NamedTuple):
    """One thing that an interest says. ``enough``: see :class:`Alternatives`."""

    row: WantedRow
    enough: float


def make_alternatives(model: TfidfModel, said: Sequence[Sequence[Alternative]]) -> Alternatives:
    """Prepare the alternatives of some interests; an interest of liked papers alone has none."""
    rows = [one.row for own in said for one in own]
    weights, unknown = stacked(model, rows)
    is_word = np.array([" " not in term for term in model.terms[weights.indices].tolist()], dtype=np.float32)
    counted = csr_matrix((is_word, weights.indices, weights.indptr), weights.shape)
    return Alternatives(
        weights=weights,
        counted=counted,
        whole=_sums(weights) + unknown + np.array([sum(row.unknown_words) for row in rows]),
        words=_sums(counted) + np.array([len(row.unknown_words) for row in rows]),
        enough=np.array([one.enough for own in said for one in own], dtype=np.float32),
        first=np.cumsum([0, *map(len, said)]),
    )


def _sums(matrix: csr_matrix) -> np.ndarray:
    return np.asarray(matrix.sum(axis=1)).ravel()


def had_by(alternatives: Alternatives, present: csr_matrix) -> tuple[np.ndarray, np.ndarray]:
    """Return the weight, and the number, of each alternative's words that each paper has (alternatives × papers).

    Both come from one product: the weight is the real part of a complex number, the number of words the imaginary one.

    Args:
        present: 1 for each term that a paper has, as complex numbers (terms × papers).
    """
    weights = alternatives.weights
    both = csr_matrix((weights.data + 1j * alternatives.counted.data, weights.indices, weights.indptr), weights.shape)
    had = (both.astype(np.complex64) @ present).toarray()
    return had.real, had.imag


def best_of(
    alternatives: Alternatives,
    had: tuple[np.ndarray, np.ndarray],
    rows: np.ndarray,
    places: np.ndarray,
    odds: Callable[[Coverage], np.ndarray],
) -> Coverage:
    """Return the coverage of the best alternative for pairs of an interest and a paper; zeros without alternatives.

    How sure a match it is comes from the surest one.

    Args:
        had: the result of :func:`had_by`. ``rows``, ``places``: the interest and the paper of each pair.
        odds: returns how much coverages are worth.
    """
    first, numbers = alternatives.first[rows], np.diff(alternatives.first)[rows]
    found = Coverage(*(np.zeros(len(rows), dtype=np.float32) for _ in Coverage._fields))
    for number in range(int(numbers.max(initial=0))):
        some = np.flatnonzero(numbers > number)
        chosen = first[some] + number
        new = _coverage(alternatives, chosen, had[0][chosen, places[some]], had[1][chosen, places[some]])
        old = Coverage(*(part[some] for part in found))
        better = odds(new) > odds(old) if number else np.ones(len(some), dtype=bool)
        for part, own, former in zip(found, new, old, strict=True):
            part[some] = np.where(better, own, former)
        found.sure[some] = np.maximum(new.sure, old.sure)
    return found


def _coverage(alternatives: Alternatives, chosen: np.ndarray, had: np.ndarray, shared: np.ndarray) -> Coverage:
    """Return the coverage of an alternative in each pair, from the weight and the number of its words in the paper."""
    whole = alternatives.whole.astype(np.float32)
    share = had / whole[chosen]
    return Coverage(
        words=alternatives.words[chosen],
        shared=shared,
        share=share,
        known=(_sums(alternatives.weights) / whole)[chosen],
        sure=np.clip((share - _NEARLY_ALL) / (1 - _NEARLY_ALL), 0, 1) * alternatives.enough[chosen],
    )
