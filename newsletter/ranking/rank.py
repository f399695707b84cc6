"""Ranking: many profiles against all new papers in one sparse product.

A paper's raw score for a profile is a sum over terms, ``scale · (profile − mean) · paper``, where the scale lessens
papers that score high with everybody, the more so the more papers have taught the profile. What is told is how far the
raw score stands out among the store's papers, as a match between 0 and 1 (see :mod:`newsletter.ranking.calibration`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
from scipy.sparse import csr_matrix

from newsletter.identifiers import title_key
from newsletter.model import Paper
from newsletter.ranking.calibration import match
from newsletter.ranking.profile import Profile, stack
from newsletter.ranking.space import FEW, Space, paper_text
from newsletter.ranking.trending import trending_scores

AUTHOR_SCORE = 1.0
CATEGORY_SCORE = 0.75
"""The match of a paper in a followed category, where the interest says nothing else."""

CATEGORY_BONUS = 0.5
"""Deviations that a followed category adds where it does."""

_HUBNESS = 0.6
_TRUST = 2.0


@dataclass(frozen=True, slots=True)
class Lineup:
    """Papers as ranking needs them, in one order.

    Attributes:
        vectors: papers × terms. ``turned``: the same, terms × papers.
        centre: what each scores with the mean paper.
        factor: how much less than usual each one's score varies, whoever reads (1 is usual).
    """

    vectors: csr_matrix
    turned: csr_matrix
    centre: np.ndarray
    factor: np.ndarray


def line_up(space: Space, vectors: csr_matrix) -> Lineup:
    """Get papers (papers × terms) ready for ranking: once for all subscribers."""
    deviation = np.sqrt(((vectors @ space.directions) ** 2).sum(axis=1) + vectors.multiply(vectors) @ space.variance)
    usual = float(np.median(deviation)) if len(deviation) else 0.0
    factor = usual / np.maximum(deviation, 1e-3 * usual) if usual > 0 else np.ones_like(deviation)
    return Lineup(vectors, vectors.T.tocsr(), vectors @ space.mean, factor)


def raw_scores(profiles: csr_matrix, teachers: np.ndarray, papers: Lineup) -> tuple[np.ndarray, np.ndarray]:
    """The raw scores of papers (profiles × papers), and which papers share something with the profile.

    Args:
        profiles: profiles × terms. ``teachers``: how many papers each was made from.
    """
    shared = (profiles @ papers.turned).toarray()
    raw = (shared - papers.centre) * scale(papers.factor, teachers[:, None])
    return raw, shared > 0


def scale(factor: np.ndarray, teachers: np.ndarray) -> np.ndarray:
    """How a score is scaled for a paper of some factor, and a profile of so many teachers."""
    return np.asarray(factor ** (_HUBNESS * teachers / (teachers + _TRUST)))


@dataclass(frozen=True, slots=True)
class Candidates:
    """The papers that stand for choice, with what ranking needs of them, all in one order.

    Attributes:
        lineup: their vectors. ``sample``: some of the store's papers, to measure scores against.
        rows: their rows in the store. ``trending``: see :func:`trending_scores`.
        texts: title and abstract, case folded, for words that are never wanted.
        authors, categories: folded for comparing.
    """

    papers: tuple[Paper, ...]
    lineup: Lineup
    sample: Lineup
    rows: np.ndarray
    trending: np.ndarray
    texts: tuple[str, ...]
    authors: tuple[frozenset[str], ...]
    categories: tuple[frozenset[str], ...]


def make_candidates(space: Space, papers: Sequence[Paper], today: date, half_life_days: float) -> Candidates:
    """Get papers ready for ranking. ``half_life_days`` is that of Trending."""
    vectors = space.vectors(paper_text(paper) for paper in papers) if papers else space.zeros(0)
    return Candidates(
        papers=tuple(papers),
        lineup=line_up(space, vectors),
        sample=line_up(space, space.sample),
        rows=np.array([paper.row for paper in papers], dtype=np.int64),
        trending=trending_scores(papers, today, half_life_days),
        texts=tuple(f"{paper.title}\n{paper.abstract}".casefold() for paper in papers),
        authors=tuple(frozenset(title_key(author) for author in paper.authors) for paper in papers),
        categories=tuple(frozenset(category.casefold() for category in paper.categories) for paper in papers),
    )


def deviations(
    profiles: csr_matrix, wanted: csr_matrix, teachers: np.ndarray, papers: Lineup, sample: Lineup
) -> np.ndarray:
    """By how many standard deviations each raw score (profiles × papers) stands above those that ``wanted`` gives to a
    sample of the store's papers; minus infinity for a paper that shares nothing with the profile.
    """
    raw, shares = raw_scores(profiles, teachers, papers)
    usual, _ = raw_scores(wanted, teachers, sample)
    count = usual.shape[1] + FEW
    mean = usual.sum(axis=1) / count
    spread = np.sqrt(np.maximum((usual**2).sum(axis=1) / count - mean**2, 0))
    stands_out = (raw - mean[:, None]) / np.where(spread > 0, spread, 1)[:, None]
    return np.where(shares, stands_out, -np.inf)


def scores(profiles: Sequence[Profile], candidates: Candidates) -> np.ndarray:
    """The match of each paper for each profile (profiles × papers), between 0 and 1; 1 for a followed author."""
    if not profiles:
        return np.zeros((0, len(candidates.papers)))
    teachers = np.array([profile.teachers for profile in profiles])
    vectors = stack([profile.vector for profile in profiles])
    wanted = stack([profile.wanted for profile in profiles])
    stands_out = deviations(vectors, wanted, teachers, candidates.lineup, candidates.sample)
    matrix = np.empty_like(stands_out)
    for row, (profile, own) in enumerate(zip(profiles, stands_out, strict=True)):
        inside = np.array([bool(profile.categories & theirs) for theirs in candidates.categories], dtype=bool)
        matrix[row] = match(own + CATEGORY_BONUS * inside)
        if not profile.vector.nnz:
            matrix[row, inside] = CATEGORY_SCORE
        if profile.authors:
            matrix[row, [bool(profile.authors & theirs) for theirs in candidates.authors]] = AUTHOR_SCORE
    return matrix
