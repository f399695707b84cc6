"""Measuring the ranking: the measures themselves, and the protocol on readers made up for it."""

import gzip
import json
from pathlib import Path

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from newsletter.evaluation.collections import Words, read_collection
from newsletter.evaluation.evaluate import measure
from newsletter.evaluation.measures import calibration_error, interval, reliability, vendi_score
from tests.helpers.newsletter import Newsletter

SUBJECTS = {
    "looms": "warp weft shuttle cloth thread loom weaving fabric tension pattern",
    "engines": "piston steam boiler crank valve engine pressure wheel brass cog",
    "stars": "orbit comet planet lens telescope star light motion ellipse moon",
}


@pytest.fixture
def readers(tmp_path: Path) -> Path:
    """Three subjects with forty papers each, and readers who like one subject each."""
    chance = np.random.default_rng(1)
    papers, by_subject = [], {name: [] for name in SUBJECTS}
    for number in range(120):
        subject = list(SUBJECTS)[number % 3]
        words = chance.choice(SUBJECTS[subject].split(), 8)
        papers.append(
            {
                "id": f"p{number}",
                "fold": int(chance.integers(5)),
                "title": " ".join(words[:3]),
                "abstract": " ".join(words),
            }
        )
        by_subject[subject].append(f"p{number}")
    with gzip.open(tmp_path / "papers.jsonl.gz", "wt") as file:
        file.writelines(json.dumps(paper) + "\n" for paper in papers)
    libraries = [
        {"reader": f"r{number}", "papers": [str(one) for one in chance.choice(by_subject[subject], 20, replace=False)]}
        for number, subject in enumerate(list(SUBJECTS) * 4)
    ]
    (tmp_path / "libraries.jsonl").write_text("".join(json.dumps(one) + "\n" for one in libraries))
    return tmp_path


def test_readers_of_one_subject_find_its_papers(newsletter: Newsletter, readers: Path) -> None:
    (row,) = newsletter.run("evaluate", readers, "--json").rows
    assert row["readers"] == 12
    # Half of a subject's new papers are in a library, so that a perfect ranker of subjects reaches about so much.
    assert row["nDCG@10"]["mean"] > 0.5
    assert row["recall@100"]["mean"] == 1.0
    assert row["nDCG@10"]["low"] < row["nDCG@10"]["mean"] < row["nDCG@10"]["high"]
    table = newsletter.run("evaluate", readers).out
    assert "nDCG@10" in table
    assert all(len(line.rstrip()) <= 80 for line in table.splitlines())


def test_the_learning_curve_is_a_table_and_a_plot(newsletter: Newsletter, readers: Path) -> None:
    rows = newsletter.run("evaluate", readers, "--learning-curve", "--json").rows
    assert [row["liked"] for row in rows] == [1, 3, 5, 10]
    assert "█" in newsletter.run("evaluate", readers, "--learning-curve").out


def test_the_split_is_as_the_protocol_says(readers: Path) -> None:
    trial = read_collection(readers)
    papers = [json.loads(line) for line in gzip.decompress((readers / "papers.jsonl.gz").read_bytes()).splitlines()]
    assert len(trial.candidates) == sum(paper["fold"] == 0 for paper in papers)
    assert len(trial.store) + len(trial.candidates) == len(papers)
    first = json.loads((readers / "libraries.jsonl").read_text().splitlines()[0])["papers"]
    fold = {paper["id"]: paper["fold"] for paper in papers}
    assert len(trial.questions[0].liked) == sum(fold[name] != 0 for name in first)
    assert len(trial.questions[0].relevant) == sum(fold[name] == 0 for name in first)


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("libraries.jsonl", None, "libraries.jsonl: No such file or directory; pass a folder with"),
        ("libraries.jsonl", "{", "libraries.jsonl:1: not JSON; each line is one object"),
        ("libraries.jsonl", '{"reader": "x"}', "a line is invalid ('papers')"),
        ("libraries.jsonl", '{"reader": "x", "papers": ["nonesuch"]}', "a line is invalid ('nonesuch')"),
        ("libraries.jsonl", '{"reader": "x", "papers": []}', "no reader has three known papers"),
        ("papers.jsonl.gz", "not gzip", "papers.jsonl.gz: Not a gzipped file"),
    ],
)
def test_what_is_wrong_with_a_folder_is_said(
    newsletter: Newsletter, readers: Path, name: str, text: str | None, expected: str
) -> None:
    if text is None:
        (readers / name).unlink()
    else:
        (readers / name).write_text(text)
    assert expected in newsletter.run("evaluate", readers, code=2).err


@pytest.fixture
def judged(tmp_path: Path) -> Path:
    """Three subjects with twenty papers each; somebody has said which ones are about looms and about stars."""
    folder, chance = tmp_path / "judged", np.random.default_rng(2)
    folder.mkdir()
    papers, by_subject = [], {name: [] for name in SUBJECTS}
    for number in range(60):
        subject = list(SUBJECTS)[number % 3]
        words = chance.choice(SUBJECTS[subject].split(), 8)
        papers.append({"id": f"q{number}", "title": " ".join(words[:3]), "abstract": " ".join(words)})
        by_subject[subject].append(f"q{number}")
    interests = [
        {"id": "a", "text": "cloth, weaving on a loom", "relevant": by_subject["looms"]},
        {"id": "b", "text": "comet and planet orbit", "relevant": by_subject["stars"], "among": by_subject["stars"]},
    ]
    with gzip.open(folder / "papers.jsonl.gz", "wt") as file:
        file.writelines(json.dumps(paper) + "\n" for paper in papers)
    (folder / "interests.jsonl").write_text("".join(json.dumps(one) + "\n" for one in interests))
    return folder


