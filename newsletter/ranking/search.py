"""Search: rank all papers of the index for one profile.

The site's pages wait for it, so it uses plain arrays: one-row SciPy matrices cost more than the computation.
"""

from collections.abc import Iterable, Iterator
from functools import reduce
from itertools import pairwise

import numpy as np

from newsletter.ranking.index import Index, PaperMatrix
from newsletter.ranking.scoring import scale
from newsletter.ranking.sparse import Row
from newsletter.ranking.tfidf import DAMPING, FEW
from newsletter.ranking.wanted import text_row

_BOUNDS = (500, 2_500, 10_500, 42_500)
_TEACHERS = np.ones(1)


def by_words(index: Index, words: str) -> Row:
    """Build the profile of some words, as :func:`newsletter.ranking.profile.make_profiles` does."""
    model, found = index.model, text_row(index.model, words).row
    usual = float(model.sample.data.sum()) / max(1, model.sample.shape[0])
    total = float(found.values.sum())
    return _damped(Row(found.terms, found.values * np.float32(usual / total if total else 1)))


def by_paper(index: Index, row: int) -> Row:
    """Build the profile of one liked paper in the same way, by its row in the store."""
    found = index.row(row)
    ordinary = found.terms < index.model.ordinary
    return _damped(Row(found.terms[ordinary], found.values[ordinary]))


def _damped(row: Row) -> Row:
    """As :func:`newsletter.ranking.tfidf.damp`."""
    values = row.values**DAMPING
    total = values.sum()
    return Row(row.terms, (values * (row.values.sum() / total if total > 0 else 1)).astype(np.float32))


def best_first(index: Index, profile: Row) -> Iterator[dict[int, float]]:
    """Yield the papers that share a term with a profile, best first, in blocks of increasing size.

    Returns:
        The z-score of each, by row in the store.
    """
    rows, stands_out = _standing_out(index, profile)
    bounds = [0, *(bound for bound in _BOUNDS if bound < len(rows)), len(rows)]
    # Partitioned at the bounds; a block is sorted only on demand, since most searches end with the first.
    parted = np.argpartition(-stands_out, bounds[1:-1]) if len(bounds) > 2 else np.arange(len(rows))
    for start, end in pairwise(bounds):
        block = parted[start:end]
        block = block[np.lexsort((rows[block], -stands_out[block]))]
        yield dict(zip(rows[block].tolist(), stands_out[block].tolist(), strict=True))


def containing(index: Index, terms: Iterable[str]) -> np.ndarray:
    """Return the rows of the papers of the index that contain all of some terms, which the model knows."""
    known = [index.model.known[term] for term in terms]
    found = [np.array([], dtype=np.int64)]
    for number, segment in enumerate(index.segments):
        turned = segment.paper_matrix.turned
        lists = [turned.indices[turned.indptr[term] : turned.indptr[term + 1]] for term in known]
        # From the rarest on, so that what is left is small at once.
        places = reduce(np.intersect1d, sorted(lists, key=len)) if lists else np.array([], dtype=np.int64)
        found.append(segment.rows[np.setdiff1d(places, index.replaced(number))])
    return np.concatenate(found)


def _standing_out(index: Index, profile: Row) -> tuple[np.ndarray, np.ndarray]:
    """Do as :func:`newsletter.ranking.scoring.deviations`, only for papers that share a term with the profile."""
    usual = np.zeros(index.sample.vectors.shape[0]) - index.sample.centre
    places, sums = _shared(index.sample, profile)
    usual[places] += sums
    usual *= scale(index.sample.factor, _TEACHERS)
    count = len(usual) + FEW
    mean = usual.sum() / count
    spread = np.sqrt(max(usual @ usual / count - mean**2, 0)) or 1.0
    rows, values = [np.array([], dtype=np.int64)], [np.array([], dtype=np.float32)]
    for number, segment in enumerate(index.segments):
        places, sums = _shared(segment.paper_matrix, profile)
        if len(replaced := index.replaced(number)):
            kept = ~np.isin(places, replaced)
            places, sums = places[kept], sums[kept]
        found = (sums - segment.paper_matrix.centre[places]) * scale(segment.paper_matrix.factor[places], _TEACHERS)
        rows.append(segment.rows[places])
        values.append(((found - mean) / spread).astype(np.float32))
    return np.concatenate(rows), np.concatenate(values)


def _shared(papers: PaperMatrix, profile: Row) -> tuple[np.ndarray, np.ndarray]:
    """Return the indices of the papers that share a term with a profile, and the sum over what they share."""
    turned = papers.turned
    ends = turned.indptr
    spans = [slice(ends[term], ends[term + 1]) for term in profile.terms]
    if not spans:
        return np.array([], dtype=np.int64), np.array([], dtype=np.float32)
    places = np.concatenate([turned.indices[span] for span in spans])
    segments = np.concatenate([turned.data[span] * value for span, value in zip(spans, profile.values, strict=True)])
    sums = np.bincount(places, segments, minlength=turned.shape[1])
    some = np.flatnonzero(sums > 0)
    return some, sums[some].astype(np.float32)
