"""Trending: papers that the community discusses, with decay by age."""

from collections.abc import Sequence
from datetime import date, datetime

import numpy as np

from newsletter.model import Paper


def trending_scores(papers: Sequence[Paper], today: date, half_life_days: float) -> np.ndarray:
    """Score how much each paper is discussed, between 0 (not at all) and 1 (the most of these papers).

    A paper's weight is its upvotes plus twice its comments (a comment takes more effort than a vote), halved with every
    half-life since it was listed. Weights are compared by their logarithms, so that very old papers keep their order
    too.

    Returns:
        One score per paper, in the order given.
    """
    talk = np.array([(paper.upvotes or 0) + 2 * (paper.comments or 0) for paper in papers], dtype=float)
    ages = np.array([max(0, (today - paper_day(paper, today)).days) for paper in papers], dtype=float)
    scores = np.zeros(len(papers))
    some = talk > 0
    if some.any():
        weights = np.log2(talk[some]) - ages[some] / half_life_days
        scores[some] = np.maximum(np.exp2(weights - weights.max()), np.finfo(float).tiny)
    return scores


def paper_day(paper: Paper, otherwise: date) -> date:
    """Return the day a paper was listed, or else published, or else first seen."""
    seen = paper.first_seen.date() if isinstance(paper.first_seen, datetime) else None
    return paper.listed_on or paper.published or seen or otherwise


def trending_reason(paper: Paper) -> str:
    """Return the counts of a paper in words, such as "12 upvotes, 1 comment"."""
    counts = ((paper.upvotes, "upvote"), (paper.comments, "comment"))
    return ", ".join(f"{number} {noun}{'' if number == 1 else 's'}" for number, noun in counts if number)
