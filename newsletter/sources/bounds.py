"""Limits on what sources may return: every paper passes :func:`within_bounds` on its way to the store.

What is too long is truncated, what cannot be right is left out, and both are reported. A paper with an unusable
identifier is skipped. docs/reference/sources.md has the same numbers.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from datetime import date
from itertools import accumulate
from typing import Any

from newsletter.model import Notice, Paper, PaperStatus, SkippedPaper
from newsletter.sources.base import Found
from newsletter.sources.errors import SourceError
from newsletter.sources.status_marks import split_status, withdrawn_by_text
from newsletter.sources.text import excerpt, web_link
from newsletter.support.text import to_single_line

MAX_RESPONSE_BYTES = 50_000_000
"""The maximum size of a response, both as transferred and decompressed."""

MAX_FILE_PAPERS = 500_000
"""Maximum papers in an imported file; for sources it is ``network.source_papers``."""

MAX_COUNT = 2**31 - 1
"""The highest number that fits an integer column in every database."""

EARLIEST_YEAR, LATEST_YEAR = 1600, 2200

MAX_CHARACTERS = {
    "title": 1_000,
    "abstract": 10_000,
    "summary": 2_000,
    "summary_by": 100,
    "organization": 300,
    "venue": 300,
}
MAX_ITEMS = {"authors": (5_000, 200), "categories": (50, 100), "keywords": (50, 100), "other_ids": (20, 300)}
"""Maximum number of items, and of characters in each."""

MAX_AUTHOR_CHARACTERS = 200_000
"""Maximum characters of all authors of a paper together."""

MAX_IDENTIFIER = 300
MAX_URL = 2_000
MAX_PROBLEM = 500
"""Maximum characters of the message about a skipped paper, or about a source that failed."""

_COUNTS = ("author_count", "version", "code_stars", "upvotes", "comments")
_DAYS = ("published", "listed_on", "version_day")
_URLS = ("url", "pdf_url", "code_url", "project_url", "thumbnail_url")
_MAX_LINKS = 20
_HTTPS_ONLY = ("thumbnail_url",)
"""Addresses that the program itself requests."""


@dataclass(frozen=True, slots=True)
class Bounded:
    """A paper within the limits, or the reason why one was skipped.

    Attributes:
        cut: what was truncated or left out of the paper, one line each.
    """

    item: Found
    cut: tuple[str, ...] = ()


def all_within_bounds(found: Iterator[Found], most: int, setting: str) -> Iterator[Bounded]:
    """Yield the first ``most`` papers and as many notices about others, each within its limits.

    Args:
        setting: how to allow more, for the error.

    Raises:
        SourceError: there are more.
    """
    papers = notices = 0
    for item in found:
        is_notice = isinstance(item, Notice)
        papers, notices = papers + (not is_notice), notices + is_notice
        if max(papers, notices) > most:
            what = "notices about papers" if is_notice else "papers"
            raise SourceError(f"returns more than {most:,} {what}; the rest was left out; {setting}")
        yield within_bounds(item)


def within_bounds(item: Found) -> Bounded:
    """Bring a paper within the limits of this module. Its texts become one line without invalid characters.

    A title that begins with "RETRACTED:" or the like, and an abstract that says that the paper was withdrawn, set its
    status; the title loses its mark.
    """
    if isinstance(item, SkippedPaper):
        return Bounded(SkippedPaper(brief(item.where), brief(item.why)))
    if isinstance(item, Notice):
        return _notice_within_bounds(item)
    title = to_single_line(item.title)
    if not title:
        return Bounded(SkippedPaper("a paper without a title", "title: missing"))
    if (why := _unusable(item)) is not None:
        return Bounded(SkippedPaper(excerpt(title), why))
    values = {field.name: getattr(item, field.name) for field in fields(item)}
    values["title"], marked = split_status(title)
    values["status"] = item.status or marked or (PaperStatus.WITHDRAWN if withdrawn_by_text(item.abstract) else None)
    cut: list[str] = []
    _bound_texts(values, cut)
    _bound_lists(values, cut)
    _bound_numbers(values, cut)
    _bound_urls(values, cut)
    return Bounded(replace(item, **values), tuple(f"{excerpt(title)}: {line}" for line in cut))


def _notice_within_bounds(notice: Notice) -> Bounded:
    """Bring a notice, and the paper in it, within the limits; without a usable identifier it is skipped."""
    about = within_bounds(
        Paper(
            title=f"a notice about {excerpt(notice.of[0])}" if notice.of else "a notice",
            venue=notice.venue,
            doi=notice.doi,
            other_ids=notice.of,
            url=notice.url,
            published=notice.day,
            version=notice.version,
        )
    )
    own, paper = about.item, within_bounds(notice.paper) if notice.paper is not None else None
    if not isinstance(own, Paper):
        return about
    if paper is not None and not isinstance(paper.item, Paper):
        return paper
    told = replace(
        notice,
        of=own.other_ids,
        day=own.published,
        venue=own.venue,
        doi=own.doi,
        url=own.url,
        version=own.version,
        paper=paper.item if paper is not None and isinstance(paper.item, Paper) else None,
    )
    return Bounded(told, (*about.cut, *(paper.cut if paper is not None else ())))


def sane_day(day: date) -> date:
    """Return the same day if it is plausible.

    Raises:
        ValueError: no paper can be from that year.
    """
    if not EARLIEST_YEAR <= day.year <= LATEST_YEAR:
        raise ValueError(f"is not a day in {EARLIEST_YEAR} to {LATEST_YEAR}")
    return day


def brief(text: str) -> str:
    """Shorten a message about a source or a paper to one line of limited length."""
    return _cut_at_word(to_single_line(text), MAX_PROBLEM)


def _unusable(paper: Paper) -> str | None:
    """Return why an identifier is unusable; None if all are fine."""
    for name in ("arxiv_id", "doi"):
        value = getattr(paper, name)
        if value is None:
            continue
        if len(value) > MAX_IDENTIFIER:
            return f"{name}: longer than {MAX_IDENTIFIER} characters, got {excerpt(value)}"
        if not value or to_single_line(value) != value:
            return f"{name}: contains characters that are not allowed in identifiers, got {excerpt(value)}"
    return None


def _bound_texts(values: dict[str, Any], cut: list[str]) -> None:
    for name, most in MAX_CHARACTERS.items():
        text = to_single_line(values[name]) if values[name] else values[name]
        if text and len(text) > most:
            cut.append(f"{name} cut to {most:,} of {len(text):,} characters")
            text = _cut_at_word(text, most)
        values[name] = text


def _bound_lists(values: dict[str, Any], cut: list[str]) -> None:
    for name, (most, longest) in MAX_ITEMS.items():
        items: Sequence[str] = values[name]
        if len(items) > most:
            cut.append(f"{name} cut to the first {most:,} of {len(items):,}")
        kept = [to_single_line(item) for item in items[:most]]
        if too_long := sum(len(item) > longest for item in kept):
            cut.append(f"{name}: {too_long:,} cut to {longest} characters")
        values[name] = tuple(_cut_at_word(item, longest) for item in kept if item)
    authors = values["authors"]
    # The total after each name increases, so bisect finds how many names fit.
    fitting = sum(total <= MAX_AUTHOR_CHARACTERS for total in accumulate(map(len, authors)))
    if fitting < len(authors):
        cut.append(f"authors cut to the first {fitting:,}, the maximum is {MAX_AUTHOR_CHARACTERS:,} characters")
        values["authors"] = authors[:fitting]


def _bound_numbers(values: dict[str, Any], cut: list[str]) -> None:
    for name in _COUNTS:
        if values[name] is not None and not 0 <= values[name] <= MAX_COUNT:
            cut.append(f"{name} left out, since it is not between 0 and {MAX_COUNT:,}")
            values[name] = None
    for name in _DAYS:
        if values[name] is not None and not EARLIEST_YEAR <= values[name].year <= LATEST_YEAR:
            cut.append(f"{name} left out, since {values[name]} is not in {EARLIEST_YEAR} to {LATEST_YEAR}")
            values[name] = None


def _bound_urls(values: dict[str, Any], cut: list[str]) -> None:
    for name in _URLS:
        url = values[name]
        if url and len(url) > MAX_URL:
            cut.append(f"{name} left out, since it is longer than {MAX_URL:,} characters")
            url = None
        if url and name in _HTTPS_ONLY and not url.strip().lower().startswith("https://"):
            cut.append(f"{name} left out, since it does not begin with https://")
            url = None
        values[name] = web_link(url)
    links = [link for link in values["links"] if len(link) <= MAX_URL and web_link(link)]
    values["links"] = tuple(links[:_MAX_LINKS])


def _cut_at_word(text: str, most: int) -> str:
    """Shorten a text in one line to ``most`` characters, with an ellipsis in place of the rest."""
    if len(text) <= most:
        return text
    head = text[:most]
    space = head.rfind(" ", most // 2)
    return (head[:space] if space > 0 else head[: most - 1]).rstrip() + "…"
