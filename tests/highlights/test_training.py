"""Training and measuring the choice of sentences, through the commands."""

import gzip
import json
from pathlib import Path

import numpy as np
import pytest

from newsletter.highlights.classifier import WEIGHTS, choose, read_model
from newsletter.highlights.dataset import read_labelled, right, shares
from newsletter.highlights.evaluation import plain_choices
from tests.helpers.newsletter import Newsletter

THINGS = ["looms", "mills", "engines", "cards", "comets", "orbits", "wheels", "boilers", "belts", "pumps", "ships"]
BACKGROUND = ("{} have been built for a century.", "Many makers of {} fail for lack of money.", "{} are everywhere.")
IDEA = ("We propose to build {} of brass.", "This paper introduces {} that repair themselves.")
DETAIL = ("Each part of the {} is cast twice.", "The {} are then painted.", "A third step turns the {} round.")
RESULT = ("Experiments show that our {} outperform all others.", "Our {} improve on the best ones by 20%.")


def abstract(chance: np.random.Generator) -> dict:
    """An abstract of which the idea and the result are marked, each in a part of its sentence."""
    roles = [BACKGROUND] * int(chance.integers(0, 4)) + [IDEA] + [DETAIL] * int(chance.integers(0, 3)) + [RESULT]
    roles += [DETAIL] * int(chance.integers(0, 2))
    text, spans = "", []
    for role in roles:
        sentence = str(chance.choice(role)).format(chance.choice(THINGS))
        if role in (IDEA, RESULT):
            begin = len(text) + sentence.index(" ") + 1
            spans.append([begin, len(text) + len(sentence) - 1, "idea" if role is IDEA else "result"])
        text += sentence + " "
    return {"abstract": text.strip(), "spans": spans, "arxiv_id": "2501.00001"}


@pytest.fixture
def labelled(tmp_path: Path) -> Path:
    """Sixty labelled abstracts; the marks of the first are some letters off."""
    chance = np.random.default_rng(3)
    lines = [abstract(chance) for _ in range(60)]
    lines[0]["spans"] = [[start + 2, end + 2, label] for start, end, label in lines[0]["spans"]]
    path = tmp_path / "labelled.jsonl.gz"
    path.write_bytes(gzip.compress("".join(json.dumps(line) + "\n" for line in lines).encode()))
    return path


def test_training_gives_the_same_file_each_time_and_the_model_knows_what_it_learnt(
    newsletter: Newsletter, labelled: Path
) -> None:
    shipped = WEIGHTS.read_bytes()
    ran = newsletter.run("highlights", "train", labelled, "--output", "one.json")
    assert ran.out.startswith("60 abstracts, ")
    assert ran.out.endswith("written to one.json\n")
    plain_file = labelled.with_suffix("")
    plain_file.write_bytes(gzip.decompress(labelled.read_bytes()))
    newsletter.run("highlights", "train", plain_file, "--output", "two.json")
    assert (newsletter.folder / "one.json").read_bytes() == (newsletter.folder / "two.json").read_bytes()
    assert WEIGHTS.read_bytes() == shipped
    model = read_model(newsletter.folder / "one.json")
    learnt = read_labelled(labelled)
    assert all(right(one, "result")[choose(model, one.found)[1] or 0] for one in learnt)
    assert all(right(one, "idea")[chosen[0]] for one, chosen in zip(learnt, plain_choices(learnt, learnt), strict=True))


def test_the_measure_stands_beside_a_plain_regression(newsletter: Newsletter, labelled: Path) -> None:
    rows = newsletter.run("highlights", "evaluate", labelled, "--splits", "2", "--folds", "3", "--json").rows
    assert [(row["label"], row["only_fitting"], row["abstracts"]) for row in rows] == [
        ("idea", False, 60),
        ("idea", True, 59),
        ("result", False, 60),
        ("result", True, 59),
    ]
    for row in rows:
        assert row["best_possible"] == 1.0
        assert row["model"]["mean"] > 0.95
        assert 0.5 < row["plain"]["mean"] <= 1.0
        assert 0 <= row["model"]["deviation"] < 0.1
    table = newsletter.run("highlights", "evaluate", labelled, "--splits", "1", "--folds", "3").out
    assert "matching labels" in table
    assert all(len(line.rstrip()) <= 80 for line in table.splitlines())


def test_a_sentence_is_right_that_overlaps_a_mark_by_more_than_half_of_the_shorter(tmp_path: Path) -> None:
    path = tmp_path / "one.jsonl"
    text = "Looms weave. " + "They are made of brass and wood. " + "Why?"
    spans = [[6, 25, "idea"], [41, 80, "result"], [900, 950, "result"], [30, 20, "problem"]]
    path.write_text(json.dumps({"abstract": text, "spans": spans}) + "\n")
    (one,) = read_labelled(path)
    assert one.found == ["Looms weave.", "They are made of brass and wood.", "Why?"]
    assert not one.fits
    # Of the first mark 6 of 19 characters stand in a sentence of 12, and 12 in the second, of 32.
    assert right(one, "idea").tolist() == [False, True, False]
    assert shares(one, "idea").tolist() == [6 / 18, 12 / 18, 0]
    # Four of four characters; and of the second sentence only 4.
    assert right(one, "result").tolist() == [False, False, True]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("{", ":3: not JSON; each line is one object"),
        ("[]", ":3: the line: is not a mapping"),
        ('{"abstract": "A."}', ":3: spans: missing; add it"),
        ('{"abstract": 7, "spans": []}', ":3: abstract: 7 is not text"),
        (
            '{"abstract": "A.", "spans": [[0, 1, "ideas"]]}',
            ":3: spans.0.2: 'ideas' is not one of problem, task, idea, result",
        ),
        ('{"abstract": "A.", "spans": [[0, 1]]}', ":3: spans.0.2: missing"),
        ('{"abstract": "A.", "spans": [["x", 1, "idea"]]}', ":3: spans.0.0: 'x' is not a whole number"),
    ],
)
def test_a_wrong_line_is_named(newsletter: Newsletter, line: str, expected: str) -> None:
    good = '{"abstract": "A.", "spans": []}'
    (newsletter.folder / "labelled.jsonl").write_text(f"{good}\n\n{line}\n{good}\n")
    ran = newsletter.run("highlights", "train", "labelled.jsonl", "--output", "w.json", code=2)
    assert f"labelled.jsonl{expected}" in ran.err
    assert len(ran.err.splitlines()) == 1
    assert not (newsletter.folder / "w.json").exists()


def test_too_little_to_learn_from_is_told(newsletter: Newsletter, labelled: Path) -> None:
    one = newsletter.folder / "one.jsonl"
    for text, expected in (
        ("", "one.jsonl: no labelled abstracts"),
        ('{"abstract": "Looms weave. They run.", "spans": []}\n', "too little is marked as idea to learn from"),
        ('{"abstract": "", "spans": []}\n', "too little is marked as idea to learn from"),
    ):
        one.write_text(text)
        assert expected in newsletter.run("highlights", "train", one, code=2).err
    assert "--folds: 1 abstracts are too few for 5 folds" in newsletter.run("highlights", "evaluate", one, code=2).err
    (newsletter.folder / "cut.jsonl.gz").write_bytes(labelled.read_bytes()[:-9])
    assert "incomplete gzip file" in newsletter.run("highlights", "train", "cut.jsonl.gz", code=2).err
    assert "No such file" in newsletter.run("highlights", "evaluate", "none.jsonl", code=2).err
