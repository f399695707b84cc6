"""A Daily Papers page saved as text.

The page begins with a few lines of the site and its date (``Nov 25``). Then come the papers: a title, an abstract, and
on some pages a byline of three lines: ``• 6 authors`` or an organisation, ``·``, and the paper's date, followed by the
number of comments if there are any.

Blank lines separate the texts, and nothing else distinguishes a title from an abstract. So each text is rated by what
would be odd in a title (a full stop at the end, great length) and in an abstract (being short and without a full stop,
being a further paragraph), and the interpretation of the whole page with the fewest oddities is chosen. On a page of
alternating titles and abstracts that is the obvious one; a second paragraph, or a title without an abstract, is
recognised by its neighbours.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import TypeAlias

from newsletter.errors import UserError
from newsletter.model import Paper, SkippedPaper
from newsletter.sources.bounds import EARLIEST_YEAR, LATEST_YEAR, sane_day
from newsletter.sources.text import excerpt
from newsletter.support.text import to_single_line

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_DATE = re.compile(
    rf"(?P<month>{'|'.join(_MONTHS)}) (?P<day>\d{{1,2}})(?:, (?P<year>[12]\d{{3}}))?(?: (?P<comments>\d{{1,7}}))?",
    re.ASCII,
)
_AUTHORS = re.compile(r"[•·]? ?(?P<count>\d{1,6}) authors?", re.ASCII)
_HEADER = {
    "new",
    "gettrendingpapersinyouremailinbox!",
    "subscribe",
    "dailypapers",
    "byakandtheresearchcommunity",
}
_LONGEST_TITLE = 300
_NO_ABSTRACT = 2
_ONE_MORE_PARAGRAPH = 1
_LONGEST_ORGANIZATION = 120


_Chain: TypeAlias = "tuple[bool, _Chain] | None"


@dataclass(frozen=True, slots=True)
class Page:
    """A parsed page: its date and its papers, in order."""

    listed_on: date
    papers: tuple[Paper | SkippedPaper, ...]


@dataclass(frozen=True, slots=True)
class _Day:
    """A date as written on the page, perhaps without a year, with the number of comments that may follow it."""

    line: int
    written: str
    month: int
    day: int
    year: int | None
    comments: int | None

    def in_year(self, year: int) -> date | None:
        """Return the day in its own year, or else in the given one; None if it does not exist (Feb 29)."""
        try:
            return sane_day(date(self.year or year, self.month, self.day))
        except ValueError:
            return None


@dataclass(frozen=True, slots=True)
class _Byline:
    who: str
    day: _Day


@dataclass(slots=True)
class _Part:
    """A text between blank lines, with the byline that follows it."""

    line: int
    lines: list[str]
    byline: _Byline | None = None

    @property
    def text(self) -> str:
        return " ".join(self.lines)


@dataclass(slots=True)
class _Entry:
    title: _Part
    abstract: list[_Part] = field(default_factory=list)

    @property
    def byline(self) -> _Byline | None:
        return (self.abstract[-1] if self.abstract else self.title).byline


def read_page(text: str, shown: str, as_of: date) -> Page:
    """Parse a saved page.

    Args:
        text: the page.
        shown: the file's name, for errors.
        as_of: the day the page was saved, or a later one. The page's date has no year: it gets the latest year in
            which it is not after this day and which is later than all years written on the page.

    Raises:
        UserError: the text is not such a page, or no year fits.
    """
    lines = [to_single_line(line) for line in text.replace("\r\n", "\n").replace("\r", "\n").split("\n")]
    heading = _heading(lines, shown)
    parts = list(_parts(lines, heading.line))
    year = _year(heading, [part.byline.day for part in parts if part.byline], shown, as_of)
    listed_on = heading.in_year(year)
    if listed_on is None:
        raise UserError(f"{shown}:{heading.line}: the date {heading.written!r} does not exist; correct the page's date")
    return Page(listed_on, tuple(_paper(entry, listed_on, shown) for entry in _entries(parts)))


def _heading(lines: Sequence[str], shown: str) -> _Day:
    """Return the page's date, which follows the lines of the site."""
    number = 0
    for number, line in enumerate(lines, start=1):
        if not line or line.replace(" ", "").casefold() in _HEADER:
            continue
        if (day := _day(line, number)) and day.comments is None:
            return day
        raise UserError(
            f"{shown}:{number}: expected the date of a saved Daily Papers page, like 'Nov 25', but found "
            f"{excerpt(line)}; save the page as text from the top"
        )
    raise UserError(f"{shown}:{number}: the page's date, like 'Nov 25', is missing; save the page as text again")


def _day(line: str, number: int) -> _Day | None:
    match = _DATE.fullmatch(line)
    if match is None:
        return None
    year, comments = match["year"], match["comments"]
    return _Day(
        line=number,
        written=line,
        month=_MONTHS.index(match["month"]) + 1,
        day=int(match["day"]),
        year=int(year) if year else None,
        comments=int(comments) if comments else None,
    )


def _parts(lines: Sequence[str], after: int) -> Iterator[_Part]:
    """Yield the texts below line ``after``, each with its byline."""
    full = [(number, line) for number, line in enumerate(lines, start=1) if line and number > after]
    part: _Part | None = None
    index = 0
    while index < len(full):
        number, line = full[index]
        byline, length = _byline(full[index : index + 3])
        if byline:
            part = part or _Part(number, [])
            part.byline = byline
            yield part
            part = None
        elif part and part.line + len(part.lines) == number:
            part.lines.append(line)
        else:
            if part:
                yield part
            part = _Part(number, [line])
        index += length
    if part:
        yield part


