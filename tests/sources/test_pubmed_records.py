from datetime import date
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from newsletter.model import EventKind, Notice, Paper, PaperStatus, SkippedPaper
from newsletter.sources.bounds import within_bounds
from newsletter.sources.errors import SourceError
from newsletter.sources.pubmed_records import records_in

DATE = "<PubDate><Year>2026</Year><Month>Mar</Month><Day>02</Day></PubDate>"


def record(
    article: str = "",
    *,
    title: str = "<ArticleTitle>Otters return.</ArticleTitle>",
    issue: str = DATE,
    types: str = "Journal Article",
    citation: str = "",
    data: str = "",
    journal: str = "Journal of river ecology",
) -> bytes:
    """A response with one record."""
    kinds = "".join(f"<PublicationType UI='D1'>{one}</PublicationType>" for one in types.split("|"))
    return f"""<?xml version="1.0" encoding="UTF-8"?><PubmedArticleSet><PubmedArticle>
        <MedlineCitation Status="Publisher" Owner="NLM"><PMID Version="1">4711</PMID>
        <Article PubModel="Print-Electronic"><Journal><JournalIssue CitedMedium="Internet">{issue}</JournalIssue>
        <Title>{journal}</Title><ISOAbbreviation>J Riv Ecol</ISOAbbreviation></Journal>{title}{article}
        <PublicationTypeList>{kinds}</PublicationTypeList></Article>{citation}</MedlineCitation>
        <PubmedData>{data}</PubmedData></PubmedArticle></PubmedArticleSet>""".encode()


def items(content: bytes) -> tuple[Any, ...]:
    return tuple(item for one in records_in(content, "GET x") for item in one.items)


def paper(content: bytes) -> Paper:
    (found,) = items(content)
    assert isinstance(found, Paper), found
    return found


def test_a_whole_record() -> None:
    article = """
        <ELocationID EIdType="pii" ValidYN="Y">S0001(26)1</ELocationID>
        <ELocationID EIdType="doi" ValidYN="Y">10.5555/Otter.1</ELocationID>
        <Abstract><AbstractText Label="BACKGROUND" NlmCategory="BACKGROUND">Otters were <i>gone</i>.</AbstractText>
        <AbstractText Label="RESULTS">They came back (p &lt; 0.05).</AbstractText>
        <CopyrightInformation>(c) The river.</CopyrightInformation></Abstract>
        <AuthorList CompleteYN="Y"><Author ValidYN="Y"><LastName>van Beek</LastName><ForeName>Ada M</ForeName>
        <Initials>AM</Initials><Identifier Source="ORCID">0000-0002-1825-0097</Identifier></Author>
        <Author><CollectiveName>River Watch Group</CollectiveName></Author></AuthorList>
        <Language>eng</Language><ArticleDate DateType="Electronic"><Year>2026</Year><Month>02</Month><Day>20</Day>
        </ArticleDate>"""
    citation = """<MeshHeadingList><MeshHeading><DescriptorName UI="D1">Otters</DescriptorName>
        <QualifierName>physiology</QualifierName></MeshHeading><MeshHeading><DescriptorName>Animals</DescriptorName>
        </MeshHeading></MeshHeadingList>
        <OtherAbstract Type="Publisher" Language="ger"><AbstractText>Der Otter.</AbstractText></OtherAbstract>
        <KeywordList Owner="NOTNLM"><Keyword MajorTopicYN="N">river restoration</Keyword></KeywordList>"""
    data = """<ArticleIdList><ArticleId IdType="pubmed">4711</ArticleId><ArticleId IdType="pmc">PMC12</ArticleId>
        <ArticleId IdType="doi">10.5555/otter.1</ArticleId></ArticleIdList><ReferenceList><Reference>
        <Citation>Badgers.</Citation><ArticleIdList><ArticleId IdType="doi">10.5555/badger</ArticleId>
        <ArticleId IdType="pubmed">99</ArticleId></ArticleIdList></Reference></ReferenceList>"""
    assert paper(record(article, citation=citation, data=data)) == Paper(
        title="Otters return",
        abstract="BACKGROUND: Otters were gone. RESULTS: They came back (p < 0.05).",
        authors=("Ada M. van Beek", "River Watch Group"),
        author_count=2,
        venue="Journal of river ecology",
        doi="10.5555/otter.1",
        other_ids=("pmid:4711",),
        published=date(2026, 2, 20),
        categories=("Otters",),
        url="https://pubmed.ncbi.nlm.nih.gov/4711/",
        links=("https://pmc.ncbi.nlm.nih.gov/articles/PMC12/",),
        keywords=("river restoration",),
    )


