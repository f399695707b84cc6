"""BibTeX as people and programs write it: entries not quite in the syntax, and works that are part of others."""

from typing import Any

import pytest

from newsletter.model import LibraryItem, Paper, SkippedPaper
from newsletter.sources.bibtex import read_entries, read_items


def papers(text: str) -> list[Paper]:
    found = list(read_entries(text, "library.bib"))
    assert all(isinstance(paper, Paper) for paper in found), found
    return [paper for paper in found if isinstance(paper, Paper)]


@pytest.mark.parametrize(
    "entry",
    [
        "@article(k, title={Sand and mud}, year=2021)",
        "@article(k, year=2021, title={Sand and mud})",
        "@ARTICLE { k , TITLE = {Sand and mud} , YEAR = {2021} , }",
        "@article{k, title={Sand and mud}\n year={2021}}",
        '@article{k, title="Sand and mud" year="2021"}',
        "@article{k, title={Sand and mud},, year=2021,}",
        "@article{k title={Sand and mud}, year=2021}",
        "@article{, title={Sand and mud}, year=2021}",
        "@article{title={Sand and mud}, year=2021}",
        "@article{\n  title={Sand and mud},\n  year=2021\n}",
        "@article{a key é/:+&#., title={Sand and mud}, year=2021}",
        "@article{k, title={{Sand and mud}}, year={{{2021}}}}",
        '@article{k, title="{Sand and mud}", year="{2021}"}',
        "@article{k, % a comment with = { and ,\n title={Sand and mud}, % another\n year=2021}",
        '@article{k, title={Sand} # { and } # "mud", year = 20 # 21}',
        "@article{k, title={Sand and mud}, year=2021\n",
        "\ufeff@article{k,\r\n title={Sand\r\n   and mud},\r\n year=2021\r\n}\r\n",
        "@article{k,\r title={Sand and mud},\r % x\r year=2021}\r",
        '@article{k, title="Sand {"}and{"} mud", year=2021}'.replace('{"}', ""),
        "@article{k, my.own-field:x = {1}, title={Sand and mud}, 2nd = 3, year=2021}",
        "@article{k, note=, title={Sand and mud}, year=2021}",
        'Text before. @comment{@article{x, title={No}}} @preamble{"\\newcommand{\\a}[1]{}"}\n'
        "@Comment a line\n@article{k, title={Sand and mud}, year=2021} and after",
        "@string(s = {Sand}) @string{t = s # { and}} @article{k, title=t # { mud}, year=2021}",
        "@article{k, title={Sand and mud}, title={Other}, year={}, year=2021, year=1999}",
    ],
)
def test_entries_that_are_not_quite_in_the_syntax(entry: str) -> None:
    (paper,) = papers(entry)
    assert paper.title == "Sand and mud"
    assert paper.published is not None
    assert paper.published.year == 2021


def test_escaped_braces_and_quotes_may_lack_a_partner() -> None:
    text = r"""@article{a, title={A \{ brace}, year=2001}
@article{b, title="M\"uller", year=2002}
@article{c, title={x}, file={C:\dir\}, year=2003}
@article{d, title={Balanced \{a\}}, year=2004}"""
    assert [(paper.title, paper.published and paper.published.year) for paper in papers(text)] == [
        ("A { brace", 2001),
        ("Müller", 2002),
        ("x", 2003),
        ("Balanced {a}", 2004),
    ]


def test_an_entry_without_end_is_reported_and_stops_no_other() -> None:
    text = "@article{a, title={Never {ends}, year=2001}\n\n@article{b, title={Fine}}\n"
    text += "@article{c, title={Nor this, year=1}\n"
    first, second, third = read_entries(text, "library.bib")
    assert first == SkippedPaper(
        "library.bib:1", "not BibTeX: the value of 'title' has no end; close its braces or quotes"
    )
    assert second == Paper(title="Fine")
    assert isinstance(third, SkippedPaper)
    assert third.where == "library.bib:4"


def test_an_entry_without_key_has_one_in_a_library() -> None:
    first, second = read_items("@misc{, title={One}}\n@misc{title={Two}}", "library.bib")
    assert isinstance(first, LibraryItem)
    assert isinstance(second, LibraryItem)
    assert first.key != second.key
    assert first.key and second.key


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "@incollection{c, title={C}, crossref={p, q}} @book{p, title={P}} @book{q, title={Q}, year=2001}",
            ("P", 2001, ()),
        ),
        (
            "@inbook{c, title={C}, crossref=P} @book{p, title={P}, crossref={q}} @set{q, title={Q}, year=2001}",
            ("P", 2001, ()),
        ),
        ("@article{c, title={C}, crossref={j}} @periodical{j, title={J}, date={2001-03}}", ("J", 2001, ())),
        (
            "@misc{c, title={C}, xdata={x,y}} @xdata{x, journal={J}, xdata=z} @xdata{y, year=2001} "
            "@xdata{z, author={Roe, R.}}",
            ("J", 2001, ("R. Roe",)),
        ),
        ("@misc{c, title={C}, xdata=x} @xdata{x, year=2001, xdata=y} @xdata{y, journal={J}, xdata=x}", ("J", 2001, ())),
        ("@misc{c, title={C}, crossref={c}, xdata={c, none}, year=2001}", (None, 2001, ())),
    ],
)
def test_works_that_are_part_of_others(text: str, expected: Any) -> None:
    paper = papers(text)[0]
    assert (paper.venue, paper.published and paper.published.year, paper.authors) == expected


