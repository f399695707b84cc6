"""The two sentences: whole, in order, and the right ones where a reader has no doubt."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.errors import UserError
from newsletter.highlights.classifier import LONGEST, WEIGHTS, Highlights, highlights, read_model
from newsletter.highlights.sentences import sentences

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


@pytest.mark.parametrize(
    ("said", "idea", "result"),
    [(LOOM, 2, 4), (STARS, 2, 5), (ENGINES, 1, 2), (ENGINES[1:], 0, 1), (LOOM[2:3], 0, None)],
)
@pytest.mark.parametrize("model", [" ", "\n  "])
def test_the_idea_and_the_result_are_found(said: tuple[str, ...], idea: int, result: int | None, model: str) -> None:
    expected = Highlights(said[idea], None if result is None else said[result])
    assert highlights(model.join(said).replace(" a ", f"{model}a ")) == expected


SENTENCES = st.sampled_from(
    (*LOOM, *STARS, *ENGINES, "It is cut off here…", "No stop here", "我们提出一种方法。", "A" * 2000 + ".")
)


@given(st.one_of(st.lists(SENTENCES).map(" ".join), st.text()))
def test_each_is_a_whole_sentence_and_the_idea_comes_first(abstract: str) -> None:
    found = [" ".join(piece.split()) for piece in sentences(abstract)]
    chosen = highlights(abstract)
    if chosen.idea is None:
        assert chosen.result is None
        assert all(not sentence or sentence.rstrip("\"'”’»)]}」』）").endswith(("...", "…")) for sentence in found)
    else:
        assert chosen.idea in found
    if chosen.idea is not None and chosen.result is not None:
        assert chosen.result in found[found.index(chosen.idea) + 1 :]


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
