"""What a template is given: a digest in words, ready to be shown."""

import re
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import groupby
from typing import Any
from zoneinfo import ZoneInfo

from newsletter.config import Site
from newsletter.digest.compose import TRENDING
from newsletter.model import Choice, Digest, Paper, Subscriber

_SENTENCE_END = re.compile(r"(?<=[.!?])[\"”’)]*\s+(?=[\"“‘(]*[A-Z0-9])")
_EXTRACT_LENGTH = 420
_LONGEST_SENTENCE = 900
_AUTHORS_NAMED = 3
_LONGEST_CATEGORY = 40


@dataclass(frozen=True, slots=True)
class PersonalLinks:
    """How one subscriber changes or ends the subscription.

    Attributes:
        preferences, unsubscribe: what the links in a message lead to, a page or a letter (``mailto:``).
        unsubscribe_letter: likewise, always a letter.
        one_click: the page that unsubscribes on a POST alone (RFC 8058), None without one.
    """

    preferences: str
    unsubscribe: str
    unsubscribe_letter: str
    one_click: str | None = None


def view(site: Site, subscriber: Subscriber, digest: Digest, links: PersonalLinks) -> dict[str, Any]:
    """The values that the templates use.

    Returns:
        ``subject``, ``preheader``, ``site``, ``edition_date``, ``greeting``, ``sections`` (``name``, ``papers``),
        ``made``, ``preferences_url`` and ``unsubscribe_url``.
    """
    titles = [choice.paper.title for choice in digest.choices]
    number = len(titles)
    papers = f"{number} paper{'' if number == 1 else 's'}"
    name = subscriber.preferences.name
    return {
        "subject": subject(site, digest),
        "preheader": "; ".join(titles[1:4]) or site.name,
        "site": site,
        "edition_date": day_in_words(digest.edition),
        "greeting": f"{name}, {papers} for you today." if name else f"{papers} for you today.",
        "sections": [
            {"name": section, "papers": [_choice_view(choice) for choice in choices]}
            for section, choices in groupby(digest.choices, key=lambda choice: choice.section)
        ],
        "made": made(subscriber, digest),
        "preferences_url": links.preferences,
        "unsubscribe_url": links.unsubscribe,
    }


def subject(site: Site, digest: Digest) -> str:
    """The subject of a digest's message: its first paper, and how many more there are."""
    if not digest.choices:
        return site.name
    first = digest.choices[0].paper.title
    more = len(digest.choices) - 1
    return f"{first} + {more} more" if more else first


def made(subscriber: Subscriber, digest: Digest) -> str:
    """How the digest was made, in a sentence."""
    zone = ZoneInfo(subscriber.preferences.schedule.timezone)
    new = f"{digest.considered} new paper{'' if digest.considered == 1 else 's'}"
    since = f" since {day_in_words(digest.since.astimezone(zone).date())}" if digest.since else ""
    interests = len(subscriber.preferences.interests)
    if all(choice.section == TRENDING for choice in digest.choices) and not interests:
        return f"Made from {new}{since}: those most talked about, since you have not named an interest yet."
    against = {0: "your feedback", 1: "your interest"}.get(interests, f"your {interests} interests")
    return f"Made from {new}{since}, ranked against {against}."


def day_in_words(day: date) -> str:
    """A day as "Tuesday, 25 November 2025"."""
    return f"{day:%A}, {day.day} {day:%B %Y}"


def _choice_view(choice: Choice) -> Mapping[str, Any]:
    paper = choice.paper
    return {
        "rank": choice.rank,
        "title": paper.title,
        "url": _web(paper.url) or _web(paper.pdf_url),
        "byline": byline(paper),
        "extract": extract(paper.abstract),
        "match": None if choice.section == TRENDING else percent(choice.score),
        "because": choice.because,
        "links": _links(paper),
    }


def percent(score: float) -> int:
    """A score between 0 and 1 as a whole percent; one above zero is at least 1."""
    return max(1, round(100 * score)) if score > 0 else 0


def byline(paper: Paper) -> str:
    """Who wrote a paper, when, and in which categories: "Ada Lovelace and 3 more · 11 March 2025 · cs.LG"."""
    day = paper.published or paper.listed_on
    named = [category for category in paper.categories if len(category) <= _LONGEST_CATEGORY]
    parts = [_writers(paper), f"{day.day} {day:%B %Y}" if day else "", ", ".join(named[:3])]
    return " · ".join(part for part in parts if part)


def _writers(paper: Paper) -> str:
    if paper.authors:
        more = max(len(paper.authors), paper.author_count or 0) - _AUTHORS_NAMED
        named = ", ".join(paper.authors[:_AUTHORS_NAMED])
        people = f"{named} and {more} more" if more > 0 else named
        return f"{people} ({paper.organization})" if paper.organization else people
    if paper.organization:
        return paper.organization
    if paper.author_count:
        return f"{paper.author_count} author{'' if paper.author_count == 1 else 's'}"
    return ""


def extract(abstract: str) -> str:
    """The first sentences of an abstract, whole ones, as far as the space allows; one at least."""
    sentences = _SENTENCE_END.split(" ".join(abstract.split()))
    taken = sentences[:1]
    for sentence in sentences[1:]:
        if len(" ".join([*taken, sentence])) > _EXTRACT_LENGTH:
            break
        taken.append(sentence)
    # A text without an end would fill the mail: an abstract in one sentence is cut between words.
    return textwrap.shorten(" ".join(taken), _LONGEST_SENTENCE, placeholder=" …")


def _links(paper: Paper) -> Sequence[Mapping[str, str]]:
    stars = f" ({paper.code_stars:,} stars)" if paper.code_stars else ""
    named = (
        ("Abstract", paper.url),
        ("PDF", paper.pdf_url),
        (f"Code{stars}", paper.code_url),
        ("Project", paper.project_url),
    )
    return [{"name": name, "url": url} for name, link in named if (url := _web(link))]


def _web(url: str | None) -> str | None:
    """A link that is safe to follow. Sources give no others, but a store may hold what another program put there."""
    return url if url and url.startswith(("https://", "http://")) else None
