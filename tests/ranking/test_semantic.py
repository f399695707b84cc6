"""Ranking by meaning, with a real sentence model."""

import gzip
import json
import sys
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from newsletter.model import Interest, Paper, PaperRef
from newsletter.ranking.encoder import Encoder, encoder_at
from newsletter.ranking.explain import meaning_part, term_parts
from newsletter.ranking.index import Index, make_index, make_segment
from newsletter.ranking.meaning import Encodings, directions, encodings_of, fit_meaning, to_bytes
from newsletter.ranking.profile import MEANING_WEIGHT, WeightedInterest, make_profiles, meaning_scores
from newsletter.ranking.scoring import content_matches, gather, make_candidates
from newsletter.ranking.sparse import row_of
from newsletter.ranking.tfidf import fit, paper_text, title_once
from newsletter.services.demo import SAMPLE_PAPERS
from tests.helpers.newsletter import Newsletter
from tests.helpers.sentence_model import MODEL, SETTINGS, SHA256, TOKENIZER

BABIES = "Analgesia in preterm neonates"
ABSTRACT = "Opioids and sucrose were given before heel lancing; infants cried less."


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return encoder_at(MODEL, "model", TOKENIZER, SHA256)


def index_with_meaning(papers: list[Paper], encoder: Encoder) -> Index:
    model = fit(paper_text(paper) for paper in papers)
    assert model is not None
    rows = np.array([paper.row for paper in papers])
    vectors = to_bytes(encoder.encode([title_once(paper_text(paper)) for paper in papers]))
    return replace(
        make_index(model, (make_segment(model, papers),)), meaning=fit_meaning(encoder, [Encodings(rows, vectors)])
    )


def sample_papers() -> list[Paper]:
    read = [json.loads(line) for line in SAMPLE_PAPERS.read_text().splitlines()[:60]]
    return [Paper(title=row["title"], abstract=row["abstract"], row=number) for number, row in enumerate(read, 1)]


def hospital(newsletter: Newsletter) -> None:
    """The sample papers, and one that shares no word with how a reader would ask for it."""
    newsletter.with_sample()
    (newsletter.folder / "babies.jsonl").write_text(json.dumps({"title": BABIES, "abstract": ABSTRACT}))
    newsletter.run("import", "babies.jsonl")


def rank(newsletter: Newsletter, interests: str) -> list[dict]:
    newsletter.subscriber("ada", f"email: ada@example.org\ninterests:\n  - {interests}\n")
    return newsletter.run("rank", "ada@example.org", "--json").rows


def test_texts_of_similar_meaning_are_close_whatever_their_words(encoder: Encoder) -> None:
    one, same, other = encoder.encode(["pain relief for newborn babies", BABIES, "stock markets and inflation"])
    assert one @ same > one @ other + 0.3
    assert np.linalg.norm(one) == pytest.approx(1, abs=1e-3)
    # A text's vector depends on nothing else that is encoded, and only its first words count.
    assert np.array_equal(encoder.encode([BABIES])[0], same)
    assert encoder.encode([]).shape == (0, encoder.width)
    long = "word " * 5_000
    assert np.array_equal(*encoder.encode([long, f"{long} pain"]))


def test_encodings_in_bytes_keep_their_direction(encoder: Encoder) -> None:
    vectors = encoder.encode([BABIES, "stock markets", ""])
    kept = to_bytes(vectors)
    assert (kept.dtype, kept.nbytes) == (np.int8, 3 * 384)
    assert np.einsum("ij,ij->i", directions(kept), vectors) == pytest.approx([1, 1, 1], abs=1e-3)
    assert not to_bytes(np.zeros((1, 4))).any()


def test_the_later_encoding_of_a_paper_counts() -> None:
    first = Encodings(np.array([1, 3]), np.array([[1, 1], [3, 3]], dtype=np.int8))
    second = Encodings(np.array([3, 4]), np.array([[9, 9], [4, 4]], dtype=np.int8))
    found = encodings_of([first, second], np.array([4, 3, 2, 1]), 2)
    assert found.tolist() == [[4, 4], [9, 9], [0, 0], [1, 1]]


