"""Fields that BibTeX and RIS have in common: dates, arXiv ids, venues and names of authors."""

import calendar
import re
from collections.abc import Iterable
from datetime import date
from typing import NamedTuple

from newsletter.sources.bounds import sane_day
from newsletter.support import identifiers
from newsletter.support.person_names import split_name
from newsletter.support.text import to_single_line

_NUMBERED_DAY = re.compile(r"\s*(\d{4})(?:([-/.])(\d{1,2})?(?:\2(\d{1,2})?)?)?(?!\d)", re.ASCII)
_YEAR = re.compile(r"(?<!\d)\d{4}(?!\d)", re.ASCII)
_WORD = re.compile(r"[^\W\d_]{3,}")
_NUMBER = re.compile(r"\d+", re.ASCII)
_MONTHS = tuple(name.lower() for name in calendar.month_name[1:])
_ARXIV_NAMED = re.compile(
    r"^\W*(?=[^\d]*(?:arxiv|corr|print))"
    r"(?:(?:available|posted|online|here|at|as|on|from|with|id|identifier|number|no|version|https?|www"
    r"|(?:export\.)?arxiv(?:\.org)?|corr|e-?prints?|preprint|abs|pdf)\b\W*)+"
    r"((?:\d{4}\.\d{4,5}|[a-z-]+(?:\.[a-z-]+)?/\d{7})(?:v\d{1,3})?)(?!\d)",
    re.IGNORECASE,
)
_PREPRINT_SERVER = re.compile(
    r"\W*(?:(?:e-?prints?|preprint)\b[\s:]*(?:(?:at|in|on|from)\s+)?)?"
    r"(?:[a-z]*r[xχ]iv(?:\.org)?\b|corr(?:$|[,:]|\s+abs\b)|osf preprints|social science research network"
    r"|computing research repository|research square\b|ssrn\b|preprints?\.org|preprints?\W*$)",
    re.IGNORECASE,
)


class WrittenDate(NamedTuple):
    """A date as far as a text names it; what it does not name is None. Numbers may be out of range."""

    year: int | None = None
    month: int | None = None
    day: int | None = None


def parse_date(text: str) -> WrittenDate:
    """Parse a date in numbers or with an English month: "2019-01-15", "2019/01//", "15 Jan. 2019", "JAN 15", "2019".

    Of a range it returns what it begins with; of a range of days the month alone.
    """
    if found := _NUMBERED_DAY.match(text):
        year, month, day = (int(number) if number else 0 for number in found.group(1, 3, 4))
        if month or not _WORD.search(text):
            # In EDTF (ISO 8601-2), which BibLaTeX uses, 21 and up are seasons.
            return WrittenDate(year, month if 0 < month < 21 else None, day or None)
    first_year = _YEAR.search(text)
    month_and_day = parse_month(_YEAR.sub(" ", text))
    return month_and_day._replace(year=int(first_year[0]) if first_year else None)


def parse_month(text: str, day: str = "") -> WrittenDate:
    """Parse a month, in English or as a number, with the day if the text names one: "nov", "11", "JAN 15".

    Args:
        text: the month.
        day: the day, if it has a field of its own.
    """
    names = [number for word in _WORD.findall(text) if (number := _month_number(word.lower()))]
    numbers = list(map(int, _NUMBER.findall(text)))
    if not names:
        names, numbers = numbers[:1], []
    if _NUMBER.fullmatch(day.strip()):
        numbers = [int(day)]
    return WrittenDate(None, (names or [0])[0] or None, numbers[0] or None if names and len(numbers) == 1 else None)


def _month_number(word: str) -> int | None:
    return next((at for at, name in enumerate(_MONTHS, start=1) if name.startswith(word) or word == name[:4]), None)


def published_on(dates: Iterable[WrittenDate]) -> date | None:
    """Return the day that the dates of one paper name, or the first of its month or year if that is all there is.

    The year is the first one given; the date that says most about it wins, in the order given.

    Raises:
        ValueError: the date does not exist, or no paper can be from that year.
    """
    given = list(dates)
    year = next((one.year for one in given if one.year is not None), None)
    if year is None:
        return None
    best = max((one for one in given if one.year in (None, year)), key=lambda one: sum(map(bool, one[1:])))
    written = "-".join(str(number) for number in (year, best.month, best.day) if number is not None)
    try:
        return sane_day(date(year, best.month or 1, (best.month and best.day) or 1))
    except ValueError:
        raise ValueError(f"the date {written!r} does not exist") from None


def find_arxiv_id(texts: Iterable[str]) -> tuple[str, int | None] | None:
    """Return the arXiv id and version that one of some texts is, or begins with after the name of arXiv, as in
    "arXiv preprint arXiv:1706.03762 [cs]" or "CoRR abs/1706.03762".
    """
    for text in texts:
        named = _ARXIV_NAMED.match(text)
        if found := identifiers.arxiv_id(named[1] if named else text):
            return found
    return None


def venue(text: str) -> str | None:
    """Return the name of a journal or a conference; None for a server of preprints, which is no venue."""
    name = to_single_line(text)
    return None if not name or _PREPRINT_SERVER.match(name) else name


def given_name_first(name: str) -> str:
    """Return a name in its usual order: "Maaten, Laurens van der" becomes "Laurens van der Maaten"."""
    plain = to_single_line(name).strip(" ,")
    if "," not in plain:
        return plain
    split = split_name(plain)
    return " ".join(filter(None, (split.given, split.family, split.suffix)))
