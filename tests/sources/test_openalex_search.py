import json
import re
from collections.abc import Callable
from datetime import date
from typing import Any

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from newsletter.config.sources import OpenAlexSource
from newsletter.model import Paper, PaperStatus, SkippedPaper
from newsletter.sources.base import DateRange, Found
from newsletter.sources.errors import SourceError
from newsletter.sources.http import HttpClient
from newsletter.sources.openalex import to_paper
from newsletter.sources.openalex_search import OpenAlexSearch

TODAY = DateRange(None, date(2026, 3, 14))
WINDOW = DateRange(date(2026, 1, 1), date(2026, 1, 31))


def location(url: str | None, kind: str = "repository", name: str = "Store", pdf: str | None = None) -> dict[str, Any]:
    return {
        "landing_page_url": url,
        "pdf_url": pdf,
        "version": "submittedVersion",
        "source": {"display_name": name, "type": kind},
    }


def work(number: int = 1, **changes: Any) -> dict[str, Any]:
    """A work with the fields and nesting of the API (https://developers.openalex.org/api-reference/works)."""
    doi = f"https://doi.org/10.5555/Loom.{number}"
    own = location(doi, "journal", "Journal of Looms", "https://looms.example/1.pdf")
    return {
        "id": f"https://openalex.org/W{number}",
        "doi": doi,
        "ids": {
            "openalex": f"https://openalex.org/W{number}",
            "doi": doi,
            "pmid": "https://pubmed.ncbi.nlm.nih.gov/77",
        },
        "display_name": f"Looms of the north, part {number}",
        "publication_date": "2026-01-02",
        "type": "article",
        "is_retracted": False,
        "authorships": [
            {"author": {"display_name": "Ada Lovelace"}, "raw_author_name": "A. Lovelace", "institutions": []},
            {"author": None, "raw_author_name": "Bo Jones", "institutions": []},
        ],
        "abstract_inverted_index": {"Abstract": [0], "Looms": [1, 4], "weave": [2], "and": [3], "rest.": [5]},
        "primary_location": own,
        "locations": [own],
        "topics": [{"display_name": "Weaving", "score": 0.9}],
        "keywords": [{"display_name": "Loom", "score": 0.5}],
        **changes,
    }


class Api:
    """An API that gives pages of its works, and keeps what it was asked."""

    def __init__(self, server: HTTPServer) -> None:
        self.works: list[Any] = []
        self.asked: list[dict[str, str]] = []
        self.claimed: int | None = None
        self.most = 200
        server.expect_request("/works").respond_with_handler(self._answer)

    def _answer(self, request: Request) -> Response:
        query = dict(request.args)
        self.asked.append(query)
        size = min(self.most, int(query["per-page"]))
        start = int(query["cursor"].strip("*") or 0) if "cursor" in query else size * (int(query["page"]) - 1)
        found = self.works[start : start + size]
        meta: dict[str, Any] = {"count": self.claimed or len(self.works), "per_page": size}
        if "cursor" in query:
            meta["next_cursor"] = str(start + size) if found else None
        answer = Response(json.dumps({"meta": meta, "results": found}), content_type="application/json")
        answer.add_etag()
        answer.make_conditional(request)
        return answer


@pytest.fixture
def api(httpserver: HTTPServer) -> Api:
    return Api(httpserver)


def source(server: HTTPServer, key: str | None = None, **changes: Any) -> OpenAlexSearch:
    settings = {"kind": "openalex", "topics": ["T1", "T2"], "api_url": server.url_for("/"), "pause_seconds": 0}
    return OpenAlexSearch("loom", OpenAlexSource.model_validate(settings | changes), "papers@example.org", key)


def titles(found: list[Found]) -> list[str]:
    return [paper.title for paper in found if isinstance(paper, Paper)]


