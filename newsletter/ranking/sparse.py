"""Sparse rows as two arrays: one-row SciPy matrices cost more than the computation."""

from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_matrix


class Row(NamedTuple):
    """The terms of a row, ascending, and the value of each."""

    terms: np.ndarray
    values: np.ndarray


def row_of(matrix: csr_matrix, row: int) -> Row:
    """Return a row of a matrix with sorted indices, as a view: nothing is copied."""
    start, end = matrix.indptr[row], matrix.indptr[row + 1]
    return Row(matrix.indices[start:end], matrix.data[start:end])


def values_at(row: Row, terms: np.ndarray) -> np.ndarray:
    """Return a row's values at some terms, in any order; 0 where it has none."""
    if not len(row.terms):
        return np.zeros(len(terms), dtype=np.float32)
    at = row.terms.searchsorted(terms)
    at[at == len(row.terms)] = 0
    return np.asarray(row.values[at] * (row.terms[at] == terms))
