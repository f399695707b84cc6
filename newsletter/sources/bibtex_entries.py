"""Entries of a BibTeX file with their fields as BibTeX and BibLaTeX see them: strings are replaced, parts joined, and
fields inherited from the entries that ``crossref`` and ``xdata`` name.

Sections 2.4 and 3.13 of the manual of BibLaTeX (https://ctan.org/pkg/biblatex) have the rules.
"""

import logging
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from bibtexparser.entrypoint import parse_string
from bibtexparser.library import Library
from bibtexparser.model import (
    Block,
    DuplicateBlockKeyBlock,
    DuplicateFieldKeyBlock,
    Entry,
    ExplicitComment,
    Field,
    ParsingFailedBlock,
    String,
)

from newsletter.model import SkippedPaper
from newsletter.support.text import to_single_line

# This module reports broken entries itself; without a handler the parser's log would go to stderr as well.
logging.getLogger("bibtexparser").addHandler(logging.NullHandler())

_PART = re.compile(r'[{"]|[^\s#"{},]+')
_ENCLOSING = re.compile(r'(?<!\\)[{}"]')
_JOINED_WHEN_REPEATED = {"keywords": ", ", "author": " and ", "groups": ", "}
_INHERITED = ("author", "booktitle", "journal", "journaltitle", "series", "eventtitle")
"""What an entry inherits by ``crossref``. Identifiers, links and abstracts are those of the work as a whole."""

_DATES = ("date", "year", "month", "day")
_NOT_BY_XDATA = ("xdata", "crossref", "ids", "options")
_DATA_ONLY = "xdata"
_MAX_DEPTH = 10
"""Maximum entries in a chain of references; of a longer one only the nearest count."""

# A few bytes can name a long string many times, in strings too.
_LONGEST_STRING = 5_000
_LONGEST_JOINED = 50_000
"""Characters of a value from which on strings are no longer replaced."""

_MOST_FIELDS = 200
_MOST_XDATA = 10


@dataclass(frozen=True, slots=True)
class BibtexEntry:
    """An entry: its type, its key, its fields by their names in lower case, and where it is.

    Attributes:
        fields: the values without their enclosing braces or quotes; still in LaTeX.
        line: of its first character, 1 is the first line.
    """

    kind: str
    key: str
    fields: Mapping[str, str]
    line: int


@dataclass(frozen=True, slots=True)
class BibtexFile:
    """The content of a file: its entries in their order, among them those that are broken, and its comments."""

    entries: Iterator[BibtexEntry | SkippedPaper]
    comments: Sequence[str] = ()


def parse_file(text: str, shown: str) -> BibtexFile:
    """Parse a BibTeX file.

    Args:
        text: the file.
        shown: its name, for errors.
    """
    try:
        library = parse_string(text, parse_stack=[])
    except Exception as error:  # The parser promises to raise nothing, but some input breaks that.
        return BibtexFile(iter([SkippedPaper(f"{shown}:1", f"not BibTeX: {type(error).__name__}")]))
    comments = [block.comment for block in library.blocks if isinstance(block, ExplicitComment)]
    return BibtexFile(_entries(library, shown), comments)


def _entries(library: Library, shown: str) -> Iterator[BibtexEntry | SkippedPaper]:
    written = [_written_entry(block) or block for block in library.blocks]
    reader = _EntryReader([block for block in written if isinstance(block, Entry)], _strings(library))
    for block in written:
        if isinstance(block, Entry):
            if block.entry_type.lower() != _DATA_ONLY:
                yield reader.read(block)
        elif isinstance(block, ParsingFailedBlock) and not _is_string(block):
            why = getattr(block.error, "abort_reason", None) or str(block.error)
            yield SkippedPaper(f"{shown}:{_line(block)}", f"not BibTeX: {to_single_line(why)}")


def _written_entry(block: Block) -> Entry | None:
    """Return the entry in a block; one with a duplicate key or field is still usable."""
    inner: Block | None = block
    while isinstance(inner, DuplicateBlockKeyBlock | DuplicateFieldKeyBlock):
        inner = inner.ignore_error_block
    return inner if isinstance(inner, Entry) else None


def _is_string(block: ParsingFailedBlock) -> bool:
    return isinstance(block, DuplicateBlockKeyBlock) and isinstance(block.ignore_error_block, String)


def _line(block: Block) -> int:
    return (block.start_line or 0) + 1


def _strings(library: Library) -> Mapping[str, str]:
    """Return the values of all strings, which may refer to earlier ones, by their names in lower case."""
    strings = dict[str, str]()
    for block in library.blocks:
        inner = block.ignore_error_block if isinstance(block, DuplicateBlockKeyBlock) else block
        if isinstance(inner, String):
            strings[inner.key.lower()] = _value(str(inner.value), strings)[:_LONGEST_STRING]
    return strings


