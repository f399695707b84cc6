from collections.abc import Callable
from datetime import date
from typing import Any

import pytest
from pytest_httpserver import HTTPServer

from newsletter.config.sources import ArxivSource
from newsletter.model import EventKind, Notice, Paper, PaperStatus, SkippedPaper
from newsletter.sources.arxiv import Arxiv, papers_in
from newsletter.sources.base import DateRange
from newsletter.sources.bounds import within_bounds
from newsletter.sources.errors import SourceError
from newsletter.sources.feed import parse
from newsletter.sources.http import HttpClient

NOW = DateRange(None, date(2025, 8, 20))
DAYS = DateRange(date(2025, 8, 19), date(2025, 8, 20))


def announced(number: int, kind: str, version: int = 1) -> str:
    return f"""<entry><id>oai:arXiv.org:2508.{number:05}v{version}</id><title>Paper
  number {number}</title><link href="https://arxiv.org/abs/2508.{number:05}" rel="alternate" type="text/html"/>
<summary>arXiv:2508.{number:05}v{version} Announce Type: {kind}&#32;
Abstract: If $a&lt;b$, then
 &lt;think&gt;.</summary><category term="cs.CL"/><category term="cs.AI"/>
<published>2025-08-20T00:00:00-04:00</published><arxiv:announce_type>{kind}</arxiv:announce_type>
<dc:creator>Ada Lovelace, Charles Babbage</dc:creator></entry>"""


def feed(*entries: str) -> str:
    return f"""<?xml version='1.0' encoding='UTF-8'?>
<feed xmlns:arxiv="http://arxiv.org/schemas/atom" xmlns:dc="http://purl.org/dc/elements/1.1/"
 xmlns="http://www.w3.org/2005/Atom"><id>http://rss.arxiv.org/atom/cs.AI</id><title>cs.AI updates</title>
{"".join(entries)}</feed>"""


def found(number: int) -> str:
    return f"""<entry><id>http://arxiv.org/abs/2508.{number:05}v2</id><published>2025-08-19T01:02:03Z</published>
<updated>2025-08-21T00:00:00Z</updated><title>Paper
  number {number}</title><summary>  Found by
 the API. </summary><author><name>Ada Lovelace</name></author><author><name>Charles Babbage</name></author>
<arxiv:doi xmlns:arxiv="http://arxiv.org/schemas/atom">10.1000/XYZ</arxiv:doi><category term="cs.LG"/></entry>"""


def answer(total: int, *entries: str) -> str:
    return f"""<?xml version="1.0" encoding="UTF-8"?><feed xmlns="http://www.w3.org/2005/Atom">
<id>http://arxiv.org/api/x</id><title>ArXiv Query</title>
<opensearch:totalResults xmlns:opensearch="http://a9.com/-/spec/opensearch/1.1/">{total}</opensearch:totalResults>
{"".join(entries)}</feed>"""


def source(server: HTTPServer, **changes: Any) -> Arxiv:
    settings = {
        "kind": "arxiv",
        "categories": ["cs.LG", "cs.AI"],
        "feed_url": server.url_for("/atom"),
        "api_url": server.url_for("/api/query"),
        "pause_seconds": 0,
    }
    return Arxiv("arxiv", ArxivSource.model_validate(settings | changes))


@pytest.mark.parametrize("name", ["journal_ref", "journal_reference"])
def test_the_reference_to_a_journal_is_the_venue(name: str) -> None:
    element = f'<arxiv:{name} xmlns:arxiv="http://arxiv.org/schemas/atom">Samples 3\n (2025) 1-2</arxiv:{name}>'
    entry = found(1).replace("<arxiv:doi", f"{element}<arxiv:doi")
    (paper,) = papers_in(parse(answer(1, entry).encode(), "arXiv"), "arXiv", replacements=True)
    assert isinstance(paper, Paper)
    assert paper.venue == "Samples 3 (2025) 1-2"


