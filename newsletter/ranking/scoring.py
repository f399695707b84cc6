"""Score many profiles against all new papers in one sparse product.

A paper's raw score for a profile is a sum over terms, ``scale · (profile − mean) · paper``, where the scale reduces the
scores of papers that score high with everybody, the more so the more papers the profile was built from. Papers are
ranked by their z-score, in standard deviations of the scores of a sample of the store's papers; it is shown as a match
between 0 and 1 (see :mod:`newsletter.ranking.calibration`).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache, lru_cache

import numpy as np
from scipy.sparse import csr_matrix

from newsletter.model import Paper
from newsletter.ranking.calibration import deviation
from newsletter.ranking.diversify import Likeness, likeness
from newsletter.ranking.index import Index, PaperMatrix, build_matrix
from newsletter.ranking.phrases import PaperPhrases, read
from newsletter.ranking.profile import Profiles
from newsletter.ranking.sparse import row_of
from newsletter.ranking.tfidf import FEW, TfidfModel
from newsletter.ranking.trending import trending_scores
from newsletter.support.person_names import NameIndex, NameMatch

AUTHOR_BONUS = np.inf
"""The z-score of a paper by a followed author: a full match."""

POSSIBLY_BY_AUTHOR = deviation(0.9)
"""The least z-score of a paper whose author may be a followed one, as far as initials say."""

IN_CATEGORY = deviation(0.75)
"""The z-score of a paper in a followed category, if the interest has nothing else."""

CATEGORY_BONUS = 0.5
"""The z-score that a followed category adds if it has."""

_HUBNESS = 0.6
_TRUST = 2.0
_WORDINGS_KEPT = 4_096  # Some thirty kilobytes each.


def raw_scores(profiles: csr_matrix, example_counts: np.ndarray, papers: PaperMatrix) -> tuple[np.ndarray, np.ndarray]:
    """Return the raw scores of papers (profiles × papers), and which papers share a term with the profile.

    Args:
        profiles: profiles × terms. ``example_counts``: the number of papers each was built from.
    """
    shared = (profiles @ papers.turned).toarray()
    some = shared > 0
    shared -= papers.centre
    shared *= scale(papers.factor, example_counts[:, None])
    return shared, some


def scale(factor: np.ndarray, example_counts: np.ndarray) -> np.ndarray:
    """Return the scale of scores for papers of some factor and profiles of some number of examples."""
    power = (_HUBNESS * example_counts / (example_counts + _TRUST)).astype(np.float32)
    return np.asarray(np.exp(power * np.log(factor)))


def deviations(
    profiles: csr_matrix, standard: csr_matrix, example_counts: np.ndarray, papers: PaperMatrix, sample: PaperMatrix
) -> np.ndarray:
    """Return the z-score of each raw score (profiles × papers), relative to the scores that ``standard`` gives to a
    sample of the store's papers; minus infinity for a paper that shares no term with the profile.
    """
    raw, shares = raw_scores(profiles, example_counts, papers)
    usual, _ = raw_scores(standard, example_counts, sample)
    count = usual.shape[1] + FEW
    mean = usual.sum(axis=1) / count
    spread = np.sqrt(np.maximum(np.einsum("ij,ij->i", usual, usual) / count - mean**2, 0))
    raw -= mean[:, None]
    raw /= np.where(spread > 0, spread, 1)[:, None]
    raw[~shares] = -np.inf
    return raw


@dataclass(frozen=True, slots=True)
class Candidates:
    """The candidate papers, prepared for ranking, all in one order.

    Attributes:
        paper_matrix: their vectors, terms ascending in each row.
        rows: their rows in the store, ascending. ``trending``: see :func:`trending_scores`.
        discussed: the indices of those the community discusses, the most discussed first. ``standing``: the rank of
            each in this order, with the undiscussed ones last.
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


def zscores(index: Index, profiles: Profiles, candidates: Candidates) -> np.ndarray:
    """Return the z-score of each paper for each profile (profiles × papers), including the bonuses for followed authors
    and categories.
    """
    if not profiles.followed:
        return np.zeros((0, len(candidates.papers)), dtype=np.float32)
    matrix = deviations(
        profiles.vectors, profiles.standard, profiles.example_counts, candidates.paper_matrix, index.sample
    )
    says_something = np.diff(profiles.vectors.indptr) > 0
    for row, followed in enumerate(profiles.followed):
        names = [category.strip().casefold() for category in followed.interest.categories]
        inside = sorted({place for name in names for place in candidates.categories.get(name, [])})
        matrix[row, inside] = matrix[row, inside] + CATEGORY_BONUS if says_something[row] else IN_CATEGORY
        by, possibly_by = _papers_by(candidates, followed.interest.authors)
        matrix[row, possibly_by] = np.maximum(matrix[row, possibly_by], POSSIBLY_BY_AUTHOR)
        matrix[row, by] = AUTHOR_BONUS
    return matrix


def _papers_by(candidates: Candidates, authors: Sequence[str]) -> tuple[list[int], list[int]]:
    """Return the indices of the papers by some authors, and of those possibly by them, which may include the former."""
    places: dict[NameMatch, list[int]] = {NameMatch.FULL: [], NameMatch.POSSIBLE: []}
    for author in authors:
        for agrees, own in candidates.authors().find(author).values():
            places[agrees] += own
    return places[NameMatch.FULL], places[NameMatch.POSSIBLE]
