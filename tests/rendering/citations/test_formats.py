"""Citations, read back by other programs' parsers: of the sample papers, through the command, and of any text."""

import json
import unicodedata
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from typing import Any

import pybtex.database
import pytest
import rispy
from bibtexparser.entrypoint import parse_string
from bibtexparser.middlewares import MonthIntMiddleware, SeparateCoAuthors, SplitNameParts
from hypothesis import given
from hypothesis import strategies as st
from pylatexenc.latex2text import LatexNodes2Text

from newsletter.model import Paper
from newsletter.rendering.citations.citation import citation_key, citation_of
from newsletter.rendering.citations.formats import CitationFormat, write_citations
from newsletter.services.demo import SAMPLE_PAPERS
from newsletter.sources.bibtex import read_entries
from newsletter.support.text import to_single_line
from newsletter.web.pages.citation_tags import citation_tags
from tests.helpers.newsletter import Newsletter

LOOMS = Paper(
    id="2503.10679",
    title=r"On $\alpha^2$-looms: GFlowNets & 5% of “the” {Pareto} front",
    authors=("Ada Lovelace", "Maaten, Laurens van der", "Martin King, Jr.", "The ATLAS Collaboration", "Kurt Gödel"),
    author_count=7,
    arxiv_id="2503.10679",
    categories=("cs.LG", "cs.AI"),
    published=date(2025, 3, 11),
    url="https://arxiv.org/abs/2503.10679",
    pdf_url="https://arxiv.org/pdf/2503.10679",
    abstract="We weave @article{x} -- quickly.",
    keywords=("looms", "R&D"),
)


def written(format: CitationFormat, *papers: Paper) -> str:
    return "".join(write_citations(format, papers))


VERBATIM = ("url", "doi", "month", "author")


def bibtex(text: str) -> list[dict[str, Any]]:
    """Read BibTeX with two parsers, which must agree; the fields of each entry, as plain text.

    Authors are tuples of family name, suffix and given names.
    """
    library = parse_string(text, append_middleware=[MonthIntMiddleware(), SeparateCoAuthors(), SplitNameParts()])
    assert library.failed_blocks == []
    others = pybtex.database.parse_string(text, "bibtex").entries
    assert [entry.key for entry in library.entries] == list(others)
    found = []
    for entry in library.entries:
        fields, other = {field.key: field.value for field in entry.fields}, others[entry.key]
        people = fields.pop("author", [])
        assert {name: value for name, value in fields.items() if name != "month"} == {
            name: value for name, value in other.fields.items() if name != "month"
        }
        names = [((*one.von, *one.last), one.jr, one.first) for one in people]
        assert [tuple(map(words, one)) for one in names] == [
            tuple(
                map(
                    words,
                    ((*one.prelast_names, *one.last_names), one.lineage_names, one.first_names + one.middle_names),
                )
            )
            for one in other.persons.get("author", [])
        ]
        plain = {name: value if name in VERBATIM else words([value]) for name, value in fields.items()}
        found.append({"type": entry.entry_type, "key": entry.key, **plain})
        if names:
            found[-1]["author"] = [tuple(map(words, one)) for one in names]
    return found


def words(parts: Sequence[str]) -> str:
    """Decode LaTeX, as reference managers do."""
    return " ".join(LatexNodes2Text().latex_to_text(" ".join(parts)).split())


def same(text: str) -> str:
    """What differs between decoders of LaTeX, and says the same: kinds of carets, primes and spaces."""
    plain = unicodedata.normalize("NFKC", text.replace("ˆ", "^").replace("\N{SMALL TILDE}", "~"))
    return " ".join(plain.split())


def test_bibtex_has_the_fields_of_a_preprint() -> None:
    (entry,) = bibtex(written(CitationFormat.BIBTEX, LOOMS))
    assert entry.pop("author") == [
        ("Lovelace", "", "Ada"),
        ("van der Maaten", "", "Laurens"),
        ("King", "Jr.", "Martin"),
        ("The ATLAS Collaboration", "", ""),
        ("Gödel", "", "Kurt"),
        ("others", "", ""),
    ]
    assert entry == {
        "type": "misc",
        "key": "2503.10679",
        "title": "On α²-looms: GFlowNets & 5% of “the” {Pareto} front",
        "year": "2025",
        "month": 3,
        "eprint": "2503.10679",
        "archivePrefix": "arXiv",
        "primaryClass": "cs.LG",
        "url": "https://arxiv.org/abs/2503.10679",
        "abstract": "We weave @article{x} – quickly.",
        "keywords": "looms, R&D",
    }
    text = written(CitationFormat.BIBTEX, LOOMS)
    # Styles keep the capitals inside of a word, and every engine can set what is ASCII.
    assert "{GFlowNets}" in text
    assert text.isascii()


