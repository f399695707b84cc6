"""PubMed, OpenReview and Semantic Scholar, through the command."""

from datetime import date
from typing import Any

import pytest
from pytest_httpserver import HTTPServer

from tests.helpers.newsletter import Newsletter
from tests.sources.test_openreview import VENUE, Notes, note
from tests.sources.test_pubmed import Eutils, article, retraction
from tests.sources.test_semantic_scholar import Scholar, entry

TODAY, TOMORROW = "2026-03-10T09:00", "2026-03-11T09:00"


@pytest.fixture
def servers(newsletter: Newsletter, httpserver: HTTPServer) -> tuple[Eutils, Notes, Scholar]:
    """The three services, from one server; OpenReview has what PubMed says was retracted, and Semantic Scholar both."""
    url = httpserver.url_for("").rstrip("/")
    newsletter.configure(
        sources={
            "pubmed": {"kind": "pubmed", "query": "otter", "api_url": url, "pause_seconds": 0},
            "otters": {"kind": "openreview", "venue": VENUE, "api_url": url},
            "s2": {"kind": "semanticscholar", "query": "otter", "api_url": url, "pause_seconds": 0},
        }
    )
    eutils = Eutils(httpserver)
    notes = Notes(httpserver, [note(1, title="Otters learn", doi="10.5555/learn")])
    scholar = Scholar(httpserver, [entry(2, title="Otters learn", externalIds={"DOI": "10.5555/LEARN", "PubMed": 12})])
    return eutils, notes, scholar


def counts(rows: list[dict[str, Any]]) -> dict[str, tuple[Any, ...]]:
    return {row["source"]: (row["papers"], row["error"]) for row in rows}


def test_one_paper_of_three_indexes_and_its_retraction(
    newsletter: Newsletter, servers: tuple[Eutils, Notes, Scholar], monkeypatch: pytest.MonkeyPatch
) -> None:
    eutils, _, scholar = servers
    monkeypatch.setenv("NEWSLETTER_NCBI_KEY", "s3cret-ncbi")
    monkeypatch.setenv("NEWSLETTER_SEMANTIC_SCHOLAR_KEY", "s3cret-s2")
    eutils.days, eutils.xml = {date(2026, 3, 9): [12]}, {12: article(12, "Otters learn")}
    scholar.summaries = {f"{2:040x}": "Otters can learn."}
    ran = newsletter.run("fetch", "--json", now=TODAY)
    assert counts(ran.rows) == {"pubmed": (1, None), "otters": (1, None), "s2": (1, None)}
    (paper,) = newsletter.run("papers", "list", "--json", now=TODAY).rows
    assert paper["sources"] == ["otters", "pubmed", "s2"]
    assert {paper["doi"], *paper["other_ids"]} == {"10.5555/learn", "openreview:oTTer-000001", "pmid:12"}
    assert (paper["summary"], paper["summary_by"], paper["status"]) == ("Otters can learn.", "Semantic Scholar", None)
    eutils.notices, eutils.xml[50] = [50], retraction(50, 12)
    again = newsletter.run("fetch", "--json", now=TOMORROW)
    assert {row["error"] for row in again.rows} == {None}
    assert sum(row["new"] for row in again.rows) == 0
    (paper,) = newsletter.run("papers", "list", "--json", now=TOMORROW).rows
    assert paper["status"] == "retracted"
    # The keys were sent, and not stored.
    assert {(args["api_key"], args["email"]) for _, args in eutils.asked} == {("s3cret-ncbi", "papers@example.org")}
    assert {request.headers["x-api-key"] for request in scholar.asked} == {"s3cret-s2"}
    assert b"s3cret" not in newsletter.store.read_bytes()
