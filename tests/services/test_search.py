"""Searching the store: by words, by likeness, with filters, and with an index that grows."""

import json
from pathlib import Path

import pytest

from tests.helpers.newsletter import Newsletter


def found(newsletter: Newsletter, *arguments: str) -> list[dict]:
    return newsletter.run("papers", *arguments, "--json").rows


@pytest.mark.parametrize(
    ("words", "title"),
    [
        ("multi-objective reinforcement learning", "multi-objective"),
        ("energy-based models", "energy"),
        ("Pareto front", "pareto"),
    ],
)
def test_words_find_what_is_about_them(newsletter: Newsletter, words: str, title: str) -> None:
    newsletter.with_sample()
    rows = found(newsletter, "search", *words.split(), "--limit", "5")
    assert [row["rank"] for row in rows] == [1, 2, 3, 4, 5]
    assert [row["score"] for row in rows] == sorted((row["score"] for row in rows), reverse=True)
    assert sum(title in row["because"].lower() for row in rows) >= 4


def test_similar_papers_are_found_by_any_name_without_the_paper_itself(newsletter: Newsletter) -> None:
    newsletter.with_sample()
    by_title = found(newsletter, "similar", "Multi-Objective GFlowNets", "--limit", "4")
    assert by_title[0]["title"] != "Multi-Objective GFlowNets"
    assert "objective" in " ".join(row["because"].lower() for row in by_title)
    (paper,) = newsletter.run("papers", "show", "Multi-Objective GFlowNets", "--json").rows
    assert found(newsletter, "similar", paper["id"], "--limit", "4") == by_title
    assert "No paper matches" in newsletter.run("papers", "similar", "No such thing", code=2).err


def test_filters_narrow_what_is_found(newsletter: Newsletter) -> None:
    (newsletter.folder / "more.jsonl").write_text(
        "\n".join(
            json.dumps(
                {
                    "title": f"Looms, part {number}",
                    "abstract": "Weaving looms.",
                    "categories": ["cs.LG"] if number % 2 else ["cs.AI", "Ω.x"],
                    "published": f"2025-11-{number:02}",
                }
            )
            for number in range(1, 21)
        )
    )
    newsletter.run("import", "more.jsonl")
    every = found(newsletter, "search", "looms", "--limit", "50")
    assert len(every) == 20
    odd = found(newsletter, "search", "looms", "--limit", "50", "--category", "CS.lg")
    assert {row["title"] for row in odd} == {f"Looms, part {number}" for number in range(1, 21, 2)}
    assert len(found(newsletter, "search", "looms", "--limit", "50", "--category", "cs.L")) == 0
    assert len(found(newsletter, "search", "looms", "--limit", "50", "--category", "Ω.x")) == 10
    late = found(newsletter, "search", "looms", "--since", "2025-11-19", "--until", "2025-11-20")
    assert {row["day"] for row in late} == {"2025-11-19", "2025-11-20"}
    assert len(found(newsletter, "search", "looms", "--source", "file:more.jsonl", "--limit", "50")) == 20
    assert found(newsletter, "search", "looms", "--source", "arxiv") == []
    assert len(found(newsletter, "list", "--category", "cs.ai")) == 10


def test_a_word_newer_than_the_space_is_found_in_titles(newsletter: Newsletter) -> None:
    newsletter.with_sample()
    found(newsletter, "search", "looms")
    (newsletter.folder / "more.jsonl").write_text('{"title": "QuokkaNet weighs looms", "abstract": "It weighs."}\n')
    newsletter.run("import", "more.jsonl")
    before = json.loads((newsletter.folder / "var" / "index" / "state.json").read_text())
    first = found(newsletter, "search", "quokkanet", "reinforcement", "learning")[0]
    assert (first["title"], first["because"][:9]) == ("QuokkaNet weighs looms", "quokkanet")
    after = json.loads((newsletter.folder / "var" / "index" / "state.json").read_text())
    # One paper more is transformed, and the world not fitted again.
    assert (after["version"], after["held"]) == (before["version"], before["held"] + 1)


