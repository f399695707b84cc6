"""Any RSS or Atom feed."""

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from xml.sax import SAXException

import feedparser

from newsletter.config.sources import FeedSource
from newsletter.model import Paper, SkippedPaper
from newsletter.sources.author_names import clean_authors
from newsletter.sources.base import DateRange
from newsletter.sources.bibliographic_fields import venue
from newsletter.sources.dates import DateStyle
from newsletter.sources.errors import NEW_FORMAT, SourceError
from newsletter.sources.feed_dates import day_of, style_of_feed
from newsletter.sources.feed_elements import ELEMENTS, keep_elements
from newsletter.sources.http import HttpClient
from newsletter.sources.links import feed_base, page_links, pdf_links, repair_link
from newsletter.sources.text import excerpt, from_html, paper_link, pdf_link
from newsletter.support import identifiers
from newsletter.support.text import to_single_line

_AFTER_NAME = re.compile(r"[,;]\s*(?:published\b|vol|issue\b|no\b|pp?\b|doi\b|\d)|\s\|", re.IGNORECASE)
_ENDS = (b"</rss>", b"</feed>", b"</rdf:rdf>")


@dataclass(frozen=True, slots=True)
class Feed:
    """A feed contains what it contains: the range of days makes no difference."""

    name: str
    settings: FeedSource

    def fetch(self, window: DateRange, http: HttpClient) -> Iterator[Paper | SkippedPaper]:
        answer = http.get_if_changed(str(self.settings.url))
        if answer is not None:
            feed = parse(answer.content, answer.asked, answer.content_type)
            yield from papers_in(feed, answer.asked, str(self.settings.url))


def parse(content: bytes, asked: str, content_type: str = "", *, strict: bool = False) -> Any:
    """Parse a feed with feedparser.

    Args:
        content: the feed.
        asked: its origin, for errors.
        content_type: the header it came with, for the encoding.
        strict: whether to reject XML that is not well-formed even if the feed is complete.

    Raises:
        SourceError: it is not a feed, or is incomplete.
    """
    headers = {"content-type": content_type} if content_type else {}
    try:
        # As a stream, since feedparser would open bytes that look like a URL or a path.
        feed = feedparser.parse(
            io.BytesIO(content), response_headers=headers, sanitize_html=False, resolve_relative_uris=False
        )
    except Exception as error:  # feedparser raises many kinds of errors on broken input.
        raise SourceError(f"{asked}: the feed cannot be read: {type(error).__name__}") from error
    broken = feed.get("bozo_exception")
    if isinstance(broken, SAXException) and (strict or not _is_whole(content)):
        raise SourceError(f"{asked}: the feed is incomplete or not XML: {_xml_words(broken)}")
    if not feed.get("version"):
        began = excerpt(content[:200].decode("utf-8", "replace"))
        raise SourceError(f"{asked}: neither RSS nor Atom; it begins with {began}", fix=NEW_FORMAT)
    if not all(day_of(entry) and authors_of(entry) and not _has_email(entry) for entry in feed.entries):
        keep_elements(feed.entries, content)
    return feed


def _is_whole(content: bytes) -> bool:
    tail = content[-400:].lower()
    return any(end in tail for end in _ENDS)


def _xml_words(error: SAXException) -> str:
    line = getattr(error, "getLineNumber", lambda: None)()
    return f"{to_single_line(error.getMessage())}" + (f" on line {line}" if line else "")


def papers_in(feed: Any, asked: str, address: str = "") -> Iterator[Paper | SkippedPaper]:
    """Yield the papers of a parsed feed.

    Args:
        asked: its origin, for errors.
        address: its URL, for relative links; empty for a file.
    """
    base, style = feed_base(feed.feed, address), style_of_feed(feed)
    for number, entry in enumerate(feed.entries, start=1):
        title = from_html(entry.get("title") or "")
        if title:
            yield _paper(entry, title, base, style)
        else:
            yield SkippedPaper(f"{asked}, entry {number}", "title: missing")


def _paper(entry: Any, title: str, base: str, style: DateStyle) -> Paper:
    pages, pdfs = page_links(entry, base), pdf_links(entry, base)
    names = [*_names(entry), *pages, *pdfs]
    arxiv_id, version = next(filter(None, map(identifiers.arxiv_id, names)), (None, None))
    doi = next(filter(None, map(identifiers.doi, names)), None)
    authors = authors_of(entry)
    return Paper(
        title=title,
        abstract=from_html(_body(entry)),
        authors=authors,
        author_count=len(authors) or None,
        arxiv_id=arxiv_id,
        version=version,
        venue=_venue(entry),
        doi=doi,
        published=day_of(entry, style),
        categories=categories_of(entry),
        url=next((link for link in (*pages, paper_link(arxiv_id, doi), *map(repair_link, names), *pdfs) if link), None),
        pdf_url=pdf_link(arxiv_id) or next(iter(pdfs), None),
    )


def _names(entry: Any) -> list[str]:
    """Return what may be an identifier, apart from links."""
    names = [entry.get(key) for key in ("id", "prism_doi", "arxiv_doi", "dc_identifier")]
    return [name for name in names if isinstance(name, str)]


def _venue(entry: Any) -> str | None:
    """Return the journal of an entry; ``dc:source`` often has the date or the volume after the name."""
    named = from_html(str(entry.get("prism_publicationname") or ""))
    source = _AFTER_NAME.split(from_html(str(entry.get("dc_source") or "")))[0]
    is_address = "://" in source or identifiers.doi(source) is not None
    return venue(named) or (None if is_address else venue(source))


def _body(entry: Any) -> str:
    if entry.get("summary"):
        return str(entry["summary"])
    return next((str(content["value"]) for content in entry.get("content", ()) if content.get("value")), "")


def authors_of(entry: Any, *, family_first: bool = True) -> tuple[str, ...]:
    """Return the authors' names, or else those of the contributors; ``family_first`` as in :func:`clean_authors`."""
    elements = entry.get(ELEMENTS, {})
    written = [*elements.get("author", ()), *elements.get("creator", ())]
    lists = [_names_in(entry, "authors"), written, _names_in(entry, "contributors")]
    if _has_email(entry):
        lists[:2] = [written, lists[0]]
    return next(filter(None, (clean_authors(names, family_first=family_first) for names in lists)), ())


def _has_email(entry: Any) -> bool:
    """Return whether feedparser found a mail address in the name of an author. It removes only some, and in parts."""
    return any("email" in one for one in entry.get("authors", ()))


def _names_in(entry: Any, key: str) -> list[str]:
    return [str(one.get("name") or "") for one in entry.get(key, ())]


def categories_of(entry: Any) -> tuple[str, ...]:
    """Return the categories or tags, without duplicates."""
    terms = (to_single_line(tag.get("term") or "") for tag in entry.get("tags", ()))
    return tuple(dict.fromkeys(term for term in terms if term))
