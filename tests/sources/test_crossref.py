import json
import re
from collections.abc import Callable
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from newsletter.config.sources import CrossrefSource
from newsletter.model import EventKind, Notice, Paper, PaperStatus, SkippedPaper
from newsletter.sources.base import DateRange, Found
from newsletter.sources.crossref import Crossref
from newsletter.sources.crossref_dates import first_day, to_span
from newsletter.sources.crossref_works import notices_of, read_work
from newsletter.sources.errors import SourceError
from newsletter.sources.http import HttpClient

TODAY = DateRange(None, date(2026, 3, 4))
WINDOW = DateRange(date(2026, 1, 1), date(2026, 1, 31))
TYPES = ("journal-article", "proceedings-article", "posted-content")


def parts(*numbers: int | None) -> dict[str, Any]:
    return {"date-parts": [list(numbers)]}


def work(number: int = 1, **changes: Any) -> dict[str, Any]:
    """A work with the fields and nesting of the API."""
    return {
        "indexed": {"date-parts": [[2026, 3, 4]], "date-time": "2026-03-04T05:06:07Z", "timestamp": 1772600767000},
        "publisher": "Loom Press",
        "DOI": f"10.5555/Loom.{number}",
        "type": "journal-article",
        "created": {"date-parts": [[2026, 3, 3]], "date-time": "2026-03-03T01:02:03Z", "timestamp": 1772499723000},
        "title": [f"Looms\n of the <i>north</i>, part {number}"],
        "author": [
            {
                "given": "Ada",
                "family": "Lovelace",
                "sequence": "first",
                "affiliation": [],
                "ORCID": "https://orcid.org/1",
            },
            {"given": "Charles", "family": "Babbage", "suffix": "Jr.", "sequence": "additional", "affiliation": []},
            {"name": "The Loom Consortium", "sequence": "additional", "affiliation": []},
        ],
        "container-title": ["Journal of Looms &amp; Spindles"],
        "short-container-title": ["J. Looms"],
        "published-print": parts(2026, 4),
        "published-online": parts(2026, 3, 2),
        "issued": parts(2026, 3, 2),
        "published": parts(2026, 3, 2),
        "URL": f"https://doi.org/10.5555/loom.{number}",
        "ISSN": ["1476-4687"],
        "reference": [{"key": "1", "unstructured": "A reference."}],
        "relation": {},
        **changes,
    }


def one(**changes: Any) -> Paper:
    (found,) = read_work(work(**changes), "work 1", TYPES)
    assert isinstance(found, Paper)
    return found


def update(of: str, kind: str, **changes: Any) -> dict[str, Any]:
    return {
        "DOI": of,
        "type": kind,
        "label": kind.title(),
        "updated": parts(2026, 3, 1),
        "source": "publisher",
        **changes,
    }


class Api:
    """An API that gives pages of its works, and keeps what it was asked."""

    def __init__(self, server: HTTPServer) -> None:
        self.works: dict[str, list[Any]] = {}
        self.notices: list[Any] = []
        self.asked: list[dict[str, str]] = []
        self.rows: int | None = None
        self.claimed: int | None = None
        server.expect_request("/works").respond_with_handler(self._answer)

    def _answer(self, request: Request) -> Response:
        query = dict(request.args)
        self.asked.append(query)
        filters = [one.partition(":")[::2] for one in query["filter"].split(",")]
        if ("is-update", "true") in filters:
            found = self.notices
        else:
            days = [value for name, value in filters if name.endswith("-date")]
            found = [one for day in sorted(self.works) if days[0] <= day <= days[1] for one in self.works[day]]
        rows = min(self.rows or 1_000, int(query["rows"]))
        start = int(query.get("offset", 0)) if "cursor" not in query else int(query["cursor"].strip("*") or 0)
        items = found[start : start + rows]
        message = {"total-results": self.claimed or len(found), "items": items, "items-per-page": rows}
        if "cursor" in query:
            message["next-cursor"] = str(start + len(items))
        answer = Response("", content_type="application/json")
        answer.set_data(json.dumps({"status": "ok", "message-type": "work-list", "message": message}))
        answer.add_etag()
        answer.make_conditional(request)
        return answer


