"""What OpenAlex knows, by 'newsletter fetch' against a server on loopback with works as OpenAlex sends them."""

import json
import re
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from newsletter.model import PaperStatus
from newsletter.store import open_store, openalex, papers, reading
from tests.helpers.newsletter import NOW, Newsletter

DAYS = ["2025-11-28T09:00", "2025-11-29T09:00", "2025-11-30T09:00", "2025-12-01T09:00", "2025-12-02T09:00"]
CITED = "10.1000/kelp"


def work(number: int, doi: str | None = None, cites: tuple[int, ...] = (), **changes: Any) -> dict[str, Any]:
    """A work with the fields and nesting of the API (https://docs.openalex.org/api-entities/works/work-object)."""
    return {
        "id": f"https://openalex.org/W{number}",
        "doi": f"https://doi.org/{doi}" if doi else None,
        "display_name": f"Work {number}",
        "publication_date": "2025-11-20",
        "authorships": [
            {
                "author_position": "first",
                "author": {
                    "id": f"https://openalex.org/A{number}",
                    "display_name": "Ada Lovelace",
                    "orcid": "https://orcid.org/0000-0002-1825-0097",
                },
                "institutions": [
                    {
                        "id": "https://openalex.org/I1",
                        "display_name": "ETH Zurich",
                        "ror": "https://ror.org/05a28rw58",
                        "country_code": "CH",
                    }
                ],
                "raw_author_name": "A. Lovelace",
            }
        ],
        "abstract_inverted_index": {"Kelp": [0, 2], "and": [1]},
        "primary_location": {
            "landing_page_url": f"https://doi.org/{doi}" if doi else "https://example.org/paper",
            "source": {"display_name": "Journal of Kelp", "type": "journal"},
        },
        "locations": [],
        "keywords": [{"display_name": "Kelp", "score": 0.5}],
        "referenced_works": [f"https://openalex.org/W{one}" for one in cites],
        **changes,
    }


class Api:
    """An API that answers from a list of works, and keeps what it was asked."""

    def __init__(self, server: HTTPServer) -> None:
        self.works: list[dict[str, Any]] = []
        self.asked: list[dict[str, str]] = []
        self.answers: list[Response] = []
        self.page_size = 100
        server.expect_request("/works").respond_with_handler(self._answer)

    def _answer(self, request: Request) -> Response:
        self.asked.append(dict(request.args))
        if self.answers:
            return self.answers.pop(0)
        found = [one for one in self.works if self._passes(one, request.args["filter"])]
        if request.args.get("sort") == "publication_date:desc":
            found.sort(key=lambda one: one["publication_date"], reverse=True)
        start = self.page_size * (int(request.args["page"]) - 1)
        end = start + self.page_size
        body = {
            "meta": {"count": len(found), "per_page": self.page_size},
            "results": [
                {key: value for key, value in one.items() if key in request.args["select"].split(",")}
                for one in found[start:end]
            ],
        }
        return Response(json.dumps(body), content_type="application/json")

    def _passes(self, one: dict[str, Any], wanted: str) -> bool:
        if dois := re.fullmatch(r"doi:(.+)", wanted):
            return str(one["doi"]).removeprefix("https://doi.org/").lower() in dois[1].split("|")
        cites = re.fullmatch(r"cites:([W\d|]+),from_publication_date:([\d-]+)", wanted)
        assert cites, wanted
        ids = {f"https://openalex.org/{one}" for one in cites[1].split("|")}
        return bool(ids & {*one["referenced_works"]}) and one["publication_date"] >= cites[2]

    def filters(self) -> list[str]:
        asked = [one["filter"] for one in self.asked]
        self.asked.clear()
        return asked


@pytest.fixture
def api(httpserver: HTTPServer, newsletter: Newsletter) -> Api:
    newsletter.configure(libraries={"openalex_url": httpserver.url_for("").rstrip("/")})
    return Api(httpserver)


def subscribe(newsletter: Newsletter, *alerts: str) -> None:
    lines = "".join(f"  - {one}\n" for one in alerts)
    newsletter.subscriber("ada", f"email: ada@example.org\ninterests: [kelp]\nalerts:\n{lines}")
    assert not newsletter.run("subscribers", "list").err


def with_papers(newsletter: Newsletter, *found: dict[str, Any], now: str = NOW) -> None:
    (newsletter.folder / "papers.jsonl").write_text("\n".join(map(json.dumps, found)))
    newsletter.run("import", "papers.jsonl", now=now)


