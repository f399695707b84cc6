"""Search: rank all papers of the index for one profile.

The site's pages wait for it, so it uses plain arrays: one-row SciPy matrices cost more than the computation.
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import reduce
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_matrix

from newsletter.ranking.calibration import Evidence, coverage_odds, match
from newsletter.ranking.coverage import Alternative, Alternatives, Coverage, best_of, make_alternatives
from newsletter.ranking.index import Index, PaperMatrix
from newsletter.ranking.profile import alternatives_of, topics_of, topics_weight, trust_in_topics, worth
from newsletter.ranking.sparse import Row, row_of
from newsletter.ranking.tfidf import DAMPING
from newsletter.ranking.wanted import wanted_text
from newsletter.ranking.zscores import Spread, scale, spread

_BOUNDS = (500, 2_500, 10_500, 42_500)

_MOST_POSTINGS = 30_000
"""Entries of terms, each for a paper that has the term, that are read to find candidates for one paper."""

_CANDIDATES = 1_000
_DENSE = 0.25


class SearchProfile(NamedTuple):
    """What is searched for, as one profile.

    Attributes:
        vector: in the space of terms. ``topics``: in the space of topics (1 × topics).
        said: the words; nothing when it is a paper.
    """

    vector: Row
    topics: np.ndarray
    said: Alternatives


def by_words(index: Index, words: str) -> SearchProfile:
    """Build the profile of some words, as :func:`newsletter.ranking.profile.make_profiles` does."""
    model, wanted = index.model, wanted_text(index.model, words)
    usual = float(model.sample.data.sum()) / max(1, model.sample.shape[0])
    row = wanted.row.row
    total = float(row.values.sum())
    vector = Row(row.terms, row.values * np.float32(usual / total if total else 1))
    return _profile(index, vector, alternatives_of(model, [wanted]))


def by_paper(index: Index, row: int) -> SearchProfile:
    """Build the profile of one liked paper in the same way, by its row in the store."""
    found = index.row(row)
    ordinary = found.terms < index.model.ordinary
    return _profile(index, Row(found.terms[ordinary], found.values[ordinary]), [])


def _profile(index: Index, whole: Row, said: Sequence[Alternative]) -> SearchProfile:
    vector = _damped(whole)
    along = np.asarray(vector.values @ index.model.topics[vector.terms])[None, :]
    return SearchProfile(vector, topics_of(index, along), make_alternatives(index.model, [said]))


def _damped(row: Row) -> Row:
    """As :func:`newsletter.ranking.tfidf.damp`."""
    values = row.values**DAMPING
    total = values.sum()
    return Row(row.terms, (values * (row.values.sum() / total if total > 0 else 1)).astype(np.float32))


def best_first(index: Index, profile: SearchProfile, wanted: int = _BOUNDS[0]) -> Iterator[dict[int, float]]:
    """Yield the papers that share a term with a profile, best first, in blocks of increasing size.

    In a large store nearly all papers share some common word with a paper. There the first block for a paper is chosen
    among those that share the words which say most about it; all others are looked at only if it is not enough.

    Args:
        wanted: the size of the first block.

    Returns:
        The match of each, by row in the store.
    """
    first: dict[int, float] = {}
    if (candidates := _candidates(index, profile)) is not None:
        rows, matches = candidates
        first = next(_blocks(rows, matches, (wanted,)))
        yield first
    rows, matches = _matches(index, profile)
    for block in _blocks(rows, matches, (wanted, *(bound for bound in _BOUNDS if bound > wanted))):
        yield {row: value for row, value in block.items() if row not in first} if first else block


def _blocks(rows: np.ndarray, matches: np.ndarray, bounds: Sequence[int]) -> Iterator[dict[int, float]]:
    """Yield papers by their matches, best first, in blocks that end at some bounds, and one with the rest."""
    bounds = [0, *(bound for bound in bounds if bound < len(rows)), len(rows)]
    # Partitioned at the bounds; a block is sorted only on demand, since most searches end with the first.
    parted = np.argpartition(-matches, bounds[1:-1]) if len(bounds) > 2 else np.arange(len(rows))
    for start, end in pairwise(bounds):
        block = parted[start:end]
        block = block[np.lexsort((rows[block], -matches[block]))]
        yield dict(zip(rows[block].tolist(), matches[block].tolist(), strict=True))


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


class _Measure(NamedTuple):
    """What the scores of one profile are measured by: their spread over the store's usual papers, and its worth."""

    terms: Spread
    topics: Spread
    counted: np.ndarray
    examples: np.ndarray
    said_counts: np.ndarray


def _measure(index: Index, profile: SearchProfile) -> _Measure:
    counted = np.ones(1)
    said_counts = np.minimum(profile.said.first[-1:], 1).astype(float)
    usual = np.zeros((1, index.sample.vectors.shape[0])) - index.sample.centre
    places, sums = _shared(index.sample, profile.vector)
    usual[0, places] += sums
    usual *= scale(index.sample.factor, counted)
    topics = spread(profile.topics @ index.sample.topics[:, : profile.topics.shape[1]].T)
    return _Measure(spread(usual), topics, counted, worth(counted, said_counts), said_counts)


