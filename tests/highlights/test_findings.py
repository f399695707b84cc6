"""Of several sentences, one that states a finding is the result, and one that says what is proposed the idea."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.highlights.classifier import highlights
from newsletter.highlights.findings import praises, promises, states_finding

SLOW = "Weaving is slow. We propose a loom that reads cards from an endless belt."
FOUND = "Belts of iron last 9% longer than belts of wool."


@pytest.mark.parametrize(
    "hollow",
    [
        "Our results highlight the potential of belts for mills of all kinds.",
        "The findings pave the way for mills without weavers.",
        "The findings can guide weavers in how to choose a belt.",
        "Our results lay the groundwork for mills without weavers.",
        "Our results contribute towards a better understanding of old looms.",
        "Our results make substantial strides toward mills without weavers.",
        "Extensive experiments confirm the effectiveness of our approach.",
        "Finally, we evaluate the belt on nine patterns of three mills.",
    ],
)
def test_a_finding_is_shown_rather_than_a_promise_praise_or_what_was_done(hollow: str) -> None:
    assert highlights(f"{SLOW} {FOUND} {hollow}").result == FOUND
    assert (highlights(f"{SLOW} {hollow}").result or "").split()[-3:] == hollow.split()[-3:]


@pytest.mark.parametrize(
    "known",
    [
        "The idea of a loom is to cross the warp and the weft at every step of a pattern.",
        "The key to a good loom is that its belt has the same tension at every step.",
    ],
)
def test_what_is_introduced_is_the_idea_rather_than_what_was_known(known: str) -> None:
    assert highlights(f"{known} This article introduces the theory of looms. {FOUND}").idea == (
        "We introduce the theory of looms."
    )
    assert highlights(f"{known} The theory of looms is old. {FOUND}").idea == known


def test_of_near_equal_results_one_without_an_unexplained_abbreviation_is_shown() -> None:
    named = "We propose a loom with an endless belt. It has a warp winder (WAW)."
    strange, known = "Belts improve the speed of WAW in all mills.", "Belts improve the speed of looms in all mills."
    assert highlights(f"{named} {strange} {known}").result == known
    assert highlights(f"{named.replace(' (WAW)', '')} {strange} {known}").result == strange


@pytest.mark.parametrize(
    "said",
    [
        "The belt halves the time.",
        "We gain 3.5 points.",
        "We show that two belts suffice.",
        "Belts are faster than cards.",
    ],
)
def test_a_finding_is_no_promise_or_praise(said: str) -> None:
    assert states_finding(said)
    assert not (promises(said) or praises(said))


WORDS = ["we", "show", "that", "study", "the potential", "effectiveness", "of", "3%", ",", "and", "than", "improves"]


@given(st.lists(st.sampled_from(WORDS), max_size=400))
def test_a_sentence_is_judged_in_time_whatever_its_words(words: list[str]) -> None:
    said = " ".join(words)
    assert states_finding(said) or "3%" not in words
    assert not promises(said) or not states_finding(said)
