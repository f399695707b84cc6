"""What a template is given: a digest in words, ready to be shown."""

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
from newsletter.rendering.template import Templates
from newsletter.support.text import to_single_line
from newsletter.support.time_zones import get_zone

_LEFT_NAMED = 5


@dataclass(frozen=True, slots=True)
class PersonalLinks:
    """How one subscriber changes or ends the subscription.

    Attributes:
        preferences, unsubscribe: what the links in a message lead to, a page or a letter (``mailto:``).
        unsubscribe_letter: likewise, always a letter.
        one_click: the page that unsubscribes on a POST alone (RFC 8058), ``browser``: the page that shows the digest;
            None without one.
        judge: gives the page on which ``more`` or ``less`` is said of a paper (by row), None without such pages.
        subscribe: the page where anybody can subscribe; set when the digest is shown to whoever has its address
            (see :func:`shared_links`), else None.
    """

    preferences: str
    unsubscribe: str
    unsubscribe_letter: str
    one_click: str | None = None
    browser: str | None = None
    judge: Callable[[int, str], str] | None = None
    subscribe: str | None = None


def shared_links(site: Site) -> PersonalLinks:
    """The links of a digest that is shown to whoever has its address: none of them acts for its reader. In a template
    of one's own, what leads to the preferences in a message leads to the page where anybody can subscribe.
    """
    page = f"{site.url}/subscribe"
    return PersonalLinks(preferences=page, unsubscribe=page, unsubscribe_letter=page, subscribe=page)


@dataclass(frozen=True, slots=True)
class ItemContext:
    """A choice as templates have it; ``reason`` is match and because in one line."""

    rank: int
    paper: Card
    match: int | None
    because: str
    reason: str
    more_url: str | None = None
    less_url: str | None = None


@dataclass(frozen=True, slots=True)
class SectionContext:
    """A section as templates have it."""

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
    """The values that the templates use; ``docs/templates.md`` tells of each.

    Args:
        left: papers of the digest that the message names by their titles alone.
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
    """The values that the templates of letters to who signs up use.

    Args:
        link: what is to be opened. ``hours``: how long it is good.
    """
    return {"subject": subject, "preheader": subject, "site": site, "link": link, "hours": hours}


def _greeting(subscriber: Subscriber, papers: str) -> str:
    name, when = to_single_line(subscriber.preferences.name), "this week" if is_weekly(subscriber) else "today"
    return f"{name}, {papers} for you {when}." if name else f"{papers} for you {when}."


def is_weekly(subscriber: Subscriber) -> bool:
    """Whether a subscriber gets mail on one day a week."""
    return len(set(subscriber.preferences.schedule.days)) == 1


def _left_out(left: Sequence[DigestItem]) -> str:
    if not left:
        return ""
    titles = "; ".join(display_title(choice.paper) for choice in left[:_LEFT_NAMED])
    more = f"; and {len(left) - _LEFT_NAMED} more" if len(left) > _LEFT_NAMED else ""
    number = f"{len(left)} paper{'' if len(left) == 1 else 's'}"
    return f"{number} of lower rank did not fit, since mail programs cut long messages off: {titles}{more}."


def subject(site: Site, digest: Digest) -> str:
    """The subject of a digest's message: its first paper, and how many more there are."""
    if not digest.choices:
        return site.name
    first = display_title(digest.choices[0].paper)
    more = len(digest.choices) - 1
    return f"{first} + {more} more" if more else first


def describe_selection(subscriber: Subscriber, digest: Digest, whose: str = "your") -> str:
    """How the digest was made, in a sentence; ``whose`` interests it names."""
    new = f"{digest.considered} new paper{'' if digest.considered == 1 else 's'}"
    here = get_zone(subscriber.preferences.schedule.timezone)
    since = f" since {format_day(digest.since.astimezone(here).date())}" if digest.since else ""
    interests = len(subscriber.preferences.interests)
    if all(choice.section == TRENDING for choice in digest.choices) and not interests:
        unnamed = "you have not named an interest yet" if whose == "your" else "no interest is named yet"
        return f"Made from {new}{since}: those most talked about, since {unnamed}."
    against = {0: f"{whose} feedback", 1: f"{whose} interest"}.get(interests, f"{whose} {interests} interests")
    return f"Made from {new}{since}, ranked against {against}."


@lru_cache(maxsize=64)
def format_day(day: date) -> str:
    """A day as "Tuesday, 25 November 2025"."""
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
    """A score between 0 and 1 as a whole percent; one above zero is at least 1."""
    return max(1, round(100 * score)) if score > 0 else 0
