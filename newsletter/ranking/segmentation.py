"""Where the words of a text are, in any script, and what two spellings of a word have in common.

Words are found by the rules of Unicode Standard Annex #29: combining marks and joiners stay with their letter, so that
Hindi and decomposed accents are not cut. Scripts that are written without spaces between words, and Korean, whose
endings follow the word directly, are cut into characters as readers see them (extended grapheme clusters).
"""

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple
from unicodedata import normalize

import regex

_WORD = re.compile(r"([^\W_]+)([\W_]*)")
_DOTTED_NAME = r"\.(?=[A-Z]{2})(?<![^\s(]\.)"  # ".NET"
_INVISIBLE = r"\p{Word_Break=Format}\p{Join_Control}"
_SINGLE_SCRIPTS = (r"\p{Han}", r"\p{Hiragana}ー", r"\p{Katakana}ー", r"\p{Hangul}", r"\p{Line_Break=Complex_Context}")
_UNSPACED = regex.compile("|".join(f"(?:[{script}][\\p{{M}}{_INVISIBLE}]*)+" for script in _SINGLE_SCRIPTS))
_ANY_WORD = regex.compile(
    rf"((?:{_DOTTED_NAME})?"
    # Hebrew acronyms have a quotation mark between their letters.
    rf"[\p{{L}}\p{{N}}](?:[\p{{L}}\p{{N}}\p{{M}}{_INVISIBLE}]"
    r"|(?<=\p{Hebrew}\p{M}*)[\"'׳״](?=\p{Hebrew}))*"
    rf")((?:(?!{_DOTTED_NAME})[^\p{{L}}\p{{N}}])*)"
)
_NEEDS_CARE = regex.compile(
    rf"[\p{{M}}{_INVISIBLE}\p{{Hebrew}}ー{''.join(one.rstrip('ー') for one in _SINGLE_SCRIPTS)}]"
)
_LETTERS = regex.compile(r"[\p{L}\p{N}]")
_BEYOND_ASCII = re.compile(r"[^\x00-\x7f]+")
_STARTS_DOTTED = re.compile(_DOTTED_NAME)
_BEFORE_WORDS = re.compile(r"[\W_]*")
_BEFORE_ANY_WORDS = regex.compile(rf"(?:(?!{_DOTTED_NAME})[^\p{{L}}\p{{N}}])*")
# Vowel signs of Arabic and Hebrew, which most texts leave out; what stretches Arabic words; invisible characters.
_LEFT_OUT = regex.compile(
    rf"(?V1)[[\p{{Script_Extensions=Arabic}}\p{{Script_Extensions=Hebrew}}]&&\p{{Mn}}]|[ـ\"'׳״{_INVISIBLE}\s]"
)


class Stretch(NamedTuple):
    """A part of a text whose words are all found in the same way.

    Attributes:
        start: where its first word starts.
        pieces: what is written, each with what follows it up to the next; together they are the stretch.
        unspaced: whether the pieces are the characters of one run in one script rather than words.
    """

    start: int
    pieces: list[tuple[str, str]]
    unspaced: bool


def stretches(text: str) -> Iterator[Stretch]:
    """Cut a text into stretches, in order."""
    plain = text.isascii() or not any(map(_needs_care, _BEYOND_ASCII.findall(text)))
    if plain and not _STARTS_DOTTED.search(text):
        # Most texts; the result is the same as below, in a third of the time.
        yield Stretch(_BEFORE_WORDS.match(text).end(), _WORD.findall(text), False)  # type: ignore[union-attr]
        return
    place = 0
    for run in _UNSPACED.finditer(text):
        yield _spaced(text, place, run.start())
        yield Stretch(run.start(), [(character, "") for character in characters(run[0])], True)
        place = run.end()
    yield _spaced(text, place, len(text))


@lru_cache(maxsize=10_000)
def _needs_care(beyond_ascii: str) -> bool:
    # Python and the regex package may have different versions of Unicode, so they disagree on new characters.
    letters = "".join(_LETTERS.findall(beyond_ascii))
    return _NEEDS_CARE.search(beyond_ascii) is not None or letters != "".join(filter(str.isalnum, beyond_ascii))


def _spaced(text: str, start: int, end: int) -> Stretch:
    before = _BEFORE_ANY_WORDS.match(text, start, end)
    return Stretch(before.end() if before else start, _ANY_WORD.findall(text, start, end), False)


def characters(text: str) -> list[str]:
    """Return the characters of a text as readers see them: extended grapheme clusters (UAX #29)."""
    found: list[str] = regex.findall(r"\X", text)
    return found


@lru_cache(maxsize=100_000)
def folded(written: str) -> str:
    """Return what all spellings of a word have in common: lower case, composed accents, plain forms of full-width
    letters, subscripts and ligatures (NFKC), and no vowel signs where a script may leave them out.
    """
    if written.isascii():
        return written.lower()
    word = normalize("NFC", normalize("NFKC", written).lower())
    return normalize("NFC", _LEFT_OUT.sub("", word)) or word
