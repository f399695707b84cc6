"""Works of OpenAlex as a source: of topics, institutions, authors or journals, or found by words
(https://developers.openalex.org/guides/filtering).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from pydantic import ValidationError

from newsletter.config.sources import OpenAlexSource
from newsletter.model import SkippedPaper
from newsletter.sources.base import DateRange, Found
from newsletter.sources.errors import SourceError
from newsletter.sources.http import HttpClient
from newsletter.sources.json_fields import first_problem
from newsletter.sources.openalex import ALL_FIELDS, DEEPEST, PAGE, OpenAlex, WorksPage, parse_paper
from newsletter.sources.paging import Page, pages
from newsletter.sources.quota import quota_hint
from newsletter.sources.status_marks import is_notice_title

_OLDEST_FIRST = "publication_date"
_NO_PAPERS = ("erratum", "paratext", "retraction", "peer-review", "supplementary-materials")
_SET_KEY = "set NEWSLETTER_OPENALEX_KEY to a free key from https://openalex.org/settings/api"
_NEEDS_KEY = f"OpenAlex allows few requests a day without a key; {_SET_KEY}"
_KEY_SPENT = "the requests of the key in NEWSLETTER_OPENALEX_KEY are used up; they start again at midnight UTC"


@dataclass(frozen=True, slots=True)
class OpenAlexSearch:
    """The works published on the days of a window; without one, in the last days.

    OpenAlex lists works some days after they came out, and shows only paying users which are new.

    Attributes:
        contact: a mail address. ``key``: of the API; None without one.
    """

    name: str
    settings: OpenAlexSource
    contact: str
    key: str | None = None

    def fetch(self, window: DateRange, http: HttpClient) -> Iterator[Found]:
        since = window.since or window.until - timedelta(days=self.settings.days - 1)
        api = OpenAlex(http, self.settings.api_url, self.contact, self.key)
        works = _Works(api, self.settings)
        with quota_hint(_KEY_SPENT if self.key else _NEEDS_KEY):
            for page in pages(works, DateRange(since, window.until)):
                for number, item in enumerate(page.items, start=page.start + 1):
                    yield from _read(item, f"{page.asked}, work {number}")


def _read(item: object, where: str) -> Iterator[Found]:
    """Yield the paper of a work; nothing for one that is a notice about another, which OpenAlex does not name."""
    try:
        paper = parse_paper(item)
    except ValidationError as error:
        yield SkippedPaper(where, first_problem(error))
        return
    kind = item.get("type") if isinstance(item, dict) else None
    if kind not in _NO_PAPERS and not is_notice_title(paper.title):
        yield paper


@dataclass(frozen=True, slots=True)
class _Works:
    """The list of works for the settings."""

    api: OpenAlex
    settings: OpenAlexSource
    page_size: int = field(default=PAGE, init=False)
    deepest: int = field(default=DEEPEST, init=False)

    def page(self, days: DateRange, number: int, start: int) -> Page | None:
        pause = self.settings.pause_seconds
        found = self.api.page_if_changed(self._wanted(days), ALL_FIELDS, number + 1, _OLDEST_FIRST, pause)
        return None if found is None else _to_page(found, start)

    def was_asked(self, days: DateRange, number: int, start: int) -> bool:
        return self.api.was_asked(self._wanted(days), ALL_FIELDS, number + 1, _OLDEST_FIRST)

    def whole_day(self, day: DateRange) -> Iterator[Page]:
        if self.api.key is None:
            raise SourceError(
                f"OpenAlex has {DEEPEST:,} works of {day.since} or more, and gives those only with a key; "
                f"name fewer, or {_SET_KEY}"
            )
        cursor, start = "*", 0
        while cursor:
            found = self.api.page_after(self._wanted(day), ALL_FIELDS, cursor, _OLDEST_FIRST)
            yield _to_page(found, start)
            cursor, start = found.next_cursor, start + len(found.works)

    def _wanted(self, days: DateRange) -> str:
        """Return the filter: alternatives are separated by bars, and what must all hold by commas."""
        settings = self.settings
        by_id = all(one.startswith("I") for one in settings.institutions)
        by_author_id = all(one.startswith("A") for one in settings.authors)
        filters: dict[str, Sequence[str]] = {
            "topics.id": settings.topics,
            "authorships.institutions.lineage" if by_id else "authorships.institutions.ror": settings.institutions,
            "authorships.author.id" if by_author_id else "authorships.author.orcid": settings.authors,
            "primary_location.source.id": settings.sources,
            "title_and_abstract.search": [_words(settings.query)] if settings.query else [],
            "language": settings.languages,
            "type": settings.types,
            "from_publication_date": [str(days.since)],
            "to_publication_date": [str(days.until)],
        }
        return ",".join(f"{name}:{'|'.join(values)}" for name, values in filters.items() if values)


def _words(query: str) -> str:
    return " ".join(query.replace(",", " ").split())


def _to_page(found: WorksPage, start: int) -> Page:
    if found.total is None:
        raise SourceError(f"{found.asked}: the response has no number of works (meta.count)")
    return Page(found.works, found.total, start, found.asked)
