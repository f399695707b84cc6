"""The heaviest windows of a text, found by arrays and by trying them one by one."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from newsletter.ranking.word_windows import make_windows

NONE = -1
TERMS = st.integers(NONE, 6)


@st.composite
def texts(draw: st.DrawFn) -> tuple[list[int], list[int], list[int], list[bool], list[bool]]:
    number = draw(st.integers(0, 30))
    words, pairs, triples = (draw(st.lists(TERMS, min_size=number, max_size=number)) for _ in range(3))
    joined, run_on = (draw(st.lists(st.booleans(), min_size=number, max_size=number)) for _ in range(2))
    return words, [NONE, *pairs][:number], [NONE, NONE, *triples][:number], [*joined, False], [*run_on, False]


@given(texts(), st.lists(st.sampled_from([0.0, 0.25, 0.5, 1.0, 3.0]), min_size=5, max_size=5), st.floats(0.1, 1.0))
def test_they_are_those_found_by_trying_all(
    text: tuple[list[int], list[int], list[int], list[bool], list[bool]], weights: list[float], least: float
) -> None:
    found = make_windows(np.arange(5), *text).heavy(np.array([*weights, 0.0]), least)
    values = np.array([*weights, 0.0])[found.terms].sum(axis=0)
    shown = {
        (first, length): (round(value, 9), round(minimum, 9))
        for first, length, value, minimum in zip(
            found.firsts.tolist(), found.lengths.tolist(), values.tolist(), found.minima.tolist(), strict=True
        )
    }
    assert shown == all_windows(*text, weights, least)


def all_windows(
    words: list[int],
    pairs: list[int],
    triples: list[int],
    joined: list[bool],
    run_on: list[bool],
    weights: list[float],
    least: float,
) -> dict[tuple[int, int], tuple[float, float]]:
    """Return the windows, each with its weight and the least for it."""
    weight = {term: value for term, value in enumerate(weights) if value}
    number = len(words)
    covered = set()
    for place in range(number):
        for size, terms in ((1, words), (2, pairs), (3, triples)):
            if terms[place] in weight:
                covered |= {one for one in range(place - size + 1, place + 1) if one >= 0}
    found = {}
    for first in range(number):
        for last in range(first, min(first + 24, number)):
            inside = range(first + 1, last + 1)
            count = 1 + sum(not run_on[place] for place in inside)
            if count > 4 or not set(range(first, last + 1)) <= covered:
                continue
            if not all(joined[place] or pairs[place] in weight for place in inside):
                continue
            terms = {words[first], *(words[place] for place in inside), *(pairs[place] for place in inside)}
            terms |= {triples[place] for place in range(first + 2, last + 1)}
            total = sum(weight.get(term, 0.0) for term in terms)
            if total > least * count:
                found[first, last - first + 1] = (round(total, 9), round(least * count, 9))
    return found