def _fields(written: Iterable[Field], strings: Mapping[str, str]) -> dict[str, str]:
    """Return the values of fields; of a repeated one the first that is not empty, or all where they are a list."""
    fields = dict[str, str]()
    for field in islice(written, _MOST_FIELDS):
        name, value = field.key.lower(), _value(str(field.value), strings)
        if (present := fields.get(name)) and value.strip():
            if joint := _JOINED_WHEN_REPEATED.get(name):
                fields[name] = f"{present}{joint}{value}"
        elif value.strip() or name not in fields:
            fields[name] = value
    return fields


def _value(written: str, strings: Mapping[str, str]) -> str:
    """Return a value, joined from its parts: in braces, in quotes, a number, or the name of a string."""
    parts, at, length = list[str](), 0, 0
    while found := _PART.search(written, at):
        gap = written[at : found.start()]
        if parts and "#" not in gap:
            parts.append(gap)  # Not BibTeX, but people write dates like this.
        start, at = found.span()
        if found[0] in ("{", '"'):
            end = _end_of_part(written, start)
            parts.append(written[start + 1 : end])
            at = end + 1
        elif length < _LONGEST_JOINED:
            parts.append(strings.get(found[0].lower(), found[0]))
            length += len(parts[-1])
    return "".join(parts)


def _end_of_part(text: str, start: int) -> int:
    """Return the place of the brace or the quote that closes the one at ``start``; the end of the text without one."""
    depth = 0
    for sign in _ENCLOSING.finditer(text, start + 1):
        if depth == 0 and sign[0] == ("}" if text[start] == "{" else '"'):
            return sign.start()
        depth += {"{": 1, "}": -1, '"': 0}[sign[0]]
    return len(text)


class _EntryReader:
    """Reads entries with the fields that they lack and others have for them."""

    def __init__(self, entries: Sequence[Entry], strings: Mapping[str, str]) -> None:
        self._by_key = {entry.key.lower(): entry for entry in reversed(entries)}
        self._strings = strings
        self._parents = dict[str, BibtexEntry]()

    def read(self, entry: Entry, depth: int = 0) -> BibtexEntry:
        """Return an entry with all its fields; ``depth`` is how many entries refer to each other up to this one."""
        kind, fields = entry.entry_type.lower(), _fields(entry.fields, self._strings)
        for key in islice(fields.get("xdata", "").split(","), _MOST_XDATA):
            if parent := self._parent(key, depth):
                _add_missing(fields, _data(parent.fields))
        if parent := self._parent(fields.get("crossref", ""), depth):
            _add_missing(fields, _from_whole(parent.fields, kind == parent.kind))
        return BibtexEntry(kind, entry.key, fields, _line(entry))

    def _parent(self, written: str, depth: int) -> BibtexEntry | None:
        key = written.strip().lower()
        entry = self._by_key.get(key)
        if entry is None or depth == _MAX_DEPTH:
            return None
        if key not in self._parents:
            # In a circle, an entry counts as it is written.
            own = _fields(entry.fields, self._strings)
            self._parents[key] = BibtexEntry(entry.entry_type.lower(), entry.key, own, _line(entry))
            self._parents[key] = self.read(entry, depth + 1)
        return self._parents[key]


def _add_missing(fields: dict[str, str], given: Iterable[tuple[str, str]]) -> None:
    """Add the fields that are not given yet; a date is given as a whole."""
    dated = any(fields.get(name, "").strip() for name in _DATES)
    for name, value in given:
        if not fields.get(name, "").strip() and not (dated and name in _DATES):
            fields[name] = value


def _data(fields: Mapping[str, str]) -> list[tuple[str, str]]:
    return [(name, value) for name, value in fields.items() if name not in _NOT_BY_XDATA]


def _from_whole(fields: Mapping[str, str], same_kind: bool) -> list[tuple[str, str]]:
    """Return what a part inherits from the work that it is in, whose title is not its own."""
    given = [(name, fields[name]) for name in (*_INHERITED, *_DATES) if name in fields]
    if "title" in fields and not same_kind:
        given = [("booktitle", fields["title"]), ("booksubtitle", fields.get("subtitle", "")), *given]
    return given


def split_outside_braces(text: str, separators: str) -> Iterator[str]:
    """Yield the parts of a list; separators in braces belong to a part."""
    start = depth = 0
    for found in re.finditer(rf"(?<!\\)[{{}}]|[{re.escape(separators)}]", text):
        if found[0] == "{":
            depth += 1
        elif found[0] == "}":
            depth = max(depth - 1, 0)
        elif depth == 0:
            yield text[start : found.start()]
            start = found.end()
    yield text[start:]
