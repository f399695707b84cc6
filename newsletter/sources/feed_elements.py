"""What the entries of a feed contain that feedparser drops.

feedparser keeps one value of elements that mean the same, such as pubDate and dcterms:issued, even if it is no date and
the other one is, and no text that is nested, such as a list of creators in RDF.
"""

import io
from collections.abc import Mapping, Sequence
from typing import Any
from xml.etree.ElementTree import Element, ParseError, iterparse

ELEMENTS = "elements"
"""The key of an entry with all its texts, by the names of their elements."""

_MOST_BYTES = 10_000_000
_ENTRIES = ("item", "entry")


def keep_elements(entries: Sequence[Any], content: bytes) -> None:
    """Add to the entries of a feed the texts of all their elements, as :data:`ELEMENTS`."""
    found = _elements(content)
    if len(found) == len(entries):
        for entry, texts in zip(entries, found, strict=True):
            entry[ELEMENTS] = texts


def _elements(content: bytes) -> Sequence[Mapping[str, Sequence[str]]]:
    """Return the texts in each entry of a feed by the names of their elements, in lower case and without namespace.

    Nothing is returned for a feed that is not well-formed, or very large.
    """
    found: list[Mapping[str, Sequence[str]]] = []
    if len(content) > _MOST_BYTES:
        return found
    try:
        # External entities are not read, and expat limits how far internal ones grow.
        for _, element in iterparse(io.BytesIO(content)):  # noqa: S314
            if _name(element) in _ENTRIES:
                found.append(_texts(element))
                element.clear()
    except (ParseError, LookupError, ValueError):
        return []
    return found


def _texts(entry: Element) -> Mapping[str, Sequence[str]]:
    texts: dict[str, list[str]] = {}
    for element in entry:
        leaves = [leaf for leaf in element.iter() if len(leaf) == 0]
        texts.setdefault(_name(element), []).extend(text for leaf in leaves if (text := (leaf.text or "").strip()))
    return texts


def _name(element: Element) -> str:
    return str(element.tag).rpartition("}")[2].lower()