def test_what_is_announced(httpserver: HTTPServer, http: HttpClient) -> None:
    entries = [announced(1, "new"), announced(2, "cross"), announced(3, "replace", 2), announced(4, "replace-cross", 3)]
    httpserver.expect_request("/atom/cs.LG+cs.AI").respond_with_data(feed(*entries))
    one, two, three, _ = source(httpserver).fetch(NOW, http)
    assert one == Paper(
        title="Paper number 1",
        abstract="If $a<b$, then <think>.",
        authors=("Ada Lovelace", "Charles Babbage"),
        author_count=2,
        arxiv_id="2508.00001",
        version=1,
        published=date(2025, 8, 20),
        categories=("cs.CL", "cs.AI"),
        url="https://arxiv.org/abs/2508.00001",
        pdf_url="https://arxiv.org/pdf/2508.00001",
    )
    assert isinstance(two, Paper)
    # A new version of a paper matters only if the paper is in the store.
    assert isinstance(three, Notice)
    assert (three.kind, three.of, three.version) == (EventKind.REVISED, ("2508.00003",), 2)
    assert three.day == date(2025, 8, 20)
    assert three.paper is not None
    assert (three.paper.title, three.paper.version, three.paper.published) == ("Paper number 3", 2, None)

    every = [paper for paper in source(httpserver, replacements=True).fetch(NOW, http) if isinstance(paper, Paper)]
    assert [(paper.version, paper.published) for paper in every] == [
        (1, date(2025, 8, 20)), (1, date(2025, 8, 20)), (2, None), (3, None)
    ]  # fmt: skip


def test_an_old_feed_says_the_kind_in_the_summary_alone(httpserver: HTTPServer, http: HttpClient) -> None:
    text = feed(announced(1, "new"), announced(2, "replace", 2))
    for kind in ("new", "replace"):
        text = text.replace(f"<arxiv:announce_type>{kind}</arxiv:announce_type>", "")
    httpserver.expect_request("/atom/cs.LG+cs.AI").respond_with_data(text)
    one, two = source(httpserver).fetch(NOW, http)
    assert isinstance(one, Paper)
    assert isinstance(two, Notice)


@pytest.mark.parametrize(
    ("comment", "summary", "status"),
    [
        ("Withdrawn by the authors: Lemma 2 is wrong", "A lemma about looms.", PaperStatus.WITHDRAWN),
        ("This paper has been withdrawn", "A lemma about looms.", PaperStatus.WITHDRAWN),
        ("12 pages", "This paper has been withdrawn by the author due to an error.", PaperStatus.WITHDRAWN),
        ("12 pages; earlier version was withdrawn from a workshop", "A lemma about looms.", None),
    ],
)
def test_a_withdrawn_paper(comment: str, summary: str, status: PaperStatus | None) -> None:
    element = f'<arxiv:comment xmlns:arxiv="http://arxiv.org/schemas/atom">{comment}</arxiv:comment>'
    entry = found(1).replace("<arxiv:doi", f"{element}<arxiv:doi").replace("Found by\n the API.", summary)
    (paper,) = papers_in(parse(answer(1, entry).encode(), "arXiv"), "arXiv", replacements=True)
    item = within_bounds(paper).item
    assert isinstance(item, Paper)
    assert item.status is status


def test_a_day_without_announcements(httpserver: HTTPServer, http: HttpClient) -> None:
    httpserver.expect_request("/atom/cs.LG+cs.AI").respond_with_data(feed())
    assert list(source(httpserver).fetch(NOW, http)) == []


def test_an_unchanged_feed(httpserver: HTTPServer, http: HttpClient, http_knowing: Callable[..., HttpClient]) -> None:
    httpserver.expect_request("/atom/cs.LG+cs.AI", headers={"If-None-Match": '"1"'}).respond_with_data(status=304)
    httpserver.expect_request("/atom/cs.LG+cs.AI").respond_with_data(feed(announced(1, "new")), headers={"ETag": '"1"'})
    assert len(list(source(httpserver).fetch(NOW, http))) == 1
    assert list(source(httpserver).fetch(NOW, http_knowing(http.validators_seen))) == []
    assert httpserver.log[-1][1].status_code == 304


def test_a_feed_that_breaks_off_gives_nothing(httpserver: HTTPServer, http: HttpClient) -> None:
    httpserver.expect_request("/atom/cs.LG+cs.AI").respond_with_data(
        feed(announced(1, "new"), announced(2, "new"))[:-20]
    )
    with pytest.raises(SourceError, match="the feed is incomplete or not XML"):
        next(source(httpserver).fetch(NOW, http))


