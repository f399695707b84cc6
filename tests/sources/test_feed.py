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
        authors=("Ada Lovelace",),
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


NAMESPACES = """xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:dcterms="http://purl.org/dc/terms/"
 xmlns:prism="http://prismstandard.org/namespaces/basic/2.0/" xmlns:media="http://search.yahoo.com/mrss/"
 xmlns:feedburner="http://rssnamespace.org/feedburner/ext/1.0" xmlns:atom="http://www.w3.org/2005/Atom"
 xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#\""""


def rss_item(item: str, channel: str = "", root: str = "", address: str = "https://sand.example/j/feed.rss") -> Paper:
    text = (
        f'<rss version="2.0" {NAMESPACES} {root}><channel>{channel}<item><title>T</title>{item}</item></channel></rss>'
    )
    (paper,) = papers_in(parse(text.encode(), "feed"), "feed", address)
    assert isinstance(paper, Paper)
    return paper


def atom_entry(entry: str, root: str = "") -> Paper:
    text = (
        f'<feed xmlns="http://www.w3.org/2005/Atom" {NAMESPACES} {root}><entry><title>T</title>{entry}</entry></feed>'
    )
    (paper,) = papers_in(parse(text.encode(), "feed"), "feed", "https://sand.example/j/feed.atom")
    assert isinstance(paper, Paper)
    return paper


@pytest.mark.parametrize(
    "element",
    [
        "<author>nora@sand.example (Nora Feld), ivo@sand.example (Ivo Lang)</author>",
        "<author>Nora Feld &lt;nora@sand.example&gt;; Ivo Lang</author>",
        "<dc:creator>Nora Feld</dc:creator><dc:creator>Ivo Lang</dc:creator><author>n@sand.org (Nora Feld)</author>",
        "<dc:creator><rdf:Seq><rdf:li>Nora Feld</rdf:li><rdf:li>Ivo Lang</rdf:li></rdf:Seq></dc:creator>",
        "<dc:creator><![CDATA[<a href='https://sand.example/n'>Nora Feld</a>, <b>Ivo Lang</b>]]></dc:creator>",
        "<dc:creator>Feld, Nora; Lang, Ivo</dc:creator>",
        "<dc:contributor>Nora Feld</dc:contributor><dc:contributor>Ivo Lang</dc:contributor>",
        "<author><name>Feld, Nora</name></author><author><name>Lang, Ivo</name></author>",
    ],
)
def test_authors(element: str) -> None:
    assert rss_item(element).authors == ("Nora Feld", "Ivo Lang")


@pytest.mark.parametrize(
    ("elements", "url"),
    [
        ("<link>/a/1</link>", "https://sand.example/a/1"),
        ("<link>//gravel.example/a b</link>", "https://gravel.example/a%20b"),
        ("<link>\n  https://gravel.example/a\n</link>", "https://gravel.example/a"),
        ('<link href="https://gravel.example/a"/>', "https://gravel.example/a"),
        ("<link>javascript:1</link><guid>https://gravel.example/a</guid>", "https://gravel.example/a"),
        ("<guid>https://gravel.example/a</guid>", "https://gravel.example/a"),
        ("<guid>a-1</guid>", None),
        ('<guid isPermaLink="false">a-1</guid>', None),
        ('<link>/a</link><guid isPermaLink="true">https://gravel.example/b</guid>', "https://sand.example/a"),
        (
            "<link>/r</link><feedburner:origLink>https://gravel.example/a</feedburner:origLink>",
            "https://gravel.example/a",
        ),
        ("<prism:url>https://gravel.example/a</prism:url>", "https://gravel.example/a"),
        ("<prism:doi>10.1000/a</prism:doi><guid>a-1</guid>", "https://doi.org/10.1000/a"),
        ("<dc:identifier>https://gravel.example/a</dc:identifier>", "https://gravel.example/a"),
    ],
)
def test_the_link_of_an_item(elements: str, url: str | None) -> None:
    assert rss_item(elements).url == url