def test_a_work(httpserver: HTTPServer, http: HttpClient, api: Api) -> None:
    api.works = [work(1)]
    (paper,) = source(httpserver).fetch(TODAY, http)
    assert paper == Paper(
        title="Looms of the north, part 1",
        abstract="Looms weave and Looms rest.",
        authors=("Ada Lovelace", "Bo Jones"),
        author_count=2,
        venue="Journal of Looms",
        doi="10.5555/loom.1",
        other_ids=("pmid:77",),
        published=date(2026, 1, 2),
        categories=("Weaving",),
        url="https://doi.org/10.5555/loom.1",
        pdf_url="https://looms.example/1.pdf",
        keywords=("Loom",),
    )
    (asked,) = api.asked
    assert asked["filter"] == (
        "topics.id:T1|T2,type:article|review|preprint|letter,"
        "from_publication_date:2026-03-01,to_publication_date:2026-03-14"
    )
    assert (asked["mailto"], asked["page"], asked["per-page"]) == ("papers@example.org", "1", "100")
    assert "api_key" not in asked


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"institutions": ["05dxps055"]}, "authorships.institutions.ror:05dxps055"),
        ({"institutions": ["I1", "I2"]}, "authorships.institutions.lineage:I1|I2"),
        ({"authors": ["0000-0002-1825-0097"]}, "authorships.author.orcid:0000-0002-1825-0097"),
        ({"authors": ["A1"], "sources": ["S1"]}, "authorships.author.id:A1,primary_location.source.id:S1"),
        ({"query": "looms, (north OR south)"}, "title_and_abstract.search:looms (north OR south)"),
        ({"query": "looms", "languages": ["en", "sv"]}, "title_and_abstract.search:looms,language:en|sv"),
    ],
)
def test_what_is_asked(
    httpserver: HTTPServer, http: HttpClient, api: Api, changes: dict[str, Any], expected: str
) -> None:
    list(source(httpserver, topics=[], types="article", **changes).fetch(WINDOW, http))
    days = "from_publication_date:2026-01-01,to_publication_date:2026-01-31"
    assert api.asked[0]["filter"] == f"{expected},type:article,{days}"


def test_pages_and_a_second_run(
    httpserver: HTTPServer, http: HttpClient, http_knowing: Callable[..., HttpClient], api: Api
) -> None:
    api.works = [work(number) for number in range(230)]
    assert len(titles(list(source(httpserver, "sesame").fetch(WINDOW, http)))) == 230
    assert [query["page"] for query in api.asked] == ["1", "2", "3"]
    assert {query["api_key"] for query in api.asked} == {"sesame"}
    # What is stored about the requests names no key.
    assert "sesame" not in repr(http.validators_seen)
    again = http_knowing(http.validators_seen)
    assert list(source(httpserver, "sesame").fetch(WINDOW, again)) == []
    assert [response.status_code for _, response in httpserver.log[3:]] == [304] * 3


def test_pages_that_are_shorter_than_asked_for(httpserver: HTTPServer, http: HttpClient, api: Api) -> None:
    api.works, api.most = [work(number) for number in range(5)], 2
    assert len(titles(list(source(httpserver).fetch(WINDOW, http)))) == 5


def test_a_day_with_too_many_works_needs_a_key(httpserver: HTTPServer, http: HttpClient, api: Api) -> None:
    api.works, api.claimed = [work(number) for number in range(3)], 10_001
    day = DateRange(date(2026, 1, 1), date(2026, 1, 1))
    assert len(titles(list(source(httpserver, "sesame").fetch(day, http)))) == 3
    with pytest.raises(SourceError, match=r"10,000 works of 2026-01-01 or more.*NEWSLETTER_OPENALEX_KEY"):
        list(source(httpserver).fetch(day, http))


