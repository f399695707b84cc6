"""The values that templates use to render a digest."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import cached_property, lru_cache
from itertools import groupby
from math import ceil
from typing import Any

from newsletter.config.settings import Site
from newsletter.digest.composer import EARLIER, TRENDING, WITHOUT_MATCH
from newsletter.model import Digest, DigestItem, Layout, Subscriber
from newsletter.ranking.calibration import match_in_words
from newsletter.rendering.folding import IN_BRIEF, ranks_in_full
from newsletter.rendering.images import Picture
from newsletter.rendering.paper_card import Card, labelled_title, paper_card
from newsletter.rendering.plain_text import latex_to_text
from newsletter.rendering.subject import NOTHING, subject
from newsletter.rendering.template import Templates
from newsletter.rendering.updates import UpdatesContext, count_of, updates_context, warned_titles
from newsletter.support.text import to_single_line
from newsletter.support.time_zones import get_zone

_LEFT_NAMED = 5

_WORDS_A_MINUTE = 238
"""Brysbaert (2019), How many words do we read per minute? Journal of Memory and Language 109."""

_WORDS_OF_REASON = 12
"""Of the match, the reason and the authors of a paper, roughly."""


@dataclass(frozen=True, slots=True)
class PersonalLinks:
    """The personal links of a subscriber.

    Attributes:
        preferences, unsubscribe: targets of the links in a message, a page or an email (``mailto:``);
            ``preferences`` is None without either.
        unsubscribe_email: the ``mailto:`` link to unsubscribe.
        one_click: the page that unsubscribes on a POST (RFC 8058), ``browser``: the page that shows the digest;
            None without one.
        judge: returns the feedback page or email of a paper (by row) and ``more`` or ``less``; None without either.
        save: returns the page that saves a paper (by row) to the reading list; None without a site.
        subscribe: the sign-up page; only set when the digest is shown to anyone who has its URL (see
            :func:`shared_links`).
    """

    preferences: str | None
    unsubscribe: str
    unsubscribe_email: str
    one_click: str | None = None
    browser: str | None = None
    judge: Callable[[int, str], str] | None = None
    save: Callable[[int], str] | None = None
    subscribe: str | None = None


def shared_links(site: Site) -> PersonalLinks:
    """Return the links of a digest that is shown to anyone who has its URL: none of them is personal. In custom
    templates, links to the preferences lead to the sign-up page.
    """
    page = f"{site.url}/subscribe"
    return PersonalLinks(preferences=page, unsubscribe=page, unsubscribe_email=page, subscribe=page)


@dataclass(frozen=True)
class ItemContext:
    """A paper of the digest for templates; ``reason`` joins ``strength``, ``earlier`` and ``because``.

    Attributes:
        match: in percent, ``strength``: in words; None and empty in Trending and for alerts.
        earlier: that it was a candidate for an earlier digest, in words; empty for a new one.
        votes: those of the paper; empty in Trending, where they are the reason.
        details: ``earlier``, ``because`` and ``votes`` in one line.
        links: of the subscriber.
    """

    rank: int
    row: int
    paper: Card
    match: int | None
    strength: str
    earlier: str
    because: str
    reason: str
    votes: str
    details: str
    links: PersonalLinks

    # Signed when a template shows them, since most papers of a long digest have none.

    @cached_property
    def more_url(self) -> str | None:
        """The page or email to see more like this paper."""
        return self.links.judge(self.row, "more") if self.links.judge else None

    @cached_property
    def less_url(self) -> str | None:
        """The page or email to see less like this paper."""
        return self.links.judge(self.row, "less") if self.links.judge else None

    @cached_property
    def save_url(self) -> str | None:
        """The page that puts the paper on the reading list."""
        return self.links.save(self.row) if self.links.save else None


@dataclass(frozen=True, slots=True)
class SectionContext:
    """A section of the digest for templates.

    Attributes:
        anchor: the target of links to it.
        papers: all of its papers, in order: those in ``full``, then those in ``compact``, then those in ``titles``.
    """

    name: str
    anchor: str
    papers: Sequence[ItemContext]
    full: Sequence[ItemContext]
    compact: Sequence[ItemContext]
    titles: Sequence[ItemContext]


def digest_context(
    site: Site,
    templates: Templates,
    subscriber: Subscriber,
    digest: Digest,
    links: PersonalLinks,
    left: Sequence[DigestItem] = (),
    brief: bool = False,
) -> dict[str, Any]:
    """Build the values that the templates use, described in ``docs/reference/templates.md``.

    Args:
        left: papers that the HTML leaves out; it names the first of them.
        brief: whether updates are without sentences of abstracts, to save space.
    """
    number, shared = len(digest.choices) + len(left), links.subscribe is not None
    layout = subscriber.preferences.layout or templates.look.layout
    sections = _sections(templates, layout, digest.choices, links)
    updates = updates_context(templates, digest, layout, shared, brief)
    # A digest without papers of lower rank has the same subject as the whole one.
    whole = _with(digest, left) if left else digest
    return {
        "subject": subject(templates.look.subject, site, whole, "" if shared else subscriber.preferences.name),
        "preheader": _preheader(digest, updates) or site.name,
        "site": site,
        "logo": templates.look.images.logo,
        "edition_date": format_day(digest.edition),
        "extent": _extent(len(digest.choices), number, sections, updates),
        "greeting": f"Chosen for a reader of {site.name}." if shared else _greeting(subscriber, number, digest),
        "first": digest.since is None and not shared,
        "sections": sections,
        "updates": updates,
        "contents": _contents(sections, updates),
        # Of the text part: that of a number, such as "10. ".
        "margin": len(str(number)) + 2,
        "left_out": _left_out(left),
        "made": describe_selection(subscriber, digest, "the reader’s" if shared else "your"),
        "subscribe_url": links.subscribe,
        "browser_url": links.browser if digest.choices or digest.updates else None,
        "preferences_url": links.preferences,
        "unsubscribe_url": links.unsubscribe,
    }


def _preheader(digest: Digest, updates: UpdatesContext | None) -> str:
    """Return what is said after the subject: warnings, then the titles after the first; or else the first update."""
    titles = [labelled_title(choice.paper) for choice in digest.choices[1:4]]
    warned = warned_titles(digest.updates)
    if digest.choices or updates is None:
        return "; ".join([*warned[:3], *titles])
    first = updates.papers[0]
    if len(updates.papers) == 1:
        return f"{'; '.join(line.words for line in first.lines)}. {first.known}".strip()
    return "; ".join(f"{one.lines[-1].words}: {one.title}" for one in updates.papers[:3])


def _contents(
    sections: Sequence[SectionContext], updates: UpdatesContext | None
) -> Sequence[SectionContext | UpdatesContext]:
    """Return the sections that a digest lists at its beginning, in order; none if it has only one."""
    if updates is None:
        found: list[SectionContext | UpdatesContext] = [*sections]
    else:
        found = [updates, *sections] if updates.first else [*sections, updates]
    return found if len(found) > 1 else ()


def _with(digest: Digest, left: Sequence[DigestItem]) -> Digest:
    return replace(digest, choices=tuple(sorted((*digest.choices, *left), key=lambda choice: choice.rank)))


def _sections(
    templates: Templates, layout: Layout, choices: Sequence[DigestItem], links: PersonalLinks
) -> list[SectionContext]:
    cards = [_shown(templates, choice, links) for choice in choices]
    in_full = ranks_in_full(choices, {item.rank: item.paper for item in cards}) if layout is Layout.FULL else set()
    in_brief = {item.rank for item in cards[:IN_BRIEF]} if layout is Layout.COMPACT else set()
    sections = []
    by_section = groupby(zip(choices, cards, strict=True), key=lambda pair: pair[0].section)
    for number, (name, pairs) in enumerate(by_section, 1):
        papers = [item for _, item in pairs]
        full = [item for item in papers if item.rank in in_full]
        compact = [item for item in papers if item.rank in in_brief]
        titles = [item for item in papers if item.rank not in in_full | in_brief]
        sections.append(SectionContext(name, f"section-{number}", papers, full, compact, titles))
    return sections


def _extent(shown: int, number: int, sections: Sequence[SectionContext], updates: UpdatesContext | None) -> str:
    """Return the number of papers and updates and the time to read what is shown of them, like "8 papers · 3 min
    read".
    """
    if not number and updates is None:
        return ""
    words = updates.words if updates is not None else 0
    for section in sections:
        words += sum(item.paper.words for item in section.full) + _WORDS_OF_REASON * len(section.papers)
        words += sum(item.paper.title_words for item in section.titles)
        words += sum(item.paper.title_words + _words_of_idea(item.paper) for item in section.compact)
    minutes = ceil(words / _WORDS_A_MINUTE)
    of = f"{shown} of " if shown < number else ""
    counts = [f"{of}{number} {plural(number, 'paper')}"] if number else []
    if updates is not None:
        counts.append(f"{len(updates.papers)} {plural(len(updates.papers), 'update')}")
    return f"{' · '.join(counts)} · {minutes} min read"


def _words_of_idea(card: Card) -> int:
    return len(card.lines[0].text.split()) if card.lines else 0


def plural(number: int, noun: str) -> str:
    """Return a noun, in the plural unless the number is 1."""
    return noun if number == 1 else f"{noun}s"


def signup_context(site: Site, subject: str, link: str, hours: int, logo: Picture | None = None) -> dict[str, Any]:
    """Build the values that the templates of sign-up emails use.

    Args:
        link: the link to open. ``hours``: how long it is valid.
        logo: the newsletter's logo.
    """
    return {"subject": subject, "preheader": subject, "site": site, "logo": logo, "link": link, "hours": hours}


def interests_context(
    site: Site,
    subject: str,
    link: str | None,
    changed: bool,
    interests: Sequence[str],
    logo: Picture | None = None,
) -> dict[str, Any]:
    """Build the values that the template ``interests`` uses: the answer to an email that was to change interests.

    Args:
        link: opens an email that changes them again; None if none would be read.
        changed: whether they were changed.
        interests: as they are now, by name.
        logo: the newsletter's logo.
    """
    return {
        "subject": subject,
        "preheader": subject,
        "site": site,
        "logo": logo,
        "link": link,
        "changed": changed,
        "interests": [to_single_line(name) for name in interests],
    }


def _greeting(subscriber: Subscriber, number: int, digest: Digest) -> str:
    name, when = to_single_line(subscriber.preferences.name), "this week" if is_weekly(subscriber) else "today"
    if number:
        what = f"Your {plural(number, 'paper')} for {when}"
    elif digest.updates:
        what = f"Your {plural(count_of(digest.updates), 'update')} for {when}"
    else:
        what = f"{NOTHING} {when}"
    return f"{name}, {what[:1].lower()}{what[1:]}." if name else f"{what}."


def is_weekly(subscriber: Subscriber) -> bool:
    """Whether a subscriber gets one digest per week."""
    return len(set(subscriber.preferences.schedule.days)) == 1


def _left_out(left: Sequence[DigestItem]) -> str:
    if not left:
        return ""
    titles = "; ".join(labelled_title(choice.paper) for choice in left[:_LEFT_NAMED])
    more = f"; and {len(left) - _LEFT_NAMED} more" if len(left) > _LEFT_NAMED else ""
    number = f"{len(left)} paper{'' if len(left) == 1 else 's'}"
    return f"{number} of lower rank left out, because mail programs cut off long emails: {titles}{more}."


def describe_selection(subscriber: Subscriber, digest: Digest, whose: str = "your") -> str:
    """Describe in a sentence or two how the papers were selected; ``whose`` is "your" or "the reader’s"."""
    number = digest.considered
    here = get_zone(subscriber.preferences.schedule.timezone)
    since = f" since {format_day(digest.since.astimezone(here).date())}" if digest.since else ""
    new = f"{number} new paper{'' if number == 1 else 's'}{since}"
    if not digest.choices:
        chance = f"comes close enough to {whose} interests" if subscriber.preferences.interests else "is discussed"
        return f"Of {new}, none {chance}." if number else f"There are no new papers{since}."
    earlier = sum(choice.earlier for choice in digest.choices)
    if earlier == len(digest.choices):
        who = "you" if whose == "your" else "the reader"
        none = f"Of {new}, none comes close enough" if number else f"There are no new papers{since}"
        return f"{none}, so these are {EARLIER} and were not sent to {who} before."
    if all(choice.section == TRENDING for choice in digest.choices) and not subscriber.preferences.interests:
        unnamed = "you have no interests yet" if whose == "your" else "there are no interests yet"
        return f"Selected from {new}: the most discussed, because {unnamed}."
    more = f"; {earlier} more {'is' if earlier == 1 else 'are'} {EARLIER}" if earlier else ""
    return f"Selected from {new}{more}."


@lru_cache(maxsize=64)
def format_day(day: date) -> str:
    """Format a day like "Tuesday, 25 November 2025"."""
    return f"{day:%A}, {day.day} {day:%B %Y}"


def _shown(templates: Templates, choice: DigestItem, links: PersonalLinks) -> ItemContext:
    trending, card = choice.section == TRENDING, paper_card(templates, choice.paper)
    # In Trending the votes are the reason: those of now, not those of when the paper was chosen.
    because = card.votes if trending and card.votes else latex_to_text(choice.because)
    matched = choice.section not in WITHOUT_MATCH
    strength, earlier = match_in_words(choice.score).capitalize() if matched else "", EARLIER if choice.earlier else ""
    votes = "" if trending else card.votes
    return ItemContext(
        rank=choice.rank,
        row=choice.paper.row,
        paper=card,
        match=percent(choice.score) if matched else None,
        strength=strength,
        earlier=earlier,
        because=because,
        reason=": ".join(part for part in (", ".join(filter(None, (strength, earlier))), because) if part),
        votes=votes,
        details=" · ".join(filter(None, (earlier, because, votes))),
        links=links,
    )


def percent(score: float) -> int:
    """Convert a score between 0 and 1 to a whole percentage, at least 1 for a score above 0."""
    return max(1, round(100 * score)) if score > 0 else 0
