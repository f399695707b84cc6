"""Semantic Scholar, by search (https://api.semanticscholar.org/api-docs/graph).

The ``semanticscholar`` package has the same calls, but its own requests, without our limits.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import Any

from pydantic import Field, ValidationError

from newsletter.config.sources import SemanticScholarSource
from newsletter.model import Paper, SkippedPaper
from newsletter.sources.author_names import tidy_authors
from newsletter.sources.base import DateRange, Found
from newsletter.sources.bibliographic_fields import venue
from newsletter.sources.errors import SourceError
from newsletter.sources.http import HttpClient, HttpResponse
from newsletter.sources.json_fields import Day, Fields, Link, Text, Title, first_problem
from newsletter.sources.quota import quota_hint
from newsletter.sources.text import excerpt, from_html, paper_link
from newsletter.support import identifiers

KEY_VARIABLE = "NEWSLETTER_SEMANTIC_SCHOLAR_KEY"
"""The environment variable of the key of the API."""

_DAYS = timedelta(days=14)
"""Before the last day: the API knows when a paper was published, but not when it was added, often days later."""

_BATCH = 500
"""Summaries in one request, the maximum that the API allows."""

_SUMMARY_BY = "Semantic Scholar"
_FIELDS = (
    "externalIds,url,title,abstract,venue,publicationVenue,journal,year,publicationDate,authors,openAccessPdf,"
    "s2FieldsOfStudy"
)
_HINT = (
    f"Semantic Scholar limits the requests of all users without a key together: set {KEY_VARIABLE}, or try again later"
)


@dataclass(frozen=True, slots=True)
class SemanticScholar:
    """The papers that match a search, published in the last two weeks or on the days of a window.

    Attributes:
        key: of the API.
    """

    name: str
    settings: SemanticScholarSource
    key: str | None = field(default=None, repr=False)

    def fetch(self, window: DateRange, http: HttpClient) -> Iterator[Found]:
        since, token, number = window.since or window.until - _DAYS, "", 0
        asks = self.settings.tldr
        while True:
            answer = self._page(http, since, window.until, token)
            if answer is None:
                return  # The first page has the number of all papers, so that the others did not change either.
            entries, token = _entries(answer)
            where = f"{since} to {window.until}, paper"
            found = [_read(entry, f"{where} {place}") for place, entry in enumerate(entries, start=number + 1)]
            number += len(entries)
            for start in range(0, len(found), _BATCH):
                batch = found[start : start + _BATCH]
                if asks:
                    try:
                        batch = self._with_summaries(http, batch)
                    except SourceError as error:
                        asks = False
                        yield SkippedPaper("the summaries", str(error))
                yield from (item.paper if isinstance(item, _Listed) else item for item in batch)
            if not token or not entries:
                return

    def _page(self, http: HttpClient, since: date, until: date, token: str) -> HttpResponse | None:
        url = f"{self.settings.api_url.rstrip('/')}/graph/v1/paper/search/bulk"
        params = {
            "query": self.settings.query,
            "fields": _FIELDS,
            "publicationDateOrYear": f"{since}:{until}",
            **({"fieldsOfStudy": ",".join(self.settings.fields_of_study)} if self.settings.fields_of_study else {}),
        }
        pause = self.settings.pause_seconds
        with quota_hint(_HINT):
            if token:
                params["token"] = token
                answer: HttpResponse | None = http.get(
                    url, params, headers=self._headers, accepted=(400,), pause_seconds=pause
                )
            else:
                answer = http.get_if_changed(url, params, headers=self._headers, accepted=(400,), pause_seconds=pause)
        if answer is not None and answer.status == 400:
            raise SourceError(
                f"{answer.asked}: Semantic Scholar says: {_complaint(answer)}; check the source's query", 400
            )
        return answer

    def _with_summaries(
        self, http: HttpClient, found: Sequence["_Listed | SkippedPaper"]
    ) -> list["_Listed | SkippedPaper"]:
        """Return the same with their summaries, which a search does not have."""
        ids = [item.id for item in found if isinstance(item, _Listed) and item.id and not item.paper.summary]
        if not ids:
            return list(found)
        url = f"{self.settings.api_url.rstrip('/')}/graph/v1/paper/batch?fields=tldr"
        with quota_hint(_HINT):
            answer = http.post_json(url, {"ids": ids}, headers=self._headers, pause_seconds=self.settings.pause_seconds)
        listed = answer.json()
        if not isinstance(listed, list):
            raise SourceError(f"{answer.asked}: the response is not a list of papers")
        texts = {one.get("paperId"): _tldr(one.get("tldr")) for one in listed if isinstance(one, Mapping)}
        return [_summarised(item, texts.get(item.id)) if isinstance(item, _Listed) else item for item in found]

    @property
    def _headers(self) -> Mapping[str, str]:
        return {"x-api-key": self.key} if self.key else {}


@dataclass(frozen=True, slots=True)
class _Listed:
    id: str | None
    paper: Paper


class _Named(Fields):
    name: Text | None = None


class _StudyField(Fields):
    category: Text | None = None


class _Pdf(Fields):
    url: Link = None


class _Entry(Fields):
    id: Text | None = Field(default=None, alias="paperId")
    title: Title
    abstract: Text | None = None
    ids: dict[str, Any] | None = Field(default=None, alias="externalIds")
    url: Link = None
    venue: Text | None = None
    publication_venue: _Named | None = Field(default=None, alias="publicationVenue")
    journal: _Named | None = None
    year: int | None = None
    day: Day = Field(default=None, alias="publicationDate")
    authors: list[_Named] | None = None
    pdf: _Pdf | None = Field(default=None, alias="openAccessPdf")
    studies: list[_StudyField] | None = Field(default=None, alias="s2FieldsOfStudy")
    tldr: dict[str, Any] | None = None


def _entries(answer: HttpResponse) -> tuple[Sequence[Any], str]:
    """Return the papers of a page, and the token of the next one, empty after the last."""
    data = answer.json()
    entries = data.get("data") if isinstance(data, Mapping) else None
    if not isinstance(entries, list):
        raise SourceError(f"{answer.asked}: data: missing, or not a list of papers")
    token = data.get("token")
    return entries, token if isinstance(token, str) else ""


def _complaint(answer: HttpResponse) -> str:
    data = answer.json()
    text = data.get("error") or data.get("message") if isinstance(data, Mapping) else None
    return excerpt(text or "status 400", 200)


def _read(entry: Any, where: str) -> _Listed | SkippedPaper:
    try:
        data = _Entry.model_validate(entry)
    except ValidationError as error:
        return SkippedPaper(where, first_problem(error))
    ids = {name.lower(): str(value) for name, value in (data.ids or {}).items() if value}
    arxiv = identifiers.arxiv_id(ids.get("arxiv", "")) or identifiers.arxiv_id(ids.get("doi", ""))
    doi, pmid = identifiers.doi(ids.get("doi", "")), identifiers.pmid(f"PMID:{ids.get('pubmed', '')}")
    authors = tidy_authors(one.name for one in data.authors or () if one.name)
    names = (data.publication_venue and data.publication_venue.name, data.journal and data.journal.name, data.venue)
    summary = _tldr(data.tldr)
    paper = Paper(
        title=from_html(data.title),
        abstract=from_html(data.abstract or ""),
        authors=authors,
        author_count=len(authors) or None,
        venue=next((found for name in names if name and (found := venue(name))), None),
        arxiv_id=arxiv[0] if arxiv else None,
        doi=doi,
        other_ids=(f"pmid:{pmid}",) if pmid else (),
        published=data.day or _new_year(data.year),
        categories=tuple(dict.fromkeys(one.category for one in data.studies or () if one.category)),
        url=paper_link(arxiv[0] if arxiv else None, doi) or data.url,
        pdf_url=data.pdf.url if data.pdf else None,
        links=(data.url,) if data.url else (),
        summary=summary,
        summary_by=_SUMMARY_BY if summary else None,
    )
    return _Listed(data.id, paper)


def _new_year(year: int | None) -> date | None:
    return date(year, 1, 1) if year and 1600 <= year <= 2200 else None


def _tldr(value: Any) -> str | None:
    text = value.get("text") if isinstance(value, Mapping) else None
    return from_html(text) or None if isinstance(text, str) else None


def _summarised(item: _Listed, summary: str | None) -> _Listed:
    if not summary or item.paper.summary:
        return item
    return replace(item, paper=replace(item.paper, summary=summary, summary_by=_SUMMARY_BY))