@pytest.mark.parametrize(
    ("changes", "other_ids", "arxiv_id"),
    [
        ({"locations": [location("https://arxiv.org/abs/2601.00001v2")]}, ("pmid:77",), "2601.00001"),
        (
            {"locations": [location("https://doi.org/10.1101/2025.01.01.000001")]},
            ("pmid:77", "10.1101/2025.01.01.000001"),
            None,
        ),
        ({"locations": [location("https://doi.org/10.5281/zenodo.1")]}, ("pmid:77",), None),
        ({"ids": {"pmid": 77}}, ("pmid:77",), None),
        ({"ids": None, "locations": [location("https://pubmed.ncbi.nlm.nih.gov/78")]}, ("pmid:78",), None),
        (
            {"doi": "https://doi.org/10.48550/arXiv.2601.00002", "primary_location": None, "locations": [], "ids": {}},
            (),
            "2601.00002",
        ),
    ],
)
def test_the_versions_of_a_work(changes: dict[str, Any], other_ids: tuple[str, ...], arxiv_id: str | None) -> None:
    paper = to_paper(work(**changes))
    assert paper is not None
    assert (paper.other_ids, paper.arxiv_id) == (other_ids, arxiv_id)


def test_a_retracted_work() -> None:
    paper = to_paper(work(is_retracted=True))
    assert paper is not None
    assert paper.status is PaperStatus.RETRACTED


def test_notices_and_parts_of_an_issue_are_no_papers(httpserver: HTTPServer, http: HttpClient, api: Api) -> None:
    kinds = ("erratum", "retraction", "paratext", "peer-review")
    notices = [work(1, display_name="Correction to: Looms"), *(work(2, type=kind) for kind in kinds)]
    api.works = [*notices, work(3)]
    assert titles(list(source(httpserver).fetch(WINDOW, http))) == ["Looms of the north, part 3"]


def test_one_bad_work_stops_no_other(httpserver: HTTPServer, http: HttpClient, api: Api) -> None:
    api.works = [work(1, display_name=None), "x", work(2, authorships=[3]), work(3)]
    *bad, good = source(httpserver).fetch(WINDOW, http)
    assert isinstance(good, Paper)
    told = [(one.where.rpartition(", ")[2], one.why.partition(":")[0]) for one in bad if isinstance(one, SkippedPaper)]
    assert told == [("work 1", "display_name"), ("work 2", "the paper"), ("work 3", "authorships.0")]


def test_an_empty_day(httpserver: HTTPServer, http: HttpClient, api: Api) -> None:
    assert list(source(httpserver).fetch(TODAY, http)) == []


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ("{}", r"no list of works \(results\)"),
        ('{"results": {}, "meta": {"count": 1}}', r"no list of works \(results\)"),
        ('{"results": []}', r"no number of works \(meta.count\)"),
        ('{"results": [], "meta": {"count": "many"}}', r"no number of works \(meta.count\)"),
        ('{"results": [], "meta": {"count": 7}}', "got 0 of 7 papers, then an empty page"),
    ],
)
def test_an_answer_that_is_none(httpserver: HTTPServer, http: HttpClient, body: str, problem: str) -> None:
    httpserver.expect_request("/works").respond_with_data(body)
    with pytest.raises(SourceError, match=problem):
        list(source(httpserver).fetch(TODAY, http))


@pytest.mark.parametrize(
    ("key", "problem"),
    [
        (None, "status 429.*few requests a day without a key; set NEWSLETTER_OPENALEX_KEY"),
        ("sesame", "status 429.*requests of the key in NEWSLETTER_OPENALEX_KEY are used up.*midnight UTC"),
    ],
)
def test_a_server_whose_quota_is_used_up(
    httpserver: HTTPServer, http: HttpClient, key: str | None, problem: str
) -> None:
    spent = {"X-RateLimit-Limit": "100", "X-RateLimit-Remaining": "0", "Retry-After": "7200"}
    httpserver.expect_request("/works").respond_with_data("{}", status=429, headers=spent)
    with pytest.raises(SourceError) as failed:
        list(source(httpserver, key).fetch(TODAY, http))
    assert re.search(problem, failed.value.explained)
    assert "sesame" not in failed.value.explained
    assert len(httpserver.log) == 1  # not tried again before it may succeed
