"""The values that templates use to render a digest."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from itertools import groupby
from typing import Any

from newsletter.config.settings import Site
from newsletter.digest.composer import EARLIER, TRENDING
from newsletter.model import Digest, DigestItem, Subscriber
from newsletter.ranking.calibration import match_in_words
from newsletter.rendering.paper_card import Card, display_title, paper_card
from newsletter.rendering.plain_text import latex_to_text
from newsletter.rendering.subject import NOTHING, subject
from newsletter.rendering.template import Templates
from newsletter.support.text import to_single_line
from newsletter.support.time_zones import get_zone

_LEFT_NAMED = 5


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


@dataclass(frozen=True, slots=True)
class ItemContext:
    """A paper of the digest for templates; ``reason`` joins ``strength``, ``earlier`` and ``because``.

    Attributes:
        match: in percent, ``strength``: in words; None and empty in Trending.
        earlier: that it was a candidate for an earlier digest, in words; empty for a new one.
    """

    rank: int
    paper: Card
    match: int | None
    strength: str
    earlier: str
    because: str
    reason: str
    more_url: str | None = None
    less_url: str | None = None
    save_url: str | None = None


@dataclass(frozen=True, slots=True)
class SectionContext:
    """A section of the digest for templates."""

    name: str
    papers: Sequence[ItemContext]


def digest_context(
    site: Site,
    templates: Templates,
    subscriber: Subscriber,
    digest: Digest,
    links: PersonalLinks,
    left: Sequence[DigestItem] = (),
) -> dict[str, Any]:
    """Build the values that the templates use, described in ``docs/reference/templates.md``.

    Args:
        left: papers that the message lists by title only.
    """
    titles = [display_title(choice.paper) for choice in digest.choices[:4]]
    number = len(digest.choices) + len(left)
    papers = f"{number} paper{'' if number == 1 else 's'}"
    shared = links.subscribe is not None
    return {
        "subject": subject(digest),
        "preheader": "; ".join(titles[1:4]) or site.name,
        "site": site,
        "edition_date": format_day(digest.edition),
        "greeting": f"{papers}, chosen for a reader of {site.name}."
        if shared
        else _greeting(subscriber, f"{papers} for you" if number else NOTHING),
        "first": digest.since is None and not shared,
        "sections": [
            SectionContext(section, [_shown(templates, choice, links) for choice in choices])
            for section, choices in groupby(digest.choices, key=lambda choice: choice.section)
        ],
        "left_out": _left_out(left),
        "made": describe_selection(subscriber, digest, "the reader’s" if shared else "your"),
        "subscribe_url": links.subscribe,
        "browser_url": links.browser if digest.choices else None,
        "preferences_url": links.preferences,
        "unsubscribe_url": links.unsubscribe,
    }


def signup_context(site: Site, subject: str, link: str, hours: int) -> dict[str, Any]:
    """Build the values that the templates of sign-up emails use.

    Args:
        link: the link to open. ``hours``: how long it is valid.
    """
    return {"subject": subject, "preheader": subject, "site": site, "link": link, "hours": hours}


def interests_context(
    site: Site, subject: str, link: str | None, changed: bool, interests: Sequence[str]
) -> dict[str, Any]:
    """Build the values that the template ``interests`` uses: the answer to an email that was to change interests.

    Args:
        link: opens an email that changes them again; None if none would be read.
        changed: whether they were changed.
        interests: as they are now, by name.
    """
    return {
        "subject": subject,
        "preheader": subject,
        "site": site,
        "link": link,
        "changed": changed,
        "interests": [to_single_line(name) for name in interests],
    }


def _greeting(subscriber: Subscriber, papers: str) -> str:
    name, when = to_single_line(subscriber.preferences.name), "this week" if is_weekly(subscriber) else "today"
    return f"{name}, {papers[:1].lower()}{papers[1:]} {when}." if name else f"{papers} {when}."


def is_weekly(subscriber: Subscriber) -> bool:
    """Whether a subscriber gets one digest per week."""
    return len(set(subscriber.preferences.schedule.days)) == 1


def _left_out(left: Sequence[DigestItem]) -> str:
    if not left:
        return ""
    titles = "; ".join(display_title(choice.paper) for choice in left[:_LEFT_NAMED])
    more = f"; and {len(left) - _LEFT_NAMED} more" if len(left) > _LEFT_NAMED else ""
    number = f"{len(left)} paper{'' if len(left) == 1 else 's'}"
    return f"{number} of lower rank left out, because mail clients clip long messages: {titles}{more}."


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
    judge, row = links.judge, choice.paper.row
    trending, because = choice.section == TRENDING, latex_to_text(choice.because)
    strength, earlier = "" if trending else match_in_words(choice.score).capitalize(), EARLIER if choice.earlier else ""
    return ItemContext(
        rank=choice.rank,
        paper=paper_card(templates, choice.paper),
        match=None if trending else percent(choice.score),
        strength=strength,
        earlier=earlier,
        because=because,
        reason=": ".join(part for part in (", ".join(filter(None, (strength, earlier))), because) if part),
        more_url=judge(row, "more") if judge else None,
        less_url=judge(row, "less") if judge else None,
        save_url=links.save(row) if links.save else None,
    )


def percent(score: float) -> int:
    """Convert a score between 0 and 1 to a whole percentage, at least 1 for a score above 0."""
    return max(1, round(100 * score)) if score > 0 else 0
