from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.sources.base import DateRange
from newsletter.sources.errors import SourceError
from newsletter.sources.paging import Page, pages

FIRST = date(2026, 1, 1)


@dataclass
class Api:
    """A list in memory, with the number of entries of each day from 1 January; pages asked for before do not change."""

    counts: list[int]
    page_size: int = 3
    deepest: int = 9
    asked: set[tuple[date | None, date, int]] = field(default_factory=set)
    known: set[tuple[date | None, date, int]] = field(default_factory=set)

    def _items(self, days: DateRange) -> list[str]:
        assert days.since is not None
        return [
            f"{day} {number}"
            for day, count in enumerate(self.counts)
            for number in range(count)
            if days.since <= FIRST + timedelta(days=day) <= days.until
        ]

    def page(self, days: DateRange, number: int, start: int) -> Page | None:
        assert start + self.page_size <= self.deepest or start == number * self.page_size
        self.asked.add((days.since, days.until, start))
        if self.was_asked(days, number, start):
            return None
        items = self._items(days)
        return Page(items[start : start + self.page_size], len(items), start, f"page {number}")

    def was_asked(self, days: DateRange, number: int, start: int) -> bool:
        return (days.since, days.until, start) in self.known

    def whole_day(self, day: DateRange) -> Iterator[Page]:
        yield Page(self._items(day), len(self._items(day)), 0, "cursor")


def read(api: Api) -> list[str]:
    days = DateRange(FIRST, FIRST + timedelta(days=len(api.counts) - 1))
    return [item for page in pages(api, days) for item in page.items]


@given(st.lists(st.integers(0, 12), min_size=1, max_size=12))
def test_each_entry_once_and_a_second_run_gets_nothing(counts: list[int]) -> None:
    api = Api(counts)
    found = read(api)
    assert sorted(found) == sorted(f"{day} {number}" for day, count in enumerate(counts) for number in range(count))
    # The first page of days that are split was asked for too.
    api.known, api.asked = api.asked, set()
    assert [one for one in read(api) if int(one.split()[0]) not in _crowded(counts)] == []
    assert api.asked == api.known


def _crowded(counts: list[int]) -> set[int]:
    """Days with more entries than a list gives are read by cursor."""
    return {day for day, count in enumerate(counts) if count > 9}


def test_an_empty_page_before_the_end() -> None:
    class Short(Api):
        def page(self, days: DateRange, number: int, start: int) -> Page | None:
            return Page(["x"] if start == 0 else [], 3, start, f"page {number}")

    with pytest.raises(SourceError, match="page 1: got 1 of 3 papers, then an empty page"):
        read(Short([1]))
