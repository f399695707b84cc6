"""Measuring the ranking: the measures themselves, and the protocol on readers made up for it."""

import gzip
import json
from pathlib import Path

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from newsletter.ranking.evaluate import interval, measure, read_dataset, vendi_score
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
    trial = read_dataset(readers)
    papers = [json.loads(line) for line in gzip.decompress((readers / "papers.jsonl.gz").read_bytes()).splitlines()]
    assert len(trial.new) == sum(paper["fold"] == 0 for paper in papers)
    assert len(trial.old) + len(trial.new) == len(papers)
    first = json.loads((readers / "libraries.jsonl").read_text().splitlines()[0])["papers"]
    fold = {paper["id"]: paper["fold"] for paper in papers}
    assert len(trial.libraries[0]) == sum(fold[name] != 0 for name in first)
    assert len(trial.held_back[0]) == sum(fold[name] == 0 for name in first)


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


def test_the_measures_by_hand() -> None:
    order = np.array([[4, 2, 7, *range(10, 107)], [1, 0, 3, *range(10, 107)]])
    found = measure(order, [np.array([2, 7, 999]), np.array([5])], csr_matrix(np.eye(1000)), 0, 0)
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
