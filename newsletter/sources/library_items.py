"""The papers of a library as its source has them, within the limits of :mod:`.bounds`."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from newsletter.model import LibraryItem, Paper
from newsletter.sources.bounds import MAX_IDENTIFIER, within_bounds
from newsletter.support.text import to_single_line

MAX_ITEMS = 20_000
"""Maximum papers of a library."""

MAX_PATH = 1_000
"""Maximum characters of the path of a collection."""

_MAX_COLLECTIONS = 100
"""Maximum collections that an item is in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LibraryChanges:
    """What changed in a library since it was last read.

    Attributes:
        version: what the source calls the present state.
        items: the papers that are new or changed; all papers if ``complete``.
        removed: the keys of items that are gone, if not ``complete``.
        name: of the library, if its source gives one.
    """

    version: str
    items: Sequence[LibraryItem]
    removed: frozenset[str] = frozenset()
    complete: bool = True
    name: str | None = None


def library_item(key: str, paper: Paper, collections: Sequence[str] = ()) -> LibraryItem | None:
    """Return a paper of a library within the limits; None for one without a title. An unusable identifier is left
    out.
    """
    bounded = within_bounds(with_usable_identifiers(paper)).item
    if not isinstance(bounded, Paper):
        return None
    paths = tuple(path[:MAX_PATH] for path in collections[:_MAX_COLLECTIONS])
    return LibraryItem(key=to_single_line(key)[:MAX_IDENTIFIER], paper=bounded, collections=paths)


def with_usable_identifiers(paper: Paper) -> Paper:
    """Return a paper of a library without the identifiers that :func:`within_bounds` would skip it for."""
    return replace(paper, arxiv_id=_usable(paper.arxiv_id), doi=_usable(paper.doi))


def _usable(identifier: str | None) -> str | None:
    fits = identifier and len(identifier) <= MAX_IDENTIFIER and to_single_line(identifier) == identifier
    return identifier if fits else None