@pytest.fixture
def api(httpserver: HTTPServer) -> Api:
    return Api(httpserver)


def source(server: HTTPServer, **changes: Any) -> Crossref:
    settings = {"kind": "crossref", "issn": ["1476-4687"], "api_url": server.url_for("/works"), "pause_seconds": 0}
    return Crossref("loom", CrossrefSource.model_validate(settings | changes), "papers@example.org")


def titles(found: list[Found]) -> list[str]:
    return [paper.title for paper in found if isinstance(paper, Paper)]


def test_a_work(httpserver: HTTPServer, http: HttpClient, api: Api) -> None:
    pdf = {"content-type": "application/pdf", "content-version": "vor", "intended-application": "text-mining"}
    links = [
        {"URL": "https://looms.example/check.pdf", **pdf, "intended-application": "similarity-checking"},
        {"URL": "https://looms.example/1.pdf", **pdf},
        {"URL": "https://looms.example/1.xml", **pdf, "content-type": "text/xml"},
    ]
    abstract = "<jats:p>About <jats:italic>looms</jats:italic> &amp; p &lt; 0.05.</jats:p>"
    page = {"primary": {"URL": "https://looms.example/articles/1"}}
    api.works["2026-03-03"] = [work(1, link=links, abstract=abstract, resource=page, subject=["Weaving", "History"])]
    (paper,) = source(httpserver).fetch(TODAY, http)
    assert paper == Paper(
        title="Looms of the north, part 1",
        abstract="About looms & p < 0.05.",
        authors=("Ada Lovelace", "Charles Babbage Jr.", "The Loom Consortium"),
        author_count=3,
        venue="Journal of Looms & Spindles",
        doi="10.5555/loom.1",
        published=date(2026, 3, 2),
        categories=("Weaving", "History"),
        url="https://doi.org/10.5555/loom.1",
        pdf_url="https://looms.example/1.pdf",
        links=("https://looms.example/articles/1",),
    )
    works, notices = api.asked
    assert works["filter"] == (
        "issn:1476-4687,type:journal-article,type:proceedings-article,type:posted-content,"
        "from-created-date:2026-03-02,until-created-date:2026-03-04"
    )
    assert (works["mailto"], works["sort"], works["order"]) == ("papers@example.org", "created", "asc")
    assert notices["filter"] == "is-update:true,from-index-date:2026-03-02,until-index-date:2026-03-04"
    assert "update-to" in notices["select"].split(",")


def test_a_window_is_of_days_of_publication(httpserver: HTTPServer, http: HttpClient, api: Api) -> None:
    settings = {"issn": [], "member": [297], "prefix": ["10.5555"], "types": ["posted-content"]}
    list(source(httpserver, **settings).fetch(WINDOW, http))
    works, notices = api.asked
    assert works["filter"] == (
        "prefix:10.5555,member:297,type:posted-content,from-pub-date:2026-01-01,until-pub-date:2026-01-31"
    )
    assert notices["filter"] == "is-update:true,from-created-date:2026-01-01,until-created-date:2026-01-31"


def test_pages_and_a_second_run(
    httpserver: HTTPServer, http: HttpClient, http_knowing: Callable[..., HttpClient], api: Api
) -> None:
    api.works = {"2026-01-02": [work(number) for number in range(1_100)]}
    api.notices = [
        work(9_000 + number, **{"update-to": [update(f"10.5555/{number}", "erratum")]}) for number in range(1_200)
    ]
    found = list(source(httpserver).fetch(WINDOW, http))
    assert (len(titles(found)), len(found)) == (1_100, 2_300)
    assert [query["offset"] for query in api.asked] == ["0", "500", "1000", "0", "1000"]
    again = http_knowing(http.validators_seen)
    assert list(source(httpserver).fetch(WINDOW, again)) == []
    assert [response.status_code for _, response in httpserver.log[5:]] == [304] * 5


def test_pages_that_are_shorter_than_asked_for(httpserver: HTTPServer, http: HttpClient, api: Api) -> None:
    api.rows = 2
    api.works = {"2026-01-02": [work(number) for number in range(5)]}
    assert len(titles(list(source(httpserver, notices=False).fetch(WINDOW, http)))) == 5


