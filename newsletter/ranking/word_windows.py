"""The windows of adjacent words in a paper's text, laid out as arrays once, so that a reader's weights of the paper's
terms find the heaviest windows without a loop over the words.
"""

from collections.abc import Mapping, Sequence
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
    own, paired, tripled = (_array([places.get(term, none) for term in terms]) for terms in (words, pairs, triples))
    firsts, lengths, sizes = _windows(number, run_on)
    starts = np.cumsum(lengths) - lengths
    within = np.arange(lengths.sum()) - np.repeat(starts, lengths)
    # The pair and the triples that a word begins or is in the middle of.
    after, beyond, twice_beyond = (
        np.append(terms[by:], [none] * by)[:number] for terms, by in ((paired, 1), (tripled, 1), (tripled, 2))
    )
    return WordWindows(
        firsts=firsts,
        lengths=lengths,
        sizes=sizes,
        terms=_terms(firsts, lengths, own, paired, tripled, none),
        covering=np.array([own, paired, after, tripled, beyond, twice_beyond]),
        pairs=paired,
        joined=np.array(joined[:number], dtype=bool),
        steps=np.repeat(firsts, lengths) + within + number * (within > 0),
        starts=starts,
        halves=_halves(words, paired.tolist(), run_on, none),
    )


def _windows(number: int, run_on: Sequence[bool]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the first word, the number of words, and this number counting what runs on as one, of each window."""
    begun = np.cumsum(~np.array(run_on[:number], dtype=bool))
    longest = min(_LONGEST_RUN if any(run_on[:number]) else _LONGEST, number)
    firsts, further = np.divmod(np.arange(number * longest), max(longest, 1))
    inside = firsts + further < number
    firsts, further = firsts[inside], further[inside]
    sizes = begun[firsts + further] - begun[firsts] + 1
    few = sizes <= _LONGEST
    return firsts[few], further[few] + 1, sizes[few]


def _terms(
    firsts: np.ndarray, lengths: np.ndarray, own: np.ndarray, paired: np.ndarray, tripled: np.ndarray, none: int
) -> np.ndarray:
    """Return the terms in each window, each once (any × windows; none where there are fewer)."""
    kinds = [(own, 0), (paired, 1), *([(tripled, 2)] if (tripled != none).any() else [])]
    rows: list[np.ndarray] = []
    for further in range(int(lengths.max(initial=0))):
        places = np.minimum(firsts + further, len(own) - 1)
        for terms, before in kinds:
            if further >= before:
                row = np.where(lengths > further, terms[places], none)
                for earlier in rows:
                    row[row == earlier] = none
                rows.append(row)
    return np.array(rows, dtype=np.int32).reshape(len(rows), len(firsts))


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


def _array(numbers: Sequence[int]) -> np.ndarray:
    return np.array(numbers, dtype=np.intp)
