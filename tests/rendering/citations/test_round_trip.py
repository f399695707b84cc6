"""Papers written as BibTeX or RIS and read back by the newsletter's own readers: what the format holds is the same."""

import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from newsletter.model import Paper, SkippedPaper
from newsletter.rendering.citations.citation import citation_of
from newsletter.rendering.citations.formats import CitationFormat, write_citations
from newsletter.services.demo import SAMPLE_PAPERS
from newsletter.sources import bibtex, jsonl, ris
from newsletter.sources.text import from_html, paper_link, pdf_link
from newsletter.support.person_names import NameMatch, compare_names, parse_name

READERS: dict[CitationFormat, Callable[[str, str], Iterator[Paper | SkippedPaper]]] = {
    CitationFormat.BIBTEX: bibtex.read_entries,
    CitationFormat.RIS: ris.read_entries,
}


def read_back(format: CitationFormat, *papers: Paper) -> list[Paper]:
    text = "".join(write_citations(format, papers)).replace("\r\n", "\n")
    back = list(READERS[format](text, "back"))
    assert [one for one in back if isinstance(one, SkippedPaper)] == []
    return [one for one in back if isinstance(one, Paper)]


def held(format: CitationFormat, paper: Paper) -> dict[str, Any]:
    """What a format can hold of a paper, as plain text: BibTeX has no days, RIS no categories."""
    cited = citation_of(paper)
    in_bibtex = format is CitationFormat.BIBTEX
    return {
        "title": cited.title,
        "abstract": cited.abstract,
        "venue": cited.venue,
        "doi": cited.doi,
        "arxiv_id": cited.arxiv_id,
        "published": cited.day.replace(day=1) if cited.day and in_bibtex else cited.day,
        "url": cited.url or paper_link(cited.arxiv_id, cited.doi),
        "pdf_url": pdf_link(cited.arxiv_id),
        "keywords": tuple(dict.fromkeys(cited.keywords)),
        "categories": (cited.arxiv_category,) if in_bibtex and cited.arxiv_category else (),
    }


def assert_same(format: CitationFormat, paper: Paper) -> None:
    (back,) = read_back(format, paper)
    wanted = held(format, paper)
    assert {name: composed(getattr(back, name)) for name in wanted} == {
        name: composed(value) for name, value in wanted.items()
    }
    # Names have the given name first, so that of two family names only the last is known to be one.
    # Two authors whose names are the same with the given name first are read as one.
    authors: dict[str, str] = {}
    for author in citation_of(paper).authors:
        authors.setdefault(" ".join(reversed(author.family_first.split(", ", 1))), author.family_first)
    for name, found in zip(authors.values(), back.authors, strict=True):
        assert compare_names(parse_name(name), parse_name(found)) is not NameMatch.NONE


def composed(value: Any) -> Any:
    """Return a value with its texts in composed form, as BibTeX writes them."""
    if isinstance(value, tuple):
        return tuple(map(composed, value))
    return unicodedata.normalize("NFC", value) if isinstance(value, str) else value


@pytest.mark.parametrize("format", READERS)
def test_the_sample_papers_stay_the_same(format: CitationFormat) -> None:
    papers = [one for one in jsonl.read_lines(SAMPLE_PAPERS.read_text(), "sample") if isinstance(one, Paper)]
    assert len(papers) > 100
    for paper in papers:
        assert_same(format, paper)
    assert len(read_back(format, *papers)) == len(papers)


PARTICULAR = Paper(
    title=r"On $\alpha^2$-looms: {GFlowNets} & 5% of “the” ‘Pareto’ front -- R\&D for p < 0.05 in café_ #1",
    abstract="We weave @article{x} -- quickly; n > 5 & more. Œuvres — “quoted”, 强化学习, naïve a^b \\alpha 100% {x}.",
    authors=(
        "Ada Lovelace",
        "van der Maaten, Laurens",
        "Martin Luther King, Jr.",
        "The ATLAS Collaboration",
        "University of California, Berkeley",
        "Barnes and Noble Research",
        "Ludwig van Beethoven",
        "María José García-Pérez",
        "Kurt Gödel III",
        "O’Brien, Pat",
        "李明",
        "G. E. Hinton",
        "Plato",
    ),
    venue="Journal of Looms & Weaving: “Letters”",
    doi="10.1000/a_b(c)<1>2.0;x",
    arxiv_id="hep-th/9901001",
    categories=("hep-th",),
    published=date(2025, 3, 11),
    url="https://example.org/a_b?c=%20d&e=~f#g",
    keywords=("sand, wet", "R&D", "C#", "α-looms", "强化学习", "a b"),
)