def test_a_day_with_too_many_works_is_read_by_cursor(httpserver: HTTPServer, http: HttpClient, api: Api) -> None:
    api.works = {"2026-01-02": [work(number) for number in range(3)]}
    api.claimed, api.rows = 10_001, 2
    days = DateRange(date(2026, 1, 2), date(2026, 1, 3))
    found = list(source(httpserver, notices=False).fetch(days, http))
    assert titles(found) == [f"Looms of the north, part {number}" for number in range(3)]
    assert [query.get("cursor", query.get("offset")) for query in api.asked] == ["0", "0", "*", "2", "3", "0", "*"]


def test_words_give_the_best_matches(
    httpserver: HTTPServer, http: HttpClient, http_knowing: Callable[..., HttpClient], api: Api
) -> None:
    api.works = {"2026-01-02": [work(number) for number in range(700)]}
    settings = {"issn": [], "query": "looms & spindles", "max_results": 600, "notices": False}
    assert len(titles(list(source(httpserver, **settings).fetch(WINDOW, http)))) == 600
    first, second = api.asked
    assert (first["query.bibliographic"], first["sort"], first["order"]) == ("looms & spindles", "score", "desc")
    assert (first["rows"], second["offset"]) == ("500", "500")
    again = http_knowing(http.validators_seen)
    assert list(source(httpserver, **settings).fetch(WINDOW, again)) == []


def test_an_empty_day(httpserver: HTTPServer, http: HttpClient, api: Api) -> None:
    assert list(source(httpserver).fetch(TODAY, http)) == []


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ("[]", r"no list of works \(message\)"),
        ('{"status": "ok", "message": {"total-results": 3}}', r"no list of works \(message.items\)"),
        ('{"message": {"items": {}, "total-results": 3}}', r"no list of works \(message.items\)"),
        ('{"message": {"items": []}}', r"no number of works \(message.total-results\)"),
        ('{"message": {"items": [], "total-results": "3"}}', r"no number of works \(message.total-results\)"),
        ('{"message": {"items": [], "total-results": 3}}', "got 0 of 3 papers, then an empty page"),
        ("Bad gateway", "is not JSON; it begins with 'Bad gateway'"),
    ],
)
def test_an_answer_that_is_none(httpserver: HTTPServer, http: HttpClient, body: str, problem: str) -> None:
    httpserver.expect_request("/works").respond_with_data(body)
    with pytest.raises(SourceError, match=problem):
        list(source(httpserver).fetch(TODAY, http))


@pytest.mark.parametrize(
    ("status", "problem"),
    [
        (500, r"status 500 \(tried 3 times\)"),
        (429, "status 429 .*Crossref limits requests.*sources.loom.pause_seconds"),
    ],
)
def test_a_server_that_refuses(httpserver: HTTPServer, http: HttpClient, status: int, problem: str) -> None:
    httpserver.expect_request("/works").respond_with_data("no", status=status)
    with pytest.raises(SourceError) as failed:
        list(source(httpserver).fetch(TODAY, http))
    assert re.search(problem, failed.value.explained)


def test_notices_that_cannot_be_read_take_no_paper_along(httpserver: HTTPServer, http: HttpClient) -> None:
    message = {"total-results": 1, "items": [work(1)]}
    httpserver.expect_oneshot_request("/works").respond_with_json({"message": message})
    httpserver.expect_request("/works").respond_with_data("no", status=503)
    paper, problem = source(httpserver).fetch(TODAY, http)
    assert isinstance(paper, Paper)
    assert isinstance(problem, SkippedPaper)
    assert problem.where == "the retractions and corrections of other papers"
    assert "status 503" in problem.why


