"""OpenReview through a server that answers as its APIs do."""

import json
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from newsletter.config.sources import OpenReviewSource
from newsletter.model import EventKind, Notice, Paper, PaperStatus, SkippedPaper
from newsletter.sources.base import DateRange
from newsletter.sources.errors import SourceError
from newsletter.sources.http import HttpClient, Validators
from newsletter.sources.openreview import OpenReview
from newsletter.sources.openreview_notes import Submission, read_submission

NOW = DateRange(None, date(2026, 3, 10))
VENUE = "OTTER.cc/2026/Conference"


def ms(*day: int) -> int:
    return int(datetime(*day, 12, tzinfo=UTC).timestamp() * 1_000)  # type: ignore[misc]


def note(number: int = 1, venue_id: str = VENUE, *, wrapped: bool = True, **content: Any) -> dict[str, Any]:
    values = {"title": f"Otters {number}", "venueid": venue_id, "authors": ["Ada Smith", "Bo Li"], **content}
    forum = f"oTTer-{number:06}"
    return {
        "id": forum,
        "forum": forum,
        "cdate": ms(2025, 9, 20),
        "pdate": ms(2026, 1, 26),
        "odate": ms(2025, 10, 1),
        "tmdate": ms(2026, 2, 2),
        "content": {name: {"value": value} if wrapped else value for name, value in values.items()},
    }


class Notes:
    """A small OpenReview: the notes by venue id."""

    def __init__(self, server: HTTPServer, notes: Iterable[dict[str, Any]] = ()) -> None:
        self.notes = list(notes)
        self.asked: list[tuple[str, int]] = []
        server.expect_request("/notes").respond_with_handler(self.answer)
        self._url = server.url_for("/")

    def answer(self, request: Request) -> Response:
        venue_id, start = request.args["content.venueid"], int(request.args["offset"])
        self.asked.append((venue_id, start))
        wanted = [
            one
            for one in self.notes
            if isinstance(one, dict) and one["content"].get("venueid") in (venue_id, {"value": venue_id})
        ]
        response = Response(json.dumps({"notes": wanted[start : start + 1_000], "count": len(wanted)}))
        response.add_etag()
        response.make_conditional(request)
        return response

    def source(self, **changes: Any) -> OpenReview:
        values = {"kind": "openreview", "venue": VENUE, "api_url": self._url, **changes}
        return OpenReview("or", OpenReviewSource.model_validate(values))


def test_accepted_papers(httpserver: HTTPServer, http: HttpClient) -> None:
    full = note(
        abstract="They swim.\n\nWe count them.",
        keywords=["otters", "counting"],
        TLDR="Otters can be counted.",
        pdf="/pdf/0123abcd.pdf",
        venue="OTTER 2026 Oral",
        primary_area="applications",
        code="https://github.com/ada/otters",
        _bibtex="@inproceedings{a,\ntitle={Otters},\nurl={https://openreview.net/forum?id=oTTer-000001}}",
    )
    server = Notes(httpserver, [full, note(2, f"{VENUE}/Rejected_Submission")])
    (paper,) = server.source().fetch(NOW, http)
    assert paper == Paper(
        title="Otters 1",
        abstract="They swim. We count them.",
        authors=("Ada Smith", "Bo Li"),
        author_count=2,
        venue="OTTER 2026 Oral",
        other_ids=("openreview:oTTer-000001",),
        published=date(2026, 1, 26),
        categories=("applications",),
        url="https://openreview.net/forum?id=oTTer-000001",
        pdf_url="https://openreview.net/pdf/0123abcd.pdf",
        code_url="https://github.com/ada/otters",
        summary="Otters can be counted.",
        summary_by="the authors",
        keywords=("otters", "counting"),
    )


