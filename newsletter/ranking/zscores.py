"""Raw scores of papers for profiles, and their z-scores: in standard deviations over a sample of the store's papers."""

from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_matrix

from newsletter.ranking.index import PaperMatrix
from newsletter.ranking.products import dot_products, shared_products
from newsletter.ranking.tfidf import FEW

_HUBNESS = 0.6
_TRUST = 2.0


def raw_scores(profiles: csr_matrix, example_counts: np.ndarray, papers: PaperMatrix) -> tuple[np.ndarray, np.ndarray]:
    """Return the raw scores of papers in the space of terms (profiles × papers), and which papers share a term with the
    profile.

    Args:
        profiles: profiles × terms. ``example_counts``: the number of papers each was built from.
    """
    shared = dot_products(profiles, papers.products)
    some = shared > 0
    shared -= papers.centre
    shared *= scale(papers.factor, example_counts[:, None])
    return shared, some


def raw_scores_of_sharing(
    profiles: csr_matrix, example_counts: np.ndarray, papers: PaperMatrix
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the profile, the paper and the raw score of each pair that shares a term: a quicker way to the same scores
    for profiles of few terms.
    """
    rows, places, shared = shared_products(profiles, papers.products)
    shared -= papers.centre[places]
    shared *= scale(papers.factor[places], example_counts[rows])
    return rows, places, shared


def scale(factor: np.ndarray | float, example_counts: np.ndarray) -> np.ndarray:
    """Return the scale of scores for papers of some factor and profiles of some number of examples."""
    power = (_HUBNESS * example_counts / (example_counts + _TRUST)).astype(np.float32)
    exponents = np.asarray(power * np.log(factor))
    return np.exp(exponents, out=exponents)


class Spread(NamedTuple):
    """The mean and the standard deviation of each profile's raw scores over a sample of the store's papers."""

    mean: np.ndarray
    deviation: np.ndarray


def spread(scores: np.ndarray) -> Spread:
    """Return the spread of raw scores (profiles × papers of the sample)."""
    count = scores.shape[1] + FEW
    mean = scores.sum(axis=1) / count
    deviation = np.sqrt(np.maximum(np.einsum("ij,ij->i", scores, scores) / count - mean**2, 0))
    return Spread(mean, np.where(deviation > 0, deviation, 1))


def at(spread: Spread, rows: np.ndarray) -> Spread:
    """Return the spread of some profiles, by their rows, in the shape of these."""
    return Spread(spread.mean[rows], spread.deviation[rows])


def standardised(raw: np.ndarray, by: Spread) -> np.ndarray:
    """Convert raw scores to z-scores, in place; ``by`` has a shape that fits theirs."""
    raw -= by.mean
    raw /= by.deviation
    return raw