def test_one_bad_work_stops_no_other(httpserver: HTTPServer, http: HttpClient, api: Api) -> None:
    bad = ["x", None, work(1, title=[]), work(2, DOI="x"), work(3, title=[{"a": 1}]), {"type": "journal-article"}]
    api.works["2026-03-03"] = [*bad, work(7)]
    *problems, good = source(httpserver, notices=False).fetch(TODAY, http)
    assert isinstance(good, Paper)
    told = [(one.where.rpartition(", ")[2], one.why) for one in problems if isinstance(one, SkippedPaper)]
    assert [where for where, _ in told] == [f"work {number}" for number in range(1, 7)]
    assert [why.partition(":")[0] for _, why in told] == ["the paper", "the paper", "title", "DOI", "title.0", "DOI"]


@pytest.mark.parametrize(
    ("changes", "title"),
    [
        ({"title": ["Looms"], "subtitle": ["A history"]}, "Looms: A history"),
        ({"title": ["Who weaves?"], "subtitle": ["A history"]}, "Who weaves? A history"),
        ({"title": ["Looms: a history"], "subtitle": ["A history"]}, "Looms: a history"),
        ({"title": [None, "Looms"], "subtitle": None}, "Looms"),
        ({"title": [], "original-title": ["Webst\u00fchle"]}, "Webst\u00fchle"),
        ({"title": "Looms"}, "Looms"),
        ({"title": ["CO<sub>2</sub> &amp; <scp>looms</scp>"]}, "CO2 & looms"),
    ],
)
def test_titles(changes: dict[str, Any], title: str) -> None:
    paper = one(**changes)
    assert paper.title.replace("<scp>", "").replace("</scp>", "") == title


@pytest.mark.parametrize(
    ("people", "names"),
    [
        ([{"family": "Plato"}], ("Plato",)),
        ([{"given": "Ada", "family": "O&apos;Neill", "suffix": None}], ("Ada O'Neill",)),
        (
            [
                {"given": "Bo", "family": "Jones", "sequence": "additional"},
                {"given": "Ada", "family": "Smith", "sequence": "first"},
            ],
            ("Ada Smith", "Bo Jones"),
        ),
        ([{"name": "Loom Group"}, None, "x", {}, {"family": "&NA;"}, {"given": " ", "family": ""}], ("Loom Group",)),
        (None, ()),
    ],
)
def test_authors(people: Any, names: tuple[str, ...]) -> None:
    paper = one(author=people)
    assert (paper.authors, paper.author_count) == (names, len(names) or None)


@pytest.mark.parametrize(
    ("changes", "venue"),
    [
        ({}, "Journal of Looms & Spindles"),
        ({"container-title": []}, "J. Looms"),
        ({"container-title": None, "short-container-title": []}, None),
        (
            {"type": "proceedings-article", "container-title": ["Lecture Notes in Looms", "Looms 2026"]},
            "Looms 2026",
        ),
        (
            {"type": "proceedings-article", "container-title": [], "event": {"name": "LOOM '26: Looms"}},
            "LOOM '26: Looms",
        ),
        ({"type": "posted-content", "container-title": [], "institution": [{"name": "bioRxiv"}]}, None),
        ({"container-title": ["arXiv"]}, None),
    ],
)
def test_venues(changes: dict[str, Any], venue: str | None) -> None:
    assert one(**changes).venue == venue


@pytest.mark.parametrize(
    ("printed", "online", "created", "day"),
    [
        ([(2026, 4)], [(2026, 3, 2)], (2026, 3, 3), date(2026, 3, 2)),
        ([(2026, 3)], [(2026, 3, 14)], (2026, 3, 15), date(2026, 3, 14)),
        ([(2026,)], [(2026, 3, 14)], (2026, 3, 15), date(2026, 3, 14)),
        ([(2026, 2)], [(2026, 3, 14)], (2026, 3, 15), date(2026, 2, 1)),
        ([(2025,)], [(2026, 3, 14)], (2026, 3, 15), date(2025, 1, 1)),
        ([(2026, 3)], [], (2026, 4, 1), date(2026, 3, 1)),
        # The year alone says less than the day on which the DOI was registered.
        ([(2026,)], [], (2026, 3, 3), date(2026, 3, 3)),
        ([(2026,)], [], (2027, 3, 3), date(2026, 1, 1)),
        ([(2026,)], [], None, date(2026, 1, 1)),
        # It is online before its issue is printed.
        ([(2026, 6)], [], (2026, 3, 3), date(2026, 3, 3)),
        ([(2026, 6)], [(2026, 5, 1)], (2026, 3, 3), date(2026, 5, 1)),
        ([], [], (2026, 3, 3), date(2026, 3, 3)),
        ([(None,)], [(2026, 3, 14)], None, date(2026, 3, 14)),
        ([(2026, 13)], [], None, date(2026, 1, 1)),
        ([(2026, 2, 30)], [], None, date(2026, 2, 1)),
        ([(0, 1, 1)], [("2026", "3", "14")], None, date(2026, 3, 14)),
        ([], [], None, None),
    ],
)
def test_days(printed: Any, online: Any, created: Any, day: date | None) -> None:
    spans = [[to_span(parts(*numbers)) for numbers in dates] for dates in (printed, online)]
    assert first_day(*spans, to_span(parts(*created)) if created else None) == day


