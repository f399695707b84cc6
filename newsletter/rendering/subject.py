"""The subject line of a digest."""

from newsletter.model import Digest
from newsletter.rendering.paper_card import display_title

NOTHING = "Nothing new for you"
"""The subject of a message that says that there are no papers."""


def subject(digest: Digest) -> str:
    """Return the subject of a digest: its first paper and the number of others, or that there is nothing new."""
    if not digest.choices:
        return NOTHING
    first = display_title(digest.choices[0].paper)
    more = len(digest.choices) - 1
    return f"{first} + {more} more" if more else first