def test_ris_and_csl_have_the_fields_of_a_preprint() -> None:
    text = written(CitationFormat.RIS, LOOMS)
    assert text.startswith("TY  - UNPB\r\n")
    (reference,) = rispy.loads(text)
    assert reference == {
        "type_of_reference": "UNPB",
        "id": "2503.10679",
        "title": "On α²-looms: GFlowNets & 5% of “the” {Pareto} front",
        "authors": [
            "Lovelace, Ada",
            "van der Maaten, Laurens",
            "King, Martin, Jr.",
            "The ATLAS Collaboration",
            "Gödel, Kurt",
        ],
        "year": "2025",
        "date": "2025/03/11",
        "publisher": "arXiv",
        "accession_number": "arXiv:2503.10679",
        "urls": ["https://arxiv.org/abs/2503.10679"],
        "file_attachments1": "https://arxiv.org/pdf/2503.10679",
        "abstract": "We weave @article{x} – quickly.",
        "keywords": ["looms", "R&D"],
    }
    (item,) = json.loads(written(CitationFormat.CSLJSON, LOOMS))
    assert item["author"] == [
        {"family": "Lovelace", "given": "Ada"},
        {"family": "van der Maaten", "given": "Laurens"},
        {"family": "King", "given": "Martin", "suffix": "Jr."},
        {"literal": "The ATLAS Collaboration"},
        {"family": "Gödel", "given": "Kurt"},
    ]
    assert (item["type"], item["publisher"], item["number"]) == ("article", "arXiv", "arXiv:2503.10679")
    assert item["issued"] == {"date-parts": [[2025, 3, 11]]}


@pytest.mark.parametrize(
    ("paper", "types"),
    [
        (replace(LOOMS, doi="10.1000/looms"), ("article", "JOUR", "article-journal")),
        (Paper(id="x", title="T", doi="10.1101/gr.123456.124"), ("article", "JOUR", "article-journal")),
        (Paper(id="x", title="T", doi="10.1101/2025.08.01.123456"), ("misc", "UNPB", "article")),
        (Paper(id="x", title="T", doi="10.1101/123456"), ("misc", "UNPB", "article")),
        (Paper(id="x", title="T", doi="10.48550/x", arxiv_id="hep-th/9901001"), ("article", "JOUR", "article-journal")),
        (Paper(id="x", title="T", url="https://x.org"), ("misc", "GEN", "document")),
    ],
)
def test_the_type_says_whether_it_is_a_preprint(paper: Paper, types: tuple[str, str, str]) -> None:
    (entry,) = bibtex(written(CitationFormat.BIBTEX, paper))
    (reference,) = rispy.loads(written(CitationFormat.RIS, paper))
    (item,) = json.loads(written(CitationFormat.CSLJSON, paper))
    assert (entry["type"], reference["type_of_reference"], item["type"]) == types
    # The repository is the publisher of preprints only, whatever other identifiers a paper has.
    assert ("publisher" in item) == ("publisher" in reference) == (types[1] == "UNPB")


@pytest.mark.parametrize(
    ("venue", "types", "tag"),
    [
        ("Journal of Looms & Sons", ("article", "JOUR", "article-journal"), "citation_journal_title"),
        ("Proceedings of the National Academy of X", ("article", "JOUR", "article-journal"), "citation_journal_title"),
        ("Proceedings of Looms 2025", ("inproceedings", "CONF", "paper-conference"), "citation_conference_title"),
    ],
)
@pytest.mark.parametrize("doi", [None, "10.1000/looms"])
def test_a_venue_is_cited(venue: str, types: tuple[str, str, str], tag: str, doi: str | None) -> None:
    paper = replace(LOOMS, venue=venue, doi=doi)
    (entry,) = bibtex(written(CitationFormat.BIBTEX, paper))
    (reference,) = rispy.loads(written(CitationFormat.RIS, paper))
    (item,) = json.loads(written(CitationFormat.CSLJSON, paper))
    assert (entry["type"], reference["type_of_reference"], item["type"]) == types
    assert entry["booktitle" if types[0] == "inproceedings" else "journal"] == venue
    assert (reference["secondary_title"], reference.get("journal_name", venue)) == (venue, venue)
    assert item["container-title"] == venue
    assert (tag, venue) in list(citation_tags(paper, "https://x.org"))
    # What is published there is no preprint any more, but its arXiv id is kept.
    assert "publisher" not in reference
    assert (entry["eprint"], item["number"]) == ("2503.10679", "arXiv:2503.10679")


