"""PubMed through a server that answers as the E-utilities do."""

import json
from collections.abc import Callable, Iterable
from datetime import date, timedelta
from typing import Any

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from newsletter.config.sources import PubMedSource
from newsletter.model import EventKind, Notice, Paper, SkippedPaper
from newsletter.sources.base import DateRange
from newsletter.sources.errors import NoAnswerError, SourceError
from newsletter.sources.http import HttpClient, Validators
from newsletter.sources.pubmed import PubMed

NOW = DateRange(None, date(2026, 3, 10))
MONTH = DateRange(date(2026, 1, 1), date(2026, 1, 31))


def article(pmid: int, title: str = "", types: Iterable[str] = ("Journal Article",), refers: str = "") -> str:
    listed = "".join(f"<PublicationType>{one}</PublicationType>" for one in types)
    return f"""<PubmedArticle><MedlineCitation><PMID Version="1">{pmid}</PMID><Article>
        <Journal><JournalIssue><PubDate><Year>2026</Year><Month>Mar</Month><Day>09</Day></PubDate></JournalIssue>
        <Title>Journal of river ecology</Title></Journal><ArticleTitle>{title or f"Trout {pmid}"}.</ArticleTitle>
        <PublicationTypeList>{listed}</PublicationTypeList></Article>
        <CommentsCorrectionsList>{refers}</CommentsCorrectionsList></MedlineCitation></PubmedArticle>"""


def retraction(pmid: int, of: int) -> str:
    refers = f'<CommentsCorrections RefType="RetractionOf"><PMID>{of}</PMID></CommentsCorrections>'
    return article(pmid, types=["Retraction of Publication"], refers=refers)


class Eutils:
    """A small PubMed.

    Attributes:
        days: the records by the day that a search finds them on. ``notices``: those of the search for notices.
        asked: each request, as the name of the utility and its parameters.
    """

    def __init__(self, server: HTTPServer) -> None:
        self.days: dict[date, list[int]] = {}
        self.notices: list[int] = []
        self.xml: dict[int, str] = {}
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.page = self.most = 9_999
        self.etags = False
        server.expect_request("/esearch.fcgi").respond_with_handler(self.search)
        server.expect_request("/efetch.fcgi").respond_with_handler(self.fetch)
        self.settings = PubMedSource.model_validate(
            {"kind": "pubmed", "query": "trout[tiab]", "api_url": server.url_for("/").rstrip("/"), "pause_seconds": 0}
        )

    def search(self, request: Request) -> Response:
        args = request.args
        self.asked.append(("esearch", args.to_dict()))
        first, last = (date.fromisoformat(args[name].replace("/", "-")) for name in ("mindate", "maxdate"))
        found = [pmid for day, pmids in self.days.items() if first <= day <= last for pmid in pmids]
        if "[pt]" in args["term"]:
            found = self.notices
        start, size = int(args["retstart"]), min(int(args["retmax"]), self.page)
        shown = [str(pmid) for pmid in sorted(found, reverse=True)[start : min(start + size, self.most)]]
        result = {"count": str(len(found)), "retmax": str(len(shown)), "retstart": str(start), "idlist": shown}
        return Response(json.dumps({"header": {"type": "esearch"}, "esearchresult": result}))

    def fetch(self, request: Request) -> Response:
        pmids = [int(pmid) for pmid in request.args["id"].split(",")]
        self.asked.append(("efetch", request.args.to_dict()))
        body = "".join(self.xml.get(pmid, "") or article(pmid) for pmid in pmids if self.xml.get(pmid) != "gone")
        response = Response(f'<?xml version="1.0" ?><!DOCTYPE PubmedArticleSet PUBLIC "-//NLM//DTD PubMedArticle, 1st '
                            f'January 2025//EN" "https://dtd.nlm.nih.gov/ncbi/pubmed/out/pubmed_250101.dtd">'
                            f"<PubmedArticleSet>{body}</PubmedArticleSet>")  # fmt: skip
        if self.etags:
            response.add_etag()
            response.make_conditional(request)
        return response

    def source(self, **changes: Any) -> PubMed:
        return PubMed("pm", self.settings.model_copy(update=changes), "papers@example.org", "s3cret")


@pytest.fixture
def eutils(httpserver: HTTPServer) -> Eutils:
    return Eutils(httpserver)


def numbers(found: Iterable[Any]) -> list[int]:
    return [int(item.other_ids[0].removeprefix("pmid:")) for item in found if isinstance(item, Paper)]


