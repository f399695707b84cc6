"""The interface of a source: a name, and papers for a range of days."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Protocol

from newsletter.model import Notice, Paper, SkippedPaper

if TYPE_CHECKING:
    from newsletter.sources.http import HttpClient


Found = Paper | Notice | SkippedPaper
"""What a source yields."""


@dataclass(frozen=True, slots=True)
class DateRange:
    """The range of days requested, inclusive; ``until`` is never None, ``since`` is None for "what is new now"."""

    since: date | None
    until: date


class Source(Protocol):
    """A provider of papers.

    ``fetch`` yields papers as they are read, a :class:`Notice` for what became of a paper that is not listed itself,
    and a :class:`SkippedPaper` for each that cannot be parsed: one bad paper never stops the others. A 304 response
    (not modified) ends it without a paper. ``Paper.sources`` stays empty, since the caller knows the source's name.

    Raises:
        SourceError: the source as a whole failed; what was yielded before remains valid.
        UserError: a local file cannot be read.
    """

    @property
    def name(self) -> str: ...

    def fetch(self, window: DateRange, http: "HttpClient") -> Iterator[Found]: ...
