"""Cutting a text into sentences: nothing lost, and no half ones."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.highlights.sentences import sentences

PIECES = st.sampled_from(
    [
        "We",
        " ",
        ".",
        "e.g.",
        "et al.",
        "3.5",
        "\n",
        "\n\n- ",
        "(",
        ")",
        "$",
        "[1]",
        "”",
        "…",
        "?!",
        "。",
        "研究",
        "x",
        "A.",
    ]
)


@given(st.one_of(st.text(), st.lists(PIECES).map("".join)))
def test_joined_the_sentences_are_the_text(text: str) -> None:
    found = sentences(text)
    assert "".join(found) == text
    assert "" not in found


@pytest.mark.parametrize(
    "expected",
    [
        ["One sentence", " and no stop"][:1],
        ["Looms are slow. ", "We make them fast! ", "Why? ", "They weave."],
        ["Some looms, e.g. Jacquard's, i.e. those with cards, weave alone. ", "Others, cf. Fig. 3, do not."],
        ["We follow Lovelace et al. (1843) and Babbage et al. to the letter. ", "It works."],
        ["It was built by Lovelace et al. ", "However, it never ran."],
        ["It reaches 97.5 points vs. 93.2 before. ", "That is 4.3 more."],
        ["Dr. A. Lovelace wrote it with C. Babbage. ", "They disagreed."],
        ["Let $f(x. Y)$ be smooth. ", "Then $f$ has a root."],
        ["It costs $5. ", "That is less than $6."],
        ["It runs (see the notes. They are long.) on cards. ", "It halts."],
        ["She said “it runs. It halts.” and left. ", "“It runs.” ", "Then it halted.[3, 4] ", "We agree."],
        ["We ask: 1. does it run? ", "2. Does it halt?"],
        ["Looms:\n", "- run on cards\n", "- halt by themselves\n\n", "We build one"],
        ["We present iCaRL. ", "iCaRL learns classes one by one. ", "pix2pix draws."],
        ["The stop is followed by.a small letter, and by. another."],
        ["The space is missing.", "We go on. ", "See https://example.org/a.Html for more."],
        ["我们提出一种方法。", "它很快！", "它停吗？", "是的"],
        ["本研究では「織機」を提案する。", "結果は良い。"],
        ["Sie läuft. ", "Älter ist keine. ", "Это она."],
        ["Wait... ", "It runs…  ", "It halts?! ", "Yes."],
    ],
)
def test_hard_cases(expected: list[str]) -> None:
    assert sentences("".join(expected)) == expected


def test_a_text_made_to_be_slow_is_not() -> None:
    for text in ("e.g. ", "(a. B ", "$a. B ", "A b. ", "“", "[", "\n \n", "a.We "):
        assert "".join(sentences(text * 20_000)) == text * 20_000
