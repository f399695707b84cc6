"""Measures of rankings and of matches."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix

from newsletter.ranking.diversify import cosines

BINS = 10


@dataclass(frozen=True, slots=True)
class Bin:
    """The papers of the top ten whose match is between two bounds.

    Attributes:
        papers: their number. ``match``: their mean match. ``relevant``: the share of them that is relevant.
    """

    low: float
    high: float
    papers: int
    match: float
    relevant: float


def ndcg(hits: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Return nDCG@10 of each ranking, with at most ten papers in the ideal (Järvelin and Kekäläinen, 2002).

    Args:
        hits: whether each ranked paper is relevant (rankings × at least 10). ``wanted``: how many are.
    """
    gains = 1 / np.log2(np.arange(10) + 2)
    ideal = np.concatenate([[0.0], np.cumsum(gains)])[np.minimum(wanted, 10)]
    return np.asarray(hits[:, :10] @ gains[: hits.shape[1]] / np.where(ideal > 0, ideal, 1))


def reliability(matches: np.ndarray, relevant: np.ndarray) -> list[Bin]:
    """Return the papers with their matches in ten bins of equal width, without the empty ones."""
    which = np.minimum((matches * BINS).astype(int), BINS - 1)
    bins = []
    for number in range(BINS):
        inside = which == number
        if inside.any():
            share, mean = float(relevant[inside].mean()), float(matches[inside].mean())
            bins.append(Bin(number / BINS, (number + 1) / BINS, int(inside.sum()), mean, share))
    return bins


def calibration_error(bins: Sequence[Bin]) -> float:
    """Return the expected calibration error: the mean over papers of how far the match of their bin is from the share
    of relevant papers in it (Naeini, Cooper and Hauskrecht, 2015).
    """
    papers = sum(one.papers for one in bins)
    return sum(one.papers * abs(one.match - one.relevant) for one in bins) / max(papers, 1)


def vendi_score(papers: csr_matrix) -> float:
    """Return the effective number of different papers (papers × terms): the exponential of the entropy of the
    eigenvalues of their cosines, divided by their number. It is 1 for copies, and their number if they have nothing in
    common (Friedman and Dieng, "The Vendi score", 2023).
    """
    kernel = cosines(papers).astype(float)
    np.fill_diagonal(kernel, 1.0)
    shares = np.clip(np.linalg.eigvalsh(kernel / len(kernel)), 1e-12, None)
    return float(np.exp(-(shares * np.log(shares)).sum()))


def interval(values: np.ndarray, draws: int = 1000) -> tuple[float, float]:
    """Return a 95% bootstrap interval for a mean (Efron, 1979)."""
    chance = np.random.default_rng(0)
    means = [values[chance.integers(0, len(values), len(values))].mean() for _ in range(draws)]
    low, high = np.percentile(means, [2.5, 97.5])
    return float(low), float(high)
