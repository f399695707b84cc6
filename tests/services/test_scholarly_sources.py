"""Crossref, OpenAlex, bioRxiv and arXiv, through 'newsletter fetch': their papers, and what became of stored ones."""

import json
from datetime import date
from typing import Any

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from newsletter.model import EventKind, PaperEvent, PaperStatus
from newsletter.store import open_store, paper_events, papers, reading
from tests.helpers.newsletter import Newsletter
from tests.sources.test_crossref import update
from tests.sources.test_crossref import work as crossref_work
from tests.sources.test_openalex_search import work as openalex_work


def stored(newsletter: Newsletter, named: str) -> tuple[PaperStatus | None, list[PaperEvent]]:
    """Return the status of a stored paper, and what became of it."""
    engine = open_store(newsletter.config.store_url)
    with reading(engine) as connection:
        paper = papers.find(connection, named)
        assert paper is not None
        events = paper_events.history(connection, paper.row)
    engine.dispose()
    return paper.status, events


def with_papers(newsletter: Newsletter, *found: dict[str, Any]) -> None:
    (newsletter.folder / "papers.jsonl").write_text("\n".join(map(json.dumps, found)))
    newsletter.run("import", "papers.jsonl", now="2025-11-27T09:00")


def with_sources(newsletter: Newsletter, **sources: dict[str, Any]) -> None:
    newsletter.configure(network={"attempts": 1, "timeout_seconds": 2.0}, sources=sources)


def test_crossref_gives_papers_and_says_which_were_retracted(newsletter: Newsletter, httpserver: HTTPServer) -> None:
    article = crossref_work(2, relation={"has-preprint": [{"id-type": "doi", "id": "10.1101/2025.10.01.000001"}]})
    notice = crossref_work(3, **{"update-to": [update("10.5555/Loom.1", "retraction", source="retraction-watch")]})
    calls: list[int] = []

    def answer(request: Request) -> Response:
        item = notice if "is-update:true" in request.args["filter"] else article
        body = {"status": "ok", "message": {"total-results": 1, "items": [item]}}
        response = Response(json.dumps(body), content_type="application/json")
        response.add_etag()
        response.make_conditional(request)
        calls.append(response.status_code)
        return response

    httpserver.expect_request("/works").respond_with_handler(answer)
    source = {"kind": "crossref", "issn": ["1476-4687"], "api_url": httpserver.url_for("/works"), "pause_seconds": 0}
    with_sources(newsletter, looms=source)
    preprint = {"title": "Looms of the north, part 2", "doi": "10.1101/2025.10.01.000001", "authors": ["Ada Lovelace"]}
    with_papers(newsletter, {"title": "An older loom", "doi": "10.5555/loom.1"}, preprint)

    (row,) = newsletter.run("fetch", "--json").rows
    assert (row["papers"], row["new"], row["error"]) == (1, 0, None)
    status, (event,) = stored(newsletter, "10.5555/loom.1")
    assert (status, event.kind, event.day) == (PaperStatus.RETRACTED, EventKind.RETRACTED, date(2026, 3, 1))
    assert event.url == "https://doi.org/10.5555/loom.3"
    # The preprint and the article are one paper, which is now published.
    _, (event,) = stored(newsletter, "10.1101/2025.10.01.000001")
    assert (event.kind, event.doi, event.venue) == (
        EventKind.PUBLISHED,
        "10.5555/loom.2",
        "Journal of Looms & Spindles",
    )

    (row,) = newsletter.run("fetch", "--json").rows
    assert (row["papers"], row["error"]) == (0, None)
    assert calls == [200, 200, 304, 304]
    assert "papers@example.org" in httpserver.log[0][0].args["mailto"]


