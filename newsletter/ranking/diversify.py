"""Variety: among papers that match alike, rather the one that says something else (maximal marginal relevance)."""

from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np
from scipy.sparse import csr_matrix, diags

from newsletter.ranking.sparse import row_of

_KEPT_BYTES = 64_000_000

Likeness = Callable[[int], np.ndarray]
"""How alike one of some papers is to each of them, by place: between 0 and 1 (one value a paper, float32)."""


def cosines(papers: csr_matrix) -> np.ndarray:
    """How alike each two papers (papers × terms) are, between 0 and 1 (papers × papers)."""
    unit = _units(papers)
    return np.asarray((unit @ unit.T).toarray())


def likeness(papers: csr_matrix) -> Likeness:
    """The same of papers (papers × terms) that many choose from: reckoned for a paper when it is first asked for, and
    kept for the next who asks, in 64 MB at most.
    """
    unit = _units(papers)
    turned = unit.T.tocsr()
    kept = max(1, _KEPT_BYTES // (4 * max(1, unit.shape[0])))
    alike: Likeness = lru_cache(kept)(lambda place: _alike(unit, turned, place))
    return alike


def _alike(unit: csr_matrix, turned: csr_matrix, place: int) -> np.ndarray:
    terms, weights = row_of(unit, place)
    sizes = turned.indptr[terms + 1] - turned.indptr[terms]
    # Where the papers of each term stand in ``turned``, those of one term after those of another.
    at = np.arange(sizes.sum()) + np.repeat(turned.indptr[terms + 1] - np.cumsum(sizes), sizes)
    products = turned.data[at] * np.repeat(weights, sizes)
    return np.bincount(turned.indices[at], products, minlength=unit.shape[0]).astype(np.float32)


def _units(papers: csr_matrix) -> csr_matrix:
    """Papers (papers × terms) brought to the length of 1."""
    lengths = np.sqrt(np.asarray(papers.multiply(papers).sum(axis=1)).ravel())
    return csr_matrix(diags(1 / np.where(lengths > 0, lengths, 1)) @ papers)


class MmrQueue:
    """Papers that wait to be chosen, those that stand out most first, from which the next is chosen by maximal marginal
    relevance: ``λ · score − (1 − λ) · closest`` (Carbonell and Goldstein, "The use of MMR, diversity-based reranking",
    1998).

    The score is how far a paper stands out, divided by the best one's. The match in percent would not do: it tells good
    papers apart too little, and likeness would decide alone. What is closest is how alike a paper is to the chosen one
    most like it.

    Args:
        places: of the papers, by which a :data:`Likeness` knows them. ``values``: how far each stands out, descending.
        best: how far the best one stands out, of all queues that are chosen from together.
    """

    __slots__ = ("_closest", "_heeded", "_scores", "places", "values")

    def __init__(self, places: list[int], values: list[float], best: float) -> None:
        self.places, self.values = places, values
        self._scores = [value / best for value in values]
        # How alike each one is to the closest of so many of the chosen: reckoned no sooner than it matters.
        self._closest, self._heeded = [0.0] * len(places), [0] * len(places)

    def first(self) -> tuple[int, float]:
        """Take the paper that stands out most: its place, and how far it stands out."""
        return self._take(0)

    def most_varied(self, chosen: Sequence[np.ndarray], weight: float) -> tuple[int, float]:
        """Take the paper that is worth most beside those chosen already: its place, and how far it stands out.

        Args:
            chosen: how alike each of them is to every paper, in the order in which they were chosen.
            weight: λ; 1 heeds the scores alone.
        """
        best, most, count = 0, -np.inf, len(chosen)
        for number, score in enumerate(self._scores):
            if weight * score <= most:
                break  # Nor is any worth more that stands out less.
            if self._heeded[number] < count:
                place, others = self.places[number], chosen[self._heeded[number] :]
                self._closest[number] = max(self._closest[number], *[alike.item(place) for alike in others])
                self._heeded[number] = count
            worth = weight * score - (1 - weight) * self._closest[number]
            if worth > most:
                best, most = number, worth
        return self._take(best)

    def _take(self, number: int) -> tuple[int, float]:
        del self._scores[number], self._closest[number], self._heeded[number]
        return self.places.pop(number), self.values.pop(number)


def diversified(scores: np.ndarray, papers: csr_matrix, weight: float, places: int) -> np.ndarray:
    """The first places of a list of papers (papers × terms) by maximal marginal relevance, as indices into the list.

    Args:
        scores: how far each stands out, divided by the best one's, descending.
    """
    alike = cosines(papers)
    queue = MmrQueue(list(range(len(scores))), scores.tolist(), 1.0)
    chosen: list[int] = []
    while queue.places and len(chosen) < places:
        chosen.append(queue.most_varied([alike[one] for one in chosen], weight)[0])
    return np.array(chosen, dtype=int)
