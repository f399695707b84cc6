"""Variety: among papers that match alike, rather the one that says something else (maximal marginal relevance)."""

import numpy as np
from scipy.sparse import csr_matrix, diags


def cosines(papers: csr_matrix) -> np.ndarray:
    """How alike each two papers (papers × terms) are, between 0 and 1 (papers × papers)."""
    lengths = np.sqrt(np.asarray(papers.multiply(papers).sum(axis=1)).ravel())
    unit = csr_matrix(diags(1 / np.where(lengths > 0, lengths, 1)) @ papers)
    return np.asarray((unit @ unit.T).toarray())


def marginal_relevance(scores: np.ndarray, closest: np.ndarray, weight: float) -> np.ndarray:
    """What each paper is worth beside those chosen already: ``λ · score − (1 − λ) · closest`` (Carbonell and Goldstein,
    "The use of MMR, diversity-based reranking", 1998).

    Args:
        scores: how far each paper stands out, divided by the best one's. The match in percent would not do: it tells
            good papers apart too little, and likeness would decide alone.
        closest: how alike each paper is to the chosen one most like it.
        weight: λ; 1 heeds the scores alone.
    """
    return np.asarray(weight * scores - (1 - weight) * closest)


def varied(scores: np.ndarray, papers: csr_matrix, weight: float, places: int) -> np.ndarray:
    """The first places of a list of papers (papers × terms) by maximal marginal relevance, as indices into the list."""
    alike = cosines(papers)
    left, closest = np.ones(len(scores), dtype=bool), np.zeros(len(scores))
    chosen = []
    for _ in range(min(places, len(scores))):
        best = int(np.where(left, marginal_relevance(scores, closest, weight), -np.inf).argmax())
        chosen.append(best)
        left[best] = False
        closest = np.maximum(closest, alike[best])
    return np.array(chosen, dtype=int)
