"""Dates as feeds, BibTeX and RIS write them.

A date is read as far as a text says it: a year, a month, a day. Where day and month are both numbers, and the year is
not first, the style of the source decides (:class:`DateStyle`).
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple

from newsletter.sources.bounds import sane_day
from newsletter.sources.month_names import begins_with_day, foreign_month_number, is_weekday, month_number
from newsletter.sources.time_of_day import split_time

_LONGEST = 200
_YEARS_AHEAD = 2
"""Issues are dated ahead, by a year at most."""

_UNSET = (1970, 1, 1)
"""What programs write for a time of 0."""

_YEAR_FIRST = re.compile(r"(\d{4})(?:([-/.年년])\s?(\d{1,2})?(?:(?:\2|[月월])\s?(\d{1,2})?[日일]?)?)?(?!\d)")
_YEAR_FIRST_INSIDE = re.compile(r"(?<!\d)(\d{4})([-/.])(\d{1,2})\2(\d{1,2})(?!\d)")
_YEAR_LAST = re.compile(r"(?<![\d./-])(\d{1,2})\s?([-/.])\s?(\d{1,2})\s?\2\s?(\d{4}|\d{2})(?!\d)")
_MONTH_AND_YEAR = re.compile(r"(?<![\d./-])(\d{1,2})\s?[-/.]\s?(\d{4})(?!\d)")
_ISO_WEEK = re.compile(r"(\d{4})-?W(\d{2})(?:-?([1-7]))?(?!\d)", re.IGNORECASE)
_ISO_ORDINAL = re.compile(r"(\d{4})-(\d{3})(?!\d)")
_COMPACT = re.compile(r"((?:1[6-9]|20|21)\d\d)(0[1-9]|1[0-2])(?:(0[1-9]|[12]\d|3[01])(?:T?\d{4}(?:\d\d)?)?)?(?!\d)")
_EPOCH = re.compile(r"(-?\d{9,10}|\d{12,13}|\d{15,16})(?:\.\d{1,9})?$")
_YEAR = re.compile(r"(?<!\d)(?:1[5-9]|2[01])\d\d(?!\d)|(?<!\d)\d{4}(?!\d)")
_SHORT_YEAR = re.compile(
    r"(?:(?<!\d)\d{1,2}[\s./-]+[^\W\d_]+\.?[\s,./-]+|[^\W\d_]+\.?\s\d{1,2},\s)['’]?(\d\d)(?!\d)|['’](\d\d)(?!\d)"
)
_QUARTER = re.compile(r"\bQ[1-4]\b", re.IGNORECASE)
_WORD = re.compile(r"[^\W\d_]+(?:[\u0300-\u036f\u0900-\u0e7f][^\W\d_]*)*")
_NUMBER = re.compile(r"(?<!\d)\d{1,2}(?!\d)")
_NUMBERED_MONTH = re.compile(r"\b(?:tháng|thg)\s?(\d{1,2})\b", re.IGNORECASE)


class WrittenDate(NamedTuple):
    """A date as far as a text names it; what it does not name is None. Numbers may be out of range."""

    year: int | None = None
    month: int | None = None
    day: int | None = None


@dataclass(frozen=True, slots=True)
class DateStyle:
    """How a source writes its dates.

    Attributes:
        language: a tag such as "nl" or "en-GB"; empty if unknown.
        day_first: whether a date such as 5/6/2025 begins with the day; None if nothing shows it.
    """

    language: str = ""
    day_first: bool | None = None


NO_STYLE = DateStyle()


def style_of(entries: Iterable[Sequence[str]], language: str = "") -> DateStyle:
    """Return the style of a source, from the dates of its entries and its language.

    What a date such as 5/6/2025 begins with follows from a number above 12 in another one, from another date of the
    same entry, or from one order being in the future. Without these, or if they contradict each other, the language
    decides.
    """
    found = {order for texts in entries for order in _shown_orders(texts)}
    return DateStyle(language, found.pop() if len(found) == 1 else begins_with_day(language))


def _shown_orders(texts: Sequence[str]) -> Iterator[bool]:
    """Yield whether the dates of an entry begin with the day, for each that shows it."""
    for text in texts:
        found = _YEAR_LAST.search(text[:_LONGEST])
        if found is None or found[2] == "." or found[1] == found[3]:
            continue
        if (int(found[1]) > 12) != (int(found[3]) > 12):
            yield int(found[1]) > 12
            continue
        readings = {order: to_day(parse_date(text, DateStyle(day_first=order))) for order in (True, False)}
        others = {to_day(parse_date(other)) for other in texts if other != text and not _YEAR_LAST.search(other)}
        tomorrow = datetime.now(UTC).date() + timedelta(days=1)
        for order, day in readings.items():
            other = readings[not order]
            if day and ((day in others and other not in others) or (other and day <= tomorrow < other)):
                yield order


def parse_date(text: str, style: DateStyle = NO_STYLE) -> WrittenDate:
    """Parse a date: "2019-01-15", "2019/01//", "15 Jan. 2019", "JAN 15", "Mon, 24 Nov 2025 10:00 GMT", "1764000000".

    A time with a zone is converted to UTC, except midnight, which stands for the day as it is written. Of a range it
    returns what it begins with; of a range of days the month alone.
    """
    plain = " ".join(unicodedata.normalize("NFKC", text[:_LONGEST]).split())
    if not any(map(str.isdigit, plain)) and not any(map(str.isalpha, plain)):
        return WrittenDate()
    if epoch := _EPOCH.match(plain):
        return _from_epoch(epoch[1])
    rest, offset = split_time(plain)
    written = _in_numbers(rest, style) or _in_words(rest, style)
    return _shifted(written, offset) if offset else written


def _from_epoch(digits: str) -> WrittenDate:
    """Return the day of a Unix time in seconds, milliseconds or microseconds, by its number of digits."""
    seconds = int(digits) // 10 ** (0 if len(digits) < 12 else 3 if len(digits) < 15 else 6)
    day = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
    return WrittenDate(day.year, day.month, day.day)


def _shifted(written: WrittenDate, offset: timedelta) -> WrittenDate:
    """Return the day in UTC of a date with a time: ``offset`` is what is to be added to midnight of that day."""
    try:
        moment = datetime(written.year or 0, written.month or 0, written.day or 0) + offset
    except (ValueError, OverflowError):
        return written
    return WrittenDate(moment.year, moment.month, moment.day)


def _in_numbers(text: str, style: DateStyle) -> WrittenDate | None:
    """Parse a date without the name of a month; None if it has one, or is none."""
    if found := _ISO_WEEK.match(text):
        return _day_of(f"{found[1]}-W{found[2]}-{found[3] or 1}", "%G-W%V-%u")
    if found := _ISO_ORDINAL.match(text):
        return _day_of(found[0], "%Y-%j")
    if found := _COMPACT.match(text):
        return WrittenDate(int(found[1]), int(found[2]), int(found[3]) if found[3] else None)
    if (found := _YEAR_FIRST.match(text)) and (found[3] or not _has_month(text, style)):
        return _year_first(*(int(number) if number else 0 for number in found.group(1, 3, 4)))
    if found := _YEAR_FIRST_INSIDE.search(text):
        return _year_first(int(found[1]), int(found[3]), int(found[4]))
    if found := _YEAR_LAST.search(text):
        return _year_last(found, style)
    if (found := _MONTH_AND_YEAR.search(text)) and 0 < int(found[1]) < 13:
        return WrittenDate(int(found[2]), int(found[1]))
    return None


def _day_of(text: str, form: str) -> WrittenDate:
    try:
        day = datetime.strptime(text, form)
    except ValueError:
        return WrittenDate(int(text[:4]))
    return WrittenDate(day.year, day.month, day.day)


def _year_first(year: int, month: int, day: int) -> WrittenDate:
    if 12 < month < 32 and 0 < day < 13:
        month, day = day, month  # 2025-24-11
    # In EDTF (ISO 8601-2), which BibLaTeX uses, 21 and up are seasons.
    return WrittenDate(year, month if 0 < month < 21 else None, day or None)


def _year_last(found: re.Match[str], style: DateStyle) -> WrittenDate:
    one, separator, other, year = int(found[1]), found[2], int(found[3]), found[4]
    if one > 31 or (len(year) == 2 and int(year) > 31 >= other and one > 12 and other > 12):
        return WrittenDate(_full_year(found[1]), other, int(year))  # 98/11/24
    day_first = one > 12 or (other <= 12 and (separator == "." or bool(style.day_first)))
    day, month = (one, other) if day_first else (other, one)
    return WrittenDate(_full_year(year), month, day)


def _full_year(year: str) -> int:
    """Return a year of two digits as the latest that is not far ahead."""
    if len(year) > 2:
        return int(year)
    latest = datetime.now(UTC).year + _YEARS_AHEAD
    return latest - (latest - int(year)) % 100


def _has_month(text: str, style: DateStyle) -> bool:
    return bool(_NUMBERED_MONTH.search(text) or _months(_WORD.findall(text), style.language))


def _in_words(text: str, style: DateStyle) -> WrittenDate:
    """Parse a date with the name of a month, or a year alone."""
    year = _YEAR.search(text)
    short = None if year else _SHORT_YEAR.search(text)
    left = text
    if at := year or short:
        start, end = at.span(at.lastindex or 0)
        left = f"{text[:start]} {text[end:]}"
    left = _QUARTER.sub(" ", left)
    # A number next to words that name no month is no month either.
    written = parse_month(left, style=style) if not _WORD.search(left) or _has_month(left, style) else WrittenDate()
    return written._replace(year=_full_year(at[at.lastindex or 0]) if at else None)


def parse_month(text: str, day: str = "", style: DateStyle = NO_STYLE) -> WrittenDate:
    """Parse a month, as a name or a number, with the day if the text names one: "nov", "11", "JAN 15".

    Args:
        text: the month.
        day: the day, if it has a field of its own.
        style: of the source.
    """
    text = text[:_LONGEST]
    numbered = _NUMBERED_MONTH.search(text)
    names = [int(numbered[1])] if numbered else _months(_WORD.findall(text), style.language)
    rest = _NUMBERED_MONTH.sub(" ", text)
    numbers = list(map(int, _NUMBER.findall(rest)))
    if not names:
        names, numbers = numbers[:1], []
    if _NUMBER.fullmatch(day.strip()):
        numbers = [int(day)]
    return WrittenDate(None, (names or [0])[0] or None, numbers[0] or None if names and len(numbers) == 1 else None)


def _months(words: list[str], language: str) -> list[int]:
    """Return the months that words name. What is also the name of a day of the week ("mar" in Spanish) is a month only
    if there is no other.
    """
    found = [(word, number) for word in words if (number := month_number(word, language))]
    if not found:
        # Words such as "GMT" are no month in any language; most dates have a month in English too.
        found = [(word, number) for word in words if len(word) > 1 and (number := foreign_month_number(word, words))]
    if len({number for _, number in found}) > 1:
        found = [one for one in found if not is_weekday(one[0], language)] or found
    return [number for _, number in found]


def published_on(dates: Iterable[WrittenDate]) -> date | None:
    """Return the day that the dates of one paper name, or the first of its month or year if that is all there is.

    A month without a year belongs to the year that another field has. The first date that can be one has the year and
    the month; of those that agree, the most detailed one counts.

    Raises:
        ValueError: no date is left, and one that was given does not exist.
    """
    given = list(dates)
    months = [one for one in given if one.year is None and one.month]
    month = max(months, key=lambda one: bool(one.day), default=WrittenDate())
    whole = [one if one.month else month._replace(year=one.year) for one in given if one.year is not None]
    good = [one for one in whole if to_day(one)]
    if good:
        first = good[0]
        agreeing = (
            one for one in good if one.year == first.year and (not first.month or one.month in (None, first.month))
        )
        return to_day(max(agreeing, key=lambda one: sum(map(bool, one))))
    for one in whole:
        if not _exists(one):
            written = "-".join(str(number) for number in one if number is not None)
            raise ValueError(f"the date {written!r} does not exist")
    return None


def _exists(written: WrittenDate) -> bool:
    try:
        sane_day(date(written.year or 0, written.month or 1, (written.month and written.day) or 1))
    except (ValueError, OverflowError):
        return False
    return True


def to_day(written: WrittenDate) -> date | None:
    """Return the day of a date, or the first of its month or year if that is all there is; None without a year, and for
    what cannot be the date of a paper: a day that does not exist, is years ahead, or stands for none (1970-01-01).
    """
    if written.year is None or written == _UNSET or not _exists(written):
        return None
    day = date(written.year, written.month or 1, (written.month and written.day) or 1)
    return day if day.year <= datetime.now(UTC).year + _YEARS_AHEAD else None