def test_what_nobody_wrote_about_finds_nothing(newsletter: Newsletter) -> None:
    assert "No papers yet" in newsletter.run("papers", "search", "looms").out
    newsletter.with_sample()
    assert newsletter.run("papers", "search", "xylophone", "zither").out == "No matching papers.\n"
    assert newsletter.run("papers", "search", "%", "_").out == "No matching papers.\n"


def test_a_changed_text_is_found_by_its_new_words(newsletter: Newsletter) -> None:
    newsletter.with_sample()
    line = {"title": "On cogs", "abstract": "Federated learning of cogs.", "arxiv_id": "2501.00001", "version": 1}
    path = newsletter.folder / "cogs.jsonl"
    path.write_text(json.dumps(line))
    newsletter.run("import", "cogs.jsonl")
    assert "On cogs" in [row["title"] for row in found(newsletter, "search", "federated", "--limit", "40")]
    path.write_text(json.dumps({**line, "abstract": "Energy-based models of cogs.", "version": 2}))
    newsletter.run("import", "cogs.jsonl")
    assert "On cogs" not in [row["title"] for row in found(newsletter, "search", "federated", "--limit", "40")]
    assert "On cogs" in [row["title"] for row in found(newsletter, "search", "energy-based", "--limit", "40")]


@pytest.mark.parametrize("damage", ["space/idf.npy", "base/turned-data.npy", "base/rows.npy", "space/terms.txt"])
def test_a_damaged_index_is_made_again(newsletter: Newsletter, damage: str) -> None:
    newsletter.with_sample()
    before = found(newsletter, "search", "energy")
    (version,) = (path for path in index_folder(newsletter).iterdir() if path.is_dir())
    damaged = version / damage
    damaged.write_bytes(damaged.read_bytes()[: damaged.stat().st_size // 2])
    process = newsletter.start("papers", "search", "energy", "--json")
    out, err = process.communicate(timeout=60)
    assert [json.loads(line) for line in out.splitlines()] == before, err


def test_the_index_of_another_store_is_not_used(newsletter: Newsletter) -> None:
    newsletter.with_sample()
    found(newsletter, "search", "energy")
    for path in (newsletter.folder / "var").glob("newsletter.db*"):
        path.unlink()
    (newsletter.folder / "more.jsonl").write_text('{"title": "Looms", "abstract": "They weave."}\n')
    newsletter.run("import", "more.jsonl")
    assert [row["title"] for row in found(newsletter, "search", "looms")] == ["Looms"]
    assert found(newsletter, "search", "energy") == []


def index_folder(newsletter: Newsletter) -> Path:
    return newsletter.folder / "var" / "index"


LIBRARY = [
    {"title": "Weaving at scale", "abstract": "Looms.", "authors": ["Geoffrey E. Hinton", "Yang Song"]},
    {"title": "Weaving in depth", "abstract": "Looms.", "authors": ["Hinton, G."]},
    {"title": "Weaving twice", "abstract": "Looms.", "authors": ["Grace Hinton"], "arxiv_id": "hep-th/9901001"},
    {"title": "A song of looms", "abstract": "Song lyrics.", "authors": ["Yong Song"], "doi": "10.1101/2025.08.01.12"},
    {"title": "Deep cogs", "abstract": "We teach cogs. A trade-off of\nthe looms is shown.", "arxiv_id": "2402.01310"},
    {"title": "Shallow cogs", "abstract": "Looms of the trade go off.", "authors": ["ATLAS Collaboration"]},
]


@pytest.fixture
def library(newsletter: Newsletter) -> Newsletter:
    newsletter.with_sample()
    (newsletter.folder / "library.jsonl").write_text("".join(json.dumps(line) + "\n" for line in LIBRARY))
    newsletter.run("import", "library.jsonl")
    return newsletter


def titles(newsletter: Newsletter, *words: str) -> list[str]:
    return [row["title"] for row in found(newsletter, "search", *words, "--limit", "30")]


@pytest.mark.parametrize("name", ["Geoffrey Hinton", "hinton, geoffrey", "GEOFFREY E. HINTON"])
def test_an_author_is_found_by_any_spelling_before_papers_with_the_words(library: Newsletter, name: str) -> None:
    first, second, *others = found(library, "search", name, "--limit", "30")
    assert (first["title"], first["score"]) == ("Weaving at scale", 1)
    assert first["because"].startswith("by Geoffrey E. Hinton")
    assert (second["title"], second["score"]) == ("Weaving in depth", 0.5)
    assert second["because"].startswith("possibly by Hinton, G.")
    assert not {"Weaving at scale", "Weaving in depth", "Weaving twice"} & {row["title"] for row in others}


def test_a_family_name_finds_all_its_authors_and_the_word(library: Newsletter) -> None:
    assert set(titles(library, "hinton")) == {"Weaving at scale", "Weaving in depth", "Weaving twice"}
    assert set(titles(library, "Song")) == {"Weaving at scale", "A song of looms"}
    assert titles(library, "Atlas collaboration") == ["Shallow cogs"]
    assert titles(library, "Atlas") == ["Shallow cogs"]


@pytest.mark.parametrize(
    ("identifier", "title"),
    [
        ("2402.01310", "Deep cogs"),
        ("arXiv:2402.01310v2", "Deep cogs"),
        ("https://arxiv.org/pdf/2402.01310v1", "Deep cogs"),
        ("https://doi.org/10.48550/arXiv.2402.01310", "Deep cogs"),
        ("hep-th/9901001", "Weaving twice"),
        ("https://arxiv.org/abs/hep-th/9901001v3", "Weaving twice"),
        ("10.1101/2025.08.01.12", "A song of looms"),
        ("https://doi.org/10.1101/2025.08.01.12", "A song of looms"),
    ],
)
def test_an_identifier_finds_its_paper_alone(library: Newsletter, identifier: str, title: str) -> None:
    assert titles(library, identifier) == [title]
    assert found(library, "search", identifier, "--since", "2030-01-01") == []


def test_an_identifier_that_is_not_stored_finds_nothing(library: Newsletter) -> None:
    assert titles(library, "2402.99999") == []
    assert titles(library, "10.1101/2025.08.01.13") == []


def test_a_phrase_must_occur_word_for_word(library: Newsletter) -> None:
    assert set(titles(library, "trade off looms")) >= {"Deep cogs", "Shallow cogs"}
    found_by_phrase = titles(library, '"trade off" looms')
    assert found_by_phrase[0] == "Deep cogs" and "Shallow cogs" not in found_by_phrase
    assert titles(library, "“Trade-offs of the looms”") == []
    assert titles(library, '"trade-off of the loom"') == ["Deep cogs"]
    assert titles(library, '"deep cogs"') == ["Deep cogs"]
    assert titles(library, '"weaving" "looms" "in"') == ["Weaving in depth"]
    assert titles(library, '"no such phrase"') == []
    assert titles(library, '"looms" Geoffrey Hinton')[:2] == ["Weaving at scale", "Weaving in depth"]
    assert titles(library, '"depth" Geoffrey Hinton')[0] == "Weaving in depth"
    # Of common words alone, which no index has.
    assert titles(library, '"of the"') == []
    assert "Weaving at scale" in titles(library, '"at"')
    assert "Weaving twice" not in titles(library, '"at"')
    # One quotation mark alone is none.
    assert titles(library, 'cogs 3"') == titles(library, "cogs 3")


def test_authors_are_kept_up_with_newer_versions(library: Newsletter) -> None:
    newer = {"title": "Deep cogs", "arxiv_id": "2402.01310", "version": 9, "authors": ["Ada Byron"]}
    for authors, later in ((["Ada Byron"], 8), (["Mary Somerville", "A. Byron"], 9)):
        (library.folder / "newer.jsonl").write_text(json.dumps({**newer, "authors": authors, "version": later}))
        library.run("import", "newer.jsonl")
    assert titles(library, "Mary Somerville") == ["Deep cogs"]
    assert found(library, "search", "Ada Byron")[0]["because"].startswith("possibly by A. Byron")
