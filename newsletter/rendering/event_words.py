"""What became of a paper, in words: the same in emails, on pages, in feeds and in commands."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from urllib.parse import quote

from newsletter.model import EventKind, PaperEvent
from newsletter.rendering.paper_card import Labelled
from newsletter.rendering.plain_text import readable, shorten
from newsletter.support.text import to_single_line

_LONGEST_SENTENCE = 240
_LONGEST_VENUE = 120
_WORDS = {
    EventKind.PUBLISHED: "Published",
    EventKind.REVISED: "Revised",
    EventKind.CORRECTED: "Corrected",
    EventKind.CONCERN: "Expression of concern",
    EventKind.WITHDRAWN: "Withdrawn",
    EventKind.RETRACTED: "Retracted",
}
_BY_WEIGHT = (
    EventKind.RETRACTED,
    EventKind.WITHDRAWN,
    EventKind.CONCERN,
    EventKind.CORRECTED,
    EventKind.PUBLISHED,
    EventKind.REVISED,
)


@dataclass(frozen=True, slots=True)
class EventLine:
    """An event in words.

    Attributes:
        words: like "Published in Nature on 20 November 2025".
        url: the article or the notice, None if unknown. ``link``: what that is, as the text of a link.
        is_warning: whether the paper should not be relied on, or perhaps not.
        details: the former title, and the sentences that are new in the abstract or no longer there, with labels.
    """

    words: str
    url: str | None
    link: str
    is_warning: bool
    details: tuple[Labelled, ...] = ()

    @property
    def length(self) -> int:
        """The number of words to read."""
        return len(self.words.split()) + sum(len(one.text.split()) for one in self.details)


def event_line(event: PaperEvent, most: int = 2, year: int | None = None) -> EventLine:
    """Return an event in words.

    Args:
        most: how many sentences to show of those that are new in the abstract, and of those no longer there; 0 for no
            details at all.
        year: which a date does not repeat.
    """
    return EventLine(
        words=_words(event, year),
        url=_url(event),
        link="article" if event.kind is EventKind.PUBLISHED else "notice",
        is_warning=event.kind.is_warning,
        details=_details(event, most) if most else (),
    )


def _words(event: PaperEvent, year: int | None) -> str:
    venue = shorten(to_single_line(readable(event.venue or "")), _LONGEST_VENUE) if event.venue else ""
    where = f" in {venue}" if venue and event.kind is EventKind.PUBLISHED else ""
    version = f" (version {event.version})" if event.version else ""
    on = f" on {short_day(event.day, year)}" if event.day else ""
    return f"{_WORDS[event.kind]}{version}{where}{on}"


def short_day(day: date, year: int | None = None) -> str:
    """Format a day like "27 November 2025", without the year if that is ``year``."""
    return f"{day.day} {day:%B}" if day.year == year else f"{day.day} {day:%B %Y}"


def _url(event: PaperEvent) -> str | None:
    # Sources return only addresses that are safe to follow, but other programs may write to the store.
    if event.url and event.url.startswith(("https://", "http://")):
        return event.url
    return doi_url(event.doi) if event.doi else None


def doi_url(doi: str) -> str:
    """Return the address of a DOI (https://www.doi.org/doi-handbook/, 3.8: other characters are percent-encoded)."""
    return f"https://doi.org/{quote(doi, safe='/:;()._-')}"


def _details(event: PaperEvent, most: int) -> tuple[Labelled, ...]:
    found = []
    if event.former_title:
        title = shorten(to_single_line(readable(event.former_title)), _LONGEST_SENTENCE)
        found.append(Labelled("Former title", f"“{title}”"))
    for label, sentences in (("New in the abstract", event.added), ("No longer in the abstract", event.removed)):
        if sentences:
            found.append(Labelled(label, _quoted(sentences, most)))
    return tuple(found)


def _quoted(sentences: Sequence[str], most: int) -> str:
    shown = [f"“{shorten(to_single_line(readable(one)), _LONGEST_SENTENCE)}”" for one in sentences[:most]]
    more = len(sentences) - len(shown)
    return " ".join(shown) + (f" and {more} more sentence{'' if more == 1 else 's'}" if more else "")


def event_name(kind: EventKind) -> str:
    """Return a kind of event in a word or two, like "Retracted"."""
    return _WORDS[kind]


def heaviest(events: Sequence[PaperEvent]) -> str:
    """Return in a word or two the event of a paper that matters most, like "Retracted"."""
    return _WORDS[min((one.kind for one in events), key=_BY_WEIGHT.index)]
