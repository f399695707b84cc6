"""Varied papers: recent papers on subjects as different as possible, for a reader to rate."""

import numpy as np

from newsletter.model import Paper, Subscriber
from newsletter.services.context import AppContext
from newsletter.services.ranking_snapshot import RankingSnapshot
from newsletter.services.recommend import score_batch

_CHOSEN_FROM = 100
"""How many of the most discussed papers are chosen from, so that a paper is not shown only because it is unusual."""

_WITHOUT_TOPICS = 2.0
"""More than any similarity: a paper without topics is chosen last."""


def varied_papers(context: AppContext, field: RankingSnapshot, subscriber: Subscriber, number: int) -> list[Paper]:
    """Return up to ``number`` candidates of different topics, starting with the most discussed one.

    They exclude what a digest would exclude: papers that the subscriber was sent, has rated or has in a library, and
    those hidden by never-words and never-authors. The same state of the store always gives the same papers.
    """
    (scored,) = score_batch(context, field, [subscriber])
    allowed = np.flatnonzero(scored.new | scored.earlier)
    candidates = field.candidates
    pool = allowed[np.argsort(candidates.standing[allowed])][:_CHOSEN_FROM]
    chosen = farthest_first(candidates.paper_matrix.topics[pool], number)
    return [candidates.papers[pool[place]] for place in chosen]


def farthest_first(vectors: np.ndarray, number: int) -> list[int]:
    """Return the indices of up to ``number`` vectors (vectors × dimensions, of length 1 or 0): the first, then always
    the one whose closest chosen vector is the least similar, by cosine. Of equals, the earlier one is chosen.

    See Gonzalez, "Clustering to minimize the maximum intercluster distance", 1985.
    """
    chosen: list[int] = []
    closest = np.where(np.linalg.norm(vectors, axis=1) > 0, -1.0, _WITHOUT_TOPICS)
    while len(chosen) < min(number, len(vectors)):
        place = int(closest.argmin())
        chosen.append(place)
        closest = np.maximum(closest, vectors @ vectors[place])
        closest[chosen] = np.inf
    return chosen