def fetch(newsletter: Newsletter, now: str = NOW, code: int = 0) -> dict[str, Any] | None:
    rows = newsletter.run("fetch", "--json", now=now, code=code).rows
    return rows[0] if rows else None


def found_by(newsletter: Newsletter, *options: str, now: str = NOW) -> list[tuple[str, str]]:
    rows = newsletter.run("alerts", "test", *options, "--json", now=now).rows
    return [(row["title"], row["reason"]) for row in rows]


def test_nothing_is_asked_unless_an_alert_needs_it(api: Api, newsletter: Newsletter) -> None:
    subscribe(newsletter, "kelp forests", "{author: Ada Lovelace}")
    with_papers(newsletter, {"title": "One", "doi": "10.1000/one"})
    assert fetch(newsletter) is None
    assert not api.asked


def test_authors_and_institutions_are_looked_up_in_batches(api: Api, newsletter: Newsletter, monkeypatch) -> None:
    monkeypatch.setenv("NEWSLETTER_OPENALEX_KEY", "s3cret")
    subscribe(newsletter, "{institution: ETH Zurich}")
    many = [{"title": f"Paper {number}", "doi": f"10.1000/p{number}"} for number in range(60)]
    preprint = {"title": "Preprint", "arxiv_id": "2511.00001", "authors": ["A. Lovelace"]}
    with_papers(newsletter, *many, preprint, {"title": "Without a DOI"}, {"title": "Comma", "doi": "10.1000/a,b|c"})
    api.works = [work(number, f"10.1000/p{number}") for number in range(58)]
    api.works.append(work(99, "10.48550/arXiv.2511.00001"))
    result = fetch(newsletter)
    assert result == {**result, "source": "alerts:openalex", "papers": 62, "changed": 59, "new": 0, "error": None}
    assert all(one["api_key"] == "s3cret" and one["mailto"] == "papers@example.org" for one in api.asked)
    assert [len(one.split("|")) for one in api.filters()] == [49, 12]
    assert len(found_by(newsletter, "--institution", "eth zürich")) == 59
    assert ("Preprint", "by Ada Lovelace") in found_by(newsletter, "--orcid", "0000-0002-1825-0097")
    # What is known is not asked for again, and what is not known after three days.
    assert fetch(newsletter, now=DAYS[1]) == {**result, "papers": 0, "changed": 0}
    assert api.filters() == []
    api.works.append(work(58, "10.1000/p58"))
    assert fetch(newsletter, now=DAYS[4])["changed"] == 1
    assert sorted(api.filters()[0].removeprefix("doi:").split("|")) == ["10.1000/p58", "10.1000/p59"]


def test_papers_that_cite_are_found_and_added(api: Api, newsletter: Newsletter) -> None:
    subscribe(newsletter, f"{{cites: {CITED}}}")
    with_papers(newsletter, {"title": "In the store", "doi": "10.1000/known"})
    api.page_size = 2
    api.works = [
        work(1, CITED, display_name="Kelp <i>forests</i>"),
        work(2, "10.1000/known", cites=(1,)),
        work(3, "10.1000/new", cites=(7, 1), display_name="New to the store"),
        work(4, None, cites=(1,), display_name="Without a DOI"),
        work(5, "10.1000/old", cites=(1,), publication_date="2020-05-05"),
        work(6, "10.1000/other", cites=(7,)),
        {
            "id": "https://openalex.org/W8",
            "display_name": None,
            **dict.fromkeys(("doi",)),
            "publication_date": "2025-11-20",
            "referenced_works": ["https://openalex.org/W1"],
        },
    ]
    assert fetch(newsletter)["new"] == 2
    assert api.filters()[:3] == [
        f"doi:{CITED}",
        "cites:W1,from_publication_date:2025-09-29",
        "cites:W1,from_publication_date:2025-09-29",
    ]
    reason = "cites “Kelp forests”"
    expected = {("In the store", reason), ("New to the store", reason), ("Without a DOI", reason)}
    assert {*found_by(newsletter, "--cites", CITED)} == expected
    (added,) = [row for row in newsletter.run("papers", "list", "--json").rows if row["title"] == "New to the store"]
    assert (added["sources"], added["venue"], added["abstract"]) == (
        ["alerts:openalex"],
        "Journal of Kelp",
        "Kelp and Kelp",
    )
    # Once a day, and nothing twice.
    fetch(newsletter)
    assert api.filters() == []
    assert fetch(newsletter, now=DAYS[1])["new"] == 0
    assert len(found_by(newsletter, "--cites", CITED, now=DAYS[1])) == 3