@pytest.mark.parametrize("format", READERS)
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"venue": "Proceedings of the 3rd Workshop on Looms, 2025"},
        {"venue": "Proceedings of the National Academy of Sciences"},
        {"venue": None, "doi": "10.1101/2025.08.01.123456", "arxiv_id": None, "categories": ()},
        {"venue": None, "doi": None},
        {"arxiv_id": None, "url": None, "categories": ()},
        {"arxiv_id": None, "doi": None, "url": None, "published": None, "categories": ()},
    ],
)
def test_particular_papers_stay_the_same(format: CitationFormat, changes: dict[str, Any]) -> None:
    assert_same(format, replace(PARTICULAR, **changes))


LINES = st.text(st.characters(max_codepoint=0x9FFF, exclude_categories=["C", "Zl", "Zp"]), max_size=30) | st.text(
    "ab{}\\$%&#_~^@\"'`-<>,=; éßαÅ²“”張\u0301", max_size=30
)
GIVEN = st.sampled_from(["Ada", "Yu.", "G. E.", "José María", "Jean-Luc", "Łukasz", "Ñusta", "J\\'ulia", "An d'Arc"])
FAMILIES = st.sampled_from(
    ["Gödel", "García Pérez", "O'Neil", "van der Berg", "de la Cruz", "Müller-Lüdenscheidt", "Ng"]
)
SUFFIXES = st.sampled_from(["", ", Jr.", ", III"])
ORGANISATIONS = st.sampled_from([
    *("The ATLAS Collaboration", "R&D Team #1", "Institute of Peace and War", "University of X, Y", "李明", "Plato"),
    *("Google {Research}", "50% Society", "Team \"A\""),
])  # fmt: skip
AUTHORS = st.one_of(
    st.builds("{} {}{}".format, GIVEN, FAMILIES, SUFFIXES),
    st.builds("{}, {}{}".format, FAMILIES, GIVEN, SUFFIXES),
    ORGANISATIONS,
)
PAPERS = st.builds(
    Paper,
    title=LINES.map(lambda text: f"T {text}"),
    abstract=LINES,
    # Two authors with one name are read as one.
    authors=st.lists(AUTHORS, max_size=3, unique_by=parse_name).map(tuple),
    venue=st.none() | LINES.map(lambda text: f"J {text}"),
    doi=st.none() | st.from_regex(r"10\.1000/[a-z0-9()<>_#;-]{1,9}[a-z0-9]", fullmatch=True),
    arxiv_id=st.none() | st.sampled_from(["2503.10679", "math/0309136"]),
    published=st.none() | st.dates(date(1900, 1, 1), date(2026, 1, 1)),
    url=st.none() | st.just("https://example.org/a_b?c=%20d&e=~f#g"),
    # In RIS, several keywords in one line have semicolons between them.
    keywords=st.lists(LINES.map(lambda text: text.replace(";", "")), max_size=3).map(tuple),
)


@pytest.mark.parametrize("format", READERS)
@settings(deadline=None, max_examples=100)
@given(PAPERS)
@example(PARTICULAR)
@example(Paper(title="On looms", authors=("Ada García Pérez", "García Pérez, Ada")))
def test_any_paper_stays_the_same(format: CitationFormat, paper: Paper) -> None:
    cited = citation_of(paper)
    # What reads like a tag or an entity of HTML is one in many files, so it is read as one.
    assume(all(from_html(text) == text for text in (cited.title, cited.abstract, cited.venue or "", *cited.keywords)))
    assert_same(format, paper)
