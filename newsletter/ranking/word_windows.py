"""The windows of adjacent words in a paper's text, laid out as arrays once, so that a reader's weights of the paper's
terms find the heaviest windows without a loop over the words.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

_LONGEST = 4
"""The most words of a window; characters that run on, as in Chinese, belong to one word."""

_LONGEST_RUN = 24


@dataclass(frozen=True, slots=True)
class WordWindows:
    """All windows of a text of n words, in its order.

    Terms are given by their place in the paper's vector of t terms; t stands for none.

    Attributes:
        firsts, lengths: the first word and the number of words of each window.
        sizes: the same number, counting what runs on as one word.
        terms: the terms in each window, each once (any × windows).
        covering: the terms that each word belongs to (6 × n).
        pairs: the pair that each word forms with the one before (n). ``joined``: whether a window may go on from the
            word before without that pair (n).
        steps: for each window its first word, and n plus each further one, one window after the other. ``starts``:
            where each window begins among these.
        halves: the first words of pairs, as terms of the space, each with its second words and their pairs.
    """

    firsts: np.ndarray
    lengths: np.ndarray
    sizes: np.ndarray
    terms: np.ndarray
    covering: np.ndarray
    pairs: np.ndarray
    joined: np.ndarray
    steps: np.ndarray
    starts: np.ndarray
    halves: Mapping[int, Sequence[tuple[int, int]]]

    def heavy(self, weights: np.ndarray, least: float) -> "HeavyWindows":
        """Return the windows that weigh more than ``least`` for each word, in the order of the text.

        Every word of theirs belongs to a term with some weight.

        Args:
            weights: the weight of each term (t + 1; the last is 0).
        """
        if not len(self.firsts):
            return HeavyWindows(self.firsts, self.lengths, self.terms, self.sizes)
        some = weights > 0
        covered = some[self.covering].any(axis=0)
        may_go_on = np.concatenate((covered, covered & (self.joined | some[self.pairs])))
        allowed = np.logical_and.reduceat(may_go_on[self.steps], self.starts)
        minima = least * self.sizes
        found = (allowed & (weights[self.terms].sum(axis=0) > minima)).nonzero()[0]
        return HeavyWindows(self.firsts[found], self.lengths[found], self.terms.take(found, axis=1), minima[found])


@dataclass(frozen=True, slots=True)
class HeavyWindows:
    """Some windows: the first word, the number of words, the terms (any × windows) and the least weight of each."""

    firsts: np.ndarray
    lengths: np.ndarray
    terms: np.ndarray
    minima: np.ndarray

    def best(self, weights: np.ndarray) -> int | None:
        """Return the window that weighs most above its least weight, the last of equal ones; None if none does."""
        worth = weights[self.terms].sum(axis=0) - self.minima
        if not len(worth):
            return None
        best = len(worth) - 1 - int(worth[::-1].argmax())
        return best if worth[best] > 0 else None


def make_windows(
    vector_terms: np.ndarray,
    words: Sequence[int],
    pairs: Sequence[int],
    triples: Sequence[int],
    joined: Sequence[bool],
    run_on: Sequence[bool],
) -> WordWindows:
    """Lay out the windows of a text.

    Args:
        vector_terms: the terms of the paper's vector (t).
        words, pairs, triples: the terms of the space that each word is, and forms with the one before and the two
            before (n each).
        joined, run_on: as in :class:`newsletter.ranking.phrases.PaperPhrases` (n at least).
    """
    number, none = len(words), len(vector_terms)
    places = {term: place for place, term in enumerate(vector_terms.tolist())}
    own, paired, tripled = ([places.get(term, none) for term in terms] for terms in (words, pairs, triples))
    found = list(_windows(number, run_on))
    lengths = [last - first + 1 for first, last, _ in found]
    # The pair and the triples that a word begins or is in the middle of.
    after, beyond, twice_beyond = (
        [*terms[by:], *[none] * by][:number] for terms, by in ((paired, 1), (tripled, 1), (tripled, 2))
    )
    return WordWindows(
        firsts=_array(first for first, _, _ in found),
        lengths=_array(lengths),
        sizes=_array(size for _, _, size in found),
        terms=_padded([_terms_of(first, last, own, paired, tripled) for first, last, _ in found], none),
        covering=np.array([own, paired, after, tripled, beyond, twice_beyond], dtype=np.intp),
        pairs=_array(paired),
        joined=np.array(joined[:number], dtype=bool),
        steps=_array(
            step for first, last, _ in found for step in (first, *range(number + first + 1, number + last + 1))
        ),
        starts=np.cumsum([0, *lengths[:-1]]) if found else _array(()),
        halves=_halves(words, paired, run_on, none),
    )


def _windows(number: int, run_on: Sequence[bool]) -> Iterator[tuple[int, int, int]]:
    """Yield the first and the last word of each window, and its number of words, counting what runs on as one."""
    for first in range(number):
        size = 1
        for last in range(first, min(first + _LONGEST_RUN, number)):
            size += last > first and not run_on[last]
            if size > _LONGEST:
                break
            yield first, last, size


def _terms_of(
    first: int, last: int, own: Sequence[int], paired: Sequence[int], tripled: Sequence[int]
) -> dict[int, None]:
    terms = {own[first]: None}
    for place in range(first + 1, last + 1):
        terms |= {own[place]: None, paired[place]: None}
        if place > first + 1:
            terms[tripled[place]] = None
    return terms


def _halves(
    words: Sequence[int], paired: Sequence[int], run_on: Sequence[bool], none: int
) -> dict[int, list[tuple[int, int]]]:
    whole = {
        paired[at]: (words[at - 1], words[at]) for at in range(1, len(words)) if paired[at] != none and not run_on[at]
    }
    halves: dict[int, list[tuple[int, int]]] = {}
    for pair, (one, other) in whole.items():
        halves.setdefault(one, []).append((other, pair))
    return halves


def _padded(rows: Sequence[Mapping[int, None]], none: int) -> np.ndarray:
    """Return rows of terms as the columns of a matrix, filled up with none."""
    columns = [[term for term in row if term != none] for row in rows]
    most = max(map(len, columns), default=0)
    filled = [[*column, *[none] * (most - len(column))] for column in columns]
    return np.array(filled, dtype=np.int32).reshape(len(rows), most).T.copy()


def _array(numbers: Iterator[int] | Sequence[int]) -> np.ndarray:
    return np.fromiter(numbers, dtype=np.intp)