def _byline(following: Sequence[tuple[int, str]]) -> tuple[_Byline | None, int]:
    """Return the byline at the beginning of these lines, and its number of lines; the authors may be missing."""
    for length, who in ((3, following[0][1]), (2, "")):
        if len(following) < length or following[length - 2][1] != "·":
            continue
        number, line = following[length - 1]
        day = _day(line, number)
        if day and len(who) <= _LONGEST_ORGANIZATION:
            return _Byline(who, day), length
    return None, 1


def _year(heading: _Day, days: Sequence[_Day], shown: str, as_of: date) -> int:
    if heading.year:
        return heading.year
    written = [day for day in days if day.year and day.in_year(day.year)]
    latest = max(written, key=lambda day: day.year or 0, default=None)
    above = latest.year if latest and latest.year else EARLIEST_YEAR - 1
    # A leap day without a year belongs to the page's year, so that year has one.
    yearless = [heading, *(day for day in days if not day.year and (day.month, day.day) == (2, 29))]

    def fits(year: int) -> bool:
        return all(day.in_year(year) for day in yearless)

    for year in range(as_of.year, above, -1):
        listed_on = heading.in_year(year)
        if listed_on and listed_on <= as_of and fits(year):
            return year
    later = next((year for year in range(max(above + 1, as_of.year), LATEST_YEAR) if fits(year)), None)
    if later is None:
        raise UserError(f"{shown}:{heading.line}: the date {heading.written!r} does not exist; correct the page's date")
    above_said = f"later than {above} (line {latest.line}) and " if latest else ""
    raise UserError(
        f"{shown}:{heading.line}: {heading.written!r} has no year, and none fits: it must be {above_said}not after "
        f"{as_of}; say when the page was saved with --as-of {heading.in_year(later)} or later"
    )


def _entries(parts: Sequence[_Part]) -> Iterator[_Entry]:
    entry: _Entry | None = None
    for part, is_title in zip(parts, _titles(parts), strict=True):
        if is_title or entry is None:
            if entry:
                yield entry
            entry = _Entry(part)
        else:
            entry.abstract.append(part)
    if entry:
        yield entry


def _titles(parts: Sequence[_Part]) -> list[bool]:
    """Return for each part whether it is a title, in the interpretation with the fewest oddities (found by Viterbi)."""
    # The best interpretation so far for each kind of last part (a title or not; None before the first part of a paper):
    # its oddities, and its parts as a chain from last to first.
    best: dict[bool | None, tuple[int, _Chain]] = {None: (0, None)}
    for part in parts:
        best = {
            is_title: min(found, key=lambda reading: reading[0])
            for is_title in (True, False)
            if (found := list(_continued(best, is_title, _oddities(part, is_title))))
        }
        if part.byline or part is parts[-1]:
            ended = [(odd + (_NO_ABSTRACT if is_title else 0), chain) for is_title, (odd, chain) in best.items()]
            best = {None: min(ended, key=lambda reading: reading[0])}
    _, chain = min(best.values(), key=lambda reading: reading[0])
    titles = []
    while chain:
        is_title, chain = chain
        titles.append(is_title)
    return titles[::-1]


def _continued(
    best: Mapping[bool | None, tuple[int, _Chain]], is_title: bool, own: int
) -> Iterator[tuple[int, _Chain]]:
    for last, (odd, chain) in best.items():
        if last is None and not is_title:
            continue
        between = _NO_ABSTRACT if last and is_title else _ONE_MORE_PARAGRAPH if last is is_title else 0
        yield odd + between + own, (is_title, chain)


def _oddities(part: _Part, is_title: bool) -> int:
    text = part.text
    too_long = len(text) > _LONGEST_TITLE or len(part.lines) > 1
    prose = too_long or text.endswith((".", ":", ";", ",")) or "://" in text
    if is_title:
        return 4 if too_long else 1 if prose else 0
    return 0 if prose else 2


def _paper(entry: _Entry, listed_on: date, shown: str) -> Paper | SkippedPaper:
    where, title, byline = f"{shown}:{entry.title.line}", entry.title.text, entry.byline
    if not title:
        return SkippedPaper(where, "authors and a date without a title above")
    if byline is None and not entry.abstract:
        return SkippedPaper(where, f"{excerpt(title)} has no abstract below it")
    published = byline.day.in_year(listed_on.year) if byline else None
    if byline and published is None:
        return SkippedPaper(f"{shown}:{byline.day.line}", f"the date {byline.day.written!r} does not exist")
    who = byline.who if byline else ""
    authors = _AUTHORS.fullmatch(who)
    return Paper(
        title=title,
        abstract=to_single_line(" ".join(part.text for part in entry.abstract)),
        author_count=int(authors["count"]) if authors else None,
        organization=None if authors else _organization(who),
        published=published,
        listed_on=listed_on,
        comments=byline.day.comments if byline else None,
    )


def _organization(who: str) -> str | None:
    """Return the name of an organisation, which follows its handle: ``apple Apple``."""
    handle, _, name = who.partition(" ")
    return name or handle or None
