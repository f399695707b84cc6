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
        scores: between 0 and 1. ``closest``: how alike each paper is to the chosen one most like it.
        weight: λ; 1 heeds the scores alone.
    """
    return np.asarray(weight * scores - (1 - weight) * closest)
