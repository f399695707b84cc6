"""Entries of a BibTeX file with their fields as BibTeX and BibLaTeX see them: strings are replaced, parts joined, and
fields inherited from the entries that ``crossref`` and ``xdata`` name.

Sections 2.4 and 3.13 of the manual of BibLaTeX (https://ctan.org/pkg/biblatex) have the rules.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from newsletter.model import SkippedPaper
from newsletter.sources.bibtex_syntax import RawBlock, Value, split_blocks

_JOINED_WHEN_REPEATED = {"keywords": ", ", "author": " and ", "groups": ", "} | dict.fromkeys(
    ("url", "doi", "note", "ee"), " "
)
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
_MOST_PARENTS = 10


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
    blocks = list(split_blocks(text))
    return BibtexFile(_entries(blocks, shown), [block.key for block in blocks if block.kind == "comment"])


def _entries(blocks: Sequence[RawBlock], shown: str) -> Iterator[BibtexEntry | SkippedPaper]:
    entries = [block for block in blocks if block.kind not in ("comment", "string")]
    reader = _EntryReader([block for block in entries if block.problem is None], _strings(blocks))
    for block in entries:
        if block.problem is not None:
            yield SkippedPaper(f"{shown}:{block.line}", f"not BibTeX: {block.problem}")
        elif block.kind != _DATA_ONLY:
            yield reader.read(block)


def _strings(blocks: Iterable[RawBlock]) -> Mapping[str, str]:
    """Return the values of all strings, which may refer to earlier ones, by their names in lower case."""
    strings = dict[str, str]()
    for block in blocks:
        if block.kind == "string":
            for name, value in block.fields:
                strings[name.lower()] = _joined(value, strings)[:_LONGEST_STRING]
    return strings


def _fields(written: Iterable[tuple[str, Value]], strings: Mapping[str, str]) -> dict[str, str]:
    """Return the values of fields; of a repeated one the first that is not empty, or all where they are a list."""
    fields = dict[str, str]()
    for written_name, parts in islice(written, _MOST_FIELDS):
        name, value = written_name.lower(), _joined(parts, strings)
        if (present := fields.get(name)) and value.strip():
            if joint := _JOINED_WHEN_REPEATED.get(name):
                fields[name] = f"{present}{joint}{value}"
        elif value.strip() or name not in fields:
            fields[name] = value
    return fields


def _joined(parts: Value, strings: Mapping[str, str]) -> str:
    """Return a value with strings in place of their names."""
    texts, length = list[str](), 0
    for part in parts:
        text = strings.get(part.text.lower(), part.text) if part.is_word and length < _LONGEST_JOINED else part.text
        length += len(text) if part.is_word else 0
        texts.append(text)
    return "".join(texts)


class _EntryReader:
    """Reads entries with the fields that they lack and others have for them."""

    def __init__(self, entries: Sequence[RawBlock], strings: Mapping[str, str]) -> None:
        self._by_key = {entry.key.lower(): entry for entry in reversed(entries)}
        self._strings = strings
        self._parents = dict[str, BibtexEntry]()

    def read(self, entry: RawBlock, depth: int = 0) -> BibtexEntry:
        """Return an entry with all its fields; ``depth`` is how many entries refer to each other up to this one."""
        fields = _fields(entry.fields, self._strings)
        for key in _keys(fields.get("xdata", "")):
            if parent := self._parent(key, depth):
                _add_missing(fields, _data(parent.fields))
        for key in _keys(fields.get("crossref", "")):
            if parent := self._parent(key, depth):
                _add_missing(fields, _from_whole(parent, entry.kind))
        return BibtexEntry(entry.kind, entry.key, fields, entry.line)

    def _parent(self, key: str, depth: int) -> BibtexEntry | None:
        entry = self._by_key.get(key)
        if entry is None or depth == _MAX_DEPTH:
            return None
        if key not in self._parents:
            # In a circle, an entry counts as it is written.
            own = _fields(entry.fields, self._strings)
            self._parents[key] = BibtexEntry(entry.kind, entry.key, own, entry.line)
            self._parents[key] = self.read(entry, depth + 1)
        return self._parents[key]


def _keys(written: str) -> list[str]:
    return [key.strip().lower() for key in islice(written.split(","), _MOST_PARENTS) if key.strip()]


def _add_missing(fields: dict[str, str], given: Iterable[tuple[str, str]]) -> None:
    """Add the fields that are not given yet; a date is given as a whole."""
    dated = any(fields.get(name, "").strip() for name in _DATES)
    for name, value in given:
        if not fields.get(name, "").strip() and not (dated and name in _DATES):
            fields[name] = value


def _data(fields: Mapping[str, str]) -> list[tuple[str, str]]:
    return [(name, value) for name, value in fields.items() if name not in _NOT_BY_XDATA]


def _from_whole(whole: BibtexEntry, kind: str) -> list[tuple[str, str]]:
    """Return what a part inherits from the work that it is in, whose title is not its own."""
    fields = whole.fields
    given = [(name, fields[name]) for name in (*_INHERITED, *_DATES) if name in fields]
    if "title" in fields and kind != whole.kind:
        name = "journal" if whole.kind == "periodical" else "book"
        given = [(f"{name}title", fields["title"]), (f"{name}subtitle", fields.get("subtitle", "")), *given]
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
