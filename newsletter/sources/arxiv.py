"""arXiv: the feeds of its categories for current announcements, its API for a range of days.

The ``arxiv`` package supports only the API, and has its own pauses and retries in addition to those of :mod:`.http`.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from newsletter.config.sources import ArxivSource
from newsletter.model import EventKind, Notice, Paper, PaperStatus, SkippedPaper
from newsletter.sources.base import DateRange, Found
from newsletter.sources.bibliographic_fields import venue
from newsletter.sources.errors import SourceError
from newsletter.sources.feed import authors_of, categories_of, parse
from newsletter.sources.feed_dates import changed_on, day_of
from newsletter.sources.http import HttpClient
from newsletter.sources.markup import decode_entities
from newsletter.sources.status_marks import withdrawn_by_text
from newsletter.sources.text import from_latex, paper_link, pdf_link
from newsletter.support import identifiers
from newsletter.support.text import to_single_line

_PAGE = 200
_EMPTY_PAGES = 3
"""Number of attempts for a page that is empty though there are more papers; usually one succeeds."""

_ANNOUNCED = re.compile(r"^\s*arXiv:\S+\s+Announce Type:\s*(?P<kind>[\w-]+)\s*(?:Abstract:\s*)?", re.IGNORECASE)
_REPLACEMENTS = ("replace", "replace-cross")


@dataclass(frozen=True, slots=True)
class Arxiv:
    """The papers of some categories: the latest announced, or those submitted on the days of a window."""

    name: str
    settings: ArxivSource

    def fetch(self, window: DateRange, http: HttpClient) -> Iterator[Found]:
        return self._announced(http) if window.since is None else self._submitted(window, http)

    def _announced(self, http: HttpClient) -> Iterator[Found]:
        url = f"{self.settings.feed_url}/{'+'.join(self.settings.categories)}"
        answer = http.get_if_changed(url, pause_seconds=self.settings.pause_seconds)
        if answer is not None:
            feed = parse(answer.content, answer.asked, answer.content_type, strict=True)
            yield from papers_in(feed, answer.asked, replacements=self.settings.replacements)

    def _submitted(self, window: DateRange, http: HttpClient) -> Iterator[Found]:
        start = empty = 0
        total = 1
        while start < total:
            answer = http.get(
                str(self.settings.api_url), self._query(window, start), pause_seconds=self.settings.pause_seconds
            )
            feed = parse(answer.content, answer.asked, answer.content_type, strict=True)
            total = _total(feed, answer.asked)
            yield from papers_in(feed, answer.asked, replacements=True)
            start += len(feed.entries)
            empty = 0 if feed.entries else empty + 1
            if empty == _EMPTY_PAGES and start < total:
                raise SourceError(f"{answer.asked}: got {start} of {total} papers, then {empty} empty pages")

    def _query(self, window: DateRange, start: int) -> dict[str, str | int]:
        categories = " OR ".join(f"cat:{category}" for category in self.settings.categories)
        since = window.since or window.until - timedelta(days=1)
        return {
            "search_query": f"({categories}) AND submittedDate:[{since:%Y%m%d}0000 TO {window.until:%Y%m%d}2359]",
            "sortBy": "submittedDate",
            "sortOrder": "ascending",
            "start": start,
            "max_results": _PAGE,
        }


def _total(feed: Any, asked: str) -> int:
    text = str(feed.feed.get("opensearch_totalresults", "")).strip()
    if not (text.isascii() and text.isdecimal() and len(text) < 10):
        raise SourceError(f"{asked}: the response has no number of papers (totalResults)")
    return int(text)


def papers_in(feed: Any, asked: str, *, replacements: bool) -> Iterator[Found]:
    """Yield the papers of a feed or an API response, as parsed by :func:`newsletter.sources.feed.parse`.

    Args:
        feed: the feed.
        asked: its origin, for errors.
        replacements: whether announced new versions are papers; if not, they are notices about papers in the store.

    Raises:
        SourceError: the API responded with an error.
    """
    for number, entry in enumerate(feed.entries, start=1):
        if "/api/errors" in entry.get("id", "") or entry.get("title") == "Error":
            raise SourceError(f"{asked}: arXiv says: {to_single_line(entry.get('summary', 'error'))}")
        found = _paper(entry, f"{asked}, entry {number}")
        if replacements or _kind(entry) not in _REPLACEMENTS:
            yield found
        elif isinstance(found, Paper) and found.arxiv_id is not None:
            yield Notice(
                kind=EventKind.REVISED, of=(found.arxiv_id,), day=day_of(entry), version=found.version, paper=found
            )


def _kind(entry: Any) -> str:
    """Return the kind of announcement: new, cross, replace or replace-cross; empty in an API response."""
    first_problem = entry.get("arxiv_announce_type")
    if first_problem:
        return str(first_problem).strip().lower()
    announced = _ANNOUNCED.match(entry.get("summary", ""))
    return announced["kind"].lower() if announced else ""


def _paper(entry: Any, where: str) -> Paper | SkippedPaper:
    title = from_latex(decode_entities(entry.get("title", "")))
    if not title:
        return SkippedPaper(where, "title: missing")
    found = identifiers.arxiv_id(entry.get("id", "")) or identifiers.arxiv_id(entry.get("link", ""))
    if found is None:
        return SkippedPaper(where, f"id: {entry.get('id', '')!r} is not an arXiv id")
    arxiv_id, version = found
    # arXiv lists names in their usual order.
    authors = authors_of(entry, family_first=False)
    replaced = _kind(entry) in _REPLACEMENTS
    return Paper(
        title=title,
        abstract=from_latex(decode_entities(_ANNOUNCED.sub("", entry.get("summary", "")))),
        authors=authors,
        author_count=len(authors) or None,
        # The reference to a journal, in the words of the authors; the feeds and the API call it differently.
        venue=venue(entry.get("arxiv_journal_ref") or entry.get("arxiv_journal_reference") or ""),
        arxiv_id=arxiv_id,
        version=version,
        version_day=None if _kind(entry) else changed_on(entry),
        # The comment of a withdrawn version says so if its abstract does not.
        status=PaperStatus.WITHDRAWN if withdrawn_by_text(to_single_line(entry.get("arxiv_comment", ""))) else None,
        doi=identifiers.doi(entry.get("arxiv_doi", "")),
        # A replacement has its own announcement date, which is not that of the first version.
        published=None if replaced else day_of(entry),
        categories=categories_of(entry),
        url=paper_link(arxiv_id, None),
        pdf_url=pdf_link(arxiv_id),
    )
