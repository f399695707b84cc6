"""bioRxiv and medRxiv, through their shared details API."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from pydantic import ValidationError

from newsletter.config.sources import BiorxivSource
from newsletter.model import Paper, SkippedPaper
from newsletter.sources.author_names import split_authors
from newsletter.sources.base import DateRange
from newsletter.sources.bounds import sane_day
from newsletter.sources.errors import SourceError
from newsletter.sources.http import HttpClient, HttpResponse
from newsletter.sources.json_fields import Count, Day, Fields, Text, Title, first_problem
from newsletter.sources.text import excerpt
from newsletter.support import identifiers

_DATED_DOI = re.compile(r"/(\d{4})\.(\d{2})\.(\d{2})\.\d+$", re.ASCII)


@dataclass(frozen=True, slots=True)
class Biorxiv:
    """The preprints and new versions posted on the days of a window; without one, on the last two days."""

    name: str
    settings: BiorxivSource

    def fetch(self, window: DateRange, http: HttpClient) -> Iterator[Paper | SkippedPaper]:
        since = window.since or window.until - timedelta(days=1)
        wanted = {_category(category) for category in self.settings.categories}
        cursor, total = 0, 1
        while cursor < total:
            url = f"{self.settings.api_url}/{self.settings.kind}/{since}/{window.until}/{cursor}/json"
            answer = http.get(url)
            collection, total = _page(answer)
            if not collection and cursor < total:
                raise SourceError(f"{answer.asked}: got {cursor} of {total} papers, then an empty page")
            for number, entry in enumerate(collection, start=cursor + 1):
                yield from _paper(entry, f"{since} to {window.until}, paper {number}", self.settings.kind, wanted)
            cursor += len(collection)


class _Message(Fields):
    status: Text
    total: Count = 0


class _Entry(Fields):
    title: Title
    doi: Title
    abstract: Text | None = None
    authors: Text | None = None
    date: Day = None
    version: Count | None = None
    category: Text | None = None


def _page(answer: HttpResponse) -> tuple[list[Any], int]:
    """Return the entries of one response, and the total number."""
    data = answer.json()
    try:
        message = _Message.model_validate(data["messages"][0])
        collection = data.get("collection", [])
    except (ValidationError, KeyError, IndexError, TypeError, AttributeError):
        raise SourceError(f"{answer.asked}: the response has no message about its papers") from None
    if message.status.lower().startswith("no posts found"):
        return [], 0
    if message.status.lower() != "ok" or not isinstance(collection, list):
        raise SourceError(f"{answer.asked}: the server says {excerpt(message.status)}")
    return collection, message.total


def _paper(entry: Any, where: str, server: str, wanted: set[str]) -> Iterator[Paper | SkippedPaper]:
    try:
        entry = _Entry.model_validate(entry)
    except ValidationError as error:
        yield SkippedPaper(where, first_problem(error))
        return
    doi = identifiers.doi(entry.doi)
    if doi is None:
        yield SkippedPaper(where, f"doi: {excerpt(entry.doi)} is not a DOI")
        return
    if wanted and _category(entry.category or "") not in wanted:
        return
    authors = split_authors(entry.authors or "")
    version = entry.version or 1
    page = f"https://www.{server}.org/content/{doi}v{version}"
    yield Paper(
        title=entry.title,
        abstract=entry.abstract or "",
        authors=authors,
        author_count=len(authors) or None,
        doi=doi,
        version=version,
        # The date is that of the version, so only that of the first version is when the paper came out.
        published=entry.date if version == 1 else _submitted(doi),
        categories=(entry.category,) if entry.category else (),
        url=page,
        pdf_url=f"{page}.full.pdf",
    )


def _submitted(doi: str) -> date | None:
    """Return the day in a DOI like 10.1101/2025.08.01.000001, that of the first submission; None without one."""
    found = _DATED_DOI.search(doi)
    try:
        return sane_day(date(*map(int, found.groups()))) if found else None
    except ValueError:
        return None


def _category(name: str) -> str:
    """Normalise a category: ``Cell_Biology`` and ``cell biology`` are equal."""
    return " ".join(name.casefold().replace("_", " ").replace("-", " ").split())