@pytest.mark.parametrize(
    ("element", "title"),
    [
        ("<ArticleTitle>Growth of <i>E. coli</i> in H<sub>2</sub>O.</ArticleTitle>", "Growth of E. coli in H2O"),
        ("<ArticleTitle>[Otters in winter].</ArticleTitle>", "Otters in winter"),
        ("<ArticleTitle>[The [18F]FDG of otters.]</ArticleTitle>", "The [18F]FDG of otters"),
        ("<ArticleTitle>[18F]FDG and [11C]PIB</ArticleTitle>", "[18F]FDG and [11C]PIB"),
        ("<ArticleTitle>Do otters sleep?</ArticleTitle>", "Do otters sleep?"),
        ("<ArticleTitle>Otters in the U.S.</ArticleTitle>", "Otters in the U.S."),
        ("<ArticleTitle>And then...</ArticleTitle>", "And then..."),
        ("<ArticleTitle>a &lt; b &amp; c &gt; d.</ArticleTitle>", "a < b & c > d"),
        ("<ArticleTitle>Otters &amp;amp; p &amp;lt; 0.05.</ArticleTitle>", "Otters & p < 0.05"),
        ("<ArticleTitle>R&amp;D with &lt;think&gt; tags.</ArticleTitle>", "R&D with <think> tags"),
        ("<ArticleTitle>About &lt;i&gt;E. coli&lt;/i&gt;.</ArticleTitle>", "About E. coli"),
        ("<ArticleTitle>Version 2.0.</ArticleTitle>", "Version 2.0"),
        (
            '<ArticleTitle>The <mml:math xmlns:mml="http://www.w3.org/1998/Math/MathML"><mml:semantics><mml:mi>k</mml:mi>'
            '<mml:annotation encoding="application/x-tex">k</mml:annotation></mml:semantics></mml:math> value.'
            "</ArticleTitle>",
            "The k value",
        ),
        ("<ArticleTitle/><VernacularTitle>Der Otter.</VernacularTitle>", "Der Otter"),
        ("<ArticleTitle>[Not Available].</ArticleTitle><VernacularTitle>Der Otter.</VernacularTitle>", "Der Otter"),
    ],
)
def test_titles(element: str, title: str) -> None:
    assert paper(record(title=element)).title == title


@pytest.mark.parametrize(
    ("parts", "abstract"),
    [
        ("<AbstractText>One.</AbstractText>", "One."),
        ('<AbstractText Label="AIM:">One.</AbstractText><AbstractText Label="AIM"/>', "AIM: One."),
        ('<AbstractText Label="UNLABELLED">One.</AbstractText>', "One."),
        ("<AbstractText>CO<sub>2</sub> of <b>otters</b></AbstractText>", "CO2 of otters"),
        ("<AbstractText>One. (ABSTRACT TRUNCATED AT 250 WORDS)</AbstractText>", "One."),
    ],
)
def test_abstracts(parts: str, abstract: str) -> None:
    assert paper(record(f"<Abstract>{parts}</Abstract>")).abstract == abstract


