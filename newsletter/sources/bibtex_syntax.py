"""The blocks of a BibTeX file: entries with their fields as written, strings and comments.

bibtexparser rejects an entry for what BibTeX programs only warn about: a comma too few or too many, comments between
fields, a missing key, a missing last brace. Such entries are read here. See the "BibTeXing" of Oren Patashnik (1988)
and the manual of btparse (https://metacpan.org/pod/btparse) for the syntax.
"""

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from newsletter.sources.text import excerpt

_BLOCK = re.compile(r"(?<![\w.@])@\s*(?P<kind>[A-Za-z]\w*)\s*(?P<open>[{(])")
_BLOCK_AT_LINE_START = re.compile(r"^[^\S\n]*@[^\S\n]*[A-Za-z]\w*[^\S\n]*[{(]", re.MULTILINE)
_KEY = re.compile(r"\s*(?P<key>[^,=\"{}\n]*?)\s*(?:,|(?=[\n})]|$))")
_KEY_WITHOUT_COMMA = re.compile(r"\s*(?P<key>[^\s,={}]+)\s+(?=[A-Za-z][\w.-]*\s*=)")
_FIELD = re.compile(r"(?P<name>[^\s={},\"#%@()][^={},\"#%@\n]*?)\s*=\s*")
_BARE = re.compile(r"[^\s,#{}\"]+")
_NEXT_FIELD = re.compile(r"\s*(?:[A-Za-z][\w.-]*\s*=(?!=)|$)")
_SWALLOWED_FIELD = re.compile(r"[,\n]\s*[A-Za-z][\w.-]*\s*=")
_SPACE = re.compile(r"\s*")
_EMPTY = re.compile(r"(?:[\s,;]|%[^\n]*)*")
_GARBAGE = re.compile(r"[^,\n{}\"]+|[^\n]")
_MARKS = {"counted": re.compile(r"[{}\"]"), "escaped": re.compile(r"\\.|[{}\"]", re.DOTALL)}
"""The braces of a value: BibTeX counts escaped ones too, which other programs write without a partner."""


class ValuePart(NamedTuple):
    """A part of a value: in braces or quotes, or a word, which is a number or the name of a string."""

    text: str
    is_word: bool = False


Value = tuple[ValuePart, ...]


@dataclass(frozen=True, slots=True)
class RawBlock:
    """A block of a file.

    Attributes:
        kind: its type in lower case, such as "article", "string" or "comment".
        key: of an entry; the text of a comment.
        fields: names and values, in their order; of a string its name and value.
        line: of its first character, 1 is the first line.
        problem: why it cannot be read; None if it can.
    """

    kind: str
    key: str
    fields: Sequence[tuple[str, Value]]
    line: int
    problem: str | None = None


