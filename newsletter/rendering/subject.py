"""The subject line of a digest."""

import logging
from collections.abc import Sequence

from newsletter.config.settings import Site
from newsletter.config.subject_line import USUAL, SubjectValues, compiled
from newsletter.model import Digest, PaperUpdate
from newsletter.rendering.paper_card import labelled_title
from newsletter.rendering.plain_text import shorten
from newsletter.rendering.updates import count_of, update_title, warned_titles
from newsletter.support.text import to_single_line

_log = logging.getLogger(__name__)

NOTHING = "Nothing new for you"
"""The subject of a message that says that there are no papers."""

_LONGEST = 200
_LONGEST_WITH_TITLE = 90
"""Characters of the title and the number of the other papers; mail programs show about this much of a subject."""


def subject(template: str, site: Site, digest: Digest, reader: str = "") -> str:
    """Return the subject of a digest, in one line of up to 200 characters: without papers, what its updates are, or
    that there is nothing new.

    Args:
        template: ``digest.subject`` of the configuration. If it renders to nothing, or fails for this digest, the usual
            one is used.
        reader: the subscriber's name; empty if there is none, or in a digest that anyone may read.
    """
    if not digest.choices:
        return updates_in_words(digest.updates) if digest.updates else NOTHING
    values = _values(site, digest, reader)
    try:
        line = to_single_line(compiled(template).render(values))
    except Exception as error:  # The template is the operator's code: it may raise anything.
        _log.warning("digest.subject: %r fails for a digest, which gets the usual subject: %s", template, error)
        line = ""
    return shorten(line or to_single_line(compiled(USUAL).render(values)), _LONGEST)


def updates_in_words(updates: Sequence[PaperUpdate]) -> str:
    """Return what updates are, in one line: like "Retracted: On tides" or "2 updates on papers you know"."""
    number, warned = count_of(updates), warned_titles(updates)
    if number > 1 and not warned:
        return f"{number} updates on papers you know"
    more = f" + {number - 1} more" if number > 1 else ""
    first = warned[0] if warned else update_title(updates)
    return shorten(to_single_line(first), _LONGEST_WITH_TITLE - len(more)) + more


def _values(site: Site, digest: Digest, reader: str) -> SubjectValues:
    more = len(digest.choices) - 1
    space = _LONGEST_WITH_TITLE - len(f" + {more} more" if more else "")
    return SubjectValues(
        title=shorten(to_single_line(labelled_title(digest.choices[0].paper)), space),
        number=more + 1,
        more=more,
        sections=list(dict.fromkeys(choice.section for choice in digest.choices)),
        date=f"{digest.edition.day} {digest.edition:%B}",
        site=site.name,
        reader=to_single_line(reader),
    )
