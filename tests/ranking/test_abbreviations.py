"""Abbreviations: which definitions count, and what they turn a text into."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.ranking.abbreviations import Abbreviations, definitions
from newsletter.ranking.tfidf import fit


def learned(*texts: str) -> Abbreviations:
    model = fit(texts)
    assert model is not None
    return model.abbreviations


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("We use large language models (LLMs).", {("LLMs", "large language models")}),
        ("Proximal Policy Optimization (PPO) learns.", {("PPO", "Proximal Policy Optimization")}),
        (
            "A heat shock protein 70 (Hsp70) and T-cell receptors (TCR)",
            {("Hsp70", "heat shock protein 70")} | {("TCR", "T-cell receptors")},
        ),
        ("As Smith et al (2003) and others (see Fig. 1) say (in part).", set()),
        ("Unbalanced (LLM", set()),
    ],
)
def test_definitions(text: str, found: set[tuple[str, str]]) -> None:
    assert definitions(text) == found


@given(st.text(st.sampled_from("abAB L(M)[];,.-'’\"\nßİ中एि́😀1")))
def test_any_text_can_be_read(text: str) -> None:
    for short, long in definitions(text):
        assert short and long in text
    assert Abbreviations().swapped(text) == text
    learned("Large language models (LLMs) of looms.").swapped(text)


@pytest.mark.parametrize(
    ("text", "swapped"),
    [
        ("LLM agents", "large language models agents"),
        ("agents with llms", "agents with large language models"),
        ("Large-language model agents", "LLMs agents"),
        ("LLM: large language model", "large language models: LLMs"),
        ("large. Language models", "large. Language models"),
        ("language models", "language models"),
        ("", ""),
    ],
)
def test_both_ways(text: str, swapped: str) -> None:
    assert learned("On large language models (LLMs).", "LLMs are large.").swapped(text) == swapped


def test_an_abbreviation_of_several_things_stands_for_none() -> None:
    store = ["machine learning (ML) of looms", "maximum likelihood (ML) of silk", "looms"]
    assert learned(*store).swapped("ML") == "ML"
    assert learned(*store, "again machine learning (ML)").swapped("ML") == "machine learning"


def test_one_that_is_also_a_word_counts_only_as_it_is_written() -> None:
    known = learned("Maximum a posteriori (MAP) looms.", *(f"A map of mill {number}." for number in range(20)))
    assert known.swapped("MAP") == "Maximum a posteriori"
    assert known.swapped("map of mills") == "map of mills"
    assert known.swapped("maximum a posteriori") == "maximum a posteriori"


def test_in_a_large_store_one_paper_is_not_enough() -> None:
    looms = [f"Looms of mill {number}." for number in range(1_000)]
    once = "Steam loom engines (SLE)."
    assert learned(once, *looms).swapped("SLE") == "SLE"
    assert learned(once, once, *looms).swapped("SLE") == "Steam loom engines"
