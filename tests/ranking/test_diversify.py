"""Variety: what is kept and left undone for speed gives what the definition gives."""

import numpy as np
import pytest
from scipy.sparse import random as random_matrix

from newsletter.ranking.diversify import cosines, diversified, likeness


@pytest.mark.parametrize("weight", [0.3, 0.85, 1.0])
def test_the_choice_is_that_of_maximal_marginal_relevance(weight: float) -> None:
    chance = np.random.default_rng(4)
    papers = random_matrix(60, 40, density=0.2, format="csr", dtype=np.float32, random_state=chance)
    matches = np.sort(chance.random(60) * 0.9 + 0.05)[::-1]
    scores = np.log(1 - matches) / np.log(1 - matches[0])
    alike, expected = cosines(papers), []
    for _ in range(25):
        closest = alike[expected].max(axis=0) if expected else np.zeros(60)
        worth = weight * scores - (1 - weight) * closest
        worth[expected] = -np.inf
        expected.append(int(worth.argmax()))
    assert diversified(matches, papers, weight, 25).tolist() == expected
    assert diversified(matches, papers, weight, 99).size == 60


def test_likeness_is_the_cosine() -> None:
    papers = random_matrix(9, 30, density=0.3, format="csr", dtype=np.float32, random_state=np.random.default_rng(2))
    papers.data[papers.indptr[4] : papers.indptr[5]] = 0
    papers.eliminate_zeros()
    of = likeness(papers)
    assert np.array([of(place) for place in range(9)]) == pytest.approx(cosines(papers), abs=1e-6)
