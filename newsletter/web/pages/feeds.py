"""Atom feeds (RFC 4287) of papers: the newest, the trending ones, and what reading lists use too."""

import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time
from uuid import UUID
from xml.etree.ElementTree import Element, SubElement, tostring

from fastapi import APIRouter, Response

from newsletter.model import Paper
from newsletter.rendering.paper_card import labelled_title, paper_links, paper_path, sentences_of
from newsletter.rendering.plain_text import latex_to_text, readable
from newsletter.store import paper_lists, papers, reading
from newsletter.web.context import WebContext
from newsletter.web.middleware.cache import PUBLIC
from newsletter.web.pages import paper_queries

ENTRIES = 50

_ATOM = "http://www.w3.org/2005/Atom"
_AUTHORS = 40
_NOT_IN_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def routes(site: WebContext) -> APIRouter:
    """Create the router of the feeds."""
    router = APIRouter(include_in_schema=False)

    @router.api_route("/feeds/papers.atom", methods=["GET", "HEAD"])
    def newest() -> Response:
        with reading(site.context.engine) as connection:
            rows = paper_lists.newest_rows(connection, ENTRIES)
        return answer("papers", "new papers", "/papers", rows)

    @router.api_route("/feeds/trending.atom", methods=["GET", "HEAD"])
    def trending() -> Response:
        rows = paper_queries.trending_rows(site.context, site.context.clock().date())[:ENTRIES]
        return answer("trending", "trending papers", "/papers/trending", rows)

    def answer(name: str, title: str, page: str, rows: Sequence[int]) -> Response:
        with reading(site.context.engine) as connection:
            known = papers.by_rows(connection, rows)
        found = [known[row] for row in rows if row in known]
        own, newsletter, now = f"{site.url}/feeds/{name}.atom", site.context.config.site.name, site.context.clock()
        head = FeedHead(own, f"{newsletter}: {title}", newsletter, own, f"{site.url}{page}")
        content = atom(site.url, head, [(paper, paper.first_seen or now) for paper in found], now)
        return Response(content, media_type="application/atom+xml", headers=PUBLIC)

    return router


@dataclass(frozen=True, slots=True)
class FeedHead:
    """What a feed says of itself.

    Attributes:
        id: a URI that stays the same. ``author``: the author of entries without one (section 4.1.1).
        own: the URL of the feed, ``page``: that of its page; None in a private feed, since feed readers share the links
            of their feed with each entry (section 4.2.11).
    """

    id: str
    title: str
    author: str
    own: str | None = None
    page: str | None = None


def private_feed_id(key: str, what: str, subscriber: int) -> str:
    """Return the id of a subscriber's private feed, which gives no access to it.

    Args:
        key: the site's signing key. ``what``: what the feed has, ``subscriber``: whose it is, by row.
    """
    return (
        f"urn:uuid:{UUID(bytes=hmac.digest(key.encode(), f'{what}|{subscriber}'.encode(), 'sha256')[:16], version=5)}"
    )


def atom(url: str, head: FeedHead, entries: Sequence[tuple[Paper, datetime]], now: datetime) -> bytes:
    """Build a feed of papers, in the order given.

    Args:
        url: the site's, without a slash at the end.
        entries: the papers, each with the time when it came to the feed (UTC).
        now: the update time of a feed without papers (UTC).
    """
    feed = Element("feed", {"xmlns": _ATOM})
    _say(feed, "id", head.id)
    _say(feed, "title", head.title)
    _say(SubElement(feed, "author"), "name", head.author)
    _say(feed, "updated", max((since for _, since in entries), default=now).isoformat())
    for relation, kind, link in (("self", "application/atom+xml", head.own), ("alternate", "text/html", head.page)):
        if link is not None:
            SubElement(feed, "link", {"rel": relation, "type": kind, "href": link})
    for paper, since in entries:
        _add(feed, url, paper, since)
    written: bytes = tostring(feed, encoding="utf-8")
    return b'<?xml version="1.0" encoding="utf-8"?>\n' + written


def _add(feed: Element, url: str, paper: Paper, since: datetime) -> None:
    entry = SubElement(feed, "entry")
    where = f"{url}{paper_path(paper.id)}"
    _say(entry, "id", where)
    _say(entry, "title", labelled_title(paper))
    _say(entry, "updated", since.isoformat())
    day = paper.listed_on or paper.published
    if day is not None:
        _say(entry, "published", datetime.combine(day, time(), UTC).isoformat())
    for name in [*map(latex_to_text, paper.authors[:_AUTHORS])] or ([paper.organization] if paper.organization else []):
        _say(SubElement(entry, "author"), "name", name)
    SubElement(entry, "link", {"rel": "alternate", "type": "text/html", "href": where})
    for link in paper_links(paper):
        SubElement(entry, "link", {"rel": "related", "title": link["name"], "href": _clean(link["url"])})
    for category in paper.categories:
        SubElement(entry, "category", {"term": _clean(category)})
    _say(entry, "summary", " ".join(sentences_of(paper)) or readable(paper.summary or ""))


def _say(parent: Element, name: str, text: str) -> None:
    SubElement(parent, name).text = _clean(text)


def _clean(text: str) -> str:
    return _NOT_IN_XML.sub("", text)
