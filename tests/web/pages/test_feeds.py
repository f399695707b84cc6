"""The Atom feeds, read by a program that reads feeds."""

import feedparser
import httpx

from tests.web.pages.test_papers import DOI, WICKED, Served, take_in


def test_feeds_have_the_newest_papers_and_those_talked_about(served: Served) -> None:
    where, newsletter = served
    take_in(newsletter, {"title": "Older", "authors": ["Ada"], "upvotes": 4, "listed_on": "2025-11-26"})
    newest = {
        "title": WICKED,
        "abstract": "We weave.\x0b It holds.",
        "doi": DOI,
        "code_url": "https://example.org/code",
    }
    take_in(newsletter, newest)
    answer = httpx.get(f"{where}/feeds/papers.atom")
    assert answer.headers["Content-Type"] == "application/atom+xml"
    feed = feedparser.parse(answer.content)
    assert not feed.bozo, feed.get("bozo_exception")
    assert (feed.feed.title, feed.feed.author) == ("Test Papers: new papers", "Test Papers")
    assert [entry.id.startswith("https://papers.example.org/papers/") for entry in feed.entries] == [True, True]
    first, second = feed.entries
    assert first.title.endswith("in α²-looms")
    assert "https://example.org/code" in [link.href for link in first.links if link.rel == "related"]
    assert (second.author, second.published) == ("Ada", "2025-11-26T00:00:00+00:00")
    # The page of an entry is where its link leads.
    assert httpx.get(first.link.replace("https://papers.example.org", where)).status_code == 200
    trending = feedparser.parse(httpx.get(f"{where}/feeds/trending.atom").content)
    assert [entry.title for entry in trending.entries] == ["Older"]
    pages = httpx.get(f"{where}/papers").text
    for name in ("papers", "trending"):
        assert f'href="/feeds/{name}.atom">' in pages.partition("</head>")[0]