def test_preprints_name_their_repository() -> None:
    dois = ("10.1101/2025.08.01.123456", "10.1101/2025.08.01.25341355", "10.64898/2026.01.01.123456", "10.2139/ssrn.1")
    entries = bibtex(written(CitationFormat.BIBTEX, *(Paper(id=doi, title="T", doi=doi) for doi in dois)))
    assert [entry["howpublished"] for entry in entries] == ["bioRxiv", "medRxiv", "bioRxiv", "SSRN"]


@given(st.lists(st.text(min_size=1), min_size=2, max_size=6, unique=True))
def test_keys_differ_and_are_keys(ids: list[str]) -> None:
    keys = [citation_key(one) for one in ids]
    assert len({*keys}) == len(keys)
    text = written(CitationFormat.BIBTEX, *(Paper(id=one, title="T") for one in ids))
    assert [entry.key for entry in parse_string(text).entries] == keys


LINES = st.text(st.characters(max_codepoint=0x2FFF, exclude_categories=["C", "Zl", "Zp"]), max_size=40) | st.text(
    "ab{}\\$%&#_~^@\"'`-<>,= éßαÅ²“”張\u0301", max_size=40
)


@given(LINES, LINES, st.lists(LINES, max_size=4), LINES.map(lambda text: "".join(text.split())))
def test_any_text_is_read_back(title: str, abstract: str, authors: list[str], doi: str) -> None:
    paper = Paper(id="10.1/x", title=f"T {title}", abstract=abstract, authors=tuple(authors), doi=f"10.1/{doi}")
    cited = citation_of(paper)
    (entry,) = bibtex(written(CitationFormat.BIBTEX, paper))
    assert same(entry["title"]) == same(cited.title)
    assert same(entry.get("abstract", "")) == same(cited.abstract)
    names = [tuple(map(same, (one.family, one.suffix, one.given))) for one in cited.authors]
    assert [tuple(map(same, one)) for one in entry.get("author", [])] == names
    (reference,) = rispy.loads(written(CitationFormat.RIS, paper))
    assert (reference["title"], reference.get("abstract", "")) == (cited.title, cited.abstract)
    assert reference.get("authors", []) == [name.family_first for name in cited.authors]
    (item,) = json.loads(written(CitationFormat.CSLJSON, paper))
    assert (item["title"], item["id"]) == (cited.title, cited.key)
    assert [*map(to_single_line, (cited.title, cited.abstract))] == [cited.title, cited.abstract]


def test_the_sample_papers_are_read_back(newsletter: Newsletter) -> None:
    newsletter.with_sample()
    stored = newsletter.run("papers", "list", "--json").rows
    texts = {one: newsletter.run("papers", "export", "--format", one).out for one in CitationFormat}
    entries = bibtex(texts[CitationFormat.BIBTEX])
    references = rispy.loads(texts[CitationFormat.RIS])
    items = json.loads(texts[CitationFormat.CSLJSON])
    assert len(entries) == len(references) == len(items) == len(stored) > 100
    for entry, reference, item in zip(entries, references, items, strict=True):
        assert entry["key"] == reference["id"] == item["id"]
        assert same(entry["title"]) == same(reference["title"]) == same(item["title"])
    # Our own reader takes them for the same papers.
    (newsletter.folder / "back.bib").write_text(texts[CitationFormat.BIBTEX])
    assert f"{len(stored)} papers, 0 new" in newsletter.run("import", "back.bib").out
    assert SAMPLE_PAPERS.exists()


def test_our_own_reader_reads_what_we_write() -> None:
    (paper,) = read_entries(written(CitationFormat.BIBTEX, replace(LOOMS, title="A GFlowNet, 5% off")), "own.bib")
    assert isinstance(paper, Paper)
    assert (paper.title, paper.arxiv_id, paper.categories) == ("A GFlowNet, 5% off", "2503.10679", ("cs.LG",))
    assert paper.authors[:2] == ("Ada Lovelace", "Laurens van der Maaten")
    assert paper.published == date(2025, 3, 1)
