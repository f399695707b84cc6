import time
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.model import LibraryItem, Paper, SkippedPaper
from newsletter.sources.bibtex import read_entries, read_items


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
        ("title={x}, year={ 2023 }, month={ nov }", date(2023, 11, 1)),
        ("title={x}, year={{2023}}, month={{NOV 15}}", date(2023, 11, 15)),
        ('title={x}, year=2023, month="November 3-5"', date(2023, 11, 1)),
        ("title={x}, year=2023, month={Apr--May}", date(2023, 4, 1)),
        ('title={x}, year=2023, month=9 # "~" # feb', date(2023, 2, 9)),
        ('title={x}, year=2023, month=sep # "~30"', date(2023, 9, 30)),
        ("title={x}, year=2023, month={Sept.}", date(2023, 9, 1)),
        ("title={x}, year=2023, month=11", date(2023, 11, 1)),
        ("title={x}, year=2023, month={0}", date(2023, 1, 1)),
        ("title={x}, year=2023, month={Spring}", date(2023, 1, 1)),
        ("title={x}, date={2023-04/2023-05}", date(2023, 4, 1)),
        ("title={x}, date={2023-21}", date(2023, 1, 1)),
        ("title={x}, date={2023}, year=2023, month=may", date(2023, 5, 1)),
        ("title={x}, date={5 Nov. 2023}", date(2023, 11, 5)),
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
        ("title={x}, eprint={math.GT/0309136}, archiveprefix={arXiv}", "math/0309136", None),
        ("title={x}, eprint={hep-th/9901001v2}", "hep-th/9901001", None),
        ("title={x}, arxivid={2301.00001}", "2301.00001", None),
        ("title={x}, journal={arXiv preprint arXiv:2301.00001}", "2301.00001", None),
        ("title={x}, journal={arXiv:2301.00001 [physics.chem-ph]}", "2301.00001", None),
        ("title={x}, journal={CoRR}, volume={abs/2301.00001}", "2301.00001", None),
        ("title={x}, journal={ArXiv}, volume={abs/hep-th/9901001}", "hep-th/9901001", None),
        ("title={x}, number={arXiv:2301.00001}, publisher={arXiv}", "2301.00001", None),
        ("title={x}, note={arXiv:2301.00001 [cs]}", "2301.00001", None),
        ("title={x}, note={An extension of arXiv:2301.00001}", None, None),
        (r"title={x}, howpublished={\url{https://arxiv.org/abs/2301.00001}}", "2301.00001", None),
        (r"title={x}, doi={10.1000/1(2)3{\textless}4:A{\textgreater}5.0}", None, "10.1000/1(2)3<4:a>5.0"),
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
        (r"Q\&A, R&D and \emph{in vitro & \textbf{in vivo}}", "Q&A, R&D and in vitro & in vivo"),
        (r"p {\textless} 0.05, n {\textgreater} 3, {\textbeta}-cell \textDelta \textbar", "p < 0.05, n > 3, β-cell Δ|"),
        (r"$\less$p$\greater$$\less$em$\greater$Genus$\less$/em$\greater$ x$\less$/p$\greater$", "Genus x"),
        ("{$<$}i{$>$}Genus{$<$}/i{$>$} &amp; R&amp;D", "Genus & R&D"),
        (r"<b>Bold</b> H<sub>2</sub>O if $a<b$, x < y", "Bold H2O if $a<b$, x < y"),
        (r"Kowa\ifmmode \acute{n}\else \'{n}\fi{}ski and Beispie\l{}", "Kowański and Beispieł"),
        (r"\v{S}koda \c c {\aa} \'{\i} \"\i{} \o{} na\"ive \H{o} \={a} \~{} \^{}", "Škoda ç å í ï ø naïve ő ā ~ ^"),
        (r"see \href{https://x.org/a_b}{the \emph{page}} or \url{https://y.org}", "see the page or https://y.org"),
        (r"\{a\} \$5 \textbackslash x \(a_{1}\)", r"{a} $5 \x \(a_{1}\)"),
        (r"\unknown{kept} \unknown and", "kept and"),
    ],
)
def test_latex(latex: str, text: str) -> None:
    assert one(f"title={{x}}, abstract={{{latex}}}").abstract == text


@pytest.mark.parametrize(
    ("written", "names"),
    [
        (
            "family=Berg, given=Jan, prefix=van den, useprefix=true and Roe, Richard",
            ("Jan van den Berg", "Richard Roe"),
        ),
        ("family={van den Berg}, given={J. P.}, suffix=Jr.", ("J. P. van den Berg Jr.",)),
        ("Roe, Jr., Richard and {Barnes and Noble}", ("Richard Roe Jr.", "Barnes and Noble")),
        ("Roe, R.; Doe, J.", ("R. Roe", "J. Doe")),
        ("K&ouml;hler, Tobias and R{\\o}e, Jan", ("Tobias Köhler", "Jan Røe")),
        ("{\\'E}tienne {de la} Cr{\\\"u}z AND Plato", ("Étienne de la Crüz", "Plato")),
        ("{OpenAI} and others", ("OpenAI",)),
    ],
)
def test_names(written: str, names: tuple[str, ...]) -> None:
    assert one(f"title={{x}}, author={{{written}}}").authors == names


