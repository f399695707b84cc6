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
