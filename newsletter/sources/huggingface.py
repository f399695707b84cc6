"""The Hugging Face daily papers, through their JSON API.

``huggingface_hub`` has the same call, but leaves out some of what is below ``paper`` (the repository and its stars, the
project page, summary and keywords) and has no conditional requests, so the JSON is parsed here.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import count
from typing import Any, Literal
from urllib.parse import quote

from pydantic import ConfigDict, Field, ValidationError

from newsletter.config.sources import HuggingFaceSource
from newsletter.model import Paper, SkippedPaper
from newsletter.sources.author_names import clean_authors
from newsletter.sources.base import DateRange
from newsletter.sources.errors import SourceError
from newsletter.sources.http import HttpClient, HttpResponse
from newsletter.sources.json_fields import Count, Day, Fields, Link, Text, Texts, Title, first_problem
from newsletter.sources.markup import decode_entities
from newsletter.sources.text import from_latex, pdf_link
from newsletter.support import identifiers

_PAGE = 100
_SUMMARIES_BY = "Hugging Face"


@dataclass(frozen=True, slots=True)
class HuggingFace:
    """The daily papers by day, week or month.

    A window includes all days, weeks or months that it touches; "what is new now" is the lists of the last two days,
    since a list may still grow during the night.
    """

    name: str
    settings: HuggingFaceSource

    def fetch(self, window: DateRange, http: HttpClient) -> Iterator[Paper | SkippedPaper]:
        refused: SourceError | None = None
        answered = False
        for period in _periods(window, self.settings.by):
            papers = 0
            try:
                for paper in self._fetch_period(period, http):
                    papers += 1
                    yield paper
                answered = True
            except SourceError as error:
                # The server rejects a day like this if it has not begun there yet, or has no list.
                if papers or error.status not in (400, 404):
                    raise
                refused = error
        if refused and not answered:
            raise refused

    def _fetch_period(self, period: str, http: HttpClient) -> Iterator[Paper | SkippedPaper]:
        url = f"{self.settings.endpoint}/api/daily_papers"
        for page in count():
            answer = http.get_if_changed(url, self._query(period, page))
            if answer is None:
                # Not modified, so as long as before: there is a next page if there was one.
                if not http.was_asked(url, self._query(period, page + 1)):
                    return
                continue
            entries = _entries(answer)
            yield from papers_in(entries, f"{period}, page {page + 1}, paper", str(self.settings.endpoint))
            if len(entries) < _PAGE:
                return

    def _query(self, period: str, page: int) -> dict[str, str | int]:
        return {self.settings.by: period, "limit": _PAGE, "p": page}


def _periods(window: DateRange, by: Literal["date", "week", "month"]) -> list[str]:
    """Return the days, weeks or months of a window in the API's notation, the oldest first."""
    first = window.since or window.until - timedelta(days=1)
    days = (first + timedelta(days=number) for number in range((window.until - first).days + 1))
    return list(dict.fromkeys(_period(day, by) for day in days))


def _period(day: date, by: Literal["date", "week", "month"]) -> str:
    if by == "month":
        return f"{day.year:04}-{day.month:02}"
    if by == "week":
        iso = day.isocalendar()
        return f"{iso.year:04}-W{iso.week:02}"
    return day.isoformat()


def _entries(answer: HttpResponse) -> Sequence[Any]:
    entries = answer.json()
    if not isinstance(entries, list):
        raise SourceError(f"{answer.asked}: the response is not a list of papers")
    return entries


def papers_in(entries: Sequence[Any], where: str, endpoint: str) -> Iterator[Paper | SkippedPaper]:
    """Yield the papers of a response of the daily-papers API.

    Args:
        entries: the response, from JSON.
        where: a prefix for the number of an entry, for errors.
        endpoint: the site, for links to the papers' pages.
    """
    for number, entry in enumerate(entries, start=1):
        try:
            yield _paper(_Entry.model_validate(entry), f"{where} {number}", endpoint)
        except ValidationError as error:
            yield SkippedPaper(f"{where} {number}", first_problem(error))


class _Author(Fields):
    name: Text | None = None
    hidden: bool | None = None


class _Organization(Fields):
    name: Text | None = None
    fullname: Text | None = None


class _Told(Fields):
    # Otherwise the abstract, which the API calls "summary", would be the summary as well.
    model_config = ConfigDict(populate_by_name=False)

    id: Title
    title: Text | None = None
    abstract: Text | None = Field(default=None, alias="summary")
    authors: list[_Author] | None = None
    published: Day = Field(default=None, alias="publishedAt")
    listed_on: Day = Field(default=None, alias="submittedOnDailyAt")
    upvotes: Count | None = None
    summary: Text | None = Field(default=None, alias="ai_summary")
    keywords: Texts = Field(default=None, alias="ai_keywords")
    code_url: Link = Field(default=None, alias="githubRepo")
    code_stars: Count | None = Field(default=None, alias="githubStars")
    project_url: Link = Field(default=None, alias="projectPage")
    organization: _Organization | None = None


class _Entry(Fields):
    paper: _Told
    title: Text | None = None
    abstract: Text | None = Field(default=None, alias="summary")
    listed_on: Day = Field(default=None, alias="submittedOnDailyAt")
    comments: Count | None = Field(default=None, alias="numComments")
    thumbnail_url: Link = Field(default=None, alias="thumbnail")
    organization: _Organization | None = None


def _paper(entry: _Entry, where: str, endpoint: str) -> Paper | SkippedPaper:
    paper = entry.paper
    title = _text(paper.title or entry.title)
    if not title:
        return SkippedPaper(where, "title: missing")
    arxiv_id, version = identifiers.arxiv_id(paper.id) or (None, None)
    authors = clean_authors(author.name for author in paper.authors or () if author.name and not author.hidden)
    organization = paper.organization or entry.organization or _Organization()
    return Paper(
        title=title,
        abstract=_text(paper.abstract or entry.abstract),
        authors=authors,
        author_count=len(authors) or None,
        organization=organization.fullname or organization.name or None,
        arxiv_id=arxiv_id,
        version=version,
        published=paper.published,
        listed_on=paper.listed_on or entry.listed_on,
        url=f"{endpoint}/papers/{quote(paper.id)}",
        pdf_url=pdf_link(arxiv_id),
        code_url=paper.code_url,
        code_stars=paper.code_stars,
        project_url=paper.project_url,
        summary=_text(paper.summary) or None,
        summary_by=_SUMMARIES_BY if paper.summary else None,
        thumbnail_url=entry.thumbnail_url,
        keywords=tuple(paper.keywords or ()),
        upvotes=paper.upvotes,
        comments=entry.comments,
    )


def _text(written: str | None) -> str:
    return from_latex(decode_entities(written or ""))