@pytest.mark.parametrize(
    ("fields", "venue"),
    [
        ("title={x}, journal={Journal of Samples \\& More}", "Journal of Samples & More"),
        ("title={x}, journaltitle={Samples}, journalsubtitle={Letters}", "Samples: Letters"),
        ("title={x}, booktitle={Proc. of a Workshop}, series={LNCS}", "Proc. of a Workshop"),
        ("title={x}, booktitle={x}", None),
        ("title={x}, journal={arXiv preprint arXiv:2301.00001}", None),
        ("title={x}, journal={CoRR}, volume={abs/2301.00001}", None),
        ("title={x}, journal={bioRxiv}", None),
        ("title={x}, journal={Corrosion Science}", "Corrosion Science"),
    ],
)
def test_venues(fields: str, venue: str | None) -> None:
    assert one(fields).venue == venue


def test_subtitles_and_keywords() -> None:
    assert one("title={Sand}, subtitle={a slow look}").title == "Sand: a slow look"
    assert one("title={Sand?}, subtitle={A slow look}").title == "Sand? A slow look"
    assert one("title={x}, keywords={Sand}, keywords={Gravel, Sand}").keywords == ("Sand", "Gravel")
    assert one("title={x}, keywords={{Sand, wet}, Clay}").keywords == ("Sand, wet", "Clay")
    assert one("title={x}, keywords={{Sand; Gravel}}, author_keywords={Clay}").keywords == ("Sand", "Gravel", "Clay")


def test_strings_are_joined() -> None:
    text = """@string{team = "Sample " # name # { Group}} @string{name = "Team"} @STRING(Team = name # "s")
@article{x, title = "Put " # {to{g}ether} # 7, author = TEAM # " and " # {Roe, Richard}, journal = unknown}"""
    assert read(text) == [
        Paper(title="Put together7", authors=("Teams", "Richard Roe"), author_count=2, venue="unknown")
    ]


def test_fields_are_inherited() -> None:
    text = """@inproceedings{Part, title={A part}, author={Muster, Eva}, crossref={WHOLE}, doi={10.1000/part}}
@proceedings{whole, title={Proceedings of Samples}, subtitle={A workshop}, year=2022, month=may,
  doi={10.1000/whole}, url={https://x.org/whole}, abstract={All of it.}, xdata={press, missing}}
@xdata{press, publisher={A press}, series={Notes}, keywords={sand}}
@inbook{dated, title={Another}, crossref={whole}, date={2023}}
@book{circle, title={Round}, crossref={other}}
@book{other, title={And round}, crossref={circle}, year=2021}"""
    part, whole, dated, circle, other = read(text)
    assert part == Paper(
        title="A part",
        authors=("Eva Muster",),
        author_count=1,
        venue="Proceedings of Samples: A workshop",
        doi="10.1000/part",
        published=date(2022, 5, 1),
        url="https://doi.org/10.1000/part",
    )
    assert isinstance(whole, Paper)
    assert (whole.keywords, whole.published) == (("sand",), date(2022, 5, 1))
    assert isinstance(dated, Paper)
    assert dated.published == date(2023, 1, 1)
    assert [one.published for one in (circle, other) if isinstance(one, Paper)] == [date(2021, 1, 1)] * 2


def test_groups_have_paths() -> None:
    text = r"""@article{a, title={A}, groups={Chemistry, Read later}}
@article{b, title={B}}
@comment{jabref-meta: groupstree:
0 AllEntriesGroup:;
1 StaticGroup:Papers\;0\;1\;\;\;\;;
2 StaticGroup:Chemistry\;0\;1\;\;\;\;;
1 KeywordGroup:Search\;0\;keywords\;sand\;0\;0\;;
1 ExplicitGroup:Old\;0\;b\;a
\;;
}"""
    items = [item for item in read_items(text, "library.bib") if isinstance(item, LibraryItem)]
    assert [item.collections for item in items] == [("Papers/Chemistry", "Read later", "Old"), ("Old",)]


@pytest.mark.parametrize(
    "piece",
    [
        *(
            "{",
            "}",
            "$",
            "\\(",
            "\\[",
            "\\begin{a}",
            "\\a{",
            "\\href{",
            "\\ifmmode ",
            "\\ifmmode\\else ",
            "\\'",
            "\\c{",
            "--",
        ),
        *('"', "&lt;", "<", "{\\", "# {", "\\foo[", " and ", ",", "={", "@article{a,"),
    ],
)
def test_the_time_is_proportional_to_the_length(piece: str) -> None:
    start = time.process_time()
    for text in (f"@article{{k, title={{T}}, abstract={{{piece * 20_000}}}}}", piece * 20_000):
        read(text)
    assert time.process_time() - start < 5


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
    assert broken.why == "not BibTeX: the value of 'title' has no end; close its braces or quotes"
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
