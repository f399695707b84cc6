"""Pages of an API that are asked for by their number, with the days split where there are more than it gives.

The URL of a page then depends on no earlier answer, so that one that did not change is not sent again (status 304).
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Protocol

from newsletter.sources.base import DateRange
from newsletter.sources.errors import SourceError


@dataclass(frozen=True, slots=True)
class Page:
    """A page of a list.

    Attributes:
        items: its entries. ``total``: the number of entries of the whole list.
        start: the number of entries before it. ``asked``: the request, for errors.
    """

    items: Sequence[Any]
    total: int
    start: int
    asked: str


class PagedList(Protocol):
    """A list of an API for a range of days.

    Attributes:
        page_size: entries on a full page. ``deepest``: the API gives no more entries of one list.
    """

    @property
    def page_size(self) -> int: ...

    @property
    def deepest(self) -> int: ...

    def page(self, days: DateRange, number: int, start: int) -> Page | None:
        """Request the page with a number (from 0), after ``start`` entries; None if it did not change since an earlier
        run.
        """

    def was_asked(self, days: DateRange, number: int, start: int) -> bool:
        """Return whether an earlier run requested that page."""

    def whole_day(self, day: DateRange) -> Iterator[Page]:
        """Request the pages of a day that has more entries than :attr:`deepest`."""


def pages(api: PagedList, days: DateRange) -> Iterator[Page]:
    """Yield the pages of a range of days that changed since an earlier run.

    Args:
        days: with both ends.

    Raises:
        SourceError: a request failed, or a list has fewer entries than it says.
    """
    number = start = 0
    while True:
        page = api.page(days, number, start)
        if page is None:
            # As long as before: what followed it then, follows it now.
            if api.was_asked(days, number + 1, start + api.page_size):
                number, start = number + 1, start + api.page_size
                continue
            if start == 0:
                yield from _split(api, days, lambda half: api.was_asked(half, 0, 0))
            return
        if page.total > api.deepest:
            yield from _split(api, days, lambda half: True) if days.since != days.until else api.whole_day(days)
            return
        yield page
        number, start = number + 1, start + len(page.items)
        if start >= page.total:
            return
        if not page.items:
            raise SourceError(f"{page.asked}: got {start:,} of {page.total:,} papers, then an empty page")


def _split(api: PagedList, days: DateRange, wanted: Callable[[DateRange], bool]) -> Iterator[Page]:
    assert days.since is not None  # noqa: S101 - pages() wants both ends
    if days.since == days.until:
        return
    middle = days.since + (days.until - days.since) // 2
    for half in (DateRange(days.since, middle), DateRange(middle + timedelta(days=1), days.until)):
        if wanted(half):
            yield from pages(api, half)
