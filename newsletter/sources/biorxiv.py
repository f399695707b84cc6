"""bioRxiv and medRxiv, through their shared details API."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from pydantic import AliasChoices, Field, ValidationError

from newsletter.config.sources import BiorxivSource
from newsletter.model import EventKind, Notice, Paper, PaperStatus, SkippedPaper
from newsletter.sources.author_names import split_authors
from newsletter.sources.base import DateRange, Found
from newsletter.sources.bounds import sane_day
from newsletter.sources.errors import SourceError
from newsletter.sources.highwire_codes import with_labels, with_symbols, without_codes
from newsletter.sources.http import HttpClient, HttpResponse
from newsletter.sources.json_fields import Count, Day, Fields, Text, Title, first_problem
from newsletter.sources.text import excerpt, from_html, paper_link
from newsletter.support import identifiers

_DATED_DOI = re.compile(r"/(\d{4})\.(\d{2})\.(\d{2})\.\d+$", re.ASCII)


@dataclass(frozen=True, slots=True)
class Biorxiv:
    """The preprints and new versions posted on the days of a window, and which preprints were published in a journal
    then; without a window, on the last two days.
    """

    name: str
    settings: BiorxivSource

    def fetch(self, window: DateRange, http: HttpClient) -> Iterator[Found]:
        days = DateRange(window.since or window.until - timedelta(days=1), window.until)
        wanted = {_category(category) for category in self.settings.categories}
        for entry, where in self._entries(self.settings.api_url, days, "paper", http):
            yield from _paper(entry, where, self.settings.kind, wanted)
        try:
            publications = f"{self.settings.api_url.rpartition('/')[0]}/pubs"
            for entry, where in self._entries(publications, days, "publication", http):
                yield _publication(entry, where)
        except SourceError as error:
            # The preprints of the window are complete without them.
            yield SkippedPaper("the preprints that were published in journals", str(error))

    def _entries(self, url: str, days: DateRange, what: str, http: HttpClient) -> Iterator[tuple[Any, str]]:
        """Yield the entries of a list, each with its place for errors."""
        cursor, total = 0, 1
        while cursor < total:
            # The two lists have pages of different sizes.
            ending = "/json" if what == "paper" else ""
            answer = http.get(f"{url}/{self.settings.kind}/{days.since}/{days.until}/{cursor}{ending}")
            collection, total = _page(answer)
            if not collection and cursor < total:
                raise SourceError(f"{answer.asked}: got {cursor} of {total} {what}s, then an empty page")
            for number, entry in enumerate(collection, start=cursor + 1):
                yield entry, f"{days.since} to {days.until}, {what} {number}"
            cursor += len(collection)


class _Message(Fields):
    status: Text
    total: Count = 0


class _Entry(Fields):
    title: Title
    doi: Title
    abstract: str | None = None
    authors: Text | None = None
    date: Day = None
    version: Count | None = None
    category: Text | None = None
    type: Text | None = None
    published: Text | None = None


class _Publication(Fields):
    preprint_doi: Title = Field(validation_alias=AliasChoices("biorxiv_doi", "medrxiv_doi", "preprint_doi"))
    published_doi: Text | None = None
    published_journal: Text | None = None
    published_date: Day = None


def _page(answer: HttpResponse) -> tuple[list[Any], int]:
    """Return the entries of one response, and the total number."""
    data = answer.json()
    try:
        message = _Message.model_validate(data["messages"][0])
        collection = data.get("collection", [])
    except (ValidationError, KeyError, IndexError, TypeError, AttributeError):
        raise SourceError(f"{answer.asked}: the response has no message about its papers") from None
    if message.status.lower().startswith("no "):  # "no posts found", "no articles found"
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
        title=from_html(with_symbols(entry.title)),
        abstract=from_html(with_symbols(with_labels(without_codes(entry.abstract or "")))),
        authors=authors,
        author_count=len(authors) or None,
        doi=doi,
        version=version,
        version_day=entry.date,
        other_ids=(published,) if (published := identifiers.doi(entry.published or "")) else (),
        status=PaperStatus.WITHDRAWN if (entry.type or "").lower() == "withdrawn" else None,
        # The date is that of the version, so only that of the first version is when the paper came out.
        published=entry.date if version == 1 else _submitted(doi),
        categories=(entry.category,) if entry.category else (),
        url=page,
        pdf_url=f"{page}.full.pdf",
    )


def _publication(entry: Any, where: str) -> Notice | SkippedPaper:
    try:
        entry = _Publication.model_validate(entry)
    except ValidationError as error:
        return SkippedPaper(where, first_problem(error))
    preprint = identifiers.doi(entry.preprint_doi)
    if preprint is None:
        return SkippedPaper(where, f"biorxiv_doi: {excerpt(entry.preprint_doi)} is not a DOI")
    doi = identifiers.doi(entry.published_doi or "")
    return Notice(
        kind=EventKind.PUBLISHED,
        of=(preprint,),
        day=entry.published_date,
        venue=from_html(entry.published_journal or "") or None,
        doi=doi,
        url=paper_link(None, doi),
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