def test_what_pubmed_added_in_the_last_days(eutils: Eutils, http: HttpClient) -> None:
    eutils.days = {date(2026, 3, 6): [1], date(2026, 3, 7): [12, 3], date(2026, 3, 10): [4]}
    found = list(eutils.source().fetch(NOW, http))
    assert numbers(found) == [3, 4, 12]
    (_, first), (_, notices), *_ = sorted(eutils.asked, key=lambda one: one[0], reverse=True)
    assert (first["term"], first["datetype"], first["mindate"], first["maxdate"]) == (
        "trout[tiab]",
        "edat",
        "2026/03/07",
        "2026/03/10",
    )
    assert (first["tool"], first["email"], first["api_key"]) == ("newsletter", "papers@example.org", "s3cret")
    assert "Retraction" in notices["term"]


def test_what_was_published_in_a_window(eutils: Eutils, http: HttpClient) -> None:
    eutils.days = {date(2026, 1, 15): [5]}
    assert numbers(eutils.source(notices=False).fetch(MONTH, http)) == [5]
    assert [args.get("datetype") for _, args in eutils.asked] == ["pdat", None]


def test_days_without_articles(eutils: Eutils, http: HttpClient) -> None:
    assert list(eutils.source().fetch(NOW, http)) == []
    assert [name for name, _ in eutils.asked] == ["esearch", "esearch"]


def test_records_come_in_batches_and_a_second_run_gets_none_of_them_again(
    eutils: Eutils, http: HttpClient, http_knowing: Callable[[dict[str, Validators]], HttpClient]
) -> None:
    eutils.days, eutils.etags = {date(2026, 1, 15): list(range(1, 451))}, True
    assert numbers(eutils.source(notices=False).fetch(MONTH, http)) == list(range(1, 451))
    assert [len(args["id"].split(",")) for name, args in eutils.asked if name == "efetch"] == [200, 200, 50]
    assert len(http.validators_seen) == 3
    assert "s3cret" not in str(http.validators_seen)
    again = http_knowing(http.validators_seen)
    eutils.days[date(2026, 1, 16)] = [451]
    assert numbers(eutils.source(notices=False).fetch(MONTH, again)) == list(range(401, 452))


def test_a_server_with_smaller_pages(eutils: Eutils, http: HttpClient) -> None:
    eutils.days, eutils.page = {date(2026, 1, 15): list(range(1, 8))}, 3
    assert numbers(eutils.source(notices=False).fetch(MONTH, http)) == list(range(1, 8))


@pytest.fixture
def only_100(monkeypatch: pytest.MonkeyPatch, eutils: Eutils) -> None:
    """A PubMed that returns the first 100 of a search, since 9,999 take seconds."""
    eutils.most = 100
    for module in ("entrez", "pubmed"):
        monkeypatch.setattr(f"newsletter.sources.{module}.MOST_HITS", 100)


@pytest.mark.usefixtures("only_100")
def test_more_than_pubmed_returns_is_asked_for_by_days(eutils: Eutils, http: HttpClient) -> None:
    eutils.days = {date(2026, 1, day): list(range(day * 10, day * 10 + 7)) for day in range(1, 32)}
    source = eutils.source(notices=False)
    assert len(numbers(source.fetch(MONTH, http))) == 31 * 7
    windows = [(args["mindate"], args["maxdate"]) for name, args in eutils.asked if name == "esearch"]
    assert windows[:2] == [("2026/01/01", "2026/01/31"), ("2026/01/01", "2026/01/16")]
    assert len(windows) == 7


@pytest.mark.usefixtures("only_100")
def test_a_day_with_more_than_pubmed_returns(eutils: Eutils, http: HttpClient) -> None:
    eutils.days = {date(2026, 1, 1): list(range(1, 120))}
    got: list[Any] = []
    with pytest.raises(SourceError, match=r"more than 100 articles for 2026-01-01.*narrow the query"):
        for item in eutils.source(notices=False).fetch(MONTH, http):
            got.append(item)
    assert len(got) == 100


def test_notices_of_all_of_pubmed(eutils: Eutils, http: HttpClient) -> None:
    eutils.days, eutils.notices = {date(2026, 3, 9): [1, 20]}, [20, 21, 22]
    eutils.xml = {20: retraction(20, 7), 21: retraction(21, 8), 22: article(22)}
    paper, first, second = eutils.source().fetch(NOW, http)
    assert isinstance(paper, Paper)
    assert first == Notice(
        kind=EventKind.RETRACTED, of=("pmid:7",), day=date(2026, 3, 9), url="https://pubmed.ncbi.nlm.nih.gov/20/"
    )
    assert isinstance(second, Notice)
    assert second.of == ("pmid:8",)


def test_a_long_window_asks_for_no_other_notices(eutils: Eutils, http: HttpClient) -> None:
    list(eutils.source().fetch(DateRange(MONTH.since, MONTH.until + timedelta(days=2)), http))
    assert len(eutils.asked) == 1