@given(st.recursive(st.none() | st.integers() | st.text(max_size=5), lambda inner: st.lists(inner, max_size=4)))
def test_any_date(value: Any) -> None:
    to_span({"date-parts": value})
    to_span(value)


@pytest.mark.parametrize(
    ("relation", "other_ids"),
    [
        (
            {"is-preprint-of": [{"id-type": "doi", "id": "10.5555/Loom.9", "asserted-by": "subject"}]},
            ("10.5555/loom.9",),
        ),
        ({"has-preprint": [{"id-type": "arxiv", "id": "arXiv:2601.00001v2"}]}, ("2601.00001",)),
        ({"has-preprint": [{"id-type": "arxiv", "id": "2601.00001"}]}, ("2601.00001",)),
        ({"has-preprint": [{"id-type": "doi", "id": "https://doi.org/10.48550/arXiv.2601.00001"}]}, ("2601.00001",)),
        ({"is-same-as": [{"id-type": "pmid", "id": "1234567"}]}, ("pmid:1234567",)),
        ({"has-version": [{"id-type": "doi", "id": "10.5555/LOOM.1"}]}, ()),
        (
            {
                "has-review": [{"id-type": "doi", "id": "10.5555/review"}],
                "is-translation-of": "x",
                "has-version": [None],
            },
            (),
        ),
        ({"has-version": [{"id-type": "uri", "id": "https://looms.example"}]}, ()),
        ({"is-supplemented-by": [{"id-type": "doi", "id": "10.5061/dryad.1"}]}, ()),
        (None, ()),
        ([], ()),
    ],
)
def test_other_versions(relation: Any, other_ids: tuple[str, ...]) -> None:
    assert one(relation=relation).other_ids == other_ids


@pytest.mark.parametrize(
    ("kind", "doi", "version"),
    [
        ("posted-content", "10.21203/rs.3.rs-1/v2", 2),
        ("posted-content", "10.26434/chemrxiv-2026-abc-v3", 3),
        ("posted-content", "10.20944/preprints202601.0001.v1", 1),
        ("posted-content", "10.1101/2026.01.01.000001", None),
        ("journal-article", "10.5555/loom.v2", None),
    ],
)
def test_the_version_of_a_preprint(kind: str, doi: str, version: int | None) -> None:
    assert one(type=kind, DOI=doi).version == version


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"updated-by": [update("10.5555/n", "retraction", source="retraction-watch")]}, PaperStatus.RETRACTED),
        ({"updated-by": [update("10.5555/n", "withdrawal")]}, PaperStatus.WITHDRAWN),
        ({"updated-by": [update("10.5555/n", "removal")]}, PaperStatus.WITHDRAWN),
        ({"updated-by": [update("10.5555/n", "correction"), update("10.5555/m", "expression_of_concern")]}, None),
        ({"updated-by": [update("10.5555/n", "retraction"), update("10.5555/m", "erratum")]}, PaperStatus.RETRACTED),
        ({"update-to": [update("10.5555/LOOM.1", "retraction")]}, PaperStatus.RETRACTED),
        (
            {"updated-by": [
                update("10.5555/m", "reinstatement", updated=parts(2026, 3, 9)), update("10.5555/n", "retraction")
            ]},
            None,
        ),
        ({"updated-by": [{"type": "Retraction"}, None, "x", {"type": 3}]}, PaperStatus.RETRACTED),
    ],
)  # fmt: skip
def test_the_status_of_a_paper(changes: dict[str, Any], status: PaperStatus | None) -> None:
    assert one(**changes).status is status


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("retraction", EventKind.RETRACTED),
        ("Retraction", EventKind.RETRACTED),
        ("withdrawal", EventKind.WITHDRAWN),
        ("removal", EventKind.WITHDRAWN),
        ("correction", EventKind.CORRECTED),
        ("corrigendum", EventKind.CORRECTED),
        ("erratum", EventKind.CORRECTED),
        ("addendum", EventKind.CORRECTED),
        ("clarification", EventKind.CORRECTED),
        ("partial_retraction", EventKind.CORRECTED),
        ("expression_of_concern", EventKind.CONCERN),
        ("expression-of-concern", EventKind.CONCERN),
        ("Expression of concern", EventKind.CONCERN),
    ],
)
def test_a_notice_is_no_paper(kind: str, expected: EventKind) -> None:
    item = work(5, title=["A note"], **{"update-to": [update("10.5555/Loom.1", kind), update("x", kind)]})
    assert list(read_work(item, "work 1", TYPES)) == [
        Notice(
            kind=expected,
            of=("10.5555/loom.1",),
            day=date(2026, 3, 1),
            doi="10.5555/loom.5",
            url="https://doi.org/10.5555/loom.5",
        )
    ]


