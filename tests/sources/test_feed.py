from collections.abc import Callable
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest_httpserver import HTTPServer

from newsletter.config.sources import FeedSource
from newsletter.model import Paper, SkippedPaper
from newsletter.sources.base import DateRange
from newsletter.sources.errors import SourceError
from newsletter.sources.feed import Feed, papers_in, parse
from newsletter.sources.http import HttpClient

NOW = DateRange(None, date(2025, 11, 25))

RSS = """<?xml version="1.0" encoding="UTF-8"?>
<rss version="2.0" xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:prism="http://prismstandard.org/namespaces/basic/2.0/">
<channel><title>A Journal</title>
<item>
  <title>On &lt;i&gt;E. coli&lt;/i&gt; &amp;amp; $a&lt;b$</title>
  <link>https://journal.example/one</link>
  <description>&lt;p&gt;First.&lt;/p&gt;&lt;p&gt;If x &amp;lt; y.&lt;/p&gt;
    &lt;script&gt;bad()&lt;/script&gt;</description>
  <dc:creator>Ada Lovelace, Charles Babbage</dc:creator>
  <prism:doi>10.1000/One</prism:doi>
  <category>biology</category><category>biology</category><category>genes</category>
  <pubDate>Tue, 25 Nov 2025 08:00:00 GMT</pubDate>
</item>
<item><title> </title><link>https://journal.example/two</link></item>
<item><title>Three</title><link>javascript:alert(1)</link><guid>https://arxiv.org/abs/2511.00003v2</guid></item>
</channel></rss>"""

ATOM = """<feed xmlns="http://www.w3.org/2005/Atom"><title>Notes</title>
<entry><id>urn:x:1</id><title>One</title><link href="https://doi.org/10.1000/one"/>
<author><name>Lovelace, Ada</name></author><updated>2025-11-24T23:00:00-05:00</updated>
<content type="html">&lt;b&gt;Bold&lt;/b&gt; words</content></entry></feed>"""


def read(content: str | bytes, *, strict: bool = False) -> list[Paper | SkippedPaper]:
    data = content.encode() if isinstance(content, str) else content
    return list(papers_in(parse(data, "feed", strict=strict), "feed"))


def test_rss() -> None:
    one, two, three = read(RSS)
    assert one == Paper(
        title="On E. coli & $a<b$",
        abstract="First. If x < y.",
        authors=("Ada Lovelace", "Charles Babbage"),
        author_count=2,
        doi="10.1000/one",
        published=date(2025, 11, 25),
        categories=("biology", "genes"),
        url="https://journal.example/one",
    )
    assert two == SkippedPaper("feed, entry 2", "title: missing")
    assert three == Paper(
        title="Three",
        arxiv_id="2511.00003",
        version=2,
        url="https://arxiv.org/abs/2511.00003",
        pdf_url="https://arxiv.org/pdf/2511.00003",
    )


@pytest.mark.parametrize(
    ("element", "venue"),
    [
        ("<prism:publicationName>Sand &amp;amp; Clay</prism:publicationName>", "Sand & Clay"),
        ("<dc:source>Samples, Published online: 3 November 2025; doi:10.1000/x</dc:source>", "Samples"),
        ("<dc:source>Samples, Vol. 3, pp. 1-2</dc:source>", "Samples"),
        ("<dc:source>Sand, Gravel and Clay</dc:source>", "Sand, Gravel and Clay"),
        ("<dc:source>https://journal.example</dc:source>", None),
        ("<dc:source>doi:10.1000/x</dc:source>", None),
        ("<prism:publicationName>bioRxiv</prism:publicationName>", None),
        ('<source url="https://x.org">Another feed</source>', None),
    ],
)
def test_the_journal_is_the_venue(element: str, venue: str | None) -> None:
    paper = read(RSS.replace("<prism:doi>", f"{element}<prism:doi>"))[0]
    assert isinstance(paper, Paper)
    assert paper.venue == venue


