"""Semantic Scholar through a server that answers as its API does."""

import json
from collections.abc import Callable
from datetime import date
from typing import Any

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from newsletter.config.sources import SemanticScholarSource
from newsletter.model import Paper, SkippedPaper
from newsletter.sources.base import DateRange
from newsletter.sources.errors import SourceError
from newsletter.sources.http import HttpClient, Validators
from newsletter.sources.semantic_scholar import SemanticScholar

NOW = DateRange(None, date(2026, 3, 15))
BULK, BATCH = "/graph/v1/paper/search/bulk", "/graph/v1/paper/batch"


def entry(number: int = 1, **changes: Any) -> dict[str, Any]:
    return {
        "paperId": f"{number:040x}",
        "externalIds": {"DOI": f"10.5555/S2.{number}", "CorpusId": number},
        "url": f"https://www.semanticscholar.org/paper/{number:040x}",
        "title": f"Otters {number}",
        "abstract": None,
        "venue": "",
        "publicationVenue": None,
        "journal": None,
        "year": 2026,
        "publicationDate": "2026-03-09",
        "authors": [{"authorId": "1", "name": "Ada Smith"}, {"authorId": None, "name": ""}],
        "openAccessPdf": None,
        "s2FieldsOfStudy": [],
        **changes,
    }


class Scholar:
    """A small Semantic Scholar: pages of a search, and summaries by paper id."""

    def __init__(self, server: HTTPServer, *pages: list[Any]) -> None:
        self.pages, self.summaries = list(pages), {}  # type: ignore[var-annotated]
        self.asked: list[Request] = []
        server.expect_request(BULK).respond_with_handler(self.search)
        server.expect_request(BATCH, method="POST").respond_with_handler(self.batch)
        self._url = server.url_for("")

    def search(self, request: Request) -> Response:
        self.asked.append(request)
        page = int(request.args.get("token", "t0")[1:])
        token = f"t{page + 1}" if page + 1 < len(self.pages) else None
        data = self.pages[page] if self.pages else []
        response = Response(json.dumps({"total": sum(map(len, self.pages)), "token": token, "data": data}))
        response.add_etag()
        response.make_conditional(request)
        return response

    def batch(self, request: Request) -> Response:
        self.asked.append(request)
        ids = json.loads(request.data)["ids"]
        assert request.args["fields"] == "tldr"
        assert len(ids) <= 500
        found = [
            {"paperId": one, "tldr": {"model": "v2", "text": self.summaries[one]}} if one in self.summaries else None
            for one in ids
        ]
        return Response(json.dumps(found))

    def source(self, **changes: Any) -> SemanticScholar:
        values = {"kind": "semanticscholar", "query": "otter*", "api_url": self._url, "pause_seconds": 0, **changes}
        return SemanticScholar("s2", SemanticScholarSource.model_validate(values), "s3cret")


def test_a_paper(httpserver: HTTPServer, http: HttpClient) -> None:
    full = entry(
        7,
        externalIds={"ArXiv": "2601.01234", "DOI": "10.5555/Otter", "PubMed": "4711", "DBLP": "x/Y"},
        abstract="They <i>swim</i>.",
        venue="ArXiv",
        publicationVenue={"name": "arXiv.org"},
        journal={"name": "Journal of river ecology", "volume": "1"},
        openAccessPdf={"url": "https://river.example/otter.pdf", "status": "GREEN"},
        s2FieldsOfStudy=[{"category": "Biology", "source": "a"}, {"category": "Biology", "source": "b"}],
    )
    scholar = Scholar(httpserver, [full])
    scholar.summaries = {full["paperId"]: "Otters swim."}
    (paper,) = scholar.source(fields_of_study=["Biology", "Computer Science"]).fetch(NOW, http)
    assert paper == Paper(
        title="Otters 7",
        abstract="They swim.",
        authors=("Ada Smith",),
        author_count=1,
        venue="Journal of river ecology",
        arxiv_id="2601.01234",
        doi="10.5555/otter",
        other_ids=("pmid:4711",),
        published=date(2026, 3, 9),
        categories=("Biology",),
        url="https://arxiv.org/abs/2601.01234",
        pdf_url="https://river.example/otter.pdf",
        links=(full["url"],),
        summary="Otters swim.",
        summary_by="Semantic Scholar",
    )
    search, batch = scholar.asked
    assert (search.args["query"], search.args["publicationDateOrYear"]) == ("otter*", "2026-03-01:2026-03-15")
    assert search.args["fieldsOfStudy"] == "Biology,Computer Science"
    assert "tldr" not in search.args["fields"]
    assert search.headers["x-api-key"] == batch.headers["x-api-key"] == "s3cret"


