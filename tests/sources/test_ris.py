"""RIS files in the dialects of the programs and publishers that write them."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.model import Paper, SkippedPaper
from newsletter.sources.ris import read_entries
from tests.helpers.newsletter import Newsletter


def read(text: str) -> list[Paper | SkippedPaper]:
    return list(read_entries(text, "library.ris"))


def one(text: str) -> Paper:
    (paper,) = read(text)
    assert isinstance(paper, Paper)
    return paper


ZOTERO = """TY  - JOUR
TI  - On looms <i>in vitro</i> &amp; in vivo
AU  - van der Maaten, Laurens
AU  - King, Martin Luther, Jr.
AU  - The ATLAS Collaboration
T2  - Journal of Samples
J2  - J. Samples
AB  - We weave. If p < 0.05, then n > 3.
DA  - 2019/03/11/
PY  - 2019
DO  - 10.1000/XYZ
UR  - https://journal.example/looms
L1  - https://journal.example/looms.pdf
Y2  - 2024/05/01/10:00:00
KW  - looms
KW  - sand, wet
ER  -

"""


def test_zotero() -> None:
    assert one(ZOTERO) == Paper(
        title="On looms in vitro & in vivo",
        abstract="We weave. If p < 0.05, then n > 3.",
        authors=("Laurens van der Maaten", "Martin Luther King Jr.", "The ATLAS Collaboration"),
        author_count=3,
        venue="Journal of Samples",
        doi="10.1000/xyz",
        published=date(2019, 3, 11),
        url="https://journal.example/looms",
        pdf_url="https://journal.example/looms.pdf",
        keywords=("looms", "sand, wet"),
    )


ENDNOTE = """TY  - JOUR
AU  - World Health Organization,
AU  - Roe, R.
PY  - 2019
DA  - Mar 11
TI  - A long title that EndNote wraps
   in the next line
T2  - Samples
M3  - 10.1000/abc
KW  - Animals
Humans
*Sand
AB  - First line.
Second line - with a dash.
ID  - 17
ER  -

"""
MENDELEY = """TY  - JOUR
T1  - Mendeley
A1  - Roe, Richard
Y1  - 2019/03//
N2  - An abstract.
JF  - Samples
UR  - http://arxiv.org/abs/1901.00001v2
L1  - file:///C:/Users/x.pdf
ER  -
"""
WEB_OF_SCIENCE = """TY  - JOUR
AU  - Roe, R
TI  - Web of Science
T2  - SAMPLES
PY  - 2019
DA  - MAR 11
DO  - 10.1000/abc
AN  - WOS:000900000000001
ER  -

EF
"""
SCOPUS = """TY  - CONF
TI  - Scopus
T2  - 3rd Workshop on Samples
AU  - Roe, R.; Doe, J.
PY  - 2019
N1  - Export Date: 1 May 2024
UR  - https://www.scopus.com/inward/record.uri?eid=1
KW  - sand; gravel; clay
DO  - doi:10.1000/abc
ER  -
"""
SCHOLAR = """TY  - JOUR
T1  - Google Scholar
A1  - Roe, Richard
JO  - arXiv preprint arXiv:1901.00001
Y1  - 2019
ER  -
"""
IEEE = """TY  - CONF
TI  - IEEE
T2  - 2019 IEEE Conference on Samples
SP  - 1
AU  - R. Roe
PY  - 2019
DO  - 10.1109/SAMPLE.2019.1
JO  - 2019 IEEE Conference on Samples
Y1  - 11-13 March 2019
AB  - Text.
ER  -
"""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            ENDNOTE,
            Paper(
                title="A long title that EndNote wraps in the next line",
                abstract="First line. Second line - with a dash.",
                authors=("World Health Organization", "R. Roe"),
                author_count=2,
                venue="Samples",
                doi="10.1000/abc",
                published=date(2019, 3, 11),
                url="https://doi.org/10.1000/abc",
                keywords=("Animals", "Humans", "*Sand"),
            ),
        ),
        (
            MENDELEY,
            Paper(
                title="Mendeley",
                abstract="An abstract.",
                authors=("Richard Roe",),
                author_count=1,
                venue="Samples",
                arxiv_id="1901.00001",
                version=2,
                published=date(2019, 3, 1),
                url="http://arxiv.org/abs/1901.00001v2",
                pdf_url="https://arxiv.org/pdf/1901.00001",
            ),
        ),
        (
            WEB_OF_SCIENCE,
            Paper(
                title="Web of Science",
                authors=("R Roe",),
                author_count=1,
                venue="SAMPLES",
                doi="10.1000/abc",
                published=date(2019, 3, 11),
                url="https://doi.org/10.1000/abc",
            ),
        ),
        (
            SCOPUS,
            Paper(
                title="Scopus",
                authors=("R. Roe", "J. Doe"),
                author_count=2,
                venue="3rd Workshop on Samples",
                doi="10.1000/abc",
                published=date(2019, 1, 1),
                url="https://www.scopus.com/inward/record.uri?eid=1",
                keywords=("sand", "gravel", "clay"),
            ),
        ),
        (
            SCHOLAR,
            Paper(
                title="Google Scholar",
                authors=("Richard Roe",),
                author_count=1,
                arxiv_id="1901.00001",
                published=date(2019, 1, 1),
                url="https://arxiv.org/abs/1901.00001",
                pdf_url="https://arxiv.org/pdf/1901.00001",
            ),
        ),
        (
            IEEE,
            Paper(
                title="IEEE",
                abstract="Text.",
                authors=("R. Roe",),
                author_count=1,
                venue="2019 IEEE Conference on Samples",
                doi="10.1109/sample.2019.1",
                published=date(2019, 3, 1),
                url="https://doi.org/10.1109/sample.2019.1",
            ),
        ),
    ],
)
def test_dialects(text: str, expected: Paper) -> None:
    assert one(text) == expected


@pytest.mark.parametrize(
    ("lines", "day"),
    [
        ("PY  - 2019", date(2019, 1, 1)),
        ("Y1  - 2019/11/05/", date(2019, 11, 5)),
        ("DA  - 2019-11-05", date(2019, 11, 5)),
        ("DA  - 2019/00/00", date(2019, 1, 1)),
        ("PY  - 2019\nDA  - 2019///Spring", date(2019, 1, 1)),
        ("DA  - 5 Nov. 2019", date(2019, 11, 5)),
        ("DA  - November 5, 2019", date(2019, 11, 5)),
        ("PY  - 2019\nDA  - NOV-DEC", date(2019, 11, 1)),
        ("PY  - in press", None),
    ],
)
def test_dates(lines: str, day: date | None) -> None:
    assert one(f"TY  - JOUR\nTI  - x\n{lines}\nER  - ").published == day


@pytest.mark.parametrize(
    "line",
    [
        *("M3  - arXiv:1901.00001v1", "AN  - arXiv:1901.00001v1", "UR  - https://arxiv.org/pdf/1901.00001v1.pdf"),
        *("DO  - 10.48550/arXiv.1901.00001v1", "ID  - 1901.00001v1", "C1  - arXiv:1901.00001v1 [cs.LG]"),
        "T2  - CoRR abs/1901.00001v1",
    ],
)
def test_arxiv_ids(line: str) -> None:
    paper = one(f"TY  - JOUR\nTI  - x\n{line}\nER  - ")
    assert (paper.arxiv_id, paper.version, paper.doi, paper.venue) == ("1901.00001", 1, None, None)


def test_books_are_not_in_their_series() -> None:
    assert one("TY  - BOOK\nTI  - A book\nT2  - A series\nER  - ").venue is None
    assert one("TY  - BOOK\nBT  - A book\nER  - ") == Paper(title="A book")
    assert one("TY  - CHAP\nTI  - A chapter\nBT  - A book\nER  - ").venue == "A book"


def test_broken_records_stop_no_other() -> None:
    text = """Provider: a database