@pytest.mark.parametrize(
    ("authors", "names"),
    [
        ("<Author><LastName>Roe</LastName><Initials>JA</Initials></Author>", ("J. A. Roe",)),
        ("<Author><LastName>Roe</LastName><ForeName>J A</ForeName></Author>", ("J. A. Roe",)),
        ("<Author><LastName>Li</LastName><ForeName>Na</ForeName><Initials>N</Initials></Author>", ("Na Li",)),
        ("<Author><LastName>Roe</LastName><ForeName>Jo</ForeName><Suffix>Jr</Suffix></Author>", ("Jo Roe Jr",)),
        ("<Author><LastName>Plato</LastName></Author>", ("Plato",)),
        ('<Author ValidYN="N"><LastName>Reo</LastName></Author><Author><LastName>Roe</LastName></Author>', ("Roe",)),
        ("<Author><AffiliationInfo><Affiliation>Here.</Affiliation></AffiliationInfo></Author>", ()),
        ("<Author><CollectiveName>Watch &amp; Count</CollectiveName></Author>", ("Watch & Count",)),
    ],
)
def test_authors(authors: str, names: tuple[str, ...]) -> None:
    found = paper(record(f"<AuthorList>{authors}</AuthorList>"))
    assert (found.authors, found.author_count) == (names, len(names) or None)


def test_an_incomplete_list_does_not_say_how_many_authors_there_are() -> None:
    listed = '<AuthorList CompleteYN="N"><Author><LastName>Roe</LastName></Author></AuthorList>'
    assert paper(record(listed)).author_count is None


def history(**days: str) -> str:
    listed = "".join(
        "<PubMedPubDate PubStatus='{}'><Year>{}</Year><Month>{}</Month><Day>{}</Day></PubMedPubDate>".format(
            status, *day.split("-")
        )
        for status, day in days.items()
    )
    return f"<History>{listed}</History>"


ONLINE = "<ArticleDate DateType='Electronic'><Year>{}</Year><Month>{}</Month><Day>{}</Day></ArticleDate>"


@pytest.mark.parametrize(
    ("issue", "online", "dates", "day"),
    [
        ("<Year>2019</Year><Month>Jan</Month><Day>15</Day>", "", {}, "2019-01-15"),
        ("<Year>2019</Year><Month>03</Month>", "", {}, "2019-03-01"),
        ("<Year>2019</Year>", "", {}, "2019-01-01"),
        ("<Year>2020</Year><Season>Winter</Season>", "", {}, "2020-01-01"),
        ("<MedlineDate>2019 Jan-Feb</MedlineDate>", "", {}, "2019-01-01"),
        ("<MedlineDate>Winter 2020</MedlineDate>", "", {}, "2020-01-01"),
        ("<MedlineDate>2000 Spring</MedlineDate>", "", {}, "2000-04-01"),
        ("<MedlineDate>1998 Dec-1999 Jan</MedlineDate>", "", {}, "1998-12-01"),
        ("<MedlineDate>2020 Jun 15-30</MedlineDate>", "", {}, "2020-06-15"),
        ("<MedlineDate>2000-2001</MedlineDate>", "", {}, "2000-01-01"),
        ("<MedlineDate>in press</MedlineDate>", "", {}, None),
        ("<Year>0001</Year>", "", {"entrez": "2026-1-9"}, "2026-01-09"),
        ("<Year>2019</Year><Month>Feb</Month><Day>30</Day>", "", {}, "2019-02-01"),
        # The electronic version was first.
        ("<Year>2026</Year><Month>May</Month>", ("2026", "02", "20"), {}, "2026-02-20"),
        # An old article that was put online later.
        ("<Year>1985</Year><Month>Apr</Month>", ("2010", "6", "1"), {"entrez": "1985-4-9"}, "1985-04-01"),
        # An article of an issue that is dated ahead.
        ("<Year>2026</Year><Month>Jun</Month><Day>1</Day>", "", {"pubmed": "2026-3-3"}, "2026-03-03"),
        ("<Year>2026</Year><Month>Jun</Month>", "", {"pubmed": "2026-3-3", "received": "2025-1-1"}, "2026-03-03"),
        # A record that was added in the year that the issue names.
        ("<Year>2026</Year>", "", {"pubmed": "2026-3-4", "entrez": "2026-3-3"}, "2026-03-03"),
        # An old article that was added later.
        ("<Year>1970</Year>", "", {"entrez": "2026-3-3"}, "1970-01-01"),
        ("", "", {"epublish": "2026-3-1", "entrez": "2026-3-3"}, "2026-03-01"),
    ],
)
def test_dates(issue: str, online: Any, dates: dict[str, str], day: str | None) -> None:
    content = record(
        ONLINE.format(*online) if online else "", issue=f"<PubDate>{issue}</PubDate>", data=history(**dates)
    )
    assert paper(content).published == (date.fromisoformat(day) if day else None)