def test_one_bad_paper_stops_no_other(httpserver: HTTPServer, http: HttpClient) -> None:
    nameless = announced(1, "new").replace("<title>Paper\n  number 1</title>", "<title/>")
    strange = announced(2, "new").replace("oai:arXiv.org:2508.00002v1", "x").replace("abs/2508.00002", "abs/new")
    httpserver.expect_request("/atom/cs.LG+cs.AI").respond_with_data(feed(nameless, strange, announced(3, "new")))
    one, two, three = source(httpserver).fetch(NOW, http)
    where = f"GET {httpserver.url_for('/atom/cs.LG+cs.AI')}, entry"
    assert one == SkippedPaper(f"{where} 1", "title: missing")
    assert two == SkippedPaper(f"{where} 2", "id: 'x' is not an arXiv id")
    assert isinstance(three, Paper)


def test_a_range_of_days(httpserver: HTTPServer, http: HttpClient) -> None:
    query = {
        "search_query": "(cat:cs.LG OR cat:cs.AI) AND submittedDate:[202508190000 TO 202508202359]",
        "sortBy": "submittedDate",
        "sortOrder": "ascending",
        "max_results": "200",
    }
    for start, entries in (("0", [found(1), found(2)]), ("2", [found(3)])):
        httpserver.expect_request("/api/query", query_string=query | {"start": start}).respond_with_data(
            answer(3, *entries)
        )
    papers = list(source(httpserver).fetch(DAYS, http))
    assert len(papers) == 3
    assert isinstance(papers[0], Paper)
    assert papers[0].version_day == date(2025, 8, 21)
    assert papers[0] == Paper(
        title="Paper number 1",
        abstract="Found by the API.",
        authors=("Ada Lovelace", "Charles Babbage"),
        author_count=2,
        arxiv_id="2508.00001",
        version=2,
        doi="10.1000/xyz",
        published=date(2025, 8, 19),
        categories=("cs.LG",),
        url="https://arxiv.org/abs/2508.00001",
        pdf_url="https://arxiv.org/pdf/2508.00001",
    )


def test_days_without_papers(httpserver: HTTPServer, http: HttpClient) -> None:
    httpserver.expect_request("/api/query").respond_with_data(answer(0))
    assert list(source(httpserver).fetch(DAYS, http)) == []
    assert len(httpserver.log) == 1


def test_an_empty_page_is_asked_for_again(httpserver: HTTPServer, http: HttpClient) -> None:
    for body in (answer(2, found(1)), answer(2), answer(2, found(2))):
        httpserver.expect_ordered_request("/api/query").respond_with_data(body)
    assert len(list(source(httpserver).fetch(DAYS, http))) == 2


def test_a_page_that_stays_empty_is_told(httpserver: HTTPServer, http: HttpClient) -> None:
    httpserver.expect_request("/api/query").respond_with_data(answer(5))
    with pytest.raises(SourceError, match="got 0 of 5 papers, then 3 empty pages"):
        list(source(httpserver).fetch(DAYS, http))


def test_an_error_of_the_api(httpserver: HTTPServer, http: HttpClient) -> None:
    entry = "<entry><id>http://arxiv.org/api/errors#x</id><title>Error</title><summary>bad\n query</summary></entry>"
    httpserver.expect_request("/api/query").respond_with_data(answer(1, entry))
    with pytest.raises(SourceError, match="arXiv says: bad query"):
        list(source(httpserver).fetch(DAYS, http))


def test_an_answer_without_a_total(httpserver: HTTPServer, http: HttpClient) -> None:
    httpserver.expect_request("/api/query").respond_with_data(feed())
    with pytest.raises(SourceError, match="has no number of papers"):
        list(source(httpserver).fetch(DAYS, http))


def test_entities_and_latex_are_decoded() -> None:
    entry = announced(1, "new").replace("Paper\n  number 1", 'K\\"onig &amp;amp; co, p &amp;lt; 0.01, &lt;b&gt;')
    (paper,) = papers_in(parse(feed(entry).encode(), "arXiv"), "arXiv", replacements=True)
    assert isinstance(paper, Paper)
    assert paper.title == "König & co, p < 0.01, <b>"
    assert paper.abstract == "If $a<b$, then <think>."