def _matches(index: Index, profile: SearchProfile) -> tuple[np.ndarray, np.ndarray]:
    """Do as :func:`newsletter.ranking.scoring.content_matches`, for all papers that share a term with the profile.

    Returns:
        Their rows in the store, and their matches.
    """
    measure = _measure(index, profile)
    rows, values = [np.array([], dtype=np.int64)], [np.array([], dtype=np.float32)]
    for number, segment in enumerate(index.segments):
        places, sums = _shared(segment.paper_matrix, profile.vector)
        places, sums = _present(index, number, places, sums)
        rows.append(segment.rows[places])
        values.append(match(_evidence(index, profile, measure, segment.paper_matrix, places, sums)))
    return np.concatenate(rows), np.concatenate(values)


def _candidates(index: Index, profile: SearchProfile) -> tuple[np.ndarray, np.ndarray] | None:
    """Return the rows and the matches of the papers that share with a paper the words which say most about it.

    None for a profile of words, and for a paper whose words all are in few enough papers.
    """
    telling = _telling(index, profile.vector)
    if profile.said.first[-1] or len(telling.terms) == len(profile.vector.terms):
        return None
    measure = _measure(index, profile)
    weights = np.zeros(len(index.model.terms), dtype=np.float32)
    weights[profile.vector.terms] = profile.vector.values
    rows, values = [np.array([], dtype=np.int64)], [np.array([], dtype=np.float32)]
    for number, segment in enumerate(index.segments):
        papers = segment.paper_matrix
        places, sums = _present(index, number, *_shared(papers, telling))
        if len(places) > _CANDIDATES:
            partly = (sums - papers.centre[places]) * scale(papers.factor[places], measure.counted)
            places = places[np.argpartition(-partly, _CANDIDATES)[:_CANDIDATES]]
        sums = np.asarray(papers.vectors[places] @ weights, dtype=np.float32)
        rows.append(segment.rows[places])
        values.append(match(_evidence(index, profile, measure, papers, places, sums)))
    return np.concatenate(rows), np.concatenate(values)


def _telling(index: Index, vector: Row) -> Row:
    """Return the terms of a vector that add most to scores, as many as are in few enough papers altogether."""
    frequency = np.zeros(len(vector.terms), dtype=np.int64)
    for segment in index.segments:
        ends = segment.paper_matrix.turned.indptr
        frequency += ends[vector.terms + 1] - ends[vector.terms]
    order = np.argsort(-vector.values * index.model.idf[vector.terms], kind="stable")
    few = np.sort(order[np.cumsum(frequency[order]) <= _MOST_POSTINGS])
    return Row(vector.terms[few], vector.values[few])


def _present(index: Index, number: int, places: np.ndarray, sums: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return what a segment has of some papers, without those that a later segment has too."""
    if not len(replaced := index.replaced(number)):
        return places, sums
    kept = ~np.isin(places, replaced)
    return places[kept], sums[kept]


def _evidence(
    index: Index, profile: SearchProfile, measure: _Measure, papers: PaperMatrix, places: np.ndarray, sums: np.ndarray
) -> Evidence:
    """Return what is known of some papers of a segment, from the sums over the terms that they share with a profile."""
    raw = (sums - papers.centre[places]) * scale(papers.factor[places], measure.counted)
    terms = (raw - measure.terms.mean) / measure.terms.deviation
    topics, has_topics = terms, bool(profile.topics.shape[1])
    if has_topics:
        along = _along(papers.topics, places, profile.topics[0])
        topics = (along - measure.topics.mean) / measure.topics.deviation
    return Evidence(
        topics=trust_in_topics(index.model) * topics,
        total=terms + (topics_weight(measure.examples) * topics if has_topics else 0),
        examples=np.repeat(measure.examples, len(places)),
        said=np.repeat(measure.said_counts, len(places)),
        coverage=_coverage(profile.said, papers, places),
    )


def _along(topics: np.ndarray, places: np.ndarray, profile: np.ndarray) -> np.ndarray:
    """Return the product of the topics of some papers with those of a profile."""
    if len(places) > _DENSE * len(topics):
        return np.asarray((topics @ profile)[places])  # To copy the rows would take longer than to multiply all.
    return np.asarray(topics[places] @ profile)


def _coverage(alternatives: Alternatives, papers: PaperMatrix, places: np.ndarray) -> Coverage:
    """Return what each of some papers has of the best of the alternatives of one profile."""
    ends = papers.turned.indptr

    def had(weights: csr_matrix) -> np.ndarray:
        found = np.zeros((weights.shape[0], papers.turned.shape[1]), dtype=np.float32)
        for row in range(weights.shape[0]):
            one = row_of(weights, row)
            for term, weight in zip(one.terms.tolist(), one.values.tolist(), strict=True):
                found[row, papers.turned.indices[ends[term] : ends[term + 1]]] += weight
        return found[:, places]

    everywhere = np.arange(len(places))
    both = had(alternatives.weights), had(alternatives.counted)
    return best_of(alternatives, both, np.zeros_like(everywhere), everywhere, coverage_odds)


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