def test_a_paper_cited_very_often_hides_neither_the_newest_nor_the_citations_of_others(
    api: Api, newsletter: Newsletter
) -> None:
    newsletter.configure(libraries={"openalex_requests_per_day": 10})
    subscribe(newsletter, f"{{cites: {CITED}}}", "{cites: 10.1000/rare}")
    api.page_size = 2
    api.works = [work(1, CITED), work(2, "10.1000/rare")]
    days = [str(date(2025, 10, 10) + timedelta(days=number)) for number in range(44)]
    api.works += [
        work(10 + at, f"10.1000/p{at}", cites=(1,), publication_date=day, display_name=day)
        for at, day in enumerate(days)
    ]
    api.works.append(work(9, "10.1000/other", cites=(2,), publication_date="2025-10-05", display_name="Of the rare"))
    # Three pages of both, then one after the other; the requests of the day end within the first one.
    fetch(newsletter)
    since = "from_publication_date:2025-09-29"
    assert api.filters()[1:] == [*[f"cites:W1|W2,{since}"] * 3, *[f"cites:W1,{since}"] * 6]
    newsletter.configure(libraries={"openalex_requests_per_day": 100})
    fetch(newsletter, now=DAYS[1])
    assert [title for title, _ in found_by(newsletter, "--cites", "10.1000/rare", now=DAYS[1])] == ["Of the rare"]
    newest = {title for title, _ in found_by(newsletter, "--cites", CITED, now=DAYS[1])}
    assert newest == {*days[-40:]}


@pytest.mark.both_stores
def test_a_citation_indexed_late_arrives_once(api: Api, newsletter: Newsletter, store_url: str) -> None:
    newsletter.configure(store={"url": store_url})
    subscribe(newsletter, f"{{cites: {CITED}}}", "{author: {orcid: 0000-0002-1825-0097}}")
    with_papers(newsletter, {"title": "Slow", "doi": "10.1000/slow"})
    api.works = [work(1, CITED)]
    fetch(newsletter)
    api.works.append(work(2, "10.1000/slow", cites=(1,)))
    fetch(newsletter, now=DAYS[1])
    engine = open_store(newsletter.config.store_url)
    moments = [moment_of(day) for day in DAYS]
    with reading(engine) as connection:
        (row,) = (one.row for one in papers.first_seen_since(connection, moment_of("2025-01-01")))
        assert [openalex.late_cited(connection, moment) for moment in moments[:2]] == [[row], []]
        assert [openalex.late_described(connection, moment) for moment in moments[:2]] == [[row], []]
    engine.dispose()