def test_atom() -> None:
    (paper,) = read(ATOM)
    assert paper == Paper(
        title="One",
        abstract="Bold words",
        authors=("Lovelace, Ada",),
        author_count=1,
        doi="10.1000/one",
        published=date(2025, 11, 25),
        url="https://doi.org/10.1000/one",
    )


def test_a_feed_over_the_wire_in_another_encoding(httpserver: HTTPServer, http: HttpClient) -> None:
    text = RSS.replace("UTF-8", "ISO-8859-1").replace("A Journal", "Zeitschrift für").replace("Three", "Über")
    httpserver.expect_request("/feed").respond_with_data(text.encode("latin-1"), content_type="application/rss+xml")
    feed = Feed("journal", FeedSource.model_validate({"kind": "feed", "url": httpserver.url_for("/feed")}))
    assert [paper.title for paper in feed.fetch(NOW, http) if isinstance(paper, Paper)][1] == "Über"


def test_an_unchanged_feed_has_no_papers(httpserver: HTTPServer, http_knowing: Callable[..., HttpClient]) -> None:
    url = httpserver.url_for("/feed")
    feed = Feed("journal", FeedSource.model_validate({"kind": "feed", "url": url}))
    httpserver.expect_request("/feed", headers={"If-None-Match": '"1"'}).respond_with_data(status=304)
    assert list(feed.fetch(NOW, http_knowing({url: ('"1"', None)}))) == []


def test_a_feed_that_breaks_off_is_refused(httpserver: HTTPServer, http: HttpClient) -> None:
    httpserver.expect_request("/feed").respond_with_data(RSS[:700], headers={"ETag": '"1"'})
    feed = Feed("journal", FeedSource.model_validate({"kind": "feed", "url": httpserver.url_for("/feed")}))
    with pytest.raises(SourceError, match=f"GET {httpserver.url_for('/feed')}: the feed is incomplete or not XML: "):
        list(feed.fetch(NOW, http))


def test_a_whole_feed_may_be_untidy() -> None:
    untidy = RSS.replace("A Journal", "A Journal & more &nbsp;")
    assert len(read(untidy)) == 3
    with pytest.raises(SourceError, match="incomplete or not XML"):
        read(untidy, strict=True)


@pytest.mark.parametrize(
    "content", ["", "hello", "<html><body>Sign in</body></html>", '{"a": 1}', "/etc/passwd", "http://x.org"]
)
def test_what_is_no_feed(content: str) -> None:
    with pytest.raises(SourceError, match="feed: "):
        read(content)


def test_a_feed_without_entries() -> None:
    assert read('<feed xmlns="http://www.w3.org/2005/Atom"><title>x</title></feed>') == []


def test_an_entity_that_grows_without_end() -> None:
    levels = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 9))
    bomb = f'<?xml version="1.0"?><!DOCTYPE rss [<!ENTITY e0 "ha">{levels}]>' + RSS[39:].replace("Three", "&e8;")
    for paper in read(bomb):
        assert len(str(paper)) < 5000


@pytest.mark.parametrize("moment", ["Mon, 01 Jan 0001 00:00:00 GMT", "9999-12-31T00:00:00Z", "soon", ""])
def test_a_date_that_cannot_be_is_left_out(moment: str) -> None:
    paper = read(RSS.replace("Tue, 25 Nov 2025 08:00:00 GMT", moment))[0]
    assert isinstance(paper, Paper)
    assert paper.published is None


BROKEN = ["<![CDATA[", "]]>", "<!", "<item>", "</item>", "&", "<a href='", "</rss>"]
PIECES = st.lists(st.sampled_from([*RSS.split("\n"), *BROKEN]) | st.text(max_size=9))


@given(PIECES | st.binary(max_size=200))
def test_anything_gives_papers_or_one_line(pieces: list[str] | bytes) -> None:
    content = pieces if isinstance(pieces, bytes) else "\n".join(pieces).encode()
    try:
        for paper in read(content):
            assert isinstance(paper, SkippedPaper) or paper.title
    except SourceError as error:
        assert "\n" not in str(error)
