"""What a source is: a name, and papers for a stretch of days."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Protocol

from newsletter.model import Paper, SkippedPaper

if TYPE_CHECKING:
    from newsletter.sources.http import HttpClient


@dataclass(frozen=True, slots=True)
class DateRange:
    """The days asked for, both ends included; ``until`` is never None, ``since`` is None for "what is new now"."""

    since: date | None
    until: date


class Source(Protocol):
    """Where papers come from.

    ``fetch`` yields papers as they are read, and a :class:`SkippedPaper` for each that cannot be read: one bad paper
    never stops the others. A 304 response (not modified) ends it without a paper. ``Paper.sources`` stays empty, since
    the caller knows the source's name.

    Raises:
        SourceError: the source as a whole failed; what was yielded before stays good.
        UserError: a file of one's own cannot be read.
    """

    @property
    def name(self) -> str: ...

    def fetch(self, window: DateRange, http: "HttpClient") -> Iterator[Paper | SkippedPaper]: ...