def moment_of(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_what_exceeds_the_requests_of_a_day_goes_on_the_next_day(api: Api, newsletter: Newsletter) -> None:
    newsletter.configure(libraries={"openalex_requests_per_day": 2})
    subscribe(newsletter, "{institution: ETH Zurich}")
    with_papers(newsletter, *({"title": f"Paper {number}", "doi": f"10.1000/p{number}"} for number in range(120)))
    first = fetch(newsletter)
    assert first["papers"] == 100 and "used up" in first["cut"][0]
    assert fetch(newsletter)["papers"] == 0
    assert len(api.filters()) == 2
    assert fetch(newsletter, now=DAYS[1])["papers"] == 20
    assert len(api.filters()) == 1


def test_a_paper_that_openalex_calls_retracted_is_noted(api: Api, newsletter: Newsletter) -> None:
    subscribe(newsletter, "{institution: ETH Zurich}")
    with_papers(
        newsletter, {"title": "One", "doi": "10.1000/one"}, {"title": "Two", "arxiv_id": "2511.00001", "version": 1}
    )
    api.works = [
        work(1, "10.1000/one", is_retracted=True),
        work(2, "10.48550/arxiv.2511.00001", is_retracted=False),
    ]
    fetch(newsletter)
    assert len(api.filters()) == 1
    engine = open_store(newsletter.config.store_url)
    with reading(engine) as connection:
        found = [papers.find(connection, one) for one in ("10.1000/one", "2511.00001")]
    engine.dispose()
    assert [one and one.status for one in found] == [PaperStatus.RETRACTED, None]


@pytest.mark.parametrize(
    ("status", "headers", "said"),
    [(429, {"Retry-After": "3600"}, "retry after 3600 s"), (403, {}, "status 403"), (503, {}, "status 503")],
)
def test_a_refusal_is_recorded_and_tried_again_later(
    status: int, headers: dict[str, str], said: str, api: Api, newsletter: Newsletter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NEWSLETTER_OPENALEX_KEY", "s3cret")
    subscribe(newsletter, "{institution: ETH Zurich}")
    with_papers(newsletter, {"title": "One", "doi": "10.1000/one"})
    api.answers = [Response("no", status=status, headers=headers)] * 4
    ran = newsletter.run("fetch", "--json", code=1)
    assert said in ran.rows[0]["error"]
    (row,) = newsletter.run("sources", "--json").rows
    assert row["name"] == "alerts:openalex" and said in row["error"]
    assert "s3cret" not in ran.out + ran.err + row["error"]
    api.answers.clear()
    api.works = [work(1, "10.1000/one")]
    assert fetch(newsletter)["changed"] == 1


def test_a_failure_does_not_keep_papers_of_sources_out(api: Api, newsletter: Newsletter) -> None:
    subscribe(newsletter, "{institution: ETH Zurich}")
    (newsletter.folder / "more.jsonl").write_text(json.dumps({"title": "From a source", "doi": "10.1000/source"}))
    newsletter.configure(sources={"file": {"kind": "file", "path": "more.jsonl"}})
    api.answers = [Response("no", status=500)] * 4
    ours, theirs = newsletter.run("fetch", "--json", code=1).rows
    assert (ours["source"], ours["new"], ours["error"]) == ("file", 1, None)
    assert (theirs["source"], theirs["papers"]) == ("alerts:openalex", 0)
    assert "status 500" in theirs["error"]


def test_a_wait_that_the_server_asks_for_is_kept(api: Api, newsletter: Newsletter) -> None:
    subscribe(newsletter, "{institution: ETH Zurich}")
    with_papers(newsletter, {"title": "One", "doi": "10.1000/one"})
    api.works = [work(1, "10.1000/one")]
    api.answers = [Response("slow down", status=429, headers={"Retry-After": "0"})]
    assert fetch(newsletter)["changed"] == 1


def test_a_doi_that_is_refused_does_not_keep_the_others(api: Api, newsletter: Newsletter, httpserver) -> None:
    subscribe(newsletter, "{institution: ETH Zurich}")
    with_papers(newsletter, *({"title": f"Paper {number}", "doi": f"10.1000/p{number}"} for number in range(4)))
    api.works = [work(number, f"10.1000/p{number}") for number in range(4)]
    usual = api._passes

    def passes(one: dict[str, Any], wanted: str) -> bool:
        if "10.1000/p2" in wanted:
            raise ValueError
        return usual(one, wanted)

    api._passes = passes  # type: ignore[method-assign]
    answer = api._answer

    def refusing(request: Request) -> Response:
        try:
            return answer(request)
        except ValueError:
            return Response('{"error": "Invalid query parameters error."}', status=400)

    httpserver.clear()
    httpserver.expect_request("/works").respond_with_handler(refusing)
    assert fetch(newsletter)["changed"] == 3


@pytest.mark.parametrize(
    "body",
    [
        "[]",
        '{"results": 1}',
        "no JSON",
        '{"results": [1, null, {"id": 3}, {"id": "https://openalex.org/W1", "authorships": [{"author": 1}]}]}',
        '{"meta": 1, "results": [{"id": "https://openalex.org/W1", "doi": null, "authorships": null}]}',
    ],
)
def test_a_strange_answer_harms_nothing(body: str, api: Api, newsletter: Newsletter) -> None:
    subscribe(newsletter, "{institution: ETH Zurich}", f"{{cites: {CITED}}}")
    with_papers(newsletter, {"title": "One", "doi": "10.1000/one"})
    api.answers = [Response(body, content_type="application/json")] * 20
    newsletter.run("fetch", code=None)
    assert found_by(newsletter, "--institution", "ETH Zurich") == []


def test_what_no_alert_names_any_longer_is_deleted(api: Api, newsletter: Newsletter) -> None:
    subscribe(newsletter, f"{{cites: {CITED}}}")
    api.works = [work(1, CITED), work(2, "10.1000/new", cites=(1,))]
    fetch(newsletter)
    subscribe(newsletter, "kelp forests")
    fetch(newsletter)
    engine = open_store(newsletter.config.store_url)
    with reading(engine) as connection:
        assert openalex.cited(connection) == {}
    engine.dispose()
    assert found_by(newsletter, "--cites", CITED) == []