def test_judged_interests_find_their_papers(newsletter: Newsletter, judged: Path) -> None:
    (row,) = newsletter.run("evaluate", judged, "--json").rows
    assert row["interests"] == 2
    assert row["candidates"] == 60
    assert row["nDCG@10"]["mean"] > 0.9
    assert 0 < row["precision"] <= 1
    assert 0 < row["found"] <= 1
    assert row["calibration_error"] == pytest.approx(
        sum(one["papers"] * abs(one["match"] - one["relevant"]) for one in row["reliability"])
        / sum(one["papers"] for one in row["reliability"]),
        abs=1e-5,
    )
    table = newsletter.run("evaluate", judged).out
    assert "calibration_error" in table
    assert all(len(line.rstrip()) <= 80 for line in table.splitlines())


def test_a_higher_minimum_shows_fewer_papers(newsletter: Newsletter, judged: Path) -> None:
    rows = [newsletter.run("evaluate", judged, "--json", "--min-score", least).rows[0] for least in ("0", "0.95")]
    assert rows[0]["found"] == 1
    assert rows[1]["found"] < 0.5
    assert rows[0]["nDCG@10"] == rows[1]["nDCG@10"]


def test_examples_are_drawn_from_the_relevant_papers_and_do_not_count(judged: Path) -> None:
    questions = read_collection(judged, liked=3).questions
    assert len(questions) == 60
    assert len({tuple(sorted(one.liked)) for one in questions[:30]}) > 20
    for one in questions:
        assert len(one.liked) == 3
        assert len(one.relevant) == 17
        assert not {*one.liked} & {*one.relevant}
        assert one.among is not None
        assert not {*one.liked} & {*one.among}
    assert [one.liked.tolist() for one in read_collection(judged, liked=3).questions] == [
        one.liked.tolist() for one in questions
    ]


def test_papers_of_another_field_are_not_shown(newsletter: Newsletter, readers: Path, judged: Path) -> None:
    others = judged.parent / "others"
    others.mkdir()
    with gzip.open(others / "papers.jsonl.gz", "wt") as file:
        for number in range(400):
            file.write(json.dumps({"id": f"o{number}", "title": f"flour dough {number}", "abstract": "yeast"}) + "\n")
    (row,) = newsletter.run("evaluate", judged, "--against", others, "--json").rows
    assert row["candidates"] == 300
    assert row["shown"] == {"mean": 0, "low": 0, "high": 0}
    # Their own papers are shown, if they come on such a day.
    (own,) = newsletter.run("evaluate", judged, "--against", judged, "--json").rows
    assert own["shown"]["mean"] > 1
    assert "shown" in newsletter.run("evaluate", readers, "--against", others).out


def test_readers_can_be_tried_with_few_examples_or_words(newsletter: Newsletter, readers: Path) -> None:
    for options in (("--liked", "2"), ("--words", "title"), ("--words", "keywords"), ("--fold", "1")):
        (row,) = newsletter.run("evaluate", readers, *options, "--json").rows
        assert row["nDCG@10"]["mean"] > 0.3, options
    collection = read_collection(readers, words=Words.KEYWORDS)
    assert all(len(one.interest.keywords) == 3 and not len(one.liked) for one in collection.questions)
    assert all(len(one.liked) == 2 for one in read_collection(readers, liked=2).questions)


def test_words_are_for_libraries_with_titles(newsletter: Newsletter, readers: Path, judged: Path) -> None:
    assert "--words is for readers' libraries" in newsletter.run("evaluate", judged, "--words", "title", code=2).err
    lines = [json.loads(line) for line in gzip.decompress((readers / "papers.jsonl.gz").read_bytes()).splitlines()]
    with gzip.open(readers / "papers.jsonl.gz", "wt") as file:
        file.writelines(
            json.dumps({"id": one["id"], "fold": one["fold"], "text": one["abstract"]}) + "\n" for one in lines
        )
    assert "have no titles" in newsletter.run("evaluate", readers, "--words", "title", code=2).err


def test_the_calibration_error_by_hand() -> None:
    bins = reliability(np.array([0.95, 0.95, 0.31, 0.35, 1.0]), np.array([1, 0, 0, 0, 1]))
    assert [(one.low, one.papers) for one in bins] == [(0.3, 2), (0.9, 3)]
    assert calibration_error(bins) == pytest.approx((2 * 0.33 + 3 * abs(2.9 / 3 - 2 / 3)) / 5)
    assert calibration_error([]) == 0


def test_the_measures_by_hand() -> None:
    order = np.array([[4, 2, 7, *range(10, 107)], [1, 0, 3, *range(10, 107)]])
    found = measure(order, [np.array([2, 7, 999]), np.array([5])], csr_matrix(np.eye(1000)))
    ideal = 1 + 1 / np.log2(3) + 1 / np.log2(4)
    assert found.ndcg == pytest.approx([(1 / np.log2(3) + 1 / np.log2(4)) / ideal, 0])
    assert found.recall == pytest.approx([2 / 3, 0])
    assert found.mrr == pytest.approx([1 / 2, 0])
    assert found.vendi == pytest.approx([10, 10])


def test_the_vendi_score_counts_what_differs() -> None:
    assert vendi_score(csr_matrix(np.eye(4))) == pytest.approx(4)
    assert vendi_score(csr_matrix(np.ones((4, 3)))) == pytest.approx(1, abs=1e-6)
    assert 1 < vendi_score(csr_matrix([[1.0, 0], [1, 0.5], [0, 1]])) < 3


def test_the_interval_holds_the_mean() -> None:
    low, high = interval(np.array([0.0, 1.0] * 50))
    assert low < 0.5 < high
    assert high - low == pytest.approx(0.2, abs=0.04)