def test_a_notice_about_several_papers_and_by_two_sources() -> None:
    updates = [
        update("10.5555/a", "retraction", source="retraction-watch", updated=parts(2026, 2, 1)),
        update("10.5555/a", "retraction"),
        update("10.5555/b", "correction", updated=None),
        update("10.5555/c", "something_else"),
    ]
    first, second = notices_of(work(5, **{"update-to": updates}))
    assert (first.of, first.kind, first.day) == (("10.5555/a",), EventKind.RETRACTED, date(2026, 3, 1))
    # Without a date of its own, that of the notice.
    assert (second.of, second.day) == (("10.5555/b",), date(2026, 3, 3))


def test_a_paper_and_its_retraction_may_have_one_doi() -> None:
    item = work(1, **{"update-to": [update("10.5555/loom.1", "retraction")]})
    (notice,) = notices_of(item)
    assert notice.of == ("10.5555/loom.1",)
    (paper,) = read_work(item, "work 1", TYPES)
    assert isinstance(paper, Paper)


def test_a_new_version_is_a_paper() -> None:
    paper = one(**{"update-to": [update("10.5555/loom.0", "new_version")]})
    assert paper.other_ids == ("10.5555/loom.0",)


@pytest.mark.parametrize("kind", ["peer-review", "component", "journal-issue", "grant", "dataset"])
def test_other_types_are_no_papers(kind: str) -> None:
    assert list(read_work(work(type=kind), "work 1", TYPES)) == []


@pytest.mark.parametrize(
    "title",
    [
        "Editorial Board",
        "Editorial Board (IFC)",
        "Issue Information",
        "Issue Information \u2010 TOC",
        "Front Cover",
        "Front Cover: Looms of the north (Loom 5/2026)",
        "Inside Back Cover",
        "Cover Picture",
        "Table of Contents",
        "Contents",
        "Contents, Volume 12, 2026",
        "Masthead",
        "[Front matter]",
        "Instructions for Authors",
        "List of Reviewers",
        "Acknowledgement to Reviewers",
        "Title page",
        "Author Index",
        "Correction to: Looms of the north",
        "Erratum",
    ],
)
def test_parts_of_an_issue_are_no_papers(title: str) -> None:
    assert list(read_work(work(title=[title]), "work 1", TYPES)) == []


@pytest.mark.parametrize(
    "title",
    [
        "Contents of Roman chests",
        "Cover crops and soil",
        "Front matters: how weather turns",
        "Index funds and markets",
        "Editorial boards of journals: who is on them",
        "Announcements of central banks",
    ],
)
def test_papers_that_begin_like_parts_of_an_issue(title: str) -> None:
    assert one(title=[title]).title == title