@pytest.mark.parametrize(
    ("journal", "venue"),
    [
        ("Science (New York, N.Y.)", "Science"),
        ("The Lancet. Oncology", "The Lancet. Oncology"),
        ("bioRxiv : the preprint server for biology", None),
        ("ArXiv", None),
    ],
)
def test_venues(journal: str, venue: str | None) -> None:
    assert paper(record(journal=journal)).venue == venue


def test_a_preprint_and_its_article_are_one_work() -> None:
    refers = (
        '<CommentsCorrectionsList><CommentsCorrections RefType="{}"><RefSource>{}</RefSource>'
        "<PMID>12</PMID></CommentsCorrections></CommentsCorrectionsList>"
    )
    later = refers.format("UpdateIn", "River J. 2026 May;1(2):3-4. doi: 10.5555/later.")
    preprint = paper(record(types="Preprint", citation=later, journal="Research square"))
    assert (preprint.other_ids, preprint.venue) == (("pmid:4711", "pmid:12", "10.5555/later"), None)
    earlier = refers.format("UpdateOf", "medRxiv. 2025 Dec 5:2025.12.01.25300001. doi: 10.1101/2025.12.01.25300001.")
    assert paper(record(citation=earlier)).other_ids == ("pmid:4711", "pmid:12", "10.1101/2025.12.01.25300001")
    edition = refers.format("UpdateOf", "Reviews Database. 2019 Jan 1;1:CD1. doi: 10.5555/edition.1.")
    assert paper(record(citation=edition)).other_ids == ("pmid:4711",)


def test_an_arxiv_preprint() -> None:
    found = paper(record('<ELocationID EIdType="pii">arXiv:2601.01234v2</ELocationID>', types="Preprint"))
    assert (found.arxiv_id, found.version, found.doi) == ("2601.01234", 2, None)


def test_a_retracted_article() -> None:
    assert paper(record(types="Journal Article|Retracted Publication")).status is PaperStatus.RETRACTED
    refers = "<CommentsCorrectionsList><CommentsCorrections RefType='RetractionIn'/></CommentsCorrectionsList>"
    assert paper(record(citation=refers)).status is PaperStatus.RETRACTED


@pytest.mark.parametrize(
    ("types", "reference", "kind"),
    [
        ("Retraction of Publication", "RetractionOf", EventKind.RETRACTED),
        ("Journal Article|Retraction Notice", "RetractionOf", EventKind.RETRACTED),
        ("Published Erratum", "ErratumFor", EventKind.CORRECTED),
        ("Expression of Concern", "ExpressionOfConcernFor", EventKind.CONCERN),
    ],
)
def test_notices(types: str, reference: str, kind: EventKind) -> None:
    targets = "".join(
        f'<CommentsCorrections RefType="{one}"><RefSource>{source}</RefSource>{number}</CommentsCorrections>'
        for one, source, number in [
            (reference, "J Riv Ecol. 2024 Jan;1(1):1-2. doi: 10.5555/First.", "<PMID Version='1'>7</PMID>"),
            (reference, "J Riv Ecol. 2024 Jan;1(1):3. doi: 10.5555/second. eCollection 2024.", ""),
            (reference, "Ann Fish. 1999;1:3", ""),
            ("CommentOn", "J Riv Ecol. 2023", "<PMID>8</PMID>"),
        ]
    )
    content = record(
        '<ELocationID EIdType="doi">10.5555/notice</ELocationID>',
        types=types,
        citation=f"<CommentsCorrectionsList>{targets}</CommentsCorrectionsList>",
    )
    shared: dict[str, Any] = {
        "kind": kind,
        "day": date(2026, 3, 2),
        "doi": "10.5555/notice",
        "url": "https://pubmed.ncbi.nlm.nih.gov/4711/",
    }
    assert items(content) == (
        Notice(of=("pmid:7", "10.5555/first"), **shared),
        Notice(of=("10.5555/second",), **shared),
    )