@pytest.mark.parametrize(
    ("fields", "arxiv_id", "doi"),
    [
        ("eprint={arXiv:2402.01234v3}, archiveprefix={ARXIV}", "2402.01234", None),
        ("eprint={https://arxiv.org/abs/2402.01234}", "2402.01234", None),
        ("eprint={0401001}, archiveprefix={arXiv}, primaryclass={math.GT}", "math/0401001", None),
        ("eprint={1234567}, eprinttype={pubmed}", None, None),
        ("note={Preprint at https://arxiv.org/abs/2402.01234 (2024)}", "2402.01234", None),
        ("note={Available on arXiv as arXiv:2402.01234}", "2402.01234", None),
        ("note={Supersedes arXiv:2402.01234}", None, None),
        ("howpublished={arXiv preprint 2402.01234}", "2402.01234", None),
        ("howpublished={Report 2402.01234}", None, None),
        ("annote={arXiv:math.AG/0401001}", "math/0401001", None),
        ("journal={arXiv e-prints}, eid={arXiv:2402.01234}", "2402.01234", None),
        ("journal={arXiv}, number={2402.01234}", "2402.01234", None),
        ("pages={arXiv:2402.01234}", "2402.01234", None),
        ("url={https://x.org}, url={https://arxiv.org/abs/2402.01234}", "2402.01234", None),
        (r"howpublished={\href{https://arxiv.org/abs/2402.01234}{Preprint}}", "2402.01234", None),
        ("doi={https://doi.org/10.1000/AbC, 10.1000/other}", None, "10.1000/abc"),
        (r"doi={\url{https://doi.org/10.1000/a\_b}}", None, "10.1000/a_b"),
        ("doi={doi:10.1000/abc.}", None, "10.1000/abc"),
        ("note={doi: 10.1000/abc}", None, "10.1000/abc"),
        ("note={A reply to doi: 10.1000/abc}", None, None),
        ("url={https://press.example/doi/full/10.1000/abc}", None, "10.1000/abc"),
    ],
)
def test_identifiers_wherever_they_are(fields: str, arxiv_id: str | None, doi: str | None) -> None:
    (paper,) = papers(f"@misc{{k, title={{x}}, {fields}}}")
    assert (paper.arxiv_id, paper.doi) == (arxiv_id, doi)


@pytest.mark.parametrize(
    ("fields", "url"),
    [
        ("url={https://x.org/a--b/~c?d=$1&amp;e=2}", "https://x.org/a--b/~c?d=$1&e=2"),
        (r"url={https://x.org/a\_b\%20c\#D}", "https://x.org/a_b%20c#D"),
        (r"url={\url{https://x.org/$\sim$me}}", "https://x.org/~me"),
        (r"url={https://x.org/{\textasciitilde}me}", "https://x.org/~me"),
        ("doi={https://doi.org/10.1000/AbC}", "https://doi.org/10.1000/AbC"),
        ("pmid={765}", "https://pubmed.ncbi.nlm.nih.gov/765/"),
        ("eprint={765}, eprinttype={pubmed}", "https://pubmed.ncbi.nlm.nih.gov/765/"),
    ],
)
def test_links(fields: str, url: str) -> None:
    (paper,) = papers(f"@misc{{k, title={{x}}, {fields}}}")
    assert paper.url == url


def test_a_link_names_the_version_of_a_preprint() -> None:
    link = "https://www.biorxiv.org/content/10.1101/2024.02.03.123456v2.full"
    (paper,) = papers(f"@misc{{k, title={{x}}, doi={{10.1101/2024.02.03.123456}}, url={{{link}}}}}")
    assert (paper.doi, paper.version) == ("10.1101/2024.02.03.123456", 2)


@pytest.mark.parametrize(
    ("journal", "venue"),
    [
        (r"\apj", "Astrophysical Journal"),
        (r"{\mnras}", "Monthly Notices of the RAS"),
        ("{arXiv [cs.LG]}", None),
        ("{Preprint at arXiv}", None),
        ("{e-print arXiv}", None),
        ("{Research Square}", None),
        ("{PsyArXiv Preprints}", None),
        ("{Computing Research Repository}", None),
        ("{Preprint Journal of Sand}", "Preprint Journal of Sand"),
    ],
)
def test_journals_of_macros_and_servers_of_preprints(journal: str, venue: str | None) -> None:
    (paper,) = papers(f"@article{{k, title={{x}}, journal={journal}}}")
    assert paper.venue == venue
