"""The form in which a sentence is shown: what leans on other text is cut or reworded, and a whole one stays."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.highlights.classifier import highlights
from newsletter.highlights.clauses import MOST_WORDS
from newsletter.highlights.references import leans
from newsletter.highlights.standalone import costs, form_of

CUT = [
    ("To address this issue, we propose a loom.", "We propose a loom."),
    ("However, to solve these problems, in this paper, we propose a loom.", "We propose a loom."),
    ("In this work, an endless belt is proposed to address this issue.", "An endless belt is proposed."),
    ("Here we show that a belt of two layers improves all looms.", "A belt of two layers improves all looms."),
    ("We present in this work a loom with an endless belt.", "We present a loom with an endless belt."),
    (
        "This paper presents a loom and demonstrates how it is built.",
        "We present a loom and demonstrate how it is built.",
    ),
    ("This study investigates the wear of belts.", "We investigate the wear of belts."),
    ("This work advances the art of weaving.", "This work advances the art of weaving."),
    ("Extensive experiments show that CardFlow halves the time.", "CardFlow halves the time."),
    ("These results demonstrate that belts outperform cards.", "Belts outperform cards."),
    ("Furthermore, our analysis reveals that belts of wool fail first.", "Belts of wool fail first."),
    ("Observing this discrepancy, we weigh each card by its age.", "We weigh each card by its age."),
    ("We address this limitation by introducing a belt of two layers.", "We introduce a belt of two layers."),
    ("We do this by prompting weavers for what they remember.", "We prompt weavers for what they remember."),
    ("We address these issues with CardFlow, a loom without cards.", "We propose CardFlow, a loom without cards."),
    ("We use this method to analyze over 900 patterns.", "We analyze over 900 patterns."),
    ("This allows us to weave a variety of patterns.", "We can weave a variety of patterns."),
    ("We study these problems and propose a loom with an endless belt.", "We propose a loom with an endless belt."),
    ("We examine how such irregular threads affect the belt.", "We examine how irregular threads affect the belt."),
    ("This approach reads cards from an endless belt.", "Our approach reads cards from an endless belt."),
    ("These findings suggest a belt of two layers.", "The findings suggest a belt of two layers."),
    ("Our method uses two belts to read its cards.", "We use two belts to read its cards."),
    (
        "We propose CardFlow, a loom that addresses these issues by reading an endless belt.",
        "We propose CardFlow, a loom that reads an endless belt.",
    ),
    (
        "We propose a loom for solving these problems by carefully reading its belt.",
        "We propose a loom for carefully reading its belt.",
    ),
    ("We propose a loom to address this issue by reading a belt.", "We propose a loom by reading a belt."),
    (
        "We study this class of looms and identify the parts that limit their speed.",
        "We study a class of looms and identify the parts that limit their speed.",
    ),
    ("That observation leads to a wider point: belts are not mills but books.", "Belts are not mills but books."),
    ("To give a fair answer to the problem, we weigh the cards.", "We weigh the cards."),
    ("Last but not least, we weigh the cards.", "We weigh the cards."),
    ("(2) Belts of iron halve the time.", "Belts of iron halve the time."),
    ("Results: A belt of two layers lasts longer.", "A belt of two layers lasts longer."),
    ("CardFlow halves the time, as shown in Figure 2.", "CardFlow halves the time."),
    ("CardFlow halves the time (Jacquard et al., 2004).", "CardFlow halves the time."),
    ("**CardFlow** halves the `time` [12, 13].", "CardFlow halves the time."),
]


@pytest.mark.parametrize(("said", "shown"), CUT)
def test_openings_that_refer_back_or_say_nothing_are_cut(said: str, shown: str) -> None:
    form = form_of(said)
    assert form.text == shown
    assert not form.leaning


WHOLE = [
    "We propose CardFlow, a loom that reads its cards from an endless belt.",
    "Instead of cards, CardFlow reads an endless belt.",
    "In contrast to cards, belts never end.",
    "iCaRL weaves from an endless belt.",
    "We find that belts wear out and thus propose a loom with cards of iron.",
    "We prove that two belts suffice, and that one does not.",
    "Using two belts, we halve the time that weaving takes.",
    "Such as it is, the old loom still works.",
    "It is often hard to mend an endless belt.",
    "Further belts of wool were woven by hand.",
    "Under a mild assumption on the threads, we show that the loom never stops.",
    "By weaving on four old looms, we find that linen outlasts wool.",
    "When the yarn is wet, experiments show that belts slip.",
    "Looms and mills gain 5 and 3 hours, respectively.",
    "We study two causes of wear and mend the two causes.",
    "We prove that weavers mend their looms.",
]


@pytest.mark.parametrize("said", WHOLE)
def test_what_stands_alone_stays(said: str) -> None:
    assert form_of(said).text == said


@pytest.mark.parametrize(
    "said",
    [
        "It is made of two layers.",
        "They can guide weavers in their choice.",
        "The latter lasts longer than any belt.",
        "We demonstrate that this weakness is widespread among looms.",
        "That observation leads to a more general point.",
        "The resulting threads are made of two layers.",
        "CardFlow meets the challenges noted above.",
        "Under these conditions, the belt outlasts all cards.",
        "In this setting, we prove that two belts suffice.",
        "In the first stage, we wind the yarn.",
        "We find that they last for nine years.",
        "Our experiments demonstrate their strength in nine patterns.",
        "We study belts and mend the two causes of wear.",
        "We weigh the aforementioned cards twice.",
        "We formalize the problem, and weigh the cards.",
        "Looms gain 5 and 3 hours, respectively.",
    ],
)
def test_what_still_leans_is_known_to(said: str) -> None:
    form = form_of(said)
    assert form.leaning
    assert costs(form) > costs(form_of("We propose a loom that reads cards."))


PROPOSED = "We propose CardFlow, a loom with a belt."


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("Our method halves the time that weaving takes.", "CardFlow halves the time that weaving takes."),
        ("It outperforms all looms of the three mills.", "CardFlow outperforms all looms of the three mills."),
        ("Our weavers outperform those of the mills.", "Our weavers outperform those of the mills."),
    ],
)
def test_the_method_is_called_by_its_name_if_it_has_one(said: str, shown: str) -> None:
    assert highlights(f"{PROPOSED} CardFlow reads cards. {said}").result == highlights(f"{PROPOSED} {shown}").result
    assert highlights(f"{PROPOSED} CardFlow is new. {said}").result == shown


def test_a_data_set_is_not_the_name_of_the_method() -> None:
    shown = highlights(
        "We introduce LoomSet, a dataset of looms. LoomSet has 900 looms. Our method outperforms all others."
    )
    assert shown.result == "We outperform all others."


def test_it_is_the_paper_after_a_sentence_about_the_paper() -> None:
    shown = highlights("This article is about looms. It presents a belt that never ends. It is made of wool.")
    assert shown.idea == "We present a belt that never ends."


LONG = [
    (
        "We propose a loom that reads its cards from an endless belt, which is made of two layers, one of "
        "which is for the "
        "warp and the other of which is for the weft and its many threads.",
        "We propose a loom that reads its cards from an endless belt, which is made of two layers.",
    ),
    (
        "Experiments on looms of three mills, each with many weavers and a long history of its own, "
        "demonstrate that the belt "
        "outperforms all cards by a wide margin in each of the nine patterns that were woven.",
        "The belt outperforms all cards by a wide margin in each of the nine patterns that were woven.",
    ),
    (
        "The belt (which was found in the attic of an old mill by a weaver who was looking for something "
        "else) outperforms "
        "all cards that are made of paper, iron or wood in each of the nine patterns.",
        "The belt outperforms all cards that are made of paper, iron or wood in each of the nine patterns.",
    ),
    (
        "We find: (1) belts of wool are the first to wear out in mills that are heated by steam; (2) belts "
        "of cotton last for "
        "nine years if they are oiled; (3) belts of iron are loud.",
        "Belts of wool are the first to wear out in mills that are heated by steam.",
    ),
]


@pytest.mark.parametrize(("said", "shown"), LONG)
def test_a_long_sentence_is_cut_at_a_clause(said: str, shown: str) -> None:
    assert len(said.split()) > MOST_WORDS
    assert form_of(said).text == shown


ENDLESS = (
    "the belt reads its cards twice as fast as any other belt that was built by the weavers of this valley in the "
    "hundred years before the great fire"
)


@pytest.mark.parametrize(
    "condition",
    [
        "For looms with fewer than nine pedals",
        "When the yarn is wet",
        "Assuming that the yarn is dry",
        "Under a mild assumption on the threads",
        "By weighing each card twice",
        "On old looms",
        "In our evaluation of nine looms",
    ],
)
def test_a_condition_is_not_cut_from_a_long_sentence(condition: str) -> None:
    before = form_of(f"{condition}, {ENDLESS}.")
    assert before.text.startswith(f"{condition}, the belt reads its cards twice")


@pytest.mark.parametrize(
    "freely",
    [
        "In extensive experiments",
        "In our framework",
        "Unlike looms with pedals",
        "While the looms of old are loud",
        "Despite its age",
    ],
)
def test_a_contrast_in_front_may_be_cut_from_a_long_sentence(freely: str) -> None:
    assert form_of(f"{freely}, {ENDLESS}.").text.startswith("The belt reads its cards twice")


@pytest.mark.parametrize(
    "tail", ["provided that the yarn is dry", "if the yarn is dry", "while cards outlast it in two of nine patterns"]
)
def test_a_condition_or_contrast_is_not_cut_from_the_end(tail: str) -> None:
    said = (
        "The belt outlasts all cards that are made of paper, iron or wood and that were woven by the hands of weavers "
        f"before the great fire, {tail}."
    )
    assert form_of(said.replace(", " + tail, ", which was a long time ago")).text.endswith("great fire.")
    assert form_of(said).text == said


def test_what_says_which_is_not_cut_from_the_end() -> None:
    said = (
        "The belt outlasts all cards that are made of paper, iron or wood and that were woven by the hands of weavers "
        "before the great fire where the loom that holds it pulls."
    )
    assert len(said.split()) > 30
    assert form_of(said).text == said


def test_what_an_aside_interrupts_is_not_cut_before_what_comes_behind_it() -> None:
    said = (
        "We propose weaving - the crossing of two threads in a pattern - as a way to teach children how to count "
        "because it avoids the dust of chalk, the noise of slates and the high price of paper and of ink."
    )
    assert form_of(said).text.startswith("We propose weaving - the crossing of two threads in a pattern - as a way to")


def test_a_long_sentence_without_a_boundary_stays_whole_and_another_is_preferred() -> None:
    long = f"We propose {'very ' * 150}good looms that read cards."
    assert form_of(long).text == long
    assert highlights(f"{long} We introduce a belt that never ends. The belt is fast.").idea == (
        "We introduce a belt that never ends."
    )


WORDS = [
    "we", "We", "our method", "this", "these issues", "such a", "that", "which", "show", "propose", "is", "improves",
    "by", "to address", "in this paper", ",", ";", ":", "and", "(1)", "(a)", "However", "CardFlow", "looms", "cards",
    "-", "—", "both", "not only", "experiments", "using", "ß", "“", "”", "(", ")",
]  # fmt: skip


@given(st.lists(st.sampled_from(WORDS), min_size=1, max_size=60))
def test_any_form_is_no_longer_than_the_sentence_and_stays_as_it_is(words: list[str]) -> None:
    said = " ".join(words) + "."
    form = form_of(said)
    assert 0 < len(form.text) <= len(said)
    assert form.words == len(form.text.split())
    assert form.leaning == leans(form.text)
    letters = {word.strip(".,;:()-—“”").lower() for word in form.text.split()} - {"can", "we", "ours", "the", "a", "an"}
    assert all(
        any(word in one.lower() or one.lower()[:4] in word for one in words) for word in letters if len(word) > 3
    )