def test_a_paper_without_a_word_in_common_is_found_and_the_reason_says_why(newsletter: Newsletter) -> None:
    hospital(newsletter)
    asked = "pain relief for newborn babies"
    assert BABIES not in [row["title"] for row in rank(newsletter, asked)]
    newsletter.configure(ranking={"semantic": SETTINGS})
    first = rank(newsletter, asked)[0]
    assert (first["title"], first["because"]) == (BABIES, "close in meaning to what you describe")
    # As sure as if it had all that was asked for.
    assert first["score"] > 0.4


def test_what_is_close_to_a_liked_paper_names_it(newsletter: Newsletter) -> None:
    hospital(newsletter)
    liked = {"title": "Pain relief for newborn babies", "abstract": "How nurses soothe a newborn baby."}
    (newsletter.folder / "liked.jsonl").write_text(json.dumps(liked))
    newsletter.run("import", "liked.jsonl")
    newsletter.configure(ranking={"semantic": SETTINGS, "min_score": 0.05})
    first = rank(newsletter, f'{{name: Babies, liked: ["{liked["title"]}"]}}')[0]
    assert (first["title"], first["because"]) == (BABIES, "close in meaning to “Pain relief for newborn babies”")


def test_turned_off_again_it_ranks_as_before(newsletter: Newsletter) -> None:
    hospital(newsletter)
    asked = "multi-objective reinforcement learning"
    before = rank(newsletter, asked)
    plain = (newsletter.folder / "config.yaml").read_text()
    newsletter.configure(ranking={"semantic": SETTINGS})
    assert [row["score"] for row in rank(newsletter, asked)] != [row["score"] for row in before]
    (newsletter.folder / "config.yaml").write_text(plain)
    assert rank(newsletter, asked) == before


def test_disliked_papers_push_what_is_close_to_them_down_and_raise_nothing(encoder: Encoder) -> None:
    titles = [BABIES, "Pain in newborn babies", "Soothing infants before injections", "Bond markets", "Looms"]
    papers = [Paper(title=title, abstract="", row=row) for row, title in enumerate(titles, 1)]
    index = index_with_meaning(papers, encoder)
    liked, disliked = (((PaperRef(row, str(row), titles[row - 1]), 1.0),) for row in (2, 1))
    interest = Interest(name="x")
    profiles = make_profiles(index, [WeightedInterest(interest, liked), WeightedInterest(interest, liked, disliked)])
    rows, meaning = np.arange(2), index.meaning_of(index.encodings(np.arange(1, 6)))
    wanted, both = meaning_scores(profiles, rows, meaning)
    assert both[0] < wanted[0] - 0.2
    assert (both <= wanted).all()
    # Nor does what papers are compared with change.
    assert all(len({*values}) == 1 for values in profiles.by_meaning)


def test_scores_do_not_depend_on_what_is_ranked_together(encoder: Encoder) -> None:
    index = index_with_meaning(sample_papers(), encoder)
    liked = tuple((PaperRef(row, str(row), ""), weight) for row, weight in ((4, 1.0), (41, 0.3)))
    disliked = ((PaperRef(7, "7", ""), 0.7),)
    wanted = [
        WeightedInterest(Interest(name="", text="robust preference learning"), liked, disliked),
        *(WeightedInterest(Interest(name="", text=f"robots {number}"), liked[:1]) for number in range(40)),
    ]
    rows = np.arange(1, 61)
    together = content_matches(index, make_profiles(index, wanted), index.matrix(rows))
    alone = content_matches(index, make_profiles(index, wanted[:1]), index.matrix(rows[10:23]))
    assert np.array_equal(alone[0], together[0, 10:23])


