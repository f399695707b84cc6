"""Score many profiles against all new papers.

A paper's raw score for a profile is a sum over terms, ``scale · (profile − mean) · paper``, where the scale reduces the
scores of papers that score high with everybody, the more so the more papers the profile was built from. A second raw
score is the cosine of both in the space of topics, and with a sentence model a third one that in the space of meaning.
Each is expressed as a z-score, in standard deviations of the scores of a sample of the store's papers, and the match is
computed from these (see :mod:`newsletter.ranking.calibration`).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache, lru_cache
from typing import NamedTuple

import numpy as np

from newsletter.model import Paper
from newsletter.ranking.calibration import Evidence, coverage_odds, joined, match
from newsletter.ranking.coverage import best_of, had_by
from newsletter.ranking.diversify import Likeness, likeness
from newsletter.ranking.index import Index, PaperMatrix
from newsletter.ranking.phrases import PaperPhrases, read
from newsletter.ranking.profile import (
    MEANING_WEIGHT,
    Profiles,
    WeightedInterest,
    meaning_scores,
    topic_scores,
    trust_in_topics,
)
from newsletter.ranking.sparse import row_of
from newsletter.ranking.tfidf import TfidfModel
from newsletter.ranking.trending import paper_day, trending_scores
from newsletter.ranking.zscores import at, raw_scores, raw_scores_of_sharing, standardised
from newsletter.support.person_names import NameIndex, NameMatch

FORMULA = 2
"""The number of the formula, logged with each digest. It must increase when the same inputs give other matches."""

FULL_MATCH = 1.0
"""The match of a paper by a followed author."""

POSSIBLY_BY_AUTHOR = 0.5
"""The least match of a paper whose author may be a followed one, as far as initials say."""

IN_CATEGORY = 0.5
"""The match of a paper in a followed category, if the interest has nothing else."""

_CLOSE = 1.0
"""The z-score in the space of meaning from which on a paper may match without sharing a term with the profile."""

CATEGORY_BONUS = 0.5
"""The z-score that a followed category adds if it has."""

_LEAST = 1.0
_AT_ONCE = 64
"""So many profiles' scores are computed at once that they stay in the cache of a core; it changes no result."""

_WORDINGS_KEPT = 4_096  # Some thirty kilobytes each.


@dataclass(frozen=True, slots=True)
class Candidates:
    """The candidate papers, prepared for ranking, all in one order.

    Attributes:
        paper_matrix: their vectors, terms ascending in each row.
        rows: their rows in the store, ascending. ``trending``: see :func:`trending_scores`.
        discussed: the indices of those the community discusses, the most discussed first. ``standing``: the rank of
            each in this order, with the undiscussed ones last. Of papers discussed equally, the newest comes first.
        authors: returns the names of all authors, each with the indices of its papers; parsed on first use.
        categories: normalised for comparison, each with the indices of its papers.
        alike: see :func:`newsletter.ranking.diversify.likeness`.
        phrases: returns the words of the paper at an index, parsed on first use and cached.
    """

    papers: tuple[Paper, ...]
    paper_matrix: PaperMatrix
    rows: np.ndarray
    trending: np.ndarray
    discussed: np.ndarray
    standing: np.ndarray
    authors: Callable[[], NameIndex[int]]
    categories: Mapping[str, list[int]]
    alike: Likeness
    phrases: Callable[[int], PaperPhrases]


