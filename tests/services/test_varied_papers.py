"""Which papers a reader is asked to rate: of different topics, the most discussed first, and none that is known."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from newsletter.model import Paper, Subscriber
from newsletter.services.context import open_context
from newsletter.services.ranking_snapshot import build_snapshot
from newsletter.services.varied_papers import farthest_first, varied_papers
from newsletter.store import feedback, libraries, reading, subscribers, writing
from newsletter.store.feedback import Verdict
from newsletter.store.libraries import LibraryItem
from newsletter.support.clock import frozen_clock, parse_moment
from tests.helpers.newsletter import NOW, Newsletter

NUMBERS = st.integers(0, 12)


def units(seed: int, number: int, width: int) -> np.ndarray:
    """Random vectors of length 1, some of them 0."""
    made = np.random.default_rng(seed).normal(size=(number, width))
    made[::5] = 0
    lengths = np.linalg.norm(made, axis=1, keepdims=True)
    return np.asarray(made / np.where(lengths > 0, lengths, 1))


@given(st.integers(0, 1_000), NUMBERS, NUMBERS)
def test_each_is_the_least_similar_to_those_before(seed: int, number: int, wanted: int) -> None:
    vectors = units(seed, number, 3)
    chosen = farthest_first(vectors, wanted)
    assert len(chosen) == len(set(chosen)) == min(number, wanted)
    known = [place for place in chosen if vectors[place].any()]
    # Those without topics come last.
    assert chosen[: len(known)] == known
    for step, place in enumerate(known[1:], 1):
        closest = {
            other: max(float(vectors[other] @ vectors[one]) for one in known[:step])
            for other in range(number)
            if vectors[other].any() and other not in known[:step]
        }
        assert closest[place] <= min(closest.values()) + 1e-9


def test_known_papers_are_left_out_and_the_rest_is_chosen_again_the_same(newsletter: Newsletter) -> None:
    newsletter.with_sample()
    newsletter.subscriber("ada", "email: ada@example.org\n")
    newsletter.run("subscribers", "list")
    context = open_context(newsletter.config, frozen_clock(parse_moment(NOW)))
    field = build_snapshot(context)
    assert field is not None

    def ada() -> Subscriber:
        with reading(context.engine) as connection:
            found = subscribers.by_email(connection, "ada@example.org")
        assert found is not None
        return found

    def chosen(number: int = 10) -> list[Paper]:
        return varied_papers(context, field, ada(), number)

    first = chosen()
    assert len(first) == 10
    assert chosen() == first
    discussed = field.candidates.papers[int(field.candidates.standing.argmin())]
    assert first[0] == discussed
    newsletter.subscriber("ada", f"email: ada@example.org\nnever: ['{first[2].title}']\n")
    newsletter.run("subscribers", "list")
    with writing(context.engine) as connection:
        feedback.give(connection, ada().row, first[0].row, Verdict.LESS, None, context.clock())
        library = libraries.ensure(connection, ada().row, "file:papers.bib")
        libraries.put_items(connection, library.row, [LibraryItem(key="one", paper=Paper(title=first[1].title))])
    left = {paper.row for paper in chosen(1_000)}
    assert not left & {paper.row for paper in first[:3]}
    assert {paper.row for paper in first[3:]} <= left
    context.engine.dispose()
