"""Words of papers and queries, in the form in which alerts compare them.

Letters are compared in lower case and without accents. Hyphens and other punctuation separate words, except in the
names "C++", "F#" and ".NET". Each character of a script that is written without spaces is a word. Endings are kept:
"graph" is not "graphs".
"""

import re
import unicodedata
from collections.abc import Iterator

import regex

from newsletter.support.text import basic_letters

_UNSPACED = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}"
_NAMES = r"(?<![\w.])\.net(?![^\W_])|(?<![^\W_])[a-z](?:\+\+|\#)"
_ASCII_WORD = re.compile(rf"{_NAMES}|[a-z0-9]+")
_WORD = regex.compile(rf"(?V1){_NAMES}|[{_UNSPACED}]\p{{M}}*|[[\p{{L}}\p{{N}}\p{{M}}]--[{_UNSPACED}]]+")
_PATTERN = regex.compile(
    rf"(?V1){_NAMES}|[{_UNSPACED}]\p{{M}}*[*?]*|(?:[[\p{{L}}\p{{N}}\p{{M}}]--[{_UNSPACED}]]|[*?])+"
)
_IN_UNSPACED = regex.compile(rf"[{_UNSPACED}]")
_WILDCARDS = re.compile(r"\\.|[*?]", re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)

WILDCARDS = "*?"


def words_of(text: str) -> list[str]:
    """Return the words of a text, in order."""
    folded = basic_letters(text)
    if folded.isascii():
        return _ASCII_WORD.findall(folded)
    return list(_WORD.findall(unicodedata.normalize("NFC", folded)))


def patterns_of(text: str) -> list[str]:
    r"""Return the words of a query, in order; ``*`` and ``?`` are wildcards in them unless a backslash is before."""
    return list(_PATTERN.findall("".join(_folded_parts(text))))


def unescaped(text: str) -> str:
    """Return a text without the backslashes before its characters."""
    return _ESCAPED.sub(r"\1", text)


def has_wildcard(pattern: str) -> bool:
    """Return whether a word of a query has a wildcard."""
    return "*" in pattern or "?" in pattern


def is_unspaced(pattern: str) -> bool:
    """Return whether a word is a character of a script without spaces."""
    return _IN_UNSPACED.match(pattern) is not None


def _folded_parts(text: str) -> Iterator[str]:
    """Yield the parts of a text: wildcards as they are, the rest folded, without characters that fold to wildcards."""
    start = 0
    for found in _WILDCARDS.finditer(text):
        if found[0] in WILDCARDS:
            yield _folded(text[start : found.start()])
            yield found[0]
            start = found.end()
    yield _folded(text[start:])


def _folded(text: str) -> str:
    folded = unicodedata.normalize("NFC", basic_letters(unescaped(text)))
    return folded.replace("*", " ").replace("?", " ")
