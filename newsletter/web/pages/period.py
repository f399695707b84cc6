"""Days, weeks and months in the site's URLs."""

import calendar
import re
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal

Kind = Literal["date", "week", "month"]

_FORMS: dict[Kind, re.Pattern[str]] = {
    "date": re.compile(r"(?a:(\d{4})-(\d\d)-(\d\d))"),
    "week": re.compile(r"(?a:(\d{4})-W(\d\d))"),
    "month": re.compile(r"(?a:(\d{4})-(\d\d))"),
}


@dataclass(frozen=True, slots=True)
class Period:
    """A day, week or month; ``first`` and ``last`` are both included."""

    kind: Kind
    first: date
    last: date

    @property
    def path(self) -> str:
        """The path of its papers page."""
        year, week, _ = self.first.isocalendar()
        written = {
            "date": self.first.isoformat(),
            "week": f"{year:04}-W{week:02}",
            "month": f"{self.first.year:04}-{self.first.month:02}",
        }
        return f"/papers/{self.kind}/{written[self.kind]}"

    @property
    def words(self) -> str:
        """The long form: "Tuesday, 25 November 2025", "24–30 November 2025", "November 2025"."""
        first, last = self.first, self.last
        if self.kind == "date":
            return f"{first:%A}, {_day(first)} {first.year}"
        if self.kind == "month":
            return f"{first:%B} {first.year}"
        if first.year != last.year:
            return f"{_day(first)} {first.year} – {_day(last)} {last.year}"
        if first.month != last.month:
            return f"{_day(first)} – {_day(last)} {last.year}"
        return f"{first.day}–{_day(last)} {last.year}"

    @property
    def short(self) -> str:
        """The short form for links: "25 Nov", "24–30 Nov", "Nov 2025"."""
        first, last = self.first, self.last
        if self.kind == "date":
            return f"{first.day} {first:%b}"
        if self.kind == "month":
            return f"{first:%b} {first.year}"
        return f"{first.day}{f' {first:%b} ' if first.month != last.month else ''}–{last.day} {last:%b}"

    @property
    def preposition(self) -> str:
        """The preposition before it in a sentence."""
        return {"date": "on", "week": "in the week of", "month": "in"}[self.kind]


def _day(day: date) -> str:
    return f"{day.day} {day:%B}"


def around(kind: Kind, day: date) -> Period:
    """Return the day, the ISO 8601 week or the month that contains a day."""
    if kind == "date":
        return Period(kind, day, day)
    if kind == "week":
        monday = day - timedelta(days=day.weekday())
        # The calendar ends on a Friday.
        return Period(kind, monday, monday + min(timedelta(days=6), date.max - monday))
    return Period(kind, day.replace(day=1), day.replace(day=calendar.monthrange(day.year, day.month)[1]))


def read_period(kind: Kind, text: str) -> Period | None:
    """Parse a period like 2025-11-25, 2025-W48 or 2025-11; None if it is invalid."""
    found = _FORMS[kind].fullmatch(text)
    if found is None:
        return None
    numbers = [int(number) for number in found.groups()]
    try:
        year, part, *days = numbers
        day = date.fromisocalendar(year, part, 1) if kind == "week" else date(year, part, *(days or [1]))
    except (ValueError, OverflowError):
        return None
    return around(kind, day)
