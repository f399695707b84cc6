"""The papers of a library say what its reader likes, and are never sent."""

import json
from dataclasses import replace

import pytest

from newsletter.model import LibraryItem, Paper
from newsletter.services.context import open_context
from newsletter.store import libraries, subscribers, writing
from newsletter.support.clock import frozen_clock, parse_moment
from tests.helpers.newsletter import NOW, Newsletter
from tests.helpers.sentence_model import SETTINGS
from tests.helpers.smtp import Mailbox

GFLOWNETS = "Multi-Objective GFlowNets"
YAML = "email: ada@example.org\ntrending: 0\ninterests: [{name: My papers, file: my.bib}]\n"


def put(newsletter: Newsletter, *papers: Paper, collections: tuple[str, ...] = ()) -> None:
    """Make papers the library of Ada, as a sync does."""
    context = open_context(newsletter.config, frozen_clock(parse_moment(NOW)))
    with writing(context.engine) as connection:
        ada = subscribers.by_email(connection, "ada@example.org")
        assert ada is not None
        library = libraries.ensure(connection, ada.row, "file:my.bib")
        items = [LibraryItem(key=paper.title, paper=paper, collections=collections) for paper in papers]
        libraries.put_items(connection, library.row, items)
        libraries.record_success(connection, library.row, "1", (), context.clock())
    context.engine.dispose()


def titles(newsletter: Newsletter) -> list[str]:
    return [row["title"] for row in newsletter.run("rank", "ada@example.org", "--top", "60", "--json").rows]


def ready(newsletter: Newsletter, yaml: str = YAML) -> None:
    newsletter.with_sample()
    newsletter.subscriber("ada", yaml)
    newsletter.run("subscribers", "list")


PARETO = Paper(
    title="Learning Pareto fronts",
    abstract="Trade-offs between several objectives: we train one policy for all preferences of a user.",
)


def test_a_library_ranks_as_liked_papers_do(newsletter: Newsletter, mail: Mailbox) -> None:
    ready(newsletter, YAML.replace("my.bib}", "my.bib, text: protein folding}"))
    without = titles(newsletter)
    put(newsletter, PARETO)
    assert titles(newsletter)[:3] != without[:3]
    newsletter.run("send")
    (sent,) = newsletter.run("log", "--json").rows
    assert sent["papers"]
    # Ranked again for that edition, after another sync.
    before = titles(newsletter)
    put(newsletter, Paper(title="Robots that grasp", abstract="Robots grasp objects with hands and learn to walk."))
    again = newsletter.run("rank", "ada@example.org", "--edition", sent["edition"], "--top", "60", "--json").rows
    assert [row["title"] for row in again] == before


def test_nobody_is_sent_a_paper_of_their_own_library(newsletter: Newsletter, mail: Mailbox) -> None:
    ready(newsletter, YAML.replace("my.bib}", "my.bib, text: multi-objective GFlowNets and preferences}"))
    shown = titles(newsletter)
    assert GFLOWNETS in shown
    (gflownets,) = [row["id"] for row in newsletter.run("papers", "list", "--title", GFLOWNETS, "--json").rows]
    put(newsletter, Paper(title=f"{GFLOWNETS.upper()}."))
    assert titles(newsletter) and GFLOWNETS not in titles(newsletter)
    newsletter.run("send")
    (sent,) = newsletter.run("log", "--json").rows
    assert gflownets not in [paper["id"] for paper in sent["papers"]]
    why = newsletter.run("rank", "ada@example.org", "--why", GFLOWNETS).out
    assert "library" in why
    found = newsletter.run("papers", "search", GFLOWNETS, "--subscriber", "ada@example.org")
    assert "in your library" in found.out
    rows = newsletter.run("papers", "search", "Pareto", "--subscriber", "ada@example.org", "--json").rows
    assert {row["in_library"] for row in rows} == {True, False}
    # It brings nothing new to anybody: the store has the papers it had.
    assert not newsletter.run("papers", "list", "--title", "Learning Pareto", "--json", code=None).rows


A, B = "10.1000/a", "10.1000/b"


