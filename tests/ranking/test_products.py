"""Products of profiles with papers: the same as plain arithmetic, whatever is multiplied at once and how."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_matrix

from newsletter.model import Interest, Paper, PaperRef
from newsletter.ranking import products, scoring
from newsletter.ranking.index import build_matrix, make_index, make_segment
from newsletter.ranking.profile import WeightedInterest, make_profiles
from newsletter.ranking.scoring import content_matches
from newsletter.ranking.tfidf import fit, paper_text

TERMS = 30
WEIGHTS = st.sampled_from([0.5, 0.25, 0.125, 0.3, 1e-3, 0.7071, 1.0, -0.2])
ROWS = st.lists(st.dictionaries(st.integers(0, TERMS - 1), WEIGHTS, max_size=12), max_size=9)


def matrix(rows: Sequence[dict[int, float]]) -> csr_matrix:
    ends = np.cumsum([0, *map(len, rows)])
    terms = [term for row in rows for term in sorted(row)]
    values = [row[term] for row in rows for term in sorted(row)]
    return csr_matrix((np.array(values, np.float32), np.array(terms, np.int32), ends), shape=(len(rows), TERMS))


def plain(profiles: csr_matrix, papers: csr_matrix) -> np.ndarray:
    """Multiply in Python's whole numbers, with weights rounded as the reference says."""
    left, right = (
        [{term: round(value * 2**24) for term, value in enumerate(row) if value} for row in one.toarray().tolist()]
        for one in (profiles, papers)
    )
    sums = [[sum(weight * y.get(term, 0) for term, weight in x.items()) for y in right] for x in left]
    return (np.array(sums, dtype=float) / 2**48).astype(np.float32).reshape(len(left), len(right))


@pytest.mark.parametrize("common", [1, 3, 1000])
@settings(max_examples=40, deadline=None)
@given(profiles=ROWS, papers=ROWS.filter(bool))
def test_products_are_those_of_exact_arithmetic(
    common: int, profiles: list[dict[int, float]], papers: list[dict[int, float]]
) -> None:
    left, right = matrix(profiles), matrix(papers)
    with pytest.MonkeyPatch.context() as patched:
        # From no common terms to nothing but common terms.
        patched.setattr(products, "_COMMON", common)
        prepared = products.prepare(right.T.tocsr())
    expected = plain(left, right)
    assert products.dot_products(left, prepared).tolist() == expected.tolist()
    rows, places, sums = products.shared_products(left, prepared)
    above = np.argwhere(expected > 0)
    assert np.column_stack([rows, places]).tolist() == above.tolist()
    assert sums.tolist() == expected[expected > 0].tolist()


def test_the_order_of_terms_and_papers_changes_nothing() -> None:
    chance = np.random.default_rng(0)
    dense = np.where(chance.random((70, 400)) < 0.2, chance.random((70, 400)), 0).astype(np.float32)
    papers = np.where(chance.random((90, 400)) < 0.2, chance.random((90, 400)), 0).astype(np.float32)
    papers[40] = papers[3]
    found = products.dot_products(csr_matrix(dense), products.prepare(csr_matrix(papers.T)))
    order, terms = chance.permutation(90), chance.permutation(400)
    shuffled = products.prepare(csr_matrix(papers[order][:, terms].T))
    assert (products.dot_products(csr_matrix(dense[:, terms]), shuffled) == found[:, order]).all()
    assert (found[:, 40] == found[:, 3]).all()
    some = products.prepare(csr_matrix(papers[5:11].T))
    assert (products.dot_products(csr_matrix(dense[7:9]), some) == found[7:9, 5:11]).all()


def store() -> tuple[list[Paper], list[WeightedInterest]]:
    chance = np.random.default_rng(4)
    words = np.array([f"word{number}n" for number in range(300)])
    likely = 1 / np.arange(1, 301)
    papers = []
    for row in range(1, 161):
        text = " ".join(chance.choice(words, 40, p=likely / likely.sum()))
        papers.append(Paper(title=text[:60], abstract=text, row=row, id=str(row)))
    papers[30] = Paper(title=papers[8].title, abstract=papers[8].abstract, row=31, id="31")

    def liked(count: int) -> tuple[tuple[PaperRef, float], ...]:
        rows = np.unique(chance.integers(1, 161, count)).tolist()
        return tuple((PaperRef(row, str(row), ""), 1.0 if row % 2 else 0.4) for row in rows)

    followed = [WeightedInterest(Interest(name="unknown words only: quokka"))]
    for number in range(80):
        text = " ".join(chance.choice(words, 4)) if number % 3 == 0 else ""
        keywords = {str(chance.choice(words)): 1.0, " ".join(chance.choice(words, 2)): 2.0} if number % 4 == 0 else {}
        interest = Interest(name="x", text=text, keywords=keywords, authors=("Nobody",))
        followed.append(WeightedInterest(interest, liked(number % 5 * 3), liked(1 if number % 7 == 0 else 0)))
    return papers, followed


@pytest.mark.parametrize("at_once", [1, 7, 1000])
def test_matches_are_the_same_in_blocks_of_any_size(at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    papers, followed = store()
    model = fit([paper_text(paper) for paper in papers])
    assert model is not None
    index = make_index(model, (make_segment(model, papers),))
    rows = np.arange(1, 161)
    profiles = make_profiles(index, followed)
    preferred = [(3, 5, 8) if number % 6 == 0 else () for number in range(len(followed))]
    together = content_matches(index, profiles, build_matrix(model, index.vectors(rows)), preferred)
    assert ((together > 0).any(axis=1)).sum() > 50
    # Papers with the same text have the same match, so that what decides is the order of Trending.
    same = [row for row, own in enumerate(preferred) if not own]
    assert (together[same, 8] == together[same, 30]).all()
    monkeypatch.setattr(scoring, "_AT_ONCE", at_once)
    assert (content_matches(index, profiles, build_matrix(model, index.vectors(rows)), preferred) == together).all()
    half = [tuple(place - 80 for place in own if place >= 80) for own in preferred]
    part = content_matches(index, profiles, build_matrix(model, index.vectors(rows[80:])), half)
    assert (part == together[:, 80:]).all()


def test_interests_in_words_are_scored_pair_by_pair_as_all_others(monkeypatch: pytest.MonkeyPatch) -> None:
    papers, followed = store()
    model = fit([paper_text(paper) for paper in papers])
    assert model is not None
    index = make_index(model, (make_segment(model, papers),))
    profiles = make_profiles(index, followed)
    matrix = build_matrix(model, index.vectors(np.arange(1, 161)))
    alone = content_matches(index, profiles, matrix)
    monkeypatch.setattr(scoring, "_in_words_alone", lambda *_: np.zeros(len(followed), dtype=bool))
    assert (content_matches(index, profiles, matrix) == alone).all()
