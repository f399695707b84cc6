"""What each interest finds at present, as the command and the preferences page say."""

import html
import json
import re

import httpx
import pytest

from newsletter.audience.signed_links import TokenPurpose
from tests.helpers.newsletter import Newsletter
from tests.helpers.web import links_of, path_of, row_of, serving, site_client

PAPERS = [
    {
        "title": "Weaving at scale",
        "abstract": "Power looms.",
        "authors": ["Geoffrey E. Hinton"],
        "categories": ["cs.LG"],
    },
    {"title": "Weaving in depth", "abstract": "Looms of power.", "authors": ["Hinton, G."], "categories": ["cs.LG"]},
    {"title": "Weaving twice", "abstract": "Looms.", "authors": ["Grace Hinton", "OpenAI"]},
]
FILE = """\
email: ada@example.org
interests:
  - name: People
    authors: [Hinton, "HINTON, Geoffrey", Geoff Hinton, OpenAI, Nobody Else]
    categories: [cs.lg, cs.LQ]
    keywords: [loom, power looms, xylophone]
    liked: ["2402.99999", Weaving twice]
    disliked: [Unheard of]
  - preference optimization
"""


@pytest.fixture
def library(newsletter: Newsletter) -> Newsletter:
    newsletter.with_sample()
    newsletter.configure(ranking={"max_publication_age_days": 9999})
    (newsletter.folder / "library.jsonl").write_text("".join(json.dumps(paper) + "\n" for paper in PAPERS))
    newsletter.run("import", "library.jsonl")
    newsletter.subscriber("ada", FILE)
    return newsletter


def test_interests_check_says_what_each_part_finds(library: Newsletter) -> None:
    people, optimization = library.run("interests", "check", "ada@example.org", "--json").rows
    found = {one["name"]: (one["papers"], one["possible"], one["near"]) for one in people["authors"]}
    assert found == {
        "Hinton": (0, 0, {"Geoffrey E. Hinton": 1, "Grace Hinton": 1, "Hinton, G.": 1}),
        "HINTON, Geoffrey": (1, 1, {}),
        "Geoff Hinton": (0, 1, {"Geoffrey E. Hinton": 1, "Grace Hinton": 1}),
        "OpenAI": (1, 0, {}),
        "Nobody Else": (0, 0, {}),
    }
    assert people["categories"] == [
        {"name": "cs.lg", "papers": 2, "near": None},
        {"name": "cs.LQ", "papers": 0, "near": "cs.LG"},
    ]
    assert people["keywords"] == {"loom": 3, "power looms": 1, "xylophone": 0}
    assert (people["unknown_liked"], people["unknown_disliked"]) == (["2402.99999"], ["Unheard of"])
    held = len(library.run("papers", "list", "--json").rows)
    assert people["considered"] == optimization["considered"] == held
    rows = library.run("rank", "ada@example.org", "--top", "1000", "--json").rows
    # A paper is ranked for the interest it matches best, but may reach the minimum for both.
    assert optimization["matching"] >= sum(row["interest"] == "preference optimization" for row in rows) > 5
    assert library.run("interests", "check", "ada@example.org", "--json", now="2026-03-01").rows[1]["considered"] == 0


def test_interests_check_speaks_in_sentences_that_fit_a_terminal(library: Newsletter) -> None:
    said = library.run("interests", "check", "ada@example.org").out
    assert max(map(len, said.splitlines()[1:])) <= 80
    sentences = " ".join(said.split())
    for sentence in (
        "0 papers in the store match author Hinton: write the full name. Did you mean Geoffrey E. Hinton (1 paper), ",
        "1 paper in the store matches author HINTON, Geoffrey, and possibly 1 more, with initials or other given ",
        "0 papers in the store match author Nobody Else. ",
        "0 papers in the store are in category cs.LQ. Did you mean cs.LG? ",
        "1 paper in the store contains the words of “power looms”. ",
        "Liked paper “2402.99999” is not in the store, so it has no effect yet. ",
    ):
        assert sentence in sentences


def test_interests_check_reads_the_file_or_else_the_store(library: Newsletter) -> None:
    path = library.folder / "subscribers" / "ada.yaml"
    library.run("subscribers", "list")
    path.write_text("email: ada@example.org\ninterests: [looms]\n")
    assert [row["interest"] for row in library.run("interests", "check", "ada@example.org", "--json").rows] == ["looms"]
    kept = library.run("interests", "show", "ada@example.org", "--json").rows[0]["interests"]
    assert [one["name"] for one in kept] == ["looms"]
    library.run("subscribe", "bob@example.org", "--no-file", "-i", "looms")
    assert [row["interest"] for row in library.run("interests", "check", "bob@example.org", "--json").rows] == ["looms"]
    path.write_text("email: ada@example.org\npapers: none\n")
    assert "ada.yaml:2: papers" in library.run("interests", "check", "ada@example.org", code=2).err
    assert "add the EMAIL" in library.run("interests", "check", "--json", code=2).err


def test_the_preferences_page_says_the_same_of_what_is_saved(library: Newsletter) -> None:
    library.run("subscribers", "list")
    page = path_of(links_of(library).url(TokenPurpose.PREFERENCES, row_of(library, "ada@example.org")))
    said = " ".join(library.run("interests", "check", "ada@example.org").out.split())
    with serving(library) as where, site_client(where) as client:
        shown = findings(client, page)
        assert [name for name, _ in shown] == ["People", "preference optimization"]
        sentences = [sentence for _, own in shown for sentence in own]
        assert len(sentences) > 10
        assert all(sentence in said for sentence in sentences)


def findings(client: httpx.Client, page: str) -> list[tuple[str, list[str]]]:
    lists = re.findall(
        r'<ul class="sub named" aria-label="What (.*?) finds">(.*?)</ul>', client.get(page).text, re.DOTALL
    )
    return [(name, [html.unescape(one) for one in re.findall("<li>(.*?)</li>", own)]) for name, own in lists]
