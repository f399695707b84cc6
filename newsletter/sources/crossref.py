"""Works of Crossref, and the retractions and corrections of any paper (https://api.crossref.org/swagger-ui).

``habanero`` and ``crossrefapi`` have HTTP of their own without the limits of :mod:`.http`, and return the same JSON.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from newsletter.config.sources import CrossrefSource
from newsletter.model import SkippedPaper
from newsletter.sources.base import DateRange, Found
from newsletter.sources.crossref_works import notices_of, read_work
from newsletter.sources.errors import SourceError
from newsletter.sources.http import HttpClient, HttpResponse
from newsletter.sources.paging import Page, pages
from newsletter.sources.quota import quota_hint

_ROWS = 500
"""Works on a page. Crossref allows 1,000, but with the references of each they may exceed the limit of a response."""

_NOTICE_ROWS = 1_000
_DEEPEST = 10_000
"""Crossref gives no works after these by offset; with more, days are split, and one day is read by cursor."""

_OVERLAP = timedelta(days=2)
"""A daily fetch asks for today and the two days before, so that one that failed or was early loses nothing."""

_NOTICE_FIELDS = "DOI,URL,created,issued,type,update-to"
_LIMIT = "Crossref limits requests per second; raise sources.{name}.pause_seconds, or try again later"


@dataclass(frozen=True, slots=True)
class Crossref:
    """The works registered in the last days, or published on the days of a window, and what became of any paper.

    Attributes:
        contact: a mail address, with which Crossref answers faster.
    """

    name: str
    settings: CrossrefSource
    contact: str

    def fetch(self, window: DateRange, http: HttpClient) -> Iterator[Found]:
        settings = self.settings
        asked = DateRange(window.since or window.until - _OVERLAP, window.until)
        works = _Works(http, settings, self.contact, "created" if window.since is None else "pub")
        with quota_hint(_LIMIT.format(name=self.name)):
            for page in works.best(asked) if settings.query else pages(works, asked):
                for number, item in enumerate(page.items, start=page.start + 1):
                    yield from read_work(item, f"{page.asked}, work {number}", frozenset(settings.types))
        if settings.notices:
            try:
                yield from self._notices(asked, http, "index" if window.since is None else "created")
            except SourceError as error:
                # The works of the window are complete without them.
                yield SkippedPaper("the retractions and corrections of other papers", str(error))

    def _notices(self, asked: DateRange, http: HttpClient, by: str) -> Iterator[Found]:
        """Yield what became of any paper, the newest notice first.

        Retraction Watch adds its entries to notices that were registered before, which changes the day on which
        Crossref indexed them and no other.
        """
        api = _Works(http, self.settings, self.contact, by)
        query: dict[str, str | int] = {
            "filter": f"is-update:true,{api.days(asked)}",
            "select": _NOTICE_FIELDS,
            "sort": "created",
            "order": "desc",
            "rows": _NOTICE_ROWS,
        }
        for page in api.first_pages(query, _DEEPEST):
            for item in page.items:
                yield from notices_of(item)


@dataclass(frozen=True, slots=True)
class _Works:
    """The list of works for the settings, by days of one kind: when they were ``created`` or ``index``-ed at Crossref,
    or came out (``pub``).
    """

    http: HttpClient
    settings: CrossrefSource
    contact: str
    by: str
    page_size: int = field(default=_ROWS, init=False)
    deepest: int = field(default=_DEEPEST, init=False)

    def page(self, days: DateRange, number: int, start: int) -> Page | None:
        answer = self.ask(self._query(days) | {"offset": start})
        return None if answer is None else _page(answer, start)

    def was_asked(self, days: DateRange, number: int, start: int) -> bool:
        return self.asked(self._query(days) | {"offset": start})

    def whole_day(self, day: DateRange) -> Iterator[Page]:
        cursor, start = "*", 0
        while cursor:
            answer = self.http.get(
                self.settings.api_url,
                self._with_contact(self._query(day) | {"cursor": cursor}),
                pause_seconds=self.settings.pause_seconds,
            )
            page = _page(answer, start)
            if not page.items:
                return
            yield page
            start += len(page.items)
            following = answer.json()["message"].get("next-cursor")
            cursor = following if isinstance(following, str) else ""

    def best(self, days: DateRange) -> Iterator[Page]:
        """Yield the pages of the best matches of the query: any work with one of its words is a match."""
        most = self.settings.max_results
        ranked: dict[str, str | int] = {
            "query.bibliographic": self.settings.query or "",
            "sort": "score",
            "order": "desc",
            "rows": min(most, _ROWS),
        }
        return self.first_pages(self._query(days) | ranked, most)

    def first_pages(self, query: Mapping[str, str | int], most: int) -> Iterator[Page]:
        """Yield the pages of up to ``most`` works that changed since an earlier run."""
        start = 0
        while start < most:
            answer = self.ask({**query, "offset": start})
            if answer is None:
                start += int(query["rows"])
                if not self.asked({**query, "offset": start}):
                    return
                continue
            page = _page(answer, start)
            yield Page(page.items[: most - start], page.total, start, page.asked)
            start += len(page.items)
            if start >= page.total or not page.items:
                return

    def days(self, days: DateRange) -> str:
        """Return the filter for a range of days."""
        return f"from-{self.by}-date:{days.since},until-{self.by}-date:{days.until}"

    def ask(self, query: Mapping[str, str | int]) -> HttpResponse | None:
        return self.http.get_if_changed(
            self.settings.api_url, self._with_contact(query), pause_seconds=self.settings.pause_seconds
        )

    def asked(self, query: Mapping[str, str | int]) -> bool:
        return self.http.was_asked(self.settings.api_url, self._with_contact(query))

    def _with_contact(self, query: Mapping[str, str | int]) -> dict[str, str | int]:
        return {**query, "mailto": self.contact} if self.contact else dict(query)

    def _query(self, days: DateRange) -> dict[str, str | int]:
        settings = self.settings
        # Several filters of one name are alternatives; those of different names must all hold.
        filters = [
            *(f"issn:{issn}" for issn in settings.issn),
            *(f"prefix:{prefix}" for prefix in settings.prefix),
            *(f"member:{member}" for member in settings.member),
            *(f"type:{kind}" for kind in settings.types),
            self.days(days),
        ]
        return {"filter": ",".join(filters), "sort": "created", "order": "asc", "rows": _ROWS}


def _page(answer: HttpResponse, start: int) -> Page:
    data = answer.json()
    message = data.get("message") if isinstance(data, Mapping) else None
    if not isinstance(message, Mapping):
        raise SourceError(f"{answer.asked}: the response has no list of works (message)")
    items, total = message.get("items"), message.get("total-results")
    if not isinstance(items, list):
        raise SourceError(f"{answer.asked}: the response has no list of works (message.items)")
    if not isinstance(total, int) or isinstance(total, bool) or total < 0:
        raise SourceError(f"{answer.asked}: the response has no number of works (message.total-results)")
    return Page(items, total, start, answer.asked)