@pytest.mark.parametrize(
    ("held", "stored", "same"),
    [
        # A preprint and its article have two DOIs.
        (
            {"title": "Learning the Pareto fronts", "doi": A},
            {"title": "Learning the Pareto Fronts", "doi": B},
            True,
        ),
        ({"title": "Editorial", "authors": ("Jane Doe",)}, {"title": "Editorial", "authors": ["J. Doe"]}, True),
        ({"title": "Editorial", "authors": ("Jane Doe",)}, {"title": "Editorial", "authors": ["Eve Stone"]}, False),
        ({"title": "Editorial", "doi": A}, {"title": "Editorial", "doi": B}, False),
        ({"title": "Editorial"}, {"title": "Editorial", "doi": B}, True),
        ({"title": "Its old name", "doi": A}, {"title": "Its new name", "doi": A}, True),
    ],
)
def test_a_paper_is_the_same_for_its_reader(newsletter: Newsletter, held: dict, stored: dict, same: bool) -> None:
    (newsletter.folder / "new.jsonl").write_text(json.dumps(stored))
    newsletter.with_sample().run("import", "new.jsonl")
    newsletter.subscriber("ada", YAML.replace("my.bib}", "my.bib, keywords: [looms, editorial, name]}"))
    newsletter.run("subscribers", "list")
    put(newsletter, Paper(**held))
    assert (stored["title"] not in titles(newsletter)) is same


def test_a_digest_is_not_ranked_again_by_a_library_that_changed(newsletter: Newsletter, mail: Mailbox) -> None:
    ready(newsletter, YAML.replace("my.bib}", "my.bib, text: protein folding}"))
    put(newsletter, PARETO)
    newsletter.run("send")
    (sent,) = newsletter.run("log", "--json").rows
    put(newsletter, replace(PARETO, abstract="Something else altogether."))
    said = newsletter.run("rank", "ada@example.org", "--edition", sent["edition"], code=2)
    assert "has changed" in said.err


def test_only_the_collections_that_an_interest_names_count(newsletter: Newsletter) -> None:
    named = "{name: My papers, text: protein folding, zotero: {user: 1, collections: [Papers/*]}}"
    ready(newsletter, f"email: ada@example.org\ntrending: 0\ninterests: [{named}]\n")
    before = titles(newsletter)
    context = open_context(newsletter.config, frozen_clock(parse_moment(NOW)))
    for path, changes in (("Other", False), ("Papers/Pareto", True)):
        with writing(context.engine) as connection:
            ada = subscribers.by_email(connection, "ada@example.org")
            assert ada is not None
            library = libraries.ensure(connection, ada.row, "zotero:user/1")
            item = LibraryItem(key="A", paper=PARETO, collections=(path,))
            libraries.put_items(connection, library.row, [item, replace(item, key="B")])
        assert (titles(newsletter) != before) is changes
    context.engine.dispose()


def test_a_library_is_encoded_once(newsletter: Newsletter) -> None:
    newsletter.configure(ranking={"semantic": SETTINGS})
    papers = [{"title": f"Pareto fronts {number}", "abstract": "Objectives."} for number in range(5)]
    (newsletter.folder / "new.jsonl").write_text("\n".join(map(json.dumps, papers)))
    newsletter.run("import", "new.jsonl")
    newsletter.subscriber("ada", YAML)
    newsletter.run("subscribers", "list")
    put(newsletter, PARETO)
    shown = titles(newsletter)
    context = open_context(newsletter.config, frozen_clock(parse_moment(NOW)))
    with writing(context.engine) as connection:
        (item,) = libraries.items(connection, [1])
        stored = libraries.encodings(connection, [item.row])
    assert stored.keys() == {item.row}
    assert titles(newsletter) == shown
    context.engine.dispose()


def test_who_is_forgotten_leaves_no_library_behind(newsletter: Newsletter) -> None:
    ready(newsletter)
    put(newsletter, PARETO)
    stored = [newsletter.store, newsletter.store.with_name("newsletter.db-wal")]
    assert any(b"Learning Pareto fronts" in path.read_bytes() for path in stored if path.exists())
    newsletter.run("subscribers", "forget", "ada@example.org", "--yes")
    assert not any(b"Learning Pareto fronts" in path.read_bytes() for path in stored if path.exists())
