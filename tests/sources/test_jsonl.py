import json
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.model import Paper, SkippedPaper
from newsletter.sources.jsonl import read_lines


def one(**data: Any) -> Paper | SkippedPaper:
    (found,) = read_lines(json.dumps({"title": "One"} | data), "papers.jsonl")
    return found


def test_a_whole_line() -> None:
    assert one(
        id="2508.13426v2",
        abstract="Two\nlines.",
        authors=["Ada Lovelace", " "],
        author_count=7,
        organization="Example",
        published="2025-08-19",
        listed_on="2025-08-20T10:00:00Z",
        upvotes=3,
        comments=0,
        categories=["cs.AI"],
        url="https://x.org/1",
        sources=["elsewhere"],
        code_url="javascript:x",
        code_stars=None,
        keywords=None,
        thumbnail_url="https://x.org/1.png",
        unknown={"a": 1},
    ) == Paper(
        title="One",
        abstract="Two lines.",
        authors=("Ada Lovelace",),
        author_count=7,
        organization="Example",
        arxiv_id="2508.13426",
        version=2,
        published=date(2025, 8, 19),
        listed_on=date(2025, 8, 20),
        categories=("cs.AI",),
        url="https://x.org/1",
        pdf_url="https://arxiv.org/pdf/2508.13426",
        upvotes=3,
        comments=0,
        thumbnail_url="https://x.org/1.png",
    )


@pytest.mark.parametrize(
    ("data", "arxiv_id", "doi", "url"),
    [
        ({"id": "10.1000/XYZ"}, None, "10.1000/xyz", "https://doi.org/10.1000/xyz"),
        ({"id": "t-0123456789ab"}, None, None, None),
        ({"doi": "10.48550/arXiv.2508.13426"}, "2508.13426", None, "https://arxiv.org/abs/2508.13426"),
        ({"arxiv_id": "arXiv:2508.13426", "doi": "10.1/x"}, None, None, None),
        ({"arxiv_id": "2508.13426", "doi": "10.1000/x"}, "2508.13426", "10.1000/x", "https://arxiv.org/abs/2508.13426"),
    ],
)
def test_identifiers(data: dict[str, str], arxiv_id: str | None, doi: str | None, url: str | None) -> None:
    paper = one(**data)
    if data.get("doi") == "10.1/x":
        assert paper == SkippedPaper("papers.jsonl:1", "doi: '10.1/x' is not a DOI")
    else:
        assert isinstance(paper, Paper)
        assert (paper.arxiv_id, paper.doi, paper.url) == (arxiv_id, doi, url)


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("{", "not JSON: expecting property name enclosed in double quotes at column 2"),
        ("[1]", "expected a JSON object, got '[1]'"),
        ("null", "expected a JSON object, got 'null'"),
        ("[" * 100_000, "JSON that cannot be parsed"),
        ('{"title": ' + "1" * 5000 + "}", "JSON that cannot be parsed"),
        ("{}", "title: missing"),
        ('{"title": " \\u0000 "}', "title: is empty, got"),
        ('{"title": 5}', "title: is not text, got '5'"),
        ('{"title": "x", "upvotes": -1}', "upvotes: is too small, got '-1'"),
        ('{"title": "x", "upvotes": 1e30}', "upvotes: "),
        ('{"title": "x", "upvotes": NaN}', "upvotes: "),
        ('{"title": "x", "published": "25.11.2025"}', "published: is not a date like 2025-11-25, got '25.11.2025'"),
        ('{"title": "x", "published": 20251125}', "published: is not a date in quotes"),
        ('{"title": "x", "authors": "Ada"}', "authors: is not a list, got 'Ada'"),
        ('{"title": "x", "authors": [1]}', "authors.0: is not text, got '1'"),
        ('{"title": "x", "arxiv_id": "y"}', "arxiv_id: 'y' is not an arXiv id"),
    ],
)
def test_a_wrong_line_is_told_and_stops_no_other(line: str, why: str) -> None:
    bad, good = read_lines(f'\r\n{line}\r\n\n{{"title": "Good"}}\n', "papers.jsonl")
    assert isinstance(bad, SkippedPaper)
    assert bad.where == "papers.jsonl:2"
    assert bad.why.startswith(why)
    assert good == Paper(title="Good")


VALUES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9) | st.lists(st.text(max_size=5))
KEYS = ["title", "id", "doi", "arxiv_id", "authors", "published", "upvotes", "version", "url", "categories", "keywords"]


@given(st.text(max_size=50) | st.dictionaries(st.sampled_from(KEYS), VALUES).map(json.dumps))
def test_any_text_gives_papers_or_bad_papers(text: str) -> None:
    for paper in read_lines(text, "papers.jsonl"):
        assert isinstance(paper, SkippedPaper) or paper.title


def test_latex_is_decoded_and_entities_stay() -> None:
    paper = one(title="B\\'ezout and &amp;", abstract="$x_1$ at C:\\\\temp", summary="5\\%")
    assert isinstance(paper, Paper)
    assert (paper.title, paper.abstract, paper.summary) == ("Bézout and &amp;", "$x_1$ at C:\\\\temp", "5%")


def test_one_name_stays_as_it_is_written_and_several_are_split() -> None:
    authors = [
        "Feld, Nora",
        ":",
        "Ivo Lang, Mia Roth and Bo Sand",
        "Dr. Cy Reed",
        "University of Sand, Testville",
        "Feld, Nora",
    ]
    paper = one(title="T", authors=authors)
    assert isinstance(paper, Paper)
    assert paper.authors == (
        "Feld, Nora", "Ivo Lang", "Mia Roth", "Bo Sand", "Cy Reed", "University of Sand, Testville"
    )  # fmt: skip
