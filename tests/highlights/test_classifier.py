"""The two sentences: whole, in order, and the right ones where a reader has no doubt."""

from pathlib import Path
from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.errors import UserError
from newsletter.highlights.classifier import LONGEST, WEIGHTS, Highlights, highlights, read_model
from newsletter.highlights.markup import has_debris
from newsletter.highlights.standalone import form_of

LOOM = (
    "Weaving patterns by hand is slow, and looms that read cards are costly.",
    "Existing looms need a person who changes the cards.",
    "In this paper, we propose CardFlow, a loom that reads its cards from an endless belt.",
    "The belt is made of two layers, one for the warp and one for the weft.",
    "Extensive experiments on three mills show that CardFlow outperforms the state of the art by 12%.",
    "Code is available at https://example.org/cardflow.",
)
STARS = (
    "The orbits of comets are known from few observations.",
    "Unfortunately, classical methods fail when fewer than three of these are given.",
    "To address this, we introduce a simple method that borrows observations from comets with similar orbits.",
    "Specifically, it weighs each by its distance.",
    "We also discuss where the weights come from.",
    "Our results demonstrate that the error is reduced significantly on all 40 comets of the catalogue.",
)
ENGINES = (
    "Steam engines lose heat through their walls.",
    "Here we study a wall that is filled with cork, a material that has not been considered before.",
    "We find that it loses half as much heat, and that it lasts as long.",
)


SHOWN = {
    LOOM[2]: "We propose CardFlow, a loom that reads its cards from an endless belt.",
    STARS[2]: "We introduce a simple method that borrows observations from comets with similar orbits.",
    STARS[5]: "The error is reduced significantly on all 40 comets of the catalogue.",
    ENGINES[1]: "We study a wall that is filled with cork, a material that has not been considered before.",
}


@pytest.mark.parametrize(
    ("said", "idea", "result"),
    [(LOOM, 2, 4), (STARS, 2, 5), (ENGINES, 1, 2), (ENGINES[1:], 0, 1), (LOOM[2:3], 0, None)],
)
@pytest.mark.parametrize("model", [" ", "\n  "])
def test_the_idea_and_the_result_are_found(said: tuple[str, ...], idea: int, result: int | None, model: str) -> None:
    shown = [SHOWN.get(sentence, sentence) for sentence in said]
    expected = Highlights(shown[idea], None if result is None else shown[result])
    assert highlights(model.join(said).replace(" a ", f"{model}a ")) == expected


SENTENCES = st.sampled_from(
    (*LOOM, *STARS, *ENGINES, "It is cut off here…", "No stop here", "我们提出一种方法。", "A" * 2000 + ".")
)
DEBRIS = st.sampled_from(
    ["2.5times", "x_{i", "a^*", "\\alpha", "{", "}", "$", "`", "<sub>", "</i>", "&amp;", "&&amp;", "**", "_a_",
     "approx5", "^", "\\", " ", ".", "?", "We show", "a"]
)  # fmt: skip


@given(st.one_of(st.lists(SENTENCES).map(" ".join), st.text(), st.lists(DEBRIS).map("".join)))
def test_whatever_the_text_each_is_short_clean_and_something(abstract: str) -> None:
    chosen = highlights(abstract)
    assert chosen.idea is not None or chosen.result is None
    for text in (chosen.idea, chosen.result):
        if text is not None:
            assert text == " ".join(text.split()) != ""
            assert len(text) <= len(abstract)
            assert not has_debris(text)
            assert "?" not in text


@given(st.lists(st.sampled_from((*LOOM, *STARS, *ENGINES)), min_size=2, unique=True))
def test_the_idea_comes_before_the_result(said: list[str]) -> None:
    chosen = highlights(" ".join(said))
    forms = [form_of(sentence).text for sentence in said]
    assert chosen.idea in forms
    assert chosen.result is None or forms.index(chosen.idea or "") < forms.index(chosen.result)


@pytest.mark.parametrize(
    "never",
    [
        "Can a loom read its cards from an endless belt?",
        "Code is available at https://example.org/cardflow.",
        "We will release our code and models.",
        "The datasets and the code can be found at example.org/cardflow.",
        "Figure 1 shows how our method outperforms all others.",
    ],
)
def test_questions_notices_and_figures_are_never_shown(never: str) -> None:
    assert highlights(never) == Highlights(None, None)
    chosen = highlights(f"We propose a loom that reads cards. {never} It is fast.")
    assert never not in (chosen.idea, chosen.result)
    assert chosen.idea == "We propose a loom that reads cards."


HOSTILE = ["We show that ", "this ", "(", "a, ", "and that ", "which is, ", "To address this, we ", "called X1 X1 is "]
HOSTILE += ["<a", "&", "\\", "(1) ", "propose A1, "]


@pytest.mark.parametrize("piece", HOSTILE)
def test_the_time_is_bounded_for_the_longest_abstract(piece: str) -> None:
    for text in (piece * (10_000 // len(piece)), (piece * (800 // len(piece)) + ". ") * 12):
        start = process_time()
        highlights(text)
        assert process_time() - start < 5


def test_what_is_cut_off_or_fills_a_page_is_chosen_only_when_there_is_no_other() -> None:
    cut, long = "We propose a loom, and experiments show that it outpe…", f"We propose {'a loom and ' * 90}a mill."
    assert len(long) > LONGEST
    assert highlights(f"{long} {ENGINES[0]} {cut}") == Highlights(ENGINES[0], None)
    assert highlights(f"{long} {cut}") == Highlights(long, None)
    assert highlights("We propose a loom") == Highlights("We propose a loom", None)
    assert highlights(cut) == highlights(" \n ") == highlights("") == Highlights(None, None)


def test_the_weights_fit_this_version() -> None:
    model = read_model(WEIGHTS)
    assert len(model.words) > 500
    assert model.weights.any(axis=0).all()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, "weights.json: No such file or directory"),
        ("{", "weights.json: not a file of weights; pass one written by 'newsletter highlights train'"),
        ("[]", "weights.json: not a file of weights"),
        ('{"words": [], "idea": ["a"], "result": [1]}', "weights.json: not a file of weights"),
        (
            '{"words": ["a"], "idea": [1], "result": [1]}',
            "weights.json: these weights are from another version; train them again",
        ),
    ],
)
def test_other_files_are_refused(tmp_path: Path, text: str | None, expected: str) -> None:
    path = tmp_path / "weights.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(UserError) as caught:
        read_model(path)
    assert expected in str(caught.value)
