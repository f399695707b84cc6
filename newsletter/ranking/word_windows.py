"""The windows of adjacent words in a paper's text, laid out as arrays once, so that a reader's weights of the paper's
terms find the heaviest windows without a loop over the words.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

_LONGEST = 4
"""The most words of a window; characters that run on, as in Chinese, belong to one word."""

_LONGEST_RUN = 24


@dataclass(frozen=True, slots=True)
class WordWindows:
    """All windows of a text of n words, each a first word and up to ``longest`` - 1 that follow it.

    Terms are given by their place in the paper's vector of t terms; t stands for none.

    Attributes:
        terms: what each length adds to the window that begins with a word (rows × n): the first word in one row; then
            for each length the last word, the pair and the triple that end with it. What the window has already is not
            repeated.
        covering: the terms that each word belongs to (6 × n).
        pairs: the pair that each word forms with the one before (n). ``joined``: whether a window may go on from the
            word before without that pair (n).
        sizes: the number of words of each window, counting what runs on as one (longest × n); 0 where there is none.
        halves: the first words of pairs, as terms of the space, each with its second words and their pairs.
    """

    terms: np.ndarray
    covering: np.ndarray
    pairs: np.ndarray
    joined: np.ndarray
    sizes: np.ndarray
    halves: Mapping[int, Sequence[tuple[int, int]]]

    def heavy(self, weights: np.ndarray, least: float) -> "HeavyWindows":
        """Return the windows that weigh more than ``least`` for each word, in the order of the text.

        Every word of theirs belongs to a term with some weight.

        Args:
            weights: the weight of each term (t + 1; the last is 0).
        """
        some = weights > 0
        valid = some[self.covering].any(axis=0)
        longest, number = self.sizes.shape
        goes_on = np.zeros(number + longest, dtype=bool)
        goes_on[:number] = valid & (self.joined | some[self.pairs])
        values = weights[self.terms]
        whole = np.empty(self.sizes.shape)
        whole[0] = values[0]
        allowed = self.sizes > 0
        allowed[0] &= valid
        for place in range(1, longest):
            valid = valid & goes_on[place : place + number]
            allowed[place] &= valid
            own, pair, triple = values[3 * place - 2 : 3 * place + 1]
            whole[place] = whole[place - 1] + own + pair + triple
        minima = least * self.sizes
        firsts, lengths = ((whole > minima) & allowed).T.nonzero()
        used = self.terms.take(firsts, axis=1)
        used[np.arange(len(used))[:, None] >= 3 * lengths + 1] = len(weights) - 1
        return HeavyWindows(firsts, lengths + 1, used, minima[lengths, firsts])


class HeavyWindows(NamedTuple):
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
        words, pairs, triples, joined, run_on: as in :class:`newsletter.ranking.phrases.PaperPhrases` (n each, the last
            two at least).
    """
    number, none = len(words), len(vector_terms)
    places = {term: place for place, term in enumerate(vector_terms.tolist())}
    own, paired, tripled = ([places.get(term, none) for term in terms] for terms in (words, pairs, triples))
    sizes = _sizes(number, run_on)
    rows = np.full((3 * len(sizes) - 2, number), none, dtype=np.intp)
    for first in range(number):
        had = {own[first]}
        rows[0, first] = own[first]
        for length in range(2, int(np.count_nonzero(sizes[:, first])) + 1):
            last = first + length - 1
            ending = (own[last], paired[last], tripled[last] if length > 2 else none)
            for row, term in enumerate(ending, 3 * length - 5):
                if term not in had:
                    rows[row, first] = term
                    had.add(term)
    # The pair and the triples that a word begins or is in the middle of.
    after, beyond, twice_beyond = (
        [*terms[by:], *[none] * by][:number] for terms, by in ((paired, 1), (tripled, 1), (tripled, 2))
    )
    whole = {paired[at]: (words[at - 1], words[at]) for at in range(1, number) if paired[at] != none and not run_on[at]}
    halves: dict[int, list[tuple[int, int]]] = {}
    for pair, (one, other) in whole.items():
        halves.setdefault(one, []).append((other, pair))
    return WordWindows(
        terms=rows,
        covering=np.array([own, paired, after, tripled, beyond, twice_beyond], dtype=np.intp),
        pairs=np.array(paired, dtype=np.intp),
        joined=np.array(joined[:number], dtype=bool),
        sizes=sizes,
        halves=halves,
    )


def _sizes(number: int, run_on: Sequence[bool]) -> np.ndarray:
    """Return the number of words of each window, by its length less one and its first word; 0 where there is none."""
    sizes = np.zeros((_LONGEST_RUN, number), dtype=np.int64)
    for first in range(number):
        count = 1
        for last in range(first, min(first + _LONGEST_RUN, number)):
            count += last > first and not run_on[last]
            if count > _LONGEST:
                break
            sizes[last - first, first] = count
    longest = int(np.count_nonzero(sizes.any(axis=1)))
    return np.asarray(sizes[: max(longest, 1)])
