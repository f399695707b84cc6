"""The values that templates use to render a digest."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from itertools import groupby
from typing import Any

from newsletter.config.settings import Site
from newsletter.digest.composer import TRENDING
from newsletter.model import Digest, DigestItem, Subscriber
from newsletter.rendering.paper_card import Card, display_title, paper_card
from newsletter.rendering.plain_text import latex_to_text
from newsletter.rendering.subject import subject
from newsletter.rendering.template import Templates
from newsletter.support.text import to_single_line
from newsletter.support.time_zones import get_zone

_LEFT_NAMED = 5


@dataclass(frozen=True, slots=True)
class PersonalLinks:
    """The personal links of a subscriber.

    Attributes:
        preferences, unsubscribe: targets of the links in a message, a page or an email (``mailto:``).
        unsubscribe_email: the ``mailto:`` link to unsubscribe.
        one_click: the page that unsubscribes on a POST (RFC 8058), ``browser``: the page that shows the digest;
            None without one.
        judge: returns the feedback page of a paper (by row) and ``more`` or ``less``; None without such pages.
        subscribe: the sign-up page; only set when the digest is shown to anyone who has its URL (see
            :func:`shared_links`).
    """

    preferences: str
    unsubscribe: str
    unsubscribe_email: str
    one_click: str | None = None
    browser: str | None = None
    judge: Callable[[int, str], str] | None = None
    subscribe: str | None = None


def shared_links(site: Site) -> PersonalLinks:
    """Return the links of a digest that is shown to anyone who has its URL: none of them is personal. In custom
    templates, links to the preferences lead to the sign-up page.
    """
    page = f"{site.url}/subscribe"
    return PersonalLinks(preferences=page, unsubscribe=page, unsubscribe_email=page, subscribe=page)


@dataclass(frozen=True, slots=True)
class ItemContext:
    """A paper of the digest for templates; ``reason`` joins ``match`` and ``because``."""

    rank: int
    paper: Card
    match: int | None
    because: str
    reason: str
    more_url: str | None = None
    less_url: str | None = None


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
        "subject": subject(site, digest),
        "preheader": "; ".join(titles[1:4]) or site.name,
        "site": site,
        "edition_date": format_day(digest.edition),
        "greeting": f"{papers}, chosen for a reader of {site.name}." if shared else _greeting(subscriber, papers),
        "first": digest.since is None and not shared,
        "sections": [
            SectionContext(section, [_shown(templates, choice, links) for choice in choices])
            for section, choices in groupby(digest.choices, key=lambda choice: choice.section)
        ],
        "left_out": _left_out(left),
        "made": describe_selection(subscriber, digest, "the reader’s" if shared else "your"),
        "subscribe_url": links.subscribe,
        "browser_url": links.browser,
        "preferences_url": links.preferences,
        "unsubscribe_url": links.unsubscribe,
    }


def signup_context(site: Site, subject: str, link: str, hours: int) -> dict[str, Any]:
    """Build the values that the templates of sign-up emails use.

    Args:
        link: the link to open. ``hours``: how long it is valid.
    """
    return {"subject": subject, "preheader": subject, "site": site, "link": link, "hours": hours}


def _greeting(subscriber: Subscriber, papers: str) -> str:
    name, when = to_single_line(subscriber.preferences.name), "this week" if is_weekly(subscriber) else "today"
    return f"{name}, {papers} for you {when}." if name else f"{papers} for you {when}."


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
    """Describe in a sentence how the papers were selected; ``whose`` is "your" or "the reader’s"."""
    new = f"{digest.considered} new paper{'' if digest.considered == 1 else 's'}"
    here = get_zone(subscriber.preferences.schedule.timezone)
    since = f" since {format_day(digest.since.astimezone(here).date())}" if digest.since else ""
    interests = len(subscriber.preferences.interests)
    if all(choice.section == TRENDING for choice in digest.choices) and not interests:
        unnamed = "you have no interests yet" if whose == "your" else "there are no interests yet"
        return f"Selected from {new}{since}: the most discussed, because {unnamed}."
    return f"Selected from {new}{since}."


@lru_cache(maxsize=64)
def format_day(day: date) -> str:
    """Format a day like "Tuesday, 25 November 2025"."""
    return f"{day:%A}, {day.day} {day:%B %Y}"


def _shown(templates: Templates, choice: DigestItem, links: PersonalLinks) -> ItemContext:
    judge, row = links.judge, choice.paper.row
    match, because = None if choice.section == TRENDING else percent(choice.score), latex_to_text(choice.because)
    return ItemContext(
        rank=choice.rank,
        paper=paper_card(templates, choice.paper),
        match=match,
        because=because,
        reason=": ".join(part for part in (f"{match}% match" if match else "", because) if part),
        more_url=judge(row, "more") if judge else None,
        less_url=judge(row, "less") if judge else None,
    )


def percent(score: float) -> int:
    """Convert a score between 0 and 1 to a whole percentage, at least 1 for a score above 0."""
    return max(1, round(100 * score)) if score > 0 else 0
