"""The section of a digest that says what became of papers that its subscriber was sent or saved."""

from collections.abc import Sequence
from dataclasses import dataclass

from newsletter.model import Digest, Layout, PaperUpdate
from newsletter.rendering.event_words import EventLine, event_line, heaviest, short_day
from newsletter.rendering.paper_card import display_title, page_url, paper_card, status_label
from newsletter.rendering.template import Templates

UPDATES = "Updates"
"""The name of the section."""

_SENTENCES = {Layout.FULL: 2, Layout.COMPACT: 1, Layout.TITLES: 0}


@dataclass(frozen=True, slots=True)
class UpdateContext:
    """A paper of the section for templates.

    Attributes:
        title, url: as in a card; the link leads to the paper's page on the site, if there is one.
        label: "Retracted" or "Withdrawn", unless one of the ``lines`` says so.
        lines: what became of it, oldest event first.
        known: where the reader knows it from, in a sentence; empty in a digest that anyone may read.
        is_warning: whether one of the lines is a warning.
    """

    title: str
    url: str | None
    label: str
    lines: tuple[EventLine, ...]
    known: str
    is_warning: bool


@dataclass(frozen=True, slots=True)
class UpdatesContext:
    """The section for templates; ``name``, ``anchor`` and ``papers`` as in the other sections.

    Attributes:
        first: whether it comes before the other sections, since it has a warning.
        words: the number of words to read.
    """

    name: str
    anchor: str
    papers: tuple[UpdateContext, ...]
    first: bool
    words: int


def by_paper(updates: Sequence[PaperUpdate]) -> list[list[PaperUpdate]]:
    """Group updates by paper: papers with a warning first, then in the order of their first event."""
    groups: dict[int, list[PaperUpdate]] = {}
    for one in updates:
        groups.setdefault(one.paper.row, []).append(one)
    return sorted(groups.values(), key=lambda own: not any(one.event.kind.is_warning for one in own))


def updates_context(
    templates: Templates, digest: Digest, layout: Layout, shared: bool, brief: bool = False
) -> UpdatesContext | None:
    """Build the section of a digest; None if it has no updates.

    Args:
        shared: whether anyone may read the digest.
        brief: whether sentences of abstracts are left out, to save space.
    """
    if not digest.updates:
        return None
    most, year = 0 if brief else _SENTENCES[layout], digest.edition.year
    papers = tuple(_entry(templates, own, most, year, shared) for own in by_paper(digest.updates))
    words = sum(len(f"{one.title} {one.known}".split()) + sum(line.length for line in one.lines) for one in papers)
    return UpdatesContext(UPDATES, "updates", papers, papers[0].is_warning, words)


def _entry(templates: Templates, own: Sequence[PaperUpdate], most: int, year: int, shared: bool) -> UpdateContext:
    paper = own[-1].paper
    lines = tuple(event_line(one.event, most, year) for one in own)
    said = any(one.event.kind.value == paper.status for one in own)
    return UpdateContext(
        title=display_title(paper),
        url=page_url(templates.look.site_url, paper) or paper_card(templates, paper).url,
        label="" if said else status_label(paper),
        lines=lines,
        known="" if shared else _known(own, year),
        is_warning=any(line.is_warning for line in lines),
    )


def _known(own: Sequence[PaperUpdate], year: int) -> str:
    days = [one.sent_on for one in own if one.sent_on is not None]
    sent = f"Sent to you on {short_day(min(days), year)}" if days else ""
    if any(one.saved for one in own):
        return f"{sent}; you saved it." if sent else "You saved it."
    return f"{sent}." if sent else ""


def update_title(own: Sequence[PaperUpdate]) -> str:
    """Return the title of a paper after what matters most of its events, like "Retracted: On tides"."""
    return f"{heaviest([one.event for one in own])}: {display_title(own[-1].paper)}"


def warned_titles(updates: Sequence[PaperUpdate]) -> list[str]:
    """Return the titles of the papers with a warning, as :func:`update_title` does."""
    groups = by_paper(updates)
    return [update_title(own) for own in groups if any(one.event.kind.is_warning for one in own)]


def count_of(updates: Sequence[PaperUpdate]) -> int:
    """Return the number of papers that have updates."""
    return len({one.paper.row for one in updates})