def test_a_record_that_is_not_returned(eutils: Eutils, http: HttpClient) -> None:
    eutils.days, eutils.xml = {date(2026, 3, 9): [1, 2]}, {1: "gone"}
    paper, skipped = eutils.source(notices=False).fetch(NOW, http)
    assert isinstance(paper, Paper)
    assert skipped == SkippedPaper("PMID 1", "PubMed found it, but did not return its record")


def test_what_pubmed_does_not_know_in_a_query(eutils: Eutils, http: HttpClient, httpserver: HTTPServer) -> None:
    errors = {"phrasesnotfound": [], "fieldsnotfound": ["tiba"]}
    httpserver.clear()
    httpserver.expect_request("/esearch.fcgi").respond_with_json(
        {"esearchresult": {"count": "0", "idlist": [], "errorlist": errors}}
    )
    (skipped,) = eutils.source(notices=False).fetch(NOW, http)
    assert isinstance(skipped, SkippedPaper)
    assert "the field 'tiba'" in skipped.why


BUSY = {"error": "API rate limit exceeded", "count": "4"}


@pytest.mark.parametrize("path", ["/esearch.fcgi", "/efetch.fcgi"])
def test_a_rate_limit_with_status_200_passes(httpserver: HTTPServer, http: HttpClient, path: str) -> None:
    httpserver.expect_oneshot_request(path).respond_with_json(BUSY)
    eutils = Eutils(httpserver)
    eutils.days = {date(2026, 3, 9): [1]}
    assert numbers(eutils.source().fetch(NOW, http)) == [1]


@pytest.mark.parametrize(("body", "status"), [(BUSY, 200), (BUSY, 429)])
def test_a_rate_limit_that_stays_says_what_to_set(
    eutils: Eutils, httpserver: HTTPServer, http: HttpClient, body: Any, status: int
) -> None:
    httpserver.clear()
    httpserver.expect_request("/esearch.fcgi").respond_with_json(body, status=status)
    with pytest.raises(NoAnswerError, match=r"tried 3 times\); NCBI allows .*set NEWSLETTER_NCBI_KEY") as error:
        list(eutils.source().fetch(NOW, http))
    assert "s3cret" not in str(error.value)


FOUND = {"esearchresult": {"count": "1", "idlist": ["1"]}}


@pytest.mark.parametrize(
    ("search", "records", "problem"),
    [
        ({}, "", "esearchresult: missing"),
        ([], "", "esearchresult: missing"),
        ({"esearchresult": {"count": "1"}}, "", "esearchresult.idlist: not a list of PubMed numbers"),
        ({"esearchresult": {"count": "1", "idlist": ["x"]}}, "", "esearchresult.idlist"),
        ({"esearchresult": {"idlist": ["1"]}}, "", "esearchresult.count"),
        ({"esearchresult": {"count": "5", "idlist": []}}, "", "got 0 of 5 ids"),
        ({"esearchresult": {"ERROR": "Empty term and query_key"}}, "", "PubMed says: Empty term .*check the query"),
        ({"esearchresult": {"ERROR": "Search Backend failed: x"}}, "", "Search Backend failed.*tried 3 times"),
        (FOUND, "<PubmedArticleSet><PubmedArticle>", "the response is not XML"),
        (FOUND, "<html><body>Sorry</body></html>", "PubmedArticleSet: missing"),
        (FOUND, "<eFetchResult><ERROR>ID list is empty</ERROR></eFetchResult>", "PubMed says: ID list is empty"),
        (FOUND, '<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', "declares XML entities"),
        (FOUND, '<!DOCTYPE a [<!ENTITY % b SYSTEM "file:///etc/passwd">%b;]><a/>', "declares XML entities"),
        (FOUND, "", "the response is not XML"),
    ],
)
def test_an_answer_that_is_none(
    eutils: Eutils, httpserver: HTTPServer, http: HttpClient, search: Any, records: str, problem: str
) -> None:
    httpserver.clear()
    httpserver.expect_request("/esearch.fcgi").respond_with_json(search)
    httpserver.expect_request("/efetch.fcgi").respond_with_data(records)
    with pytest.raises(SourceError, match=problem):
        list(eutils.source(notices=False).fetch(NOW, http))


def test_records_before_a_fault_are_kept(eutils: Eutils, httpserver: HTTPServer, http: HttpClient) -> None:
    httpserver.clear()
    httpserver.expect_request("/esearch.fcgi").respond_with_json({"esearchresult": {"count": "1", "idlist": ["1"]}})
    httpserver.expect_request("/efetch.fcgi").respond_with_data(f"<PubmedArticleSet>{article(1)}<PubmedArt")
    found = eutils.source(notices=False).fetch(NOW, http)
    assert isinstance(next(found), Paper)
    with pytest.raises(SourceError, match="not XML"):
        next(found)
