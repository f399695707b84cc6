"""A reader's library in a file: BibTeX or RIS, recognised by its content and its name."""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import islice
from typing import NamedTuple

from newsletter.errors import UserError
from newsletter.model import LibraryItem, Paper, SkippedPaper
from newsletter.sources import bibtex, ris
from newsletter.sources.bounds import within_bounds
from newsletter.sources.library_items import with_usable_identifiers
from newsletter.support.line_files import decode_text
from newsletter.support.text import shorten_middle, to_single_line

MAX_LIBRARY_BYTES = 10_000_000
MAX_LIBRARY_ENTRIES = 5_000
_LONGEST_KEY = 200
_LONGEST_COLLECTION = 300
_MOST_COLLECTIONS = 50
_LONGEST_NAME = 100

_FIX = "export your library as BibTeX or RIS, and use that file"
_SIGNATURES = (
    (b"%PDF-", "a PDF"),
    (b"PK\x03\x04", "a ZIP archive or an office document"),
    (b"\xd0\xcf\x11\xe0", "an office document"),
    (b"{\\rtf", "a rich text document"),
    (b"\x1f\x8b", "a compressed file"),
    (b"SQLite format 3", "a database"),
)
_WORD_PART = b"word/"
"""The folder in the ZIP archive of a Word document."""

_HEAD = 4_096
"""Bytes or characters at the beginning of a file in which another format shows itself. Strangers upload files, so no
pattern sees more, and none may take more time than in proportion to the length.
"""

_STARTS = (
    (re.compile(r"<(?:!doctype html|html|head|body)\b", re.IGNORECASE), "a web page (HTML)"),
    (re.compile(r"<\?xml|<\w"), "XML"),
    (re.compile(r"PMID ?-", re.IGNORECASE), "a PubMed file (nbib)"),
    (re.compile(r"FN .*\nVR |PT [A-Z]\n"), "a plain text file of Web of Science"),
    (re.compile(r"%0 \w"), "an EndNote file (enw)"),
)


class LibraryFile(NamedTuple):
    """What a library in a file has.

    Attributes:
        items: its papers.
        skipped: the entries that are not papers.
        left_out: how many entries come after the first 5,000.
    """

    items: list[LibraryItem]
    skipped: list[SkippedPaper]
    left_out: int


def read_library_file(content: bytes, name: str) -> LibraryFile:
    """Read the papers of a library, each with a key of its own and within the limits of :mod:`.bounds`.

    Of more than 5,000 entries the first are read, and the rest is counted. A date or an identifier that cannot be right
    is left out of its paper.

    Args:
        content: of the file, in any common encoding.
        name: of the file, for errors.

    Raises:
        UserError: the file is empty, larger than 10 MB or in another format, or has no entry with a title.
    """
    shown = _shown(name)
    entries = _entries(content, shown)
    items, skipped = list[LibraryItem](), list[SkippedPaper]()
    for entry in islice(entries, MAX_LIBRARY_ENTRIES):
        paper = with_usable_identifiers(entry.paper) if isinstance(entry, LibraryItem) else entry
        bounded = within_bounds(paper).item
        if isinstance(bounded, SkippedPaper):
            skipped.append(bounded)
        elif isinstance(entry, LibraryItem) and isinstance(bounded, Paper):
            items.append(replace(entry, paper=bounded, collections=_bounded(entry.collections)))
    left_out = sum(1 for _ in entries)
    if not items:
        why = f" ({skipped[0].where}: {skipped[0].why})" if skipped else ""
        raise UserError(f"{shown}: has no entry with a title{why}; {_FIX}")
    return LibraryFile(list(_with_unique_keys(items)), skipped, left_out)


def check_library_file(content: bytes, name: str) -> None:
    """Check that a file looks like a library, without reading its entries, which may take seconds.

    Raises:
        UserError: the file is empty, larger than 10 MB or in another format.
    """
    _entries(content, _shown(name))


def _shown(name: str) -> str:
    return shorten_middle(to_single_line(name), _LONGEST_NAME) or "the file"


def _entries(content: bytes, shown: str) -> Iterator[LibraryItem | SkippedPaper]:
    """Return the entries of a file, read in the format of its content; if that may be either, in that of its name."""
    if len(content) > MAX_LIBRARY_BYTES:
        raise UserError(
            f"{shown}: larger than {MAX_LIBRARY_BYTES // 1_000_000} MB; export a smaller collection, without abstracts "
            "or notes if need be"
        )
    if not content.strip(b"\0 \t\r\n"):
        raise UserError(f"{shown}: the file is empty; {_FIX}")
    text = decode_text(content)
    if other := _kind_of_binary(content[:_HEAD]) or _kind_of_text(text):
        raise UserError(f"{shown}: is {other}; {_FIX}")
    in_bibtex, in_ris = bibtex.looks_like_bibtex(text), ris.looks_like_ris(text)
    if "\0" in text or not (in_bibtex or in_ris):
        raise UserError(f"{shown}: is neither BibTeX nor RIS; {_FIX}")
    if in_bibtex and in_ris:
        # One of them is inside of a note or an abstract.
        first_is_ris = in_ris.start() < in_bibtex.start()
        as_ris = shown.lower().endswith(".ris") or (first_is_ris and not shown.lower().endswith(".bib"))
    else:
        as_ris = in_ris is not None
    return ris.read_items(text, shown) if as_ris else bibtex.read_items(text, shown)


def _kind_of_binary(head: bytes) -> str | None:
    """Return the format of a file that is no text; None if it may be text."""
    found = next((what for signature, what in _SIGNATURES if head.startswith(signature)), None)
    return "a Word document" if head.startswith(b"PK") and _WORD_PART in head else found


def _kind_of_text(text: str) -> str | None:
    """Return the format of a text that is not BibTeX or RIS, as far as its beginning says."""
    head = text.lstrip()[:_HEAD]
    if found := next((what for start, what in _STARTS if start.match(head)), None):
        return found
    return _kind_of_json(text) if head.startswith(("{", "[")) else None


def _kind_of_json(text: str) -> str | None:
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        return None
    first = data[0] if isinstance(data, list) and data else data
    is_csl = isinstance(first, dict) and "type" in first and ("title" in first or "id" in first)
    return "CSL-JSON" if is_csl else "JSON"


def _bounded(collections: Iterable[str]) -> tuple[str, ...]:
    names = (to_single_line(name)[:_LONGEST_COLLECTION].rstrip() for name in collections)
    return tuple(islice(dict.fromkeys(filter(None, names)), _MOST_COLLECTIONS))


def _with_unique_keys(items: Iterable[LibraryItem]) -> Iterator[LibraryItem]:
    """Yield items with keys that differ: the second "smith" becomes "smith-2", unless an entry has that key."""
    named = [(item, _bounded_key(item)) for item in items]
    taken, counts = {key for _, key in named}, dict[str, int]()
    for item, key in named:
        number = counts.get(key, 0) + 1
        unique = key
        while number > 1 and (unique := f"{key}-{number}") in taken:
            number += 1
        counts[key] = number
        taken.add(unique)
        yield replace(item, key=unique)


def _bounded_key(item: LibraryItem) -> str:
    key = to_single_line(item.key)
    if not key or len(key) > _LONGEST_KEY:
        return hashlib.sha256((key or item.paper.title).encode(errors="replace")).hexdigest()[:16]
    return key