TY  - JOUR
TI  - No end
ty  - JOUR
  ti  - Small letters
  py  - 2019
ER  -
TY  - JOUR
AU  - Nobody
ER  -

1.
TI  - No beginning
XX  - an unknown tag
ER  -
TY  - JOUR
TI  - No such day
DA  - 2019/02/30
ER  -
TY - JOUR
TI - One space
PY - 2019
ER -
TY  - JOUR
TI  - The last"""
    assert read(text) == [
        Paper(title="No end"),
        Paper(title="Small letters", published=date(2019, 1, 1)),
        SkippedPaper("library.ris:8", "the record has no title"),
        Paper(title="No beginning"),
        SkippedPaper("library.ris:16", "'No such day': the date '2019-2-30' does not exist"),
        Paper(title="One space", published=date(2019, 1, 1)),
        Paper(title="The last"),
    ]


def test_a_file_is_imported(newsletter: Newsletter) -> None:
    (newsletter.folder / "mine.ris").write_bytes(
        ZOTERO.replace("looms", "Bäume").replace("\n", "\r\n").encode("cp1252")
    )
    assert "1 paper, 1 new" in newsletter.run("import", "mine.ris").out
    (row,) = newsletter.run("papers", "list", "--source", "file:mine.ris", "--json").rows
    assert (row["title"], row["venue"], row["doi"]) == (
        "On Bäume in vitro & in vivo",
        "Journal of Samples",
        "10.1000/xyz",
    )


WORDS = [
    "TY  - ",
    "TI  - x",
    "ER  - ",
    "AU  - ",
    "\n",
    "\r",
    " ",
    "DA  - 9999/99",
    "PY  - ",
    "KW  - ",
    "ty - ",
    "XX  - ",
]


@given(st.lists(st.sampled_from(WORDS) | st.text(max_size=5), max_size=20))
def test_any_text_gives_papers_or_bad_papers(pieces: list[str]) -> None:
    for paper in read("".join(pieces)):
        assert isinstance(paper, SkippedPaper) or paper.title


def test_latex_and_entities_are_decoded() -> None:
    paper = one("TY  - JOUR\nTI  - B\\'ezout &amp;amp; $x_1$\nAB  - 5\\% <i>wet</i>\nKW  - &amp;lt;a&amp;gt;\nER  -\n")
    assert (paper.title, paper.abstract, paper.keywords) == ("Bézout &amp; $x_1$", "5% wet", ("&lt;a&gt;",))


def test_a_comma_is_inside_a_name() -> None:
    found = one("TY  - JOUR\nTI  - Looms\nAU  - Plato\nAU  - García Pérez, Ana María\nER  -\n")
    assert found.authors == ("Plato", "Ana María García Pérez")