def test_the_parts_add_up_to_the_score(encoder: Encoder) -> None:
    papers = sample_papers()
    index = index_with_meaning(papers, encoder)
    candidates = make_candidates(index, papers, date(2025, 11, 28), 3.0)
    liked = ((PaperRef(4, "4", papers[3].title), 1.0), (PaperRef(41, "41", papers[40].title), 0.25))
    interest = Interest(name="x", text="robust preference learning", keywords={"diffusion model": 2.0})
    profiles = make_profiles(index, [WeightedInterest(interest, liked), WeightedInterest(interest)])
    weights = (1, profiles.topics_weight, MEANING_WEIGHT)
    spreads = (profiles.by_terms, profiles.by_topics, profiles.by_meaning)
    usual = sum(weight * one.mean / one.deviation for weight, one in zip(weights, spreads, strict=True))
    rows, places, evidence = gather(index, profiles, candidates.paper_matrix, least=-np.inf)
    assert {*rows.tolist()} == {0, 1}
    meaning = index.meaning_of(candidates.paper_matrix.meaning)
    for row, place, total in zip(rows, places, evidence.total, strict=True):
        vector, factor = row_of(candidates.paper_matrix.vectors, place), candidates.paper_matrix.factor[place]
        parts = term_parts(index.model, profiles, row, vector, factor).sum()
        assert parts + meaning_part(profiles, row, meaning[place]) - usual[row] == pytest.approx(total, abs=1e-2)


def test_evaluate_ranks_by_meaning_too(newsletter: Newsletter, tmp_path: Path) -> None:
    titles = [BABIES, *(f"Looms and the number {number} of relief" for number in range(30))]
    lines = [json.dumps({"id": str(place), "title": title, "abstract": ""}) for place, title in enumerate(titles)]
    with gzip.open(tmp_path / "papers.jsonl.gz", "wt") as file:
        file.write("\n".join(lines))
    asked = {"interest": "1", "text": "pain relief for newborn babies", "relevant": ["0"]}
    (tmp_path / "interests.jsonl").write_text(json.dumps(asked))
    model = ("--semantic", MODEL, "--tokenizer", TOKENIZER)
    assert newsletter.run("evaluate", tmp_path, "--json").rows[0]["nDCG@10"]["mean"] == 0
    assert newsletter.run("evaluate", tmp_path, *model, "--json").rows[0]["nDCG@10"]["mean"] == 1
    (row,) = newsletter.run("evaluate", tmp_path, *model, "--against", tmp_path, "--json").rows
    assert row["candidates"] == 31
    assert "missing: No such file" in newsletter.run("evaluate", tmp_path, "--semantic", "missing", code=2).err


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"model": "models/missing.onnx"}, "missing.onnx: No such file or directory"),
        ({"tokenizer": "missing.json"}, "missing.json: No such file or directory"),
        ({"sha256": "0" * 64}, f"has the SHA-256 checksum {SHA256}, not {'0' * 64}"),
        ({"sha256": "abc"}, "ranking.semantic.sha256"),
        ({"model": "text.onnx"}, "text.onnx: not a sentence model in ONNX format"),
        ({"tokenizer": "text.onnx"}, "text.onnx: not a tokenizer.json"),
        ({"model": "someone/model"}, "write the SHA-256 checksum of its file onnx/model.onnx"),
        ({"modell": "x"}, "did you mean 'model'?"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(newsletter: Newsletter, change: dict, problem: str) -> None:
    newsletter.with_sample()
    (newsletter.folder / "text.onnx").write_text("This is text.")
    newsletter.configure(ranking={"semantic": {**SETTINGS, **change}})
    ran = newsletter.run("index", code=2)
    assert problem in ran.err
    assert len(ran.err.splitlines()) == 1


@pytest.mark.parametrize("missing", ["onnxruntime", "tokenizers"])
def test_without_the_extra_the_error_says_how_to_install_it(
    newsletter: Newsletter, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    newsletter.with_sample()
    newsletter.configure(ranking={"semantic": SETTINGS})
    # Python treats a module with this entry as one that is not installed.
    monkeypatch.setitem(sys.modules, missing, None)
    assert f"needs {missing}; run: pip install 'newsletter[semantic]'" in newsletter.run("index", code=2).err


def test_unless_it_is_configured_nothing_of_the_extra_is_imported(newsletter: Newsletter, tmp_path: Path) -> None:
    newsletter.with_sample()
    newsletter.subscriber("ada", "email: ada@example.org\ninterests: [energy-based models]\n")
    for name in ("onnxruntime", "tokenizers", "huggingface_hub"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('was imported')")
    process = newsletter.start("rank", "ada@example.org", PYTHONPATH=str(tmp_path))
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert "was imported" not in out + err
