"""Dot products of many profiles with the same papers, in the space of terms.

Half of a profile's terms occur in no more than a few of the new papers, but a hundred terms occur in so many that most
multiplications are theirs. Those are multiplied as dense matrices (BLAS), and the others as sparse ones (Gustavson,
"Two fast algorithms for sparse matrices", 1978).

The products are exact. Weights are rounded to multiples of 2⁻²⁴, about the precision of the float32 that they are kept
in, and a sum of products below 16 then fits into a float64 without rounding. So a score depends neither on the order
of the additions, nor on which terms are multiplied how, nor on the number of profiles and papers multiplied at once,
nor on the machine.
"""

from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_matrix
from scipy.sparse._sparsetools import csr_matmat

_STEPS = 2.0**24
_COMMON = 12
"""A term that one in so many papers has is common. Twice as many or half as many cost the same."""

_TOUCH = 0.5
"""What is added to each sum before the others; these are whole numbers, so that none becomes 0 by it."""


class TermProducts(NamedTuple):
    """Papers prepared for the products, with weights in whole multiples of 2⁻²⁴ (float64).

    Attributes:
        exact: terms × papers. ``present``: the same with 1 for each weight, as complex numbers.
        common: the common terms' weights, and a last row that takes off what is added to each sum (common + 1 ×
            papers).
        places: the row of each term in ``others``, where all terms that no paper has share one.
        others: the weights of all other terms (places × papers), with a column for each common term in addition, which
            has a 1 in the row of that term, and an empty one. The first row has :data:`_TOUCH` everywhere.
    """

    exact: csr_matrix
    present: csr_matrix
    common: np.ndarray
    places: np.ndarray
    others: csr_matrix


def prepare(turned: csr_matrix) -> TermProducts:
    """Prepare papers (terms × papers)."""
    indices, ends = turned.indices.astype(np.int32, copy=False), turned.indptr.astype(np.int32, copy=False)
    exact = csr_matrix((_whole(turned.data), indices, ends), shape=turned.shape, copy=False)
    counts = np.diff(ends)
    # The most frequent terms first, so that most of what is read is close together.
    order = np.argsort(-counts, kind="stable")
    common, present = (int(np.count_nonzero(some)) for some in (counts * _COMMON > turned.shape[1], counts))
    places = np.full(len(counts), present + 1, dtype=np.int32)
    places[order[:present]] = np.arange(1, present + 1)
    rest, width = exact[order[common:present]], turned.shape[1] + common + 1
    # SciPy returns a row's values from the last column it met to the first.
    columns = np.concatenate([np.arange(width)[::-1], turned.shape[1] + np.arange(common), rest.indices])
    values = np.concatenate([np.full(width, _TOUCH), np.ones(common), rest.data])
    starts = np.concatenate([[0], width + np.arange(common), width + common + rest.indptr, [len(values)]])
    others = csr_matrix((values, columns.astype(np.int32), starts.astype(np.int32)), (present + 2, width))
    weights = exact[order[:common]].toarray()
    weights = np.concatenate([weights, -1 - weights.sum(axis=0, keepdims=True)])
    ones = csr_matrix((np.ones(turned.nnz, np.complex64), indices, ends), shape=turned.shape, copy=False)
    return TermProducts(exact, ones, weights, places, others)


def dot_products(profiles: csr_matrix, papers: TermProducts) -> np.ndarray:
    """Return the dot product of each profile (profiles × terms) with each paper (profiles × papers, float32)."""
    number, starts = papers.common.shape[1], profiles.indptr[:-1]
    terms = np.insert(papers.places[profiles.indices], starts, 0)
    weights = np.insert(_whole(profiles.data), starts, 1.0)
    ends = (profiles.indptr + np.arange(len(profiles.indptr))).astype(np.int32)
    found = _all_products(terms, weights, ends, papers.others)
    sums = found[:, number:] @ papers.common
    sums += found[:, :number]
    return _rounded(sums)


def shared_products(profiles: csr_matrix, papers: TermProducts) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the profile, the paper and the dot product of each pair whose product is positive.

    The same values as those of :func:`dot_products`, for profiles of so few terms that they have few in common with
    any paper.
    """
    weights = csr_matrix((_whole(profiles.data), profiles.indices, profiles.indptr), profiles.shape, copy=False)
    found = csr_matrix(weights @ papers.exact)
    found.sort_indices()
    sums = _rounded(found.data)
    some = np.flatnonzero(sums > 0)
    rows = np.repeat(np.arange(profiles.shape[0]), np.diff(found.indptr))
    return rows[some], found.indices[some], sums[some]


def _whole(weights: np.ndarray) -> np.ndarray:
    """Convert weights (float32) to whole multiples of 2⁻²⁴."""
    return np.rint(weights * np.float32(_STEPS)).astype(np.float64)


def _rounded(sums: np.ndarray) -> np.ndarray:
    rounded = sums.astype(np.float32)
    rounded *= np.float32(_STEPS**-2)
    return rounded


def _all_products(terms: np.ndarray, weights: np.ndarray, ends: np.ndarray, right: csr_matrix) -> np.ndarray:
    """Return the product of a sparse matrix, given by its three arrays, with another one, as a dense matrix.

    Each row of it begins with the first one of ``right``. So no value is 0, and SciPy's loop meets all columns at once:
    it is then quicker than if it met most of them one by one. SciPy's ``@`` would count the values of the result
    before it computes them, which takes as long again.
    """
    height, width = len(ends) - 1, right.shape[1]
    found = np.empty((height, width))
    found_ends, columns = np.empty(height + 1, dtype=np.int32), np.empty(found.size, dtype=np.int32)
    own = ends, terms, weights
    csr_matmat(height, width, *own, right.indptr, right.indices, right.data, found_ends, columns, found.ravel())
    return found
