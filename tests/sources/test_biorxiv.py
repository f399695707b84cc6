import re
from datetime import date
from typing import Any

import pytest
from pytest_httpserver import HTTPServer

from newsletter.config.sources import BiorxivSource
from newsletter.model import EventKind, Notice, Paper, PaperStatus, SkippedPaper
from newsletter.sources.base import DateRange
from newsletter.sources.biorxiv import Biorxiv
from newsletter.sources.errors import SourceError
from newsletter.sources.http import HttpClient

DAYS = DateRange(date(2025, 8, 1), date(2025, 8, 3))


def entry(number: int = 1, **changes: Any) -> dict[str, Any]:
    return {
        "title": f"Cells\n {number}",
        "authors": "Lovelace, A.; Babbage, C. M.; Consortium",
        "doi": f"10.1101/2025.08.01.{number:06}",
        "date": "2025-08-01",
        "version": "1",
        "category": "cell biology",
        "abstract": "About cells.",
        "server": "bioRxiv",
        **changes,
    }


def answer(collection: list[Any], total: Any, status: str = "ok") -> dict[str, Any]:
    return {
        "messages": [{"status": status, "cursor": 0, "count": len(collection), "total": total}],
        "collection": collection,
    }


def source(server: HTTPServer, **changes: Any) -> Biorxiv:
    return Biorxiv(
        "bio", BiorxivSource.model_validate({"kind": "biorxiv", "api_url": server.url_for("/details"), **changes})
    )


@pytest.fixture(autouse=True)
def no_publications(httpserver: HTTPServer) -> None:
    none = {"messages": [{"status": "no articles found for this interval"}], "collection": []}
    httpserver.expect_request(re.compile("/pubs/.*")).respond_with_json(none)


def test_pages(httpserver: HTTPServer, http: HttpClient) -> None:
    path = "/details/biorxiv/2025-08-01/2025-08-03/{}/json"
    httpserver.expect_request(path.format(0)).respond_with_json(answer([entry(1), entry(2)], "3"))
    httpserver.expect_request(path.format(2)).respond_with_json(answer([entry(3, version=2)], 3))
    one, _, three = source(httpserver).fetch(DAYS, http)
    assert one == Paper(
        title="Cells 1",
        abstract="About cells.",
        authors=("A. Lovelace", "C. M. Babbage", "Consortium"),
        author_count=3,
        doi="10.1101/2025.08.01.000001",
        version=1,
        published=date(2025, 8, 1),
        categories=("cell biology",),
        url="https://www.biorxiv.org/content/10.1101/2025.08.01.000001v1",
        pdf_url="https://www.biorxiv.org/content/10.1101/2025.08.01.000001v1.full.pdf",
    )
    assert isinstance(three, Paper)
    assert (three.version, three.published, three.version_day) == (2, date(2025, 8, 1), date(2025, 8, 1))
    assert three.url == "https://www.biorxiv.org/content/10.1101/2025.08.01.000003v2"


@pytest.mark.parametrize(
    ("doi", "published"),
    [
        ("10.1101/2021.03.09.434675", date(2021, 3, 9)),
        ("10.64898/2025.12.01.691234", date(2025, 12, 1)),
        ("10.1101/434675", None),
        ("10.1101/2021.13.09.434675", None),
        ("10.1101/0001.03.09.434675", None),
    ],
)
def test_a_later_version_came_out_on_the_day_in_its_doi(
    httpserver: HTTPServer, http: HttpClient, doi: str, published: date | None
) -> None:
    found = answer([entry(version="3", doi=doi)], 1)
    httpserver.expect_request("/details/biorxiv/2025-08-01/2025-08-03/0/json").respond_with_json(found)
    (paper,) = source(httpserver).fetch(DAYS, http)
    assert isinstance(paper, Paper)
    assert paper.published == published


def test_medrxiv_of_the_last_two_days(httpserver: HTTPServer, http: HttpClient) -> None:
    httpserver.expect_request("/details/medrxiv/2025-02-28/2025-03-01/0/json").respond_with_json(answer([entry()], 1))
    (paper,) = source(httpserver, kind="medrxiv").fetch(DateRange(None, date(2025, 3, 1)), http)
    assert isinstance(paper, Paper)
    assert paper.url == "https://www.medrxiv.org/content/10.1101/2025.08.01.000001v1"


def test_days_without_posts(httpserver: HTTPServer, http: HttpClient) -> None:
    for body in ({"messages": [{"status": "no posts found"}], "collection": []}, answer([], 0)):
        httpserver.expect_oneshot_request("/details/biorxiv/2025-08-01/2025-08-03/0/json").respond_with_json(body)
        assert list(source(httpserver).fetch(DAYS, http)) == []


def test_categories(httpserver: HTTPServer, http: HttpClient) -> None:
    entries = [entry(1), entry(2, category="Neuroscience"), entry(3, category=None)]
    httpserver.expect_request("/details/biorxiv/2025-08-01/2025-08-03/0/json").respond_with_json(answer(entries, 3))
    found = source(httpserver, categories=["Cell_Biology", "genomics"]).fetch(DAYS, http)
    assert [paper.title for paper in found if isinstance(paper, Paper)] == ["Cells 1"]


def test_one_bad_paper_stops_no_other(httpserver: HTTPServer, http: HttpClient) -> None:
    entries = [
        entry(1, title=" "),
        entry(2, doi="x"),
        entry(3, version="new"),
        "x",
        entry(5, date="2025-13-01"),
        entry(6),
    ]
    httpserver.expect_request("/details/biorxiv/2025-08-01/2025-08-03/0/json").respond_with_json(answer(entries, 6))
    *bad, good = source(httpserver).fetch(DAYS, http)
    assert isinstance(good, Paper)
    first_problem = [(one.where, one.why.partition(":")[0]) for one in bad if isinstance(one, SkippedPaper)]
    assert first_problem == [
        (f"2025-08-01 to 2025-08-03, paper {number}", field)
        for number, field in [(1, "title"), (2, "doi"), (3, "version"), (4, "the paper"), (5, "date")]
    ]


