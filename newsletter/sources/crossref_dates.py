"""The dates of Crossref: lists of year, month and day, of which month and day may be missing
(https://github.com/CrossRef/rest-api-doc/blob/master/api_format.md#partial-date).
"""

import calendar
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import date
from typing import NamedTuple

from newsletter.sources.bounds import sane_day


class Span(NamedTuple):
    """The days that a date may mean: one day, or all of a month or a year."""

    first: date
    last: date


def to_span(value: object) -> Span | None:
    """Read a date such as ``{"date-parts": [[2026, 3]]}``; None if it names no year.

    What is impossible, such as a 13th month, is left out.
    """
    parts = value.get("date-parts") if isinstance(value, Mapping) else None
    if isinstance(parts, list) and parts and isinstance(parts[0], list):
        parts = parts[0]
    if not isinstance(parts, list):
        return None
    numbers = []
    for part in parts[:3]:
        if isinstance(part, bool) or not isinstance(part, int | str) or not str(part).strip().isdecimal():
            break
        numbers.append(int(str(part)[:9]))
    for length in range(len(numbers), 0, -1):
        with suppress(ValueError):
            return _span(*numbers[:length])
    return None


def _span(year: int, month: int | None = None, day: int | None = None) -> Span:
    first = sane_day(date(year, 1 if month is None else month, 1 if day is None else day))
    if day is not None:
        return Span(first, first)
    last_month = 12 if month is None else month
    return Span(first, date(year, last_month, calendar.monthrange(year, last_month)[1]))


def first_day(printed: Iterable[Span | None], online: Iterable[Span | None], created: Span | None) -> date | None:
    """Return the day on which a work first came out; the first of its month if that is all there is.

    The date that surely is the earliest counts, so that of "March" and 14 March it is 14 March. The day on which the
    DOI was registered counts where only the year is known, and where the work is only said to be in a later issue: it
    is online by then.

    Args:
        printed: when it was printed or issued. ``online``: when it was posted or came out online.
        created: when the DOI was registered.
    """
    known_online = [span for span in online if span is not None]
    known = known_online + [span for span in printed if span is not None]
    registered = created.first if created is not None and created.first == created.last else None
    if not known:
        return registered
    best = min(known, key=lambda span: (span.last, -span.first.toordinal()))
    is_year = (best.last - best.first).days > 31
    if registered is not None and (
        (is_year and best.first <= registered <= best.last) or (not known_online and registered < best.first)
    ):
        return registered
    return best.first
