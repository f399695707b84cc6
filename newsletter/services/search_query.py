"""What a search asks for: a paper by its identifier, phrases in quotation marks, and words, maybe an author's name."""

import re
from dataclasses import dataclass

from newsletter.support.identifiers import arxiv_id, doi

_QUOTED = re.compile(r"[\"“”„«»]([^\"“”„«»]*)[\"“”„«»]")
_LETTER = re.compile(r"[^\W_]")


@dataclass(frozen=True, slots=True)
class SearchQuery:
    """A search as typed, taken apart.

    Attributes:
        words: all of it without quotation marks, which the results are ranked by.
        phrases: what was in quotation marks. ``name``: the words outside of them, which may be an author's name.
        identifier: the whole query, if it is an arXiv id or a DOI; None otherwise.
    """

    words: str
    phrases: tuple[str, ...]
    name: str
    identifier: str | None


def parse_query(typed: str) -> SearchQuery:
    """Take a search apart. A quotation mark without a second one means nothing."""
    typed = " ".join(typed.split())
    phrases = tuple(phrase.strip() for phrase in _QUOTED.findall(typed) if _LETTER.search(phrase))
    return SearchQuery(
        words=_QUOTED.sub(r" \1 ", typed).strip(),
        phrases=phrases,
        name=" ".join(_QUOTED.sub(" ", typed).split()),
        identifier=typed if arxiv_id(typed) or doi(typed) else None,
    )