def test_sources_of_openalex_share_the_requests_of_a_day(
    newsletter: Newsletter, httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def answer(request: Request) -> Response:
        number = int(request.args["page"])
        asked.append(request.args["page"])
        found = [openalex_work(10 * number + one, ids=None) for one in range(2)]
        return Response(json.dumps({"meta": {"count": 6}, "results": found}), content_type="application/json")

    httpserver.expect_request("/works").respond_with_handler(answer)
    monkeypatch.setenv("NEWSLETTER_OPENALEX_KEY", "s3cret")
    newsletter.configure(libraries={"openalex_requests_per_day": 2})
    source = {"kind": "openalex", "topics": ["T1"], "api_url": httpserver.url_for("/"), "pause_seconds": 0}
    with_sources(newsletter, looms=source)
    ran = newsletter.run("fetch", "--json", code=1)
    assert ran.rows[0]["papers"] == 4
    assert "libraries.openalex_requests_per_day" in ran.rows[0]["error"]
    assert newsletter.run("fetch", "--json", code=1).rows[0]["papers"] == 0
    assert asked == ["1", "2"]
    newsletter.configure(libraries={"openalex_requests_per_day": 3})
    assert newsletter.run("fetch", "--json", now="2025-11-29T09:00").rows[0]["papers"] == 6
    assert "s3cret" not in newsletter.store.read_bytes().decode("latin-1")


def test_a_preprint_is_published_and_another_revised(newsletter: Newsletter, httpserver: HTTPServer) -> None:
    none = {"messages": [{"status": "no posts found"}], "collection": []}
    publication = {
        "biorxiv_doi": "10.1101/2025.02.01.000001",
        "published_doi": "10.5555/cells.1",
        "published_journal": "Journal of Cells",
        "published_date": "2025-11-27",
    }
    found = {"messages": [{"status": "ok", "total": 1}], "collection": [publication]}
    httpserver.expect_request("/details/biorxiv/2025-11-27/2025-11-28/0/json").respond_with_json(none)
    httpserver.expect_request("/pubs/biorxiv/2025-11-27/2025-11-28/0").respond_with_json(found)
    replaced = """<feed xmlns:arxiv="http://arxiv.org/schemas/atom" xmlns="http://www.w3.org/2005/Atom">
<id>http://rss.arxiv.org/atom/cs.LG</id><title>cs.LG updates</title><entry><id>oai:arXiv.org:2510.00001v2</id>
<title>Looms and lemmas</title><link href="https://arxiv.org/abs/2510.00001"/>
<summary>arXiv:2510.00001v2 Announce Type: replace Abstract: We weave. The bound is three.</summary>
<published>2025-11-28T00:00:00-05:00</published><arxiv:announce_type>replace</arxiv:announce_type></entry>
<entry><id>oai:arXiv.org:2510.00002v3</id><title>Unknown looms</title>
<summary>arXiv:2510.00002v3 Announce Type: replace Abstract: We wove.</summary>
<arxiv:announce_type>replace</arxiv:announce_type></entry></feed>"""
    httpserver.expect_request("/atom/cs.LG").respond_with_data(replaced, content_type="application/atom+xml")
    with_sources(
        newsletter,
        cells={"kind": "biorxiv", "api_url": httpserver.url_for("/details")},
        arxiv={"kind": "arxiv", "categories": ["cs.LG"], "feed_url": httpserver.url_for("/atom"), "pause_seconds": 0},
    )
    with_papers(
        newsletter,
        {"title": "Cells that weave", "doi": "10.1101/2025.02.01.000001"},
        {"title": "Looms", "arxiv_id": "2510.00001", "version": 1, "abstract": "We weave. The bound is two."},
    )
    rows = newsletter.run("fetch", "--json").rows
    assert [(row["papers"], row["new"], row["error"]) for row in rows] == [(0, 0, None)] * 2
    _, (published,) = stored(newsletter, "10.1101/2025.02.01.000001")
    assert (published.kind, published.venue, published.doi) == (
        EventKind.PUBLISHED,
        "Journal of Cells",
        "10.5555/cells.1",
    )
    _, (revised,) = stored(newsletter, "2510.00001")
    assert (revised.kind, revised.version, revised.former_title) == (EventKind.REVISED, 2, "Looms")
    assert (revised.added, revised.removed) == (("The bound is three.",), ("The bound is two.",))