def test_a_paper_that_was_withdrawn_since(httpserver: HTTPServer, http: HttpClient) -> None:
    withdrawn = note(3, f"{VENUE}/Withdrawn_Submission", doi="10.5555/otter")
    server = Notes(httpserver, [note(1), withdrawn, note(4, f"{VENUE}/Desk_Rejected_Submission")])
    paper, notice, rejected = server.source().fetch(NOW, http)
    assert isinstance(paper, Paper)
    assert notice == Notice(
        kind=EventKind.WITHDRAWN,
        of=("openreview:oTTer-000003", "10.5555/otter"),
        day=date(2026, 2, 2),
        url="https://openreview.net/forum?id=oTTer-000003",
    )
    assert isinstance(rejected, Notice)


def test_all_submissions(httpserver: HTTPServer, http: HttpClient) -> None:
    endings = ("", "/Submission", "/Rejected_Submission", "/Withdrawn_Submission", "/Desk_Rejected_Submission")
    notes = [note(number, f"{VENUE}{end}", venue="Submitted to OTTER 2026") for number, end in enumerate(endings)]
    found = list(Notes(httpserver, [*notes, notes[0]]).source(status="all").fetch(NOW, http))
    papers = [item for item in found if isinstance(item, Paper)]
    assert len(papers) == len(found) == 5
    withdrawn = PaperStatus.WITHDRAWN
    assert [paper.status for paper in papers] == [None, None, None, withdrawn, withdrawn]
    assert {paper.venue for paper in papers} == {None}


def test_pages_and_a_second_run(
    httpserver: HTTPServer, http: HttpClient, http_knowing: Callable[[dict[str, Validators]], HttpClient]
) -> None:
    server = Notes(httpserver, [note(number) for number in range(2_001)])
    assert len(list(server.source().fetch(NOW, http))) == 2_001
    assert [start for venue, start in server.asked if venue == VENUE] == [0, 1_000, 2_000]
    server.asked.clear()
    assert list(server.source().fetch(NOW, http_knowing(http.validators_seen))) == []
    assert [start for venue, start in server.asked if venue == VENUE] == [0, 1_000, 2_000]


def test_a_window(httpserver: HTTPServer, http: HttpClient) -> None:
    early, late, undated = note(1), {**note(2), "pdate": ms(2026, 2, 1)}, note(3)
    for name in ("pdate", "odate", "cdate"):
        undated.pop(name)
    server = Notes(httpserver, [early, late, undated, note(4, f"{VENUE}/Withdrawn_Submission")])
    found = list(server.source().fetch(DateRange(date(2026, 2, 1), date(2026, 2, 28)), http))
    assert [item.title for item in found if isinstance(item, Paper)] == ["Otters 2"]
    assert sum(isinstance(item, Notice) for item in found) == 1


@pytest.mark.parametrize("status", [401, 403])
def test_a_venue_that_is_not_public(httpserver: HTTPServer, http: HttpClient, status: int) -> None:
    httpserver.expect_request("/notes").respond_with_json({"name": "ForbiddenError"}, status=status)
    source = OpenReview("or", OpenReviewSource(kind="openreview", venue=VENUE, api_url=httpserver.url_for("")))
    with pytest.raises(SourceError, match=r"people with an account only: check the venue .*or wait until"):
        list(source.fetch(NOW, http))


@pytest.mark.parametrize("body", [{}, [], {"notes": None}, {"notes": {}}])
def test_an_answer_that_is_none(httpserver: HTTPServer, http: HttpClient, body: Any) -> None:
    httpserver.expect_request("/notes").respond_with_json(body)
    source = OpenReview("or", OpenReviewSource(kind="openreview", venue=VENUE, api_url=httpserver.url_for("")))
    with pytest.raises(SourceError, match="notes: missing, or not a list"):
        list(source.fetch(NOW, http))


def read(**content: Any) -> Paper:
    found = read_submission(note(**content), "note 1", VENUE)
    assert isinstance(found, Submission)
    return found.paper


