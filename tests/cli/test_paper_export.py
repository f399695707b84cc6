"""`newsletter papers export`: which papers, in which format, and where to."""

import json
import stat

import pybtex.database
import pytest

from tests.helpers.newsletter import Newsletter
from tests.helpers.web import links_of, path_of, row_of, serving, site_client


@pytest.fixture
def held(newsletter: Newsletter) -> Newsletter:
    papers = (
        {"title": "Looms", "arxiv_id": "2511.00001", "listed_on": "2025-11-20", "categories": ["cs.LG"]},
        {"title": "Sails", "doi": "10.1000/sails", "listed_on": "2025-11-25"},
        {"title": "Kites", "listed_on": "2025-11-26"},
    )
    (newsletter.folder / "papers.jsonl").write_text("\n".join(map(json.dumps, papers)))
    newsletter.run("import", "papers.jsonl")
    return newsletter


def titles(text: str) -> list[str]:
    return [one["title"] for one in json.loads(text)]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ((), ["Kites", "Sails", "Looms"]),
        (("--since", "2025-11-25"), ["Kites", "Sails"]),
        (("--until", "2025-11-25", "--title", "sail"), ["Sails"]),
        (("--category", "cs.LG"), ["Looms"]),
        (("--source", "file:none.jsonl"), []),
    ],
)
def test_filters_choose_the_papers(held: Newsletter, options: tuple[str, ...], expected: list[str]) -> None:
    assert titles(held.run("papers", "export", "--format", "csljson", *options).out) == expected


def test_a_file_has_the_format_of_its_name_or_the_one_asked_for(held: Newsletter) -> None:
    assert held.run("papers", "export", "-o", "all.bib").out == "Written to all.bib.\n"
    text = (held.folder / "all.bib").read_text()
    entries = pybtex.database.parse_string(text, "bibtex").entries
    assert {key: entry.type for key, entry in entries.items() if not key.startswith("t-")} == {
        "10.1000/sails": "article",
        "2511.00001": "misc",
    }
    held.run("papers", "export", "-o", "ALL.JSON")
    assert len(titles((held.folder / "ALL.JSON").read_text())) == 3
    held.run("papers", "export", "-o", "list.txt", "--format", "ris")
    assert (held.folder / "list.txt").read_bytes().count(b"\r\nER  - ") == 3
    assert held.run("papers", "export", "--format", "bibtex").out == text


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ((), "--format: missing; use bibtex, ris or csljson"),
        (("--format", "bibtx"), "--format: 'bibtx' is not a format; did you mean 'bibtex'?"),
        (("-o", "list.txt"), "--output: list.txt: unknown file type; name it .bib, .ris or .json, or add --format"),
        (("-o", "a.bib", "--saved", "bob@example.org"), "'bob@example.org' is not a subscriber"),
        (("-o", "a.bib", "--since", "soon"), "--since: "),
    ],
)
def test_what_is_wrong_is_told_before_anything_is_written(
    held: Newsletter, options: tuple[str, ...], said: str
) -> None:
    assert said in held.run("papers", "export", *options, code=2).err
    assert not (held.folder / "a.bib").exists()


@pytest.mark.both_stores
def test_a_readers_list_is_exported_to_a_file_for_nobody_else(held: Newsletter, reader: str) -> None:
    held.run("subscribers", "list")
    row = row_of(held, reader)
    for number, paper in enumerate((2, 1), 10):
        with serving(held, f"2025-11-28T{number}:00") as where, site_client(where) as client:
            client.post(path_of(links_of(held).save_url(row, paper)))
    held.run("papers", "export", "--saved", reader, "-o", "own.json")
    path = held.folder / "own.json"
    assert titles(path.read_text()) == ["Looms", "Sails"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    some = held.run("papers", "export", "--saved", reader, "--since", "2025-11-25", "--format", "csljson")
    assert titles(some.out) == ["Sails"]
