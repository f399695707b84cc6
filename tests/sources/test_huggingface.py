import json
from collections.abc import Callable
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from newsletter.config.sources import HuggingFaceSource
from newsletter.model import Paper, SkippedPaper
from newsletter.sources.base import DateRange
from newsletter.sources.errors import SourceError
from newsletter.sources.http import HttpClient
from newsletter.sources.huggingface import HuggingFace, papers_in

DAY = DateRange(date(2025, 11, 25), date(2025, 11, 25))


def entry(number: int = 1, **changes: Any) -> dict[str, Any]:
    """An entry as the API has it, with other values below ``paper``."""
    paper = {
        "id": f"2511.{number:05}",
        "title": f"Paper {number}",
        "summary": "A paper\nof two lines.",
        "authors": [{"name": "Ada Lovelace", "hidden": False}, {"name": "Someone Else", "hidden": True}],
        "publishedAt": "2025-11-20T17:08:18.000Z",
        "submittedOnDailyAt": "2025-11-25T03:55:12.777Z",
        "upvotes": 10,
        "ai_summary": "In short.",
        "ai_keywords": ["one", "two"],
        "githubRepo": "https://github.com/example/one",
        "githubStars": 9,
        "projectPage": "https://example.org/one",
        "organization": {"name": "example", "fullname": "Example Institute"},
    }
    around = {"numComments": 2, "publishedAt": "2025-11-25", "thumbnail": f"https://cdn.example.org/{number}.png"}
    return {"paper": paper | changes, "title": f"Paper {number}", **around}


def source(server: HTTPServer, by: str = "date") -> HuggingFace:
    return HuggingFace(
        "hf", HuggingFaceSource.model_validate({"kind": "huggingface", "endpoint": server.url_for(""), "by": by})
    )


def asked(server: HTTPServer) -> list[dict[str, str]]:
    return [dict(request.args) for request, _ in server.log]


def test_a_day(httpserver: HTTPServer, http: HttpClient) -> None:
    httpserver.expect_request("/api/daily_papers").respond_with_json([entry()])
    (paper,) = source(httpserver).fetch(DAY, http)
    assert paper == Paper(
        title="Paper 1",
        abstract="A paper of two lines.",
        authors=("Ada Lovelace",),
        author_count=1,
        organization="Example Institute",
        arxiv_id="2511.00001",
        published=date(2025, 11, 20),
        listed_on=date(2025, 11, 25),
        url=httpserver.url_for("/papers/2511.00001"),
        pdf_url="https://arxiv.org/pdf/2511.00001",
        code_url="https://github.com/example/one",
        code_stars=9,
        project_url="https://example.org/one",
        summary="In short.",
        summary_by="Hugging Face",
        thumbnail_url="https://cdn.example.org/1.png",
        keywords=("one", "two"),
        upvotes=10,
        comments=2,
    )
    assert asked(httpserver) == [{"date": "2025-11-25", "limit": "100", "p": "0"}]


@pytest.mark.parametrize(
    ("by", "window", "periods"),
    [
        ("date", DateRange(None, date(2025, 3, 1)), ["2025-02-28", "2025-03-01"]),
        ("date", DateRange(date(2025, 2, 27), date(2025, 3, 1)), ["2025-02-27", "2025-02-28", "2025-03-01"]),
        ("week", DateRange(None, date(2025, 2, 27)), ["2025-W09"]),
        ("week", DateRange(None, date(2025, 2, 24)), ["2025-W08", "2025-W09"]),
        ("week", DateRange(date(2024, 12, 25), date(2025, 1, 3)), ["2024-W52", "2025-W01"]),
        ("month", DateRange(None, date(2025, 2, 14)), ["2025-02"]),
        ("month", DateRange(date(2024, 12, 31), date(2025, 2, 1)), ["2024-12", "2025-01", "2025-02"]),
    ],
)
def test_the_days_weeks_or_months_of_a_window(
    httpserver: HTTPServer, http: HttpClient, by: str, window: DateRange, periods: list[str]
) -> None:
    httpserver.expect_request("/api/daily_papers").respond_with_json([])
    assert list(source(httpserver, by).fetch(window, http)) == []
    assert [one[by] for one in asked(httpserver)] == periods


def _paged(total: int) -> Callable[[Request], Response]:
    def answer(request: Request) -> Response:
        if request.headers.get("If-None-Match"):
            return Response(status=304)
        start = int(request.args["p"]) * 100
        entries = [entry(number) for number in range(start, min(start + 100, total))]
        return Response(json.dumps(entries), headers={"ETag": '"x"'}, content_type="application/json")

    return answer


@pytest.mark.parametrize(("total", "pages"), [(99, 1), (100, 2), (230, 3)])
def test_pages(
    httpserver: HTTPServer, http: HttpClient, http_knowing: Callable[..., HttpClient], total: int, pages: int
) -> None:
    httpserver.expect_request("/api/daily_papers").respond_with_handler(_paged(total))
    found = list(source(httpserver).fetch(DAY, http))
    assert len({paper.arxiv_id for paper in found if isinstance(paper, Paper)}) == total
    assert len(httpserver.log) == pages

    httpserver.clear_log()
    assert list(source(httpserver).fetch(DAY, http_knowing(http.validators_seen))) == []
    assert [response.status_code for _, response in httpserver.log] == [304] * pages


