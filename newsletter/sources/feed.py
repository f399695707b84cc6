"""Any RSS or Atom feed."""

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any
from xml.sax import SAXException

import feedparser

from newsletter.config.sources import FeedSource
from newsletter.model import Paper, SkippedPaper
from newsletter.sources.base import DateRange
from newsletter.sources.bibliographic_fields import venue
from newsletter.sources.bounds import sane_day
from newsletter.sources.errors import NEW_FORMAT, SourceError
from newsletter.sources.http import HttpClient
from newsletter.sources.text import excerpt, from_html, paper_link, pdf_link, web_link
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
            yield from papers_in(parse(answer.content, answer.asked, answer.content_type), answer.asked)


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
    return feed


def _is_whole(content: bytes) -> bool:
    tail = content[-400:].lower()
    return any(end in tail for end in _ENDS)


def _xml_words(error: SAXException) -> str:
    line = getattr(error, "getLineNumber", lambda: None)()
    return f"{to_single_line(error.getMessage())}" + (f" on line {line}" if line else "")


def papers_in(feed: Any, asked: str) -> Iterator[Paper | SkippedPaper]:
    """Yield the papers of a parsed feed."""
    for number, entry in enumerate(feed.entries, start=1):
        title = from_html(entry.get("title") or "")
        if title:
            yield _paper(entry, title)
        else:
            yield SkippedPaper(f"{asked}, entry {number}", "title: missing")


def _paper(entry: Any, title: str) -> Paper:
    names = _names(entry)
    arxiv_id, version = next(filter(None, map(identifiers.arxiv_id, names)), (None, None))
    doi = next(filter(None, map(identifiers.doi, names)), None)
    links = [link for link in map(web_link, _links(entry)) if link]
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
        published=day_of(entry),
        categories=categories_of(entry),
        url=links[0] if links else paper_link(arxiv_id, doi),
        pdf_url=pdf_link(arxiv_id),
    )


def _names(entry: Any) -> list[str]:
    """Return all values that may contain an identifier."""
    first_problem = [entry.get(key) for key in ("id", "prism_doi", "arxiv_doi", "dc_identifier")]
    return [name for name in [*first_problem, *_links(entry)] if isinstance(name, str)]


def _venue(entry: Any) -> str | None:
    """Return the journal of an entry; ``dc:source`` often has the date or the volume after the name."""
    named = from_html(str(entry.get("prism_publicationname") or ""))
    source = _AFTER_NAME.split(from_html(str(entry.get("dc_source") or "")))[0]
    is_address = "://" in source or identifiers.doi(source) is not None
    return venue(named) or (None if is_address else venue(source))


def _links(entry: Any) -> list[str]:
    first = [entry["link"]] if entry.get("link") else []
    return first + [link["href"] for link in entry.get("links", ()) if link.get("href")]


def _body(entry: Any) -> str:
    if entry.get("summary"):
        return str(entry["summary"])
    return next((str(content["value"]) for content in entry.get("content", ()) if content.get("value")), "")


def authors_of(entry: Any) -> tuple[str, ...]:
    """Return the authors' names; one that contains several full names, separated by commas, is split."""
    names = []
    for author in entry.get("authors", ()):
        name = to_single_line(author.get("name") or "")
        several = name.split(", ")
        names += several if all(" " in one for one in several) else [name]
    return tuple(name for name in names if name)


def categories_of(entry: Any) -> tuple[str, ...]:
    """Return the categories or tags, without duplicates."""
    terms = (to_single_line(tag.get("term") or "") for tag in entry.get("tags", ()))
    return tuple(dict.fromkeys(term for term in terms if term))


def day_of(entry: Any) -> date | None:
    """Return the day of first publication, or else of the last change (UTC); None if neither is given or valid."""
    moment = entry.get("published_parsed" if "published_parsed" in entry else "updated_parsed")
    if not moment:
        return None
    try:
        return sane_day(date(moment.tm_year, moment.tm_mon, moment.tm_mday))
    except ValueError:
        return None
