"""The subject line of a digest."""

from newsletter.config.settings import Site
from newsletter.model import Digest
from newsletter.rendering.paper_card import display_title


def subject(site: Site, digest: Digest) -> str:
    """Return the subject of a digest: its first paper and the number of others."""
    if not digest.choices:
        return site.name
    first = display_title(digest.choices[0].paper)
    more = len(digest.choices) - 1
    return f"{first} + {more} more" if more else first