def make_candidates(index: Index, papers: Sequence[Paper], today: date, half_life_days: float) -> Candidates:
    """Prepare papers of the index for ranking, in the order of their rows. ``half_life_days`` is that of Trending."""
    ordered = tuple(sorted(papers, key=lambda paper: paper.row))
    paper_matrix = index.matrix(_rows(ordered))
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
    days = np.array([paper_day(paper, today).toordinal() for paper in papers], dtype=np.int64)
    order = np.lexsort((-rows, -days, -trending))
    return Candidates(
        papers=papers,
        paper_matrix=paper_matrix,
        rows=rows,
        trending=trending,
        discussed=order[: np.count_nonzero(trending)],
        standing=order.argsort(),
        authors=cache(
            lambda: NameIndex((author, place) for place, paper in enumerate(papers) for author in paper.authors)
        ),
        categories=_places([[category.casefold() for category in paper.categories] for paper in papers]),
        alike=likeness(model.without_named(paper_matrix.vectors)),
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
    followed authors and 0 for papers of which :func:`gather` says nothing.
    """
    if not profiles.followed:
        return np.zeros((0, len(candidates.papers)), dtype=np.float32)
    inside = [_in_categories(followed, candidates) for followed in profiles.followed]
    matrix = content_matches(index, profiles, candidates.paper_matrix, inside)
    says_something = ((np.diff(profiles.vectors.indptr) > 0) | profiles.meaning.any(axis=1)).tolist()
    for row, followed in enumerate(profiles.followed):
        if not says_something[row]:
            matrix[row, inside[row]] = IN_CATEGORY
        if followed.interest.authors:
            by, possibly_by = _papers_by(candidates, followed.interest.authors)
            matrix[row, possibly_by] = np.maximum(matrix[row, possibly_by], POSSIBLY_BY_AUTHOR)
            matrix[row, by] = FULL_MATCH
    return matrix


def _in_categories(followed: WeightedInterest, candidates: Candidates) -> Sequence[int]:
    if not followed.interest.categories:
        return ()
    names = [category.strip().casefold() for category in followed.interest.categories]
    return sorted({place for name in names for place in candidates.categories.get(name, [])})


def _papers_by(candidates: Candidates, authors: Sequence[str]) -> tuple[list[int], list[int]]:
    """Return the indices of the papers by some authors, and of those possibly by them, which may include the former."""
    places: dict[NameMatch, list[int]] = {NameMatch.FULL: [], NameMatch.POSSIBLE: []}
    for author in authors:
        for agrees, own in candidates.authors().find(author).values():
            places[agrees] += own
    return places[NameMatch.FULL], places[NameMatch.POSSIBLE]


def content_matches(
    index: Index,
    profiles: Profiles,
    papers: PaperMatrix,
    preferred: Sequence[Sequence[int]] = (),
    least: float = _LEAST,
) -> np.ndarray:
    """Return the match of each paper with each profile by its text alone (profiles × papers).

    It is 0 for papers of which :func:`gather` says nothing, whose arguments these are.
    """
    matrix = np.zeros((len(profiles.followed), papers.vectors.shape[0]), dtype=np.float32)
    for rows, places, evidence in _gathered(index, profiles, papers, preferred, least):
        matrix.ravel()[rows * matrix.shape[1] + places] = match(evidence)
    return matrix


def gather(
    index: Index,
    profiles: Profiles,
    papers: PaperMatrix,
    preferred: Sequence[Sequence[int]] = (),
    least: float = _LEAST,
) -> tuple[np.ndarray, np.ndarray, Evidence]:
    """Gather what is known of the papers that share a term with a profile, and stand out if it has liked papers alone.

    With a space of meaning, a paper that is close to the profile there need not share a term with it.

    Args:
        preferred: for each profile, the papers whose z-score is raised by :data:`CATEGORY_BONUS`.
        least: the total z-score from which on a paper stands out.

    Returns:
        The profile and the paper of each pair, and the evidence.
    """
    parts = list(_gathered(index, profiles, papers, preferred, least))
    rows, places = (np.concatenate([part[number] for part in parts]) for number in (0, 1))
    return rows, places, joined([evidence for _, _, evidence in parts])


def _gathered(
    index: Index, profiles: Profiles, papers: PaperMatrix, preferred: Sequence[Sequence[int]], least: float
) -> Iterator[tuple[np.ndarray, np.ndarray, Evidence]]:
    """Yield the result of :func:`gather` in parts: one of the interests in words, then blocks of the others."""
    had = had_by(profiles.alternatives, papers.products.present)

    def evidence(rows: np.ndarray, places: np.ndarray, near: _Nearness) -> Evidence:
        counts = np.where(profiles.example_counts > 0, profiles.example_counts, 1)
        return Evidence(
            topics=trust_in_topics(index.model) * near.topics,
            total=near.total,
            examples=profiles.worth[rows],
            said=(profiles.said_counts / counts)[rows],
            coverage=best_of(profiles.alternatives, had, rows, places, coverage_odds),
            meaning=near.meaning,
            usual_closeness=profiles.usual_closeness[rows] if near.meaning is not None else None,
        )

    alone = _in_words_alone(index, profiles, preferred)
    rows, places, near = _near_in_words(profiles, np.flatnonzero(alone), papers)
    yield rows, places, evidence(rows, places, near)
    others, relative = np.flatnonzero(~alone), index.meaning_of(papers.meaning)
    for start in range(0, len(others), _AT_ONCE):
        block = others[start : start + _AT_ONCE]
        rows, places, near = _near(profiles, block, papers, relative, preferred, least)
        yield rows, places, evidence(rows, places, near)


class _Nearness(NamedTuple):
    """The z-scores of some pairs of a profile and a paper; see :class:`newsletter.ranking.calibration.Evidence`."""

    topics: np.ndarray
    total: np.ndarray
    meaning: np.ndarray | None


def _in_words_alone(index: Index, profiles: Profiles, preferred: Sequence[Sequence[int]]) -> np.ndarray:
    """Return which profiles are of so few terms that it pays to look at only the papers that share one."""
    alone = np.asarray((profiles.said_counts > 0) & (profiles.example_counts == profiles.said_counts))
    alone &= ~profiles.against.any(axis=1)
    if index.meaning is not None:
        alone[:] = False
    alone[[row for row, raised in enumerate(preferred) if raised]] = False
    return alone


def _near_in_words(
    profiles: Profiles, some: np.ndarray, papers: PaperMatrix
) -> tuple[np.ndarray, np.ndarray, _Nearness]:
    """Return the pairs of :func:`gather` for profiles in words alone (by row), pair by pair."""
    own, places, terms = raw_scores_of_sharing(profiles.vectors[some], profiles.example_counts[some], papers)
    rows = some[own]
    terms = standardised(terms, at(profiles.by_terms, rows))
    if not profiles.topics.shape[1]:
        return rows, places, _Nearness(terms, terms.copy(), None)
    # The same as the product of both matrices, since these sums are exact.
    topics = np.einsum("ij,ij->i", profiles.topics[rows], papers.topics[places])
    topics = standardised(topics, at(profiles.by_topics, rows))
    return rows, places, _Nearness(topics, terms + profiles.topics_weight.astype(np.float32)[rows] * topics, None)


def _near(
    profiles: Profiles,
    some: np.ndarray,
    papers: PaperMatrix,
    relative: np.ndarray,
    preferred: Sequence[Sequence[int]],
    least: float,
) -> tuple[np.ndarray, np.ndarray, _Nearness]:
    """Return the pairs of :func:`gather` for any profiles (by row), from all their pairs.

    Args:
        relative: the papers in the space of meaning (papers × width); papers × 0 without it.
    """
    raw, related = raw_scores(profiles.vectors[some], profiles.example_counts[some], papers)
    column = some[:, None]
    total = standardised(raw, at(profiles.by_terms, column))
    if profiles.topics.shape[1]:
        topics = standardised(topic_scores(profiles, some, papers.topics), at(profiles.by_topics, column))
    else:
        topics = total.copy()
    for place, row in enumerate(some.tolist() if preferred else ()):
        if preferred[row]:
            total[place, preferred[row]] += CATEGORY_BONUS
    total += profiles.topics_weight.astype(np.float32)[column] * topics
    meaning = None
    if profiles.by_meaning_too:
        meaning = standardised(meaning_scores(profiles, some, relative), at(profiles.by_meaning, column))
        total += MEANING_WEIGHT * meaning
        related |= meaning > _CLOSE
    floor = np.where(profiles.said_counts > 0, -np.inf, least).astype(np.float32)
    related &= total > floor[column]
    pairs = np.flatnonzero(related)
    width = total.shape[1]
    own = np.repeat(np.arange(len(some)), np.diff(np.searchsorted(pairs, np.arange(len(some) + 1) * width)))
    places = pairs - own * width
    near = _Nearness(
        topics.ravel()[pairs], total.ravel()[pairs], meaning.ravel()[pairs] if meaning is not None else None
    )
    return some[own], places, near