def split_blocks(text: str) -> Iterator[RawBlock]:
    """Yield the blocks of a file; what is between them is a comment. The time is proportional to the length."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    reader = _BlockReader(text, [found.start() for found in _BLOCK_AT_LINE_START.finditer(text)])
    at, line, counted = 0, 1, 0
    while block := _BLOCK.search(text, at):
        line, counted = line + text.count("\n", counted, block.start()), block.start()
        read, at = reader.read(block, line)
        if read is not None:
            yield read


class _Unclosed(ValueError):
    """A value has no end."""


def _unclosed(name: str) -> _Unclosed:
    return _Unclosed(f"the value of {excerpt(name)} has no end; close its braces or quotes")


class _BlockReader:
    def __init__(self, text: str, starts: Sequence[int]) -> None:
        self._text = text
        self._starts = starts

    def read(self, block: re.Match[str], line: int) -> tuple[RawBlock | None, int]:
        """Read a block; return it, and where the text continues after it."""
        kind, at = block["kind"].lower(), block.end()
        if kind in ("comment", "preamble"):
            end = self._end_of_comment(block.end() - 1)
            if end is None:
                return None, at
            return (RawBlock(kind, self._text[at:end], (), line) if kind == "comment" else None), end + 1
        following = bisect_right(self._starts, block.end() - 1)
        limit = self._starts[following] if following < len(self._starts) else len(self._text)
        key = ""
        if kind != "string":
            key, at = self._key(at, limit)
        fields = list[tuple[str, Value]]()
        try:
            at = self._fields(at, limit, ")" if block["open"] == "(" else "}", fields)
        except _Unclosed as error:
            return RawBlock(kind, key, fields, line, str(error)), limit
        return RawBlock(kind, key, fields, line), at

    def _key(self, at: int, limit: int) -> tuple[str, int]:
        """Return the key of an entry; "" if the first field comes at once, with or without a comma."""
        for pattern in (_KEY, _KEY_WITHOUT_COMMA):
            if found := pattern.match(self._text, at, limit):
                return found["key"], found.end()
        return "", at

    def _fields(self, at: int, limit: int, closing: str, fields: list[tuple[str, Value]]) -> int:
        """Read fields up to the end of the entry, or to where it must have ended."""
        while True:
            at = _end(_EMPTY, self._text, at, limit)
            if at >= limit or _BLOCK.match(self._text, at):
                if fields and _SWALLOWED_FIELD.search(fields[-1][1][-1].text if fields[-1][1] else ""):
                    raise _unclosed(fields[-1][0])
                return at
            if self._text[at] == closing or self._text[at] == "}":
                return at + 1
            found = _FIELD.match(self._text, at, limit)
            if found is None:
                at = max(_end(_GARBAGE, self._text, at, limit), at + 1)
                continue
            value, at = self._value(found["name"], found.end(), limit, closing)
            fields.append((found["name"], value))

    def _value(self, name: str, at: int, limit: int, closing: str) -> tuple[Value, int]:
        parts, joined = list[ValuePart](), True
        while at < limit and self._text[at] not in f",{closing}" + "}":
            sign = self._text[at]
            if sign == "#":
                joined, after = True, at + 1
            elif not joined and _NEXT_FIELD.match(self._text, at, limit):
                break  # A comma is missing.
            elif sign in '{"':
                end = self._end_of_value(at, limit, closing)
                if end is None:
                    raise _unclosed(name)
                parts.append(ValuePart(self._text[at + 1 : end]))
                joined, after = False, end + 1
            elif sign == "%" and parts:
                after = _end(_EMPTY, self._text, at, limit)
                return tuple(parts), after
            else:
                if not joined:
                    parts.append(ValuePart(" "))  # Not BibTeX, but people write dates like this.
                after = max(_end(_BARE, self._text, at, limit), at + 1)
                word = self._text[at:after]
                if closing == ")" and word.endswith(")") and "(" not in word:
                    word, after = word[:-1], after - 1
                parts.append(ValuePart(word, is_word=True))
                joined = False
            at = _end(_SPACE, self._text, after, limit)
        return tuple(parts), at

    def _end_of_value(self, start: int, limit: int, closing: str) -> int | None:
        """Return the place of the brace or quote that closes the one at ``start``, so that what follows makes sense."""
        ends = [end for marks in _MARKS if (end := self._end_of_group(start, limit, marks)) is not None]
        return next((end for end in ends if self._continues(end + 1, limit, closing)), min(ends, default=None))

    def _continues(self, at: int, limit: int, closing: str) -> bool:
        """Return whether an entry goes on after a value that ends here, or ends as it should."""
        at = _end(_SPACE, self._text, at, limit)
        return at < limit and (
            self._text[at] in f",#%{closing}}}" or _NEXT_FIELD.match(self._text, at, limit) is not None
        )

    def _end_of_comment(self, start: int) -> int | None:
        if self._text[start] == "(":
            end = self._text.find(")", start) if start < self._text.rfind(")") else -1
            return end if end >= 0 else None
        return self._braces.get(start)

    @cached_property
    def _braces(self) -> dict[int, int]:
        """The place of the closing brace for each opening one of the file."""
        opened, closing = list[int](), dict[int, int]()
        for sign in re.finditer(r"[{}]", self._text):
            if sign[0] == "{":
                opened.append(sign.start())
            elif opened:
                closing[opened.pop()] = sign.start()
        return closing

    def _end_of_group(self, start: int, limit: int, marks: str) -> int | None:
        depth, quoted = 0, self._text[start] == '"'
        for sign in _MARKS[marks].finditer(self._text, start + 1, limit):
            if depth == 0 and sign[0] == ('"' if quoted else "}"):
                return sign.start()
            depth += {"{": 1, "}": -1}.get(sign[0], 0)
            if depth < 0:
                return None
        return None


def _end(pattern: re.Pattern[str], text: str, at: int, limit: int) -> int:
    found = pattern.match(text, at, limit)
    return found.end() if found else at