@pytest.mark.parametrize(
    ("content", "field", "value"),
    [
        ({"authors": ["Anonymous"]}, "authors", ()),
        ({"authors": None}, "authors", ()),
        ({"authors": [{"fullname": "Ada Smith", "username": "~Ada_Smith1"}]}, "authors", ("Ada Smith",)),
        ({"authors": "Ada Smith, Bo Li"}, "authors", ("Ada Smith", "Bo Li")),
        ({"keywords": "otters; rivers"}, "keywords", ("otters", "rivers")),
        ({"venue": "Accepted by TMLR"}, "venue", "TMLR"),
        ({"venue": "Submitted to OTTER 2026"}, "venue", None),
        ({"venue": "OTTER 2026 Conference Submission"}, "venue", None),
        ({"venue": "OTTER 2026 Conference Withdrawn Submission"}, "venue", None),
        ({"venue": "Under review for TMLR"}, "venue", None),
        ({"TL;DR": "Short."}, "summary", "Short."),
        ({"one-sentence_summary": "Short."}, "summary", "Short."),
        ({"TLDR": ""}, "summary_by", None),
        ({"pdf": "https://arxiv.org/pdf/2601.01234"}, "pdf_url", "https://arxiv.org/pdf/2601.01234"),
        ({"pdf": "javascript:alert(1)"}, "pdf_url", None),
        ({"existing_preprints": "https://arxiv.org/abs/2601.01234v2"}, "arxiv_id", "2601.01234"),
        ({"_bibtex": "@misc{a, eprint={2601.01234}, archivePrefix={arXiv}}"}, "arxiv_id", "2601.01234"),
        ({"_bibtex": "@article{a, doi={10.5555/otter.1}, note={}}"}, "doi", "10.5555/otter.1"),
        ({"html": "https://doi.org/10.5555/Otter"}, "doi", "10.5555/otter"),
        ({"abstract": "As in arXiv:2601.01234."}, "arxiv_id", None),
    ],
)
@pytest.mark.parametrize("wrapped", [True, False], ids=["v2", "v1"])
def test_fields(content: dict[str, Any], field: str, value: Any, wrapped: bool) -> None:
    assert getattr(read(wrapped=wrapped, **content), field) == value


@pytest.mark.parametrize(
    ("changes", "day"),
    [
        ({"pdate": None}, date(2025, 10, 1)),
        ({"pdate": "soon", "odate": -5}, date(2025, 9, 20)),
        ({"pdate": 10**18, "odate": None}, date(2025, 9, 20)),
    ],
)
def test_days(changes: dict[str, Any], day: date) -> None:
    found = read_submission({**note(), **changes}, "note 1", VENUE)
    assert isinstance(found, Submission)
    assert found.paper.published == day


@pytest.mark.parametrize(
    ("broken", "why"),
    [
        ("x", "content: missing, or not an object"),
        ({**note(), "content": []}, "content: missing, or not an object"),
        (note(title=" "), "content.title: missing"),
        ({**note(), "forum": "a b", "id": 3}, "forum: not an id of OpenReview, got 'a b'"),
    ],
)
def test_a_note_that_is_no_paper(broken: Any, why: str) -> None:
    assert read_submission(broken, "note 1", VENUE) == SkippedPaper("note 1", why)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["value", "fullname", "x"]), inner),
    max_leaves=6,
)
NAMES = st.sampled_from(["title", "authors", "venue", "venueid", "keywords", "pdf", "_bibtex", "TLDR", "doi", "code"])


@settings(max_examples=60)
@given(st.dictionaries(NAMES, VALUES), st.dictionaries(st.sampled_from(["pdate", "tmdate", "forum"]), VALUES))
def test_odd_notes_never_raise(content: dict[str, Any], fields: dict[str, Any]) -> None:
    read_submission({**note(), **fields, "content": content}, "note 1", VENUE)


def test_a_venue_by_its_address() -> None:
    url = f"https://openreview.net/group?id={VENUE}&referrer=x"
    assert OpenReviewSource(kind="openreview", venue=url).venue == VENUE
    with pytest.raises(ValueError, match=r"write its id like ICLR\.cc/2026/Conference"):
        OpenReviewSource(kind="openreview", venue="ICLR 2026")
