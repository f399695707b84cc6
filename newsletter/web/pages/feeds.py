"""Atom feeds (RFC 4287) of the newest and the trending papers."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, time
from xml.etree.ElementTree import Element, SubElement, tostring

from fastapi import APIRouter, Response

from newsletter.model import Paper
from newsletter.rendering.paper_card import display_title, paper_links, paper_path, sentences_of
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
        site_settings, own = site.context.config.site, f"/feeds/{name}.atom"
        content = atom(
            site.url,
            own,
            page,
            site_settings.name,
            f"{site_settings.name}: {title}",
            found,
            site.context.clock(),
        )
        return Response(content, media_type="application/atom+xml", headers=PUBLIC)

    return router


def atom(url: str, own: str, page: str, name: str, title: str, found: Sequence[Paper], now: datetime) -> bytes:
    """Build a feed of papers, in the order given.

    Args:
        url: the site's, without a slash at the end. ``own``: the path of the feed, ``page``: that of its page.
        name: the newsletter's.
        now: the update time of a feed without papers (UTC).
    """
    feed = Element("feed", {"xmlns": _ATOM})
    _say(feed, "id", f"{url}{own}")
    _say(feed, "title", title)
    # The author of entries without one (section 4.1.1).
    _say(SubElement(feed, "author"), "name", name)
    _say(feed, "updated", max((_seen(paper, now) for paper in found), default=now).isoformat())
    SubElement(feed, "link", {"rel": "self", "type": "application/atom+xml", "href": f"{url}{own}"})
    SubElement(feed, "link", {"rel": "alternate", "type": "text/html", "href": f"{url}{page}"})
    for paper in found:
        _add(feed, url, paper, now)
    written: bytes = tostring(feed, encoding="utf-8")
    return b'<?xml version="1.0" encoding="utf-8"?>\n' + written


def _add(feed: Element, url: str, paper: Paper, now: datetime) -> None:
    entry = SubElement(feed, "entry")
    where = f"{url}{paper_path(paper.id)}"
    _say(entry, "id", where)
    _say(entry, "title", display_title(paper))
    _say(entry, "updated", _seen(paper, now).isoformat())
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


def _seen(paper: Paper, now: datetime) -> datetime:
    return paper.first_seen or now
