"""Variety: prefer, among papers with similar scores, those unlike the ones chosen (maximal marginal relevance)."""

from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np
from scipy.sparse import csr_matrix, diags

from newsletter.ranking.sparse import row_of

_KEPT_BYTES = 64_000_000

Likeness = Callable[[int], np.ndarray]
"""Returns the similarity of one of some papers (by index) to each of them: between 0 and 1, float32."""


def cosines(papers: csr_matrix) -> np.ndarray:
    """Return the cosine similarity of each pair of papers (papers × terms), between 0 and 1 (papers × papers)."""
    unit = _units(papers)
    return np.asarray((unit @ unit.T).toarray())


def likeness(papers: csr_matrix) -> Likeness:
    """Return the similarity function of papers (papers × terms) that many subscribers choose from.

    A row is computed on first use and cached, up to 64 MB.
    """
    unit = _units(papers)
    turned = unit.T.tocsr()
    kept = max(1, _KEPT_BYTES // (4 * max(1, unit.shape[0])))
    alike: Likeness = lru_cache(kept)(lambda place: _alike(unit, turned, place))
    return alike


def _alike(unit: csr_matrix, turned: csr_matrix, place: int) -> np.ndarray:
    terms, weights = row_of(unit, place)
    sizes = turned.indptr[terms + 1] - turned.indptr[terms]
    # The index of the entries of each term in ``turned``, one term after the other.
    at = np.arange(sizes.sum()) + np.repeat(turned.indptr[terms + 1] - np.cumsum(sizes), sizes)
    products = turned.data[at] * np.repeat(weights, sizes)
    return np.bincount(turned.indices[at], products, minlength=unit.shape[0]).astype(np.float32)


def _units(papers: csr_matrix) -> csr_matrix:
    """Normalise papers (papers × terms) to length 1."""
    lengths = np.sqrt(np.asarray(papers.multiply(papers).sum(axis=1)).ravel())
    return csr_matrix(diags(1 / np.where(lengths > 0, lengths, 1)) @ papers)


def relative_scores(matches: np.ndarray, best: float) -> np.ndarray:
    """Return the scores of papers for :class:`MmrQueue`; ``best`` is the best match. A full match has the score 1."""
    return np.asarray(np.log1p(-np.minimum(matches, best)) / np.log1p(-best))


class MmrQueue:
    """A queue of papers, highest score first, from which the next is chosen by maximal marginal relevance: ``λ · score
    − (1 − λ) · closest`` (Carbonell and Goldstein, "The use of MMR, diversity-based reranking", 1998).

    The score is ``-ln(1 - match)``, divided by that of the best one: unlike the match it tells papers apart that are
    all nearly certain. ``closest`` is the similarity to the most similar chosen paper.

    Args:
        places: the indices of the papers for :data:`Likeness`. ``values``: their matches, descending.
        best: the best match of all queues that are chosen from together, below 1.
    """

    __slots__ = ("_closest", "_heeded", "_scores", "places", "values")

    def __init__(self, places: list[int], values: list[float], best: float) -> None:
        self.places, self.values = places, values
        self._scores = relative_scores(np.array(values), best).tolist()
        # The similarity of each to the closest of the first chosen ones, computed only when needed.
        self._closest, self._heeded = [0.0] * len(places), [0] * len(places)

    def first(self) -> tuple[int, float]:
        """Take the paper with the highest match; return its index and match."""
        return self._take(0)

    def most_varied(self, chosen: Sequence[np.ndarray], weight: float) -> tuple[int, float]:
        """Take the best paper in view of those chosen already; return its index and match.

        Args:
            chosen: the similarity of each chosen paper to every paper, in the order of choice.
            weight: λ; 1 considers the scores alone.
        """
        best, most, count = 0, -np.inf, len(chosen)
        for number, score in enumerate(self._scores):
            if weight * score <= most:
                break  # Those with lower scores cannot be better either.
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


def diversified(matches: np.ndarray, papers: csr_matrix, weight: float, places: int) -> np.ndarray:
    """Return the first ``places`` of a list of papers (papers × terms) by maximal marginal relevance, as indices.

    Args:
        matches: of the papers, descending.
    """
    alike = cosines(papers)
    queue = MmrQueue(list(range(len(matches))), matches.tolist(), float(matches[0]))
    chosen: list[int] = []
    while queue.places and len(chosen) < places:
        chosen.append(queue.most_varied([alike[one] for one in chosen], weight)[0])
    return np.array(chosen, dtype=int)
