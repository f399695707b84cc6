from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.model import Paper, SkippedPaper
from newsletter.sources.bibtex import read_entries


def read(text: str) -> list[Paper | SkippedPaper]:
    return list(read_entries(text, "library.bib"))


def one(fields: str) -> Paper:
    (paper,) = read(f"@article{{key, {fields}}}")
    assert isinstance(paper, Paper)
    return paper


def test_a_whole_entry() -> None:
    text = r"""@comment{nothing}
@string{jan_e = "Doe, Jane"}
@article{doe2023,
  title = {The {GAN} Zoo: $O(n)$ {\"u}ber \& caf\'e, 5% more},
  author = {M{\"u}ller, Anna and van der Berg, Hans and {The ATLAS Collaboration} and others},
  year = 2023, month = may, day = 3,
  doi = {10.1000/XYZ},
  eprint = {2301.00001v2}, archivePrefix = {arXiv}, primaryClass = {cs.LG},
  keywords = {one, two; three},
  abstract = "We gain 5% here,
     and 6\% there.",
  url = {https://x.org/a\_b?c=1%20}
}"""
    assert read(text) == [
        Paper(
            title="The GAN Zoo: $O(n)$ über & café, 5% more",
            abstract="We gain 5% here, and 6% there.",
            authors=("Anna Müller", "Hans van der Berg", "The ATLAS Collaboration"),
            author_count=3,
            arxiv_id="2301.00001",
            version=2,
            doi="10.1000/xyz",
            published=date(2023, 5, 3),
            categories=("cs.LG",),
            url="https://x.org/a_b?c=1%20",
            pdf_url="https://arxiv.org/pdf/2301.00001",
            keywords=("one", "two", "three"),
        )
    ]


@pytest.mark.parametrize(
    ("fields", "day"),
    [
        ("title={x}, year=2023", date(2023, 1, 1)),
        ("title={x}, year={2023}, month=nov", date(2023, 11, 1)),
        ("title={x}, year={2023}, month={November}, day={5}", date(2023, 11, 5)),
        ("title={x}, date={2023-11-05}", date(2023, 11, 5)),
        ("title={x}, date={2023-11}", date(2023, 11, 1)),
        ("title={x}, year={in press}", None),
        ("title={x}", None),
    ],
)
def test_dates(fields: str, day: date | None) -> None:
    assert one(fields).published == day


@pytest.mark.parametrize(
    ("fields", "arxiv_id", "doi"),
    [
        ("title={x}, eprint={2301.00001}", "2301.00001", None),
        ("title={x}, eprint={2301.00001}, eprinttype={arxiv}", "2301.00001", None),
        ("title={x}, eprint={2301.00001}, archiveprefix={HAL}", None, None),
        ("title={x}, doi={10.48550/arXiv.2301.00001}", "2301.00001", None),
        ("title={x}, url={https://arxiv.org/abs/2301.00001v3}", "2301.00001", None),
        (r"title={x}, doi={10.1000/a\_b}", None, "10.1000/a_b"),
        ("title={x}, url={https://doi.org/10.1000/ab}", None, "10.1000/ab"),
    ],
)
def test_identifiers(fields: str, arxiv_id: str | None, doi: str | None) -> None:
    paper = one(fields)
    assert (paper.arxiv_id, paper.doi) == (arxiv_id, doi)


@pytest.mark.parametrize(
    ("latex", "text"),
    [
        ("Plain 5% and {Braces}", "Plain 5% and Braces"),
        ("Costs of $5", "Costs of $5"),
        ("{GAN} for $x_{1}$", "GAN for $x_{1}$"),
        (r"\textbf{Bold} \& 6\% of na{\"i}ve~ones", "Bold & 6% of naïve ones"),
        ("pages 3--5, ``quoted''", "pages 3–5, “quoted”"),
    ],
)
def test_latex(latex: str, text: str) -> None:
    assert one(f"title={{x}}, abstract={{{latex}}}").abstract == text


def test_broken_entries_stop_no_other() -> None:
    text = """@article{a, title={broken, author={X}
@article{b, title={After}}
@article{c, author={Nobody}}
@article{d, title={x}, year=2023, month=feb, day=30}
@article{b, title="Same {Key}"}
@article{e, title={Twice}, title={said}}
"""
    broken, after, untitled, no_day, same_key, twice = read(text)
    assert isinstance(broken, SkippedPaper)
    assert broken.where == "library.bib:1"
    assert broken.why.startswith("not BibTeX: Unexpected block start")
    assert after == Paper(title="After")
    assert untitled == SkippedPaper("library.bib:3", "'c' has no title")
    assert no_day == SkippedPaper("library.bib:4", "'d': the date '2023-2-30' does not exist")
    assert same_key == Paper(title="Same Key")
    assert twice == Paper(title="Twice")


def test_the_parser_does_not_write_to_the_terminal(capfd: pytest.CaptureFixture[str]) -> None:
    read("@article{a, title={broken, author={X}\n@article{b, title={After}}")
    assert capfd.readouterr().err == ""


WORDS = [
    *("@article{", "@string{", "key,", "title=", "author={", "}", "{", '"', " and ", "\\", "\\'{", "$", "%", ","),
    *("month=", "year=2023,", "date={9999-99", "title={A},", "}}", "\n", " ", "@article{k, title={x}, author={"),
]
PIECES = st.lists(st.sampled_from(WORDS) | st.text(max_size=5), max_size=20)


@given(PIECES)
def test_any_text_gives_papers_or_bad_papers(pieces: list[str]) -> None:
    for paper in read("".join(pieces)):
        assert isinstance(paper, SkippedPaper) or paper.title
