"""The words of a reason: those of the paper, as it writes them."""

import pytest

from newsletter.model import Interest, Paper
from newsletter.ranking.explain import main_terms, term_parts
from newsletter.ranking.index import make_index, make_segment
from newsletter.ranking.phrases import read
from newsletter.ranking.profile import WeightedInterest, make_profiles
from newsletter.ranking.sparse import row_of
from newsletter.ranking.tfidf import fit, paper_text

OTHERS = [
    Paper(
        title=f"On cogs {number}", abstract=f"Brass cogs, {number} of them, turn by reinforcement learning.", row=number
    )
    for number in range(2, 40)
]


@pytest.mark.parametrize(
    ("title", "abstract", "follows", "words"),
    [
        # Terms side by side are one phrase, words with hyphens whole, and a headline loses its capitals.
        ("Multi-Objective Looms", "They weave.", "multi objective looms", ["multi-objective looms"]),
        ("Looms", "We like steam-driven looms.", "driven looms", ["steam-driven looms"]),
        ("Looms", "A study with Jacquard looms.", "jacquard looms", ["Jacquard looms"]),
        ("Jacquard Looms", "Old machines.", "jacquard looms", ["jacquard looms"]),
        # Each word is told once, and of phrases worth the same the later one: the abstract before the title.
        ("The Silk", "The SILK and the wool.", "silk, wool, silk", ["SILK", "wool"]),
        # A word that another mostly follows is not told without it.
        ("Looms", "Taught by reinforcement learning.", "reinforcement", ["reinforcement learning"]),
        ("Looms", "They weave.", "cogs", []),
        ("", "", "looms", []),
    ],
)
def test_a_reason_has_the_words_of_the_paper(title: str, abstract: str, follows: str, words: list[str]) -> None:
    paper = Paper(title=title, abstract=abstract, row=1)
    model = fit(paper_text(one) for one in (paper, *OTHERS))
    assert model is not None
    index = make_index(model, (make_segment(model, [paper]),))
    profiles = make_profiles(index, [WeightedInterest(Interest(name="x", text=follows))])
    vector = row_of(index.vectors(index.segments[0].rows).sorted_indices(), 0)
    factor = index.segments[0].paper_matrix.factor[0]
    assert main_terms(term_parts(model, profiles, 0, vector, factor), read(model, paper, vector)) == words