def test_an_article_with_a_correction_is_a_paper() -> None:
    refers = "<CommentsCorrectionsList><CommentsCorrections RefType='ErratumIn'><PMID>9</PMID></CommentsCorrections>"
    assert paper(record(citation=f"{refers}</CommentsCorrectionsList>")).title == "Otters return"


def test_books() -> None:
    chapter = b"""<PubmedArticleSet><PubmedBookArticle><BookDocument><PMID Version="1">31</PMID><ArticleIdList>
        <ArticleId IdType="bookaccession">NBK1</ArticleId><ArticleId IdType="doi">10.5555/book.1</ArticleId>
        </ArticleIdList><Book><Publisher><PublisherName>River Press</PublisherName></Publisher>
        <BookTitle book="otters">All about otters</BookTitle><PubDate><Year>2025</Year></PubDate>
        <AuthorList Type="editors"><Author><LastName>Ed</LastName></Author></AuthorList></Book>
        <ArticleTitle book="otters" part="diet">Diet</ArticleTitle><AuthorList Type="authors"><Author>
        <LastName>Roe</LastName><ForeName>Jo</ForeName></Author></AuthorList><PublicationType>Review</PublicationType>
        <Abstract><AbstractText>Fish.</AbstractText></Abstract></BookDocument><PubmedBookData><History>
        <PubMedPubDate PubStatus="pubmed"><Year>2025</Year><Month>4</Month><Day>2</Day></PubMedPubDate></History>
        </PubmedBookData></PubmedBookArticle></PubmedArticleSet>"""
    found = paper(chapter)
    assert (found.title, found.venue, found.authors, found.doi) == (
        "Diet",
        "All about otters",
        ("Jo Roe",),
        "10.5555/book.1",
    )
    assert (found.published, found.abstract) == (date(2025, 4, 2), "Fish.")
    whole = paper(chapter.replace(b'<ArticleTitle book="otters" part="diet">Diet</ArticleTitle>', b""))
    assert (whole.title, whole.venue) == ("All about otters", None)


def test_deleted_records() -> None:
    content = b"<PubmedArticleSet><DeleteCitation><PMID>5</PMID><PMID>6</PMID></DeleteCitation></PubmedArticleSet>"
    assert [(one.pmid, one.items) for one in records_in(content, "GET x")] == [("5", ()), ("6", ())]


@pytest.mark.parametrize(
    ("broken", "problem"),
    [
        (record(title=""), ("PMID 4711", "ArticleTitle: missing")),
        (record().replace(b">4711<", b">x<"), ("a PubmedArticle of PubMed", "PMID: missing, or not a number")),
        (b"<PubmedArticleSet><PubmedArticle/></PubmedArticleSet>", ("a PubmedArticle of PubMed", "PMID: missing")),
    ],
)
def test_a_record_that_is_none(broken: bytes, problem: tuple[str, str]) -> None:
    (skipped,) = items(broken)
    assert isinstance(skipped, SkippedPaper)
    assert skipped.where == problem[0]
    assert skipped.why.startswith(problem[1])


def test_very_deep_markup() -> None:
    deep = "<i>" * 20_000 + "otters" + "</i>" * 20_000
    assert paper(record(f"<Abstract><AbstractText>{deep}</AbstractText></Abstract>")).abstract == "otters"


TAGS = ("AbstractText", "i", "PMID", "Year", "Month", "MedlineDate", "Author", "LastName", "ArticleId", "ELocationID")
TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), max_size=20)


def element(children: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.builds(
        lambda tag, inner: f"<{tag}>{''.join(inner)}</{tag}>", st.sampled_from(TAGS), st.lists(children, max_size=4)
    )


def escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;")


@settings(max_examples=40)
@given(st.recursive(TEXTS.map(escaped), element, max_leaves=20), st.sampled_from(["article", "issue", "title", "data"]))
def test_odd_records_never_raise(inner: str, place: str) -> None:
    value = f"<ArticleTitle>{inner}</ArticleTitle>" if place == "title" else inner
    try:
        for item in items(record(**{place: value})):  # type: ignore[arg-type]
            within_bounds(item)
    except SourceError as error:
        assert "not XML" in str(error)
