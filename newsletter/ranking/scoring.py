"""Score many profiles against all new papers in one sparse product.

A paper's raw score for a profile is a sum over terms, ``scale · (profile − mean) · paper``, where the scale reduces the
scores of papers that score high with everybody, the more so the more papers the profile was built from. A second raw
score is the cosine of both in the space of topics. Each is expressed as a z-score, in standard deviations of the scores
of a sample of the store's papers, and the match is computed from these (see :mod:`newsletter.ranking.calibration`).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache

import numpy as np
from scipy.sparse import csr_matrix

from newsletter.model import Paper
from newsletter.ranking.calibration import Evidence, match
from newsletter.ranking.diversify import Likeness, likeness
from newsletter.ranking.index import Index, PaperMatrix, build_matrix
from newsletter.ranking.phrases import PaperPhrases, read
from newsletter.ranking.profile import Profiles, WeightedInterest
from newsletter.ranking.sparse import row_of
from newsletter.ranking.tfidf import TfidfModel
from newsletter.ranking.trending import trending_scores
from newsletter.ranking.zscores import raw_scores, standardised
from newsletter.support.identifiers import title_key

FULL_MATCH = 1.0
"""The match of a paper by a followed author."""

IN_CATEGORY = 0.5
"""The match of a paper in a followed category, if the interest has nothing else."""

CATEGORY_BONUS = 0.5
"""The z-score that a followed category adds if it has."""

_LEAST = 1.0
_WORDINGS_KEPT = 4_096  # Some thirty kilobytes each.


@dataclass(frozen=True, slots=True)
class Candidates:
    """The candidate papers, prepared for ranking, all in one order.

    Attributes:
        paper_matrix: their vectors, terms ascending in each row.
        rows: their rows in the store, ascending. ``trending``: see :func:`trending_scores`.
        discussed: the indices of those the community discusses, the most discussed first. ``standing``: the rank of
            each in this order, with the undiscussed ones last.
        authors, categories: normalised for comparison, each with the indices of its papers.
        alike: see :func:`newsletter.ranking.diversify.likeness`.
        phrases: returns the words of the paper at an index, parsed on first use and cached.
    """

    papers: tuple[Paper, ...]
    paper_matrix: PaperMatrix
    rows: np.ndarray
    trending: np.ndarray
    discussed: np.ndarray
    standing: np.ndarray
    authors: Mapping[str, list[int]]
    categories: Mapping[str, list[int]]
    alike: Likeness
    phrases: Callable[[int], PaperPhrases]


def make_candidates(index: Index, papers: Sequence[Paper], today: date, half_life_days: float) -> Candidates:
    """Prepare papers of the index for ranking, in the order of their rows. ``half_life_days`` is that of Trending."""
    ordered = tuple(sorted(papers, key=lambda paper: paper.row))
    paper_matrix = build_matrix(index.model, index.vectors(_rows(ordered)))
    paper_matrix.vectors.sort_indices()
    return candidates_of(index.model, ordered, paper_matrix, today, half_life_days)


def candidates_of(
    model: TfidfModel, papers: tuple[Paper, ...], paper_matrix: PaperMatrix, today: date, half_life_days: float
) -> Candidates:
    """Do the same for papers whose ``paper_matrix`` was built already, perhaps in another process, in the order of
    their rows.
    """
    rows = _rows(papers)
    trending = trending_scores(papers, today, half_life_days)
    order = np.lexsort((rows, -trending))
    return Candidates(
        papers=papers,
        paper_matrix=paper_matrix,
        rows=rows,
        trending=trending,
        discussed=order[: np.count_nonzero(trending)],
        standing=order.argsort(),
        authors=_places([[title_key(author) for author in paper.authors] for paper in papers]),
        categories=_places([[category.casefold() for category in paper.categories] for paper in papers]),
        alike=likeness(paper_matrix.vectors),
        phrases=lru_cache(_WORDINGS_KEPT)(
            lambda place: read(model, papers[place], row_of(paper_matrix.vectors, place))
        ),
    )


def _rows(papers: Sequence[Paper]) -> np.ndarray:
    return np.array([paper.row for paper in papers], dtype=np.int64)


def _places(names: Sequence[Sequence[str]]) -> dict[str, list[int]]:
    places: dict[str, list[int]] = {}
    for place, own in enumerate(names):
        for name in own:
            places.setdefault(name, []).append(place)
    return places


def matches(index: Index, profiles: Profiles, candidates: Candidates) -> np.ndarray:
    """Return the match of each paper with each profile (profiles × papers), which is :data:`FULL_MATCH` for papers by
    followed authors and 0 for papers that share no term with the profile.
    """
    if not profiles.followed:
        return np.zeros((0, len(candidates.papers)), dtype=np.float32)
    inside = [_in_categories(followed, candidates) for followed in profiles.followed]
    matrix = content_matches(index, profiles, candidates.paper_matrix, inside)
    says_something = np.diff(profiles.vectors.indptr) > 0
    for row, followed in enumerate(profiles.followed):
        if not says_something[row]:
            matrix[row, inside[row]] = IN_CATEGORY
        for author in followed.interest.authors:
            matrix[row, candidates.authors.get(title_key(author), [])] = FULL_MATCH
    return matrix


def _in_categories(followed: WeightedInterest, candidates: Candidates) -> list[int]:
    names = [category.strip().casefold() for category in followed.interest.categories]
    return sorted({place for name in names for place in candidates.categories.get(name, [])})


def content_matches(
    index: Index,
    profiles: Profiles,
    papers: PaperMatrix,
    preferred: Sequence[Sequence[int]] = (),
    least: float = _LEAST,
) -> np.ndarray:
    """Return the match of each paper with each profile by its text alone (profiles × papers).

    It is computed for papers that share a term with the profile and stand out, and 0 for all others.

    Args:
        preferred: for each profile, the papers whose z-score is raised by :data:`CATEGORY_BONUS`.
        least: the total z-score from which on a paper stands out.
    """
    raw, shares_term = raw_scores(profiles.vectors, profiles.example_counts, papers)
    terms = standardised(raw, profiles.by_terms)
    topics = standardised(profiles.topics @ papers.topics.T, profiles.by_topics)
    for row, raised in enumerate(preferred):
        terms[row, raised] += CATEGORY_BONUS
    total = terms + profiles.topics_weight.astype(np.float32)[:, None] * topics
    rows, places = np.nonzero(shares_term & (total > least))
    said = profiles.said_counts / np.where(profiles.example_counts > 0, profiles.example_counts, 1)
    matrix = np.zeros(total.shape, dtype=np.float32)
    matrix[rows, places] = match(
        Evidence(
            terms=terms[rows, places],
            topics=topics[rows, places],
            total=total[rows, places],
            examples=profiles.worth[rows],
            said=said[rows],
            **_coverage(index.model, profiles.said, papers.turned, rows, places),
        )
    )
    return matrix


def _coverage(
    model: TfidfModel, said: csr_matrix, turned: csr_matrix, rows: np.ndarray, places: np.ndarray
) -> dict[str, np.ndarray]:
    """Return what papers have of the words of interests, for pairs of an interest's row and a paper's place.

    Args:
        said: interests × terms. ``turned``: terms × papers.
    """
    present = csr_matrix((np.ones(turned.nnz, np.float32), turned.indices, turned.indptr), turned.shape, copy=False)
    words, pairs = _words_and_pairs(model, said)
    counted = csr_matrix((np.ones(words.nnz, np.float32), words.indices, words.indptr), words.shape, copy=False)
    had = {"words_covered": words, "pairs_covered": pairs, "shared": counted}
    found = {name: np.zeros(len(rows), np.float32) for name in had}
    some = np.flatnonzero(np.diff(said.indptr))
    if len(some):
        # Most interests may have liked papers alone, and those have no words to be covered.
        here = np.flatnonzero(np.isin(rows, some))
        at = np.searchsorted(some, rows[here])
        for name, matrix in had.items():
            found[name][here] = (matrix[some] @ present).toarray()[at, places[here]]
    for name, whole in (("words_covered", words), ("pairs_covered", pairs)):
        total = np.asarray(whole.sum(axis=1)).ravel()
        found[name] /= np.where(total > 0, total, 1)[rows]
    return {**found, "words": np.diff(words.indptr)[rows]}


def _words_and_pairs(model: TfidfModel, said: csr_matrix) -> tuple[csr_matrix, csr_matrix]:
    """Divide interests (interests × terms) into their single words and their pairs of words."""
    terms, at = np.unique(said.indices, return_inverse=True)
    is_pair = np.array([" " in term for term in model.terms[terms].tolist()], dtype=bool)[at]
    parts = said.copy(), said.copy()
    parts[0].data[is_pair] = 0
    parts[1].data[~is_pair] = 0
    for part in parts:
        part.eliminate_zeros()
    return parts
