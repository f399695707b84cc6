"""The days of the entries of a feed."""

import html
from datetime import date
from typing import Any

from newsletter.sources.dates import NO_STYLE, DateStyle, parse_date, published_on, style_of
from newsletter.sources.feed_elements import ELEMENTS

_KEPT = (
    "published",  # pubDate and dcterms:issued, too
    "prism_publicationdate",
    "updated",  # dc:date, too
    "created",
    "prism_coverdate",
    "prism_coverdisplaydate",
)
"""Elements with the day of a paper as feedparser calls them, the best first."""

_ELEMENTS = (
    "pubdate", "published", "issued", "publicationdate", "publishedon", "available", "date", "created", "datesubmitted",
    "updated", "modified", "coverdate", "coverdisplaydate",
)  # fmt: skip
"""The same as they are called in the feed."""


def style_of_feed(feed: Any) -> DateStyle:
    """Return how a feed writes its dates, from its language and all of them."""
    return style_of(map(_dates, feed.entries), str(feed.feed.get("language") or ""))


def day_of(entry: Any, style: DateStyle = NO_STYLE) -> date | None:
    """Return the day of first publication, or else of the last change (UTC); None if no element has a valid date."""
    try:
        return published_on(parse_date(text, style) for text in _dates(entry))
    except ValueError:
        return None


def changed_on(entry: Any) -> date | None:
    """Return the day of the last change (UTC); None without a valid date."""
    try:
        return published_on([parse_date(str(dict.get(entry, "updated") or ""))])
    except ValueError:
        return None


def _dates(entry: Any) -> list[str]:
    elements = entry.get(ELEMENTS, {})
    written = [text for name in _ELEMENTS for text in elements.get(name, ())]
    # Without the synonyms of feedparser, which warn.
    kept = [text for key in _KEPT if isinstance(text := dict.get(entry, key), str) and text]
    return [html.unescape(text) for text in written or kept]
