"""The day on which an article of PubMed came out (https://www.nlm.nih.gov/bsd/licensee/elements_descriptions.html)."""

import calendar
import re
from collections.abc import Iterable, Iterator
from datetime import date
from typing import NamedTuple
from xml.etree.ElementTree import Element

from newsletter.sources.bounds import sane_day

_YEAR = re.compile(r"(?<!\d)(?:1[6-9]|20|21)\d\d(?!\d)", re.ASCII)
_WORD = re.compile(r"[^\W\d_]{3,}")
_DAY = re.compile(r"[^\W\d_]{3,}\W{1,3}(\d{1,2})(?!\d)", re.ASCII)
_MONTHS = {name.lower(): number for number, name in enumerate(calendar.month_abbr) if name}
_SEASONS = {"winter": 1, "spring": 4, "summer": 7, "autumn": 10, "fall": 10}
"""The first month of each season, as in the searches of PubMed (https://pubmed.ncbi.nlm.nih.gov/help/#dp)."""

_ENTERED = ("entrez", "pubmed")


class Period(NamedTuple):
    """The first and last day that a written date may mean; the same day twice if it names the day."""

    first: date
    last: date


def published_on(issue: Element | None, online: Iterable[Element], history: Iterable[Element]) -> date | None:
    """Return the day on which an article came out first; None without any usable date.

    An issue is often dated later than its articles came out, or by its month or year alone. The day on which PubMed got
    the record then says more: the article was out by then.

    Args:
        issue: the date of the issue (``PubDate``). ``online``: those of the electronic version (``ArticleDate``).
        history: the dates of the record (``PubMedPubDate``).
    """
    dated = [(one.get("PubStatus", ""), day) for one in history if (day := _day(one)) is not None]
    entered = min((day for status, day in dated if status in _ENTERED), default=None)
    first_online = min([*_days(online), *(day for status, day in dated if status == "epublish")], default=None)
    period = _period(_text_of(issue)) if issue is not None else None
    if first_online is not None:
        day = min(first_online, period.first) if period and period.last < first_online else first_online
    elif period is None or (period.first < period.last and entered is not None and entered <= period.last):
        return entered
    else:
        day = period.first
    return min(day, entered) if entered is not None else day


def _days(elements: Iterable[Element]) -> Iterator[date]:
    return (day for one in elements if (day := _day(one)) is not None)


def _day(element: Element) -> date | None:
    """Return a day that an element names in full; None for anything else."""
    period = _period(_text_of(element))
    return period.first if period is not None and period.first == period.last else None


def _text_of(element: Element) -> str:
    """Return the date in an element in the form "2019 Jan 15", or as it is written there."""
    if written := element.findtext("MedlineDate"):
        return written
    month = (element.findtext("Month") or element.findtext("Season") or "").strip()
    if month.isascii() and month.isdecimal() and 1 <= int(month[:2]) <= 12:
        month = calendar.month_abbr[int(month[:2])]
    return f"{element.findtext('Year') or ''} {month} {element.findtext('Day') or ''}"


def _period(text: str) -> Period | None:
    """Parse a date such as "2019 Jan 15", "2019 Jan-Feb", "1998 Dec-1999 Jan", "Winter 2020" or "2000-2001"."""
    years = [int(year) for year in _YEAR.findall(text)]
    if not years:
        return None
    words = [word.lower() for word in _WORD.findall(text)]
    months = [month for word in words if (month := _MONTHS.get(word[:3]) or _SEASONS.get(word))]
    if not months:
        return _checked(date(years[0], 1, 1), date(max(years[0], years[-1]), 12, 31))
    first = months[0]
    day = _DAY.search(text)
    if len(months) == 1 and day is not None and 1 <= int(day[1]) <= calendar.monthrange(years[0], first)[1]:
        return _checked(*[date(years[0], first, int(day[1]))] * 2)
    year, last = years[-1], months[-1]
    if words[-1] in _SEASONS:
        last += 2
    if (year, last) < (years[0], first):
        year, last = years[0], first
    return _checked(date(years[0], first, 1), date(year, last, calendar.monthrange(year, last)[1]))


def _checked(first: date, last: date) -> Period | None:
    try:
        return Period(sane_day(first), sane_day(last))
    except ValueError:
        return None