@pytest.mark.parametrize(
    ("body", "first_problem"),
    [
        ({}, "has no message"),
        ([], "has no message"),
        ({"messages": []}, "has no message"),
        ({"messages": [{"total": 3}]}, "has no message"),
        ({"messages": [{"status": "ok", "total": "many"}]}, "has no message"),
        (answer([], 0, "Error: bad interval"), "the server says 'Error: bad interval'"),
        (answer([], 5), "got 0 of 5 papers, then an empty page"),
    ],
)
def test_an_answer_that_is_none(httpserver: HTTPServer, http: HttpClient, body: Any, first_problem: str) -> None:
    httpserver.expect_request("/details/biorxiv/2025-08-01/2025-08-03/0/json").respond_with_json(body)
    with pytest.raises(SourceError, match=first_problem):
        list(source(httpserver).fetch(DAYS, http))


def published(number: int = 1, **changes: Any) -> dict[str, Any]:
    return {
        "biorxiv_doi": f"10.1101/2025.02.01.{number:06}",
        "published_doi": f"10.1000/Cells.{number}",
        "published_journal": "Journal of Cells &amp; Looms",
        "preprint_platform": "bioRxiv",
        "preprint_title": f"Cells {number}",
        "preprint_date": "2025-02-01",
        "published_date": "2025-08-02",
        **changes,
    }


def test_preprints_that_were_published_in_journals(httpserver: HTTPServer, http: HttpClient) -> None:
    httpserver.expect_request("/details/biorxiv/2025-08-01/2025-08-03/0/json").respond_with_json(answer([], 0))
    path = "/pubs/biorxiv/2025-08-01/2025-08-03/{}"
    odd = [published(2, biorxiv_doi=None), published(3, biorxiv_doi="x"), published(4, published_doi="NA")]
    httpserver.expect_oneshot_request(path.format(0)).respond_with_json(answer([published(1), *odd], 5))
    httpserver.expect_oneshot_request(path.format(4)).respond_with_json(answer([published(5)], 5))
    one, two, three, four, five = source(httpserver).fetch(DAYS, http)
    assert one == Notice(
        kind=EventKind.PUBLISHED,
        of=("10.1101/2025.02.01.000001",),
        day=date(2025, 8, 2),
        venue="Journal of Cells & Looms",
        doi="10.1000/cells.1",
        url="https://doi.org/10.1000/cells.1",
    )
    assert isinstance(two, SkippedPaper)
    assert isinstance(three, SkippedPaper)
    assert three.where == "2025-08-01 to 2025-08-03, publication 3"
    assert isinstance(four, Notice)
    assert (four.doi, four.venue) == (None, "Journal of Cells & Looms")
    assert isinstance(five, Notice)


def test_publications_that_cannot_be_read_take_no_preprint_along(httpserver: HTTPServer, http: HttpClient) -> None:
    found = answer([entry(1)], 1)
    httpserver.expect_request("/details/biorxiv/2025-08-01/2025-08-03/0/json").respond_with_json(found)
    httpserver.expect_oneshot_request("/pubs/biorxiv/2025-08-01/2025-08-03/0").respond_with_data("no", status=404)
    one, two = source(httpserver).fetch(DAYS, http)
    assert isinstance(one, Paper)
    assert isinstance(two, SkippedPaper)
    assert "/pubs/biorxiv/2025-08-01/2025-08-03/0: status 404" in two.why


@pytest.mark.parametrize(
    ("changes", "other_ids", "status"),
    [
        ({"published": "10.1000/Cells.7", "type": "new results"}, ("10.1000/cells.7",), None),
        ({"published": "NA"}, (), None),
        ({"published": None}, (), None),
        ({"type": "withdrawn"}, (), PaperStatus.WITHDRAWN),
        ({"type": "WITHDRAWN"}, (), PaperStatus.WITHDRAWN),
    ],
)
def test_what_became_of_a_preprint(
    httpserver: HTTPServer,
    http: HttpClient,
    changes: dict[str, Any],
    other_ids: tuple[str, ...],
    status: PaperStatus | None,
) -> None:
    found = answer([entry(1, **changes)], 1)
    httpserver.expect_request("/details/biorxiv/2025-08-01/2025-08-03/0/json").respond_with_json(found)
    (paper,) = source(httpserver).fetch(DAYS, http)
    assert isinstance(paper, Paper)
    assert (paper.other_ids, paper.status) == (other_ids, status)


def test_markup_and_codes(httpserver: HTTPServer, http: HttpClient) -> None:
    text = "AO_SCPLOWBSTRACTC_SCPLOWO_ST_ABSAimsC_ST_ABSTo dig for p &lt; 0.01.\n\n"
    text += "ResultsSand at 4{degrees}C.\n\nO_FIG x C_FIG"
    changed = entry(title="Sand in <i>Vivo</i> &amp; TNF-{alpha}", abstract=text)
    httpserver.expect_request("/details/biorxiv/2025-08-01/2025-08-03/0/json").respond_with_json(answer([changed], 1))
    (paper,) = source(httpserver).fetch(DAYS, http)
    assert isinstance(paper, Paper)
    assert paper.title == "Sand in Vivo & TNF-α"
    assert paper.abstract == "Aims: To dig for p < 0.01. Results: Sand at 4°C."