def test_relative_links_start_from_the_feed_or_from_a_site_elsewhere() -> None:
    link = "<link>a/1</link>"
    assert rss_item(link, "<link>https://sand.example/</link>").url == "https://sand.example/j/a/1"
    assert rss_item(link, "<link>https://gravel.example/h/</link>").url == "https://gravel.example/h/a/1"
    assert rss_item(link, "<link>https://gravel.example/h/</link>", address="").url == "https://gravel.example/h/a/1"
    assert rss_item(link, address="").url is None
    assert rss_item(link, root='xml:base="https://base.example/b/"').url == "https://base.example/b/a/1"
    assert rss_item(link, root='xml:base="/b/"').url == "https://sand.example/b/a/1"
    assert rss_item(link, address="https://nora:secret@sand.example/feed?key=secret").url == "https://sand.example/a/1"


def test_the_best_link_of_an_entry() -> None:
    others = "".join(
        f'<link rel="{rel}" href="https://sand.example/{rel}"/>'
        for rel in ("self", "edit", "replies", "related", "via")
    )
    pdf = '<link rel="alternate" type="application/pdf" href="/p.pdf"/>'
    page = '<link rel="alternate" type="text/html" href="p/1"/>'
    data = '<link rel="alternate" type="application/json" href="p/1.json"/>'
    paper = atom_entry(f"{others}{pdf}{data}{page}")
    assert paper.url == "https://sand.example/j/p/1"
    assert paper.pdf_url == "https://sand.example/p.pdf"
    assert atom_entry(f"<id>https://sand.example/id</id>{others}").url == "https://sand.example/id"


def test_a_related_link_is_not_the_paper() -> None:
    paper = atom_entry('<link href="/a"/><link rel="related" href="https://doi.org/10.1000/other"/>')
    assert paper.doi is None


@pytest.mark.parametrize(
    ("elements", "pdf"),
    [
        ('<enclosure url="/a.pdf" type="application/pdf" length="1"/>', "https://sand.example/a.pdf"),
        ('<enclosure url="https://sand.example/get?id=1" type="application/pdf"/>', "https://sand.example/get?id=1"),
        ('<media:content url="/A.PDF"/>', "https://sand.example/A.PDF"),
        ('<enclosure url="/a.mp3" type="audio/mpeg" length="1"/>', None),
        ("<link>/a.pdf?download=1</link>", "https://sand.example/a.pdf?download=1"),
    ],
)
def test_the_pdf_of_an_item(elements: str, pdf: str | None) -> None:
    assert rss_item(elements).pdf_url == pdf


@pytest.mark.parametrize(
    "elements",
    [
        "<pubDate>mi, 5 mrt 2025 10:00:00 +0000</pubDate><dc:date>2025-03-05</dc:date>",
        "<pubDate>soon</pubDate><dc:date>2025-03-05</dc:date>",
        "<dcterms:issued>2025-03-05</dcterms:issued><pubDate>soon</pubDate>",
        "<dc:date>2025-03-05</dc:date><dc:date>n.d.</dc:date>",
        "<pubDate>Thu, 01 Jan 1970 00:00:00 GMT</pubDate><dcterms:modified>2025-03-05</dcterms:modified>",
        "<pubDate/><dcterms:available>2025-03-05</dcterms:available>",
        "<prism:publicationDate>2025</prism:publicationDate><dc:date>2025-03-05</dc:date>",
        "<prism:coverDate>2025-03-05</prism:coverDate>",
        "<pubDate>5/3/2025</pubDate><dc:date>2025-03-05</dc:date>",
        "<pubDate>1741168800</pubDate>",
    ],
)
def test_the_day_of_an_item(elements: str) -> None:
    assert rss_item(elements).published == date(2025, 3, 5)


def test_the_order_of_day_and_month_is_that_of_the_feed() -> None:
    item = "<pubDate>5/3/2025</pubDate>"
    assert rss_item(item).published == date(2025, 5, 3)
    assert rss_item(item, "<language>fr</language>").published == date(2025, 3, 5)
    assert rss_item(item, root='xml:lang="en-GB"').published == date(2025, 3, 5)
    other = "<item><title>Other</title><pubDate>25/3/2025</pubDate></item>"
    assert rss_item(item, "<language>en-us</language>", root="").published == date(2025, 5, 3)
    text = f"<rss version='2.0'><channel><item><title>T</title>{item}</item>{other}</channel></rss>"
    assert [paper.published for paper in read(text) if isinstance(paper, Paper)] == [
        date(2025, 3, 5),
        date(2025, 3, 25),
    ]


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