def test_a_day_without_a_list_is_passed_over(httpserver: HTTPServer, http: HttpClient) -> None:
    today = {"date": "2025-11-26", "limit": "100", "p": "0"}
    httpserver.expect_request("/api/daily_papers", query_string=today).respond_with_json({"error": "x"}, status=400)
    httpserver.expect_request("/api/daily_papers").respond_with_json([entry()])
    assert len(list(source(httpserver).fetch(DateRange(None, date(2025, 11, 26)), http))) == 1


@pytest.mark.parametrize("status", [400, 404])
def test_when_no_day_has_a_list_it_is_told(httpserver: HTTPServer, http: HttpClient, status: int) -> None:
    httpserver.expect_request("/api/daily_papers").respond_with_json({}, status=status)
    with pytest.raises(SourceError, match=f"status {status}"):
        list(source(httpserver).fetch(DateRange(None, date(2025, 11, 26)), http))


def test_a_failure_after_some_papers_keeps_them(httpserver: HTTPServer, http: HttpClient) -> None:
    httpserver.expect_ordered_request("/api/daily_papers").respond_with_json([entry()])
    httpserver.expect_ordered_request("/api/daily_papers").respond_with_json({}, status=403)
    found = source(httpserver).fetch(DateRange(None, date(2025, 11, 26)), http)
    assert isinstance(next(found), Paper)
    with pytest.raises(SourceError, match="status 403"):
        next(found)


def test_a_page_that_is_refused_after_the_first_is_a_failure(httpserver: HTTPServer, http: HttpClient) -> None:
    first = {"date": "2025-11-25", "limit": "100", "p": "0"}
    httpserver.expect_request("/api/daily_papers", query_string=first).respond_with_handler(_paged(200))
    httpserver.expect_request("/api/daily_papers").respond_with_json({}, status=404)
    with pytest.raises(SourceError, match="status 404"):
        list(source(httpserver).fetch(DateRange(None, date(2025, 11, 25)), http))


@pytest.mark.parametrize("body", ["{}", '"x"', "null", "<html>", ""])
def test_an_answer_that_is_no_list(httpserver: HTTPServer, http: HttpClient, body: str) -> None:
    httpserver.expect_request("/api/daily_papers").respond_with_data(body)
    with pytest.raises(SourceError, match="the response is not"):
        list(source(httpserver).fetch(DAY, http))


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"upvotes": "many"}, "paper.upvotes: "),
        ({"upvotes": -1}, "paper.upvotes: "),
        ({"upvotes": 10**30}, "paper.upvotes: "),
        ({"title": None}, None),
        ({"title": ["x"]}, "paper.title: "),
        ({"id": None}, "paper.id: "),
        ({"id": " "}, "paper.id: is empty"),
        ({"authors": "Ada"}, "paper.authors: "),
        ({"publishedAt": "yesterday"}, "paper.publishedAt: is not a date like 2025-11-25, got 'yesterday'"),
        ({"publishedAt": "0001-01-01"}, "paper.publishedAt: "),
        ({"organization": []}, "paper.organization: "),
    ],
)
def test_one_bad_paper_stops_no_other(changes: dict[str, Any], why: str | None) -> None:
    found = list(papers_in([entry(1, **changes), entry(2)], "day, paper", "https://hf.example"))
    assert isinstance(found[1], Paper)
    if why is None:
        assert isinstance(found[0], Paper)
    else:
        assert isinstance(found[0], SkippedPaper)
        assert found[0].where == "day, paper 1"
        assert found[0].why.startswith(why)


def test_what_is_missing_stays_open() -> None:
    (paper,) = papers_in([{"paper": {"id": "2511.00001v2"}, "title": "Bare"}], "day", "https://hf.example")
    assert paper == Paper(
        title="Bare",
        arxiv_id="2511.00001",
        version=2,
        url="https://hf.example/papers/2511.00001v2",
        pdf_url="https://arxiv.org/pdf/2511.00001",
    )


def test_a_paper_from_elsewhere_and_odd_links() -> None:
    (paper,) = papers_in(
        [entry(1, id="own/ paper?", githubRepo="javascript:x", projectPage="x", summary="half \ud83d")],
        "day",
        "https://hf.example",
    )
    assert isinstance(paper, Paper)
    assert (paper.arxiv_id, paper.url) == (None, "https://hf.example/papers/own/%20paper%3F")
    assert (paper.pdf_url, paper.code_url, paper.project_url) == (None, None, None)
    assert paper.abstract == "half"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just("2511.00001"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*entry(), *entry()["paper"]]), inner),
    max_leaves=12,
)


@given(
    st.lists(JSON | st.fixed_dictionaries({"paper": st.fixed_dictionaries({"id": JSON, "title": JSON})}), max_size=4)
)
def test_any_json_gives_papers_or_bad_papers(entries: list[Any]) -> None:
    assert len(list(papers_in(entries, "day", "https://hf.example"))) == len(entries)


def test_the_abstract_is_no_summary() -> None:
    """The API calls the abstract "summary", and the summary "ai_summary", which comes days later."""
    (paper,) = papers_in([entry(ai_summary=None)], "x", "https://huggingface.co")
    assert isinstance(paper, Paper)
    assert (paper.abstract, paper.summary, paper.summary_by) == ("A paper of two lines.", None, None)


def test_latex_and_entities_are_decoded() -> None:
    changes = {"title": "R\\'enyi &amp; sons", "summary": "5\\% of $O(n^2)$", "ai_summary": "It costs \\$7."}
    (paper,) = papers_in([entry(**changes)], "x", "https://huggingface.co")
    assert isinstance(paper, Paper)
    assert (paper.title, paper.abstract, paper.summary) == ("Rényi & sons", "5% of $O(n^2)$", "It costs $7.")