def test_pages_and_a_second_run(
    httpserver: HTTPServer, http: HttpClient, http_knowing: Callable[[dict[str, Validators]], HttpClient]
) -> None:
    scholar = Scholar(httpserver, [entry(number) for number in range(1_000)], [entry(1_000)])
    window = DateRange(date(2026, 1, 1), date(2026, 3, 31))
    assert len(list(scholar.source().fetch(window, http))) == 1_001
    assert [request.path for request in scholar.asked] == [BULK, BATCH, BATCH, BULK, BATCH]
    assert scholar.asked[0].args["publicationDateOrYear"] == "2026-01-01:2026-03-31"
    scholar.asked.clear()
    assert list(scholar.source().fetch(window, http_knowing(http.validators_seen))) == []
    assert len(scholar.asked) == 1


def test_without_summaries(httpserver: HTTPServer, http: HttpClient) -> None:
    scholar = Scholar(httpserver, [entry(tldr={"model": "v2", "text": "Given."}), entry(2)])
    first, second = scholar.source(tldr=False).fetch(NOW, http)
    assert isinstance(first, Paper)
    assert isinstance(second, Paper)
    assert (first.summary, second.summary) == ("Given.", None)
    assert len(scholar.asked) == 1


def test_summaries_that_fail_cost_no_paper(httpserver: HTTPServer, http: HttpClient) -> None:
    httpserver.expect_request(BATCH).respond_with_data("no", status=403)
    scholar = Scholar(httpserver, [entry()])
    skipped, paper = scholar.source().fetch(NOW, http)
    assert isinstance(skipped, SkippedPaper)
    assert skipped.where == "the summaries"
    assert isinstance(paper, Paper)


@pytest.mark.parametrize(
    ("changes", "field", "value"),
    [
        ({"externalIds": {"DOI": "10.48550/arXiv.2601.01234"}}, "arxiv_id", "2601.01234"),
        ({"externalIds": None}, "url", f"https://www.semanticscholar.org/paper/{1:040x}"),
        ({"publicationDate": None}, "published", date(2026, 1, 1)),
        ({"publicationDate": None, "year": None}, "published", None),
        ({"venue": "Research Square", "journal": {"name": "medRxiv"}}, "venue", None),
        ({"paperId": None}, "title", "Otters 1"),
        ({"authors": None}, "authors", ()),
    ],
)
def test_fields(httpserver: HTTPServer, http: HttpClient, changes: dict[str, Any], field: str, value: Any) -> None:
    (paper,) = Scholar(httpserver, [entry(**changes)]).source().fetch(NOW, http)
    assert getattr(paper, field) == value


def test_one_bad_paper_stops_no_other(httpserver: HTTPServer, http: HttpClient) -> None:
    one, two, paper = Scholar(httpserver, [entry(title=None), "x", entry(3)]).source().fetch(NOW, http)
    assert isinstance(one, SkippedPaper)
    assert one.where == "2026-03-01 to 2026-03-15, paper 1"
    assert isinstance(two, SkippedPaper)
    assert isinstance(paper, Paper)


def test_nothing_found(httpserver: HTTPServer, http: HttpClient) -> None:
    assert list(Scholar(httpserver).source().fetch(NOW, http)) == []


@pytest.mark.parametrize(
    ("body", "status", "problem"),
    [
        ({}, 200, "data: missing, or not a list of papers"),
        ([], 200, "data: missing"),
        ({"data": {}}, 200, "data: missing"),
        ({"error": "Unsupported query"}, 400, "Semantic Scholar says: 'Unsupported query'; check the source's query"),
        ({"code": "429"}, 429, "tried 3 times.*set NEWSLETTER_SEMANTIC_SCHOLAR_KEY"),
    ],
)
def test_an_answer_that_is_none(httpserver: HTTPServer, http: HttpClient, body: Any, status: int, problem: str) -> None:
    httpserver.expect_request(BULK).respond_with_json(body, status=status)
    scholar = Scholar(httpserver)
    with pytest.raises(SourceError, match=problem):
        list(scholar.source().fetch(NOW, http))
