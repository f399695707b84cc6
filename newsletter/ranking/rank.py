"""Ranking: many profiles against all new papers in one sparse product."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
from scipy.sparse import csr_matrix

from newsletter.identifiers import title_key
from newsletter.model import Paper
from newsletter.ranking.profile import Profile, stack
from newsletter.ranking.space import Space, paper_text
from newsletter.ranking.trending import trending_scores

AUTHOR_SCORE = 1.0
CATEGORY_BONUS = 0.1


@dataclass(frozen=True, slots=True)
class Candidates:
    """The papers that stand for choice, with what ranking needs of them, all in one order.

    Attributes:
        vectors: papers × terms. ``rows``: their rows in the store. ``trending``: see :func:`trending_scores`.
        texts: title and abstract, case folded, for words that are never wanted.
        authors, categories: folded for comparing.
    """

    papers: tuple[Paper, ...]
    vectors: csr_matrix
    rows: np.ndarray
    trending: np.ndarray
    texts: tuple[str, ...]
    authors: tuple[frozenset[str], ...]
    categories: tuple[frozenset[str], ...]


def make_candidates(space: Space, papers: Sequence[Paper], today: date, half_life_days: float) -> Candidates:
    """Get papers ready for ranking. ``half_life_days`` is that of Trending."""
    return Candidates(
        papers=tuple(papers),
        vectors=space.vectors(paper_text(paper) for paper in papers) if papers else csr_matrix((0, len(space.terms))),
        rows=np.array([paper.row for paper in papers], dtype=np.int64),
        trending=trending_scores(papers, today, half_life_days),
        texts=tuple(f"{paper.title}\n{paper.abstract}".casefold() for paper in papers),
        authors=tuple(frozenset(title_key(author) for author in paper.authors) for paper in papers),
        categories=tuple(frozenset(category.casefold() for category in paper.categories) for paper in papers),
    )


def scores(space: Space, profiles: Sequence[Profile], candidates: Candidates) -> np.ndarray:
    """The score of each paper for each profile (profiles × papers): the cosine, raised by a tenth for a followed
    category; 1 for a paper by a followed author.
    """
    matrix = np.asarray((stack(space, profiles) @ candidates.vectors.T).todense())
    matrix = np.clip(matrix, 0.0, 1.0)
    for row, profile in zip(matrix, profiles, strict=True):
        if profile.categories:
            row += CATEGORY_BONUS * np.array([bool(profile.categories & own) for own in candidates.categories])
        if profile.authors:
            row[[bool(profile.authors & own) for own in candidates.authors]] = AUTHOR_SCORE
    capped: np.ndarray = np.minimum(matrix, 1.0)
    return capped
