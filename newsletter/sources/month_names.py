"""Names of months and days of the week in the languages of the world, and the order of day and month, from CLDR."""

import calendar
from collections import defaultdict
from collections.abc import Iterable, Mapping
from functools import cache
from typing import TYPE_CHECKING

from newsletter.support.text import basic_letters

if TYPE_CHECKING:
    from babel import Locale

_ENGLISH = {name.lower(): number for number, name in enumerate(calendar.month_name) if name}
_LANGUAGES = (
    "en", "de", "fr", "es", "pt", "it", "nl", "pl", "ru", "uk", "cs", "sk", "sl", "hr", "sr", "bg", "ro", "hu", "sv",
    "da", "nb", "nn", "fi", "et", "lv", "lt", "el", "tr", "az", "ca", "eu", "gl", "zh", "ja", "ko", "vi", "id", "ms",
    "th", "hi", "bn", "ar", "fa", "ur", "he", "is", "be", "ka", "hy", "kk", "sq", "mk", "af", "sw",
)  # fmt: skip
"""Those tried for a source that does not say its language."""

_COLLOQUIAL = {"mrz": 3, "mär": 3, "sept": 9, "set": 9, "dicbre": 12, "settbre": 9}
_SHORTEST = 3


def month_number(word: str, language: str = "") -> int | None:
    """Return the month that a word names in the language of the source or in English, in full or shortened to three
    letters or more; None for other words.

    Args:
        language: a tag such as "nl" or "en-GB".
    """
    folded = _fold(word)
    if (
        not language.startswith("en")
        and (known := _locale(language))
        and (number := _shortened(folded, _months(known)))
    ):
        return number
    return _shortened(folded, _ENGLISH) or _COLLOQUIAL.get(folded)


def foreign_month_number(word: str, others: Iterable[str]) -> int | None:
    """Return the month that a word names in any language; None for other words.

    It must name the same month in all languages that have it, or in those that have a day of the week next to it:
    "listopad" is October in Croatian and November in Czech.

    Args:
        others: the other words of the date.
    """
    folded = _fold(word)
    readings = {code: number for code in _LANGUAGES if (number := _months(code).get(folded))} or {
        code: number for code in _LANGUAGES if (number := _shortened(folded, _months(code)))
    }
    if len(set(readings.values())) > 1:
        words = set(map(_fold, others))
        readings = {code: number for code, number in readings.items() if not words.isdisjoint(_days(code))}
    numbers = set(readings.values())
    return numbers.pop() if len(numbers) == 1 else None


def is_weekday(word: str, language: str = "") -> bool:
    """Return whether a word is a day of the week in the language of the source or, without one, in any."""
    folded, known = _fold(word), _locale(language)
    return any(folded in _days(code) for code in ((known,) if known else _LANGUAGES))


def begins_with_day(language: str) -> bool | None:
    """Return whether dates in numbers begin with the day in a language (True) or the month (False); None if it is
    unknown. English without a country is that of the United States, as in CLDR.
    """
    code = _locale(language)
    if not code:
        return None
    pattern = _cldr(code).date_formats["short"].pattern
    first = next((letter for letter in pattern if letter in "dMy"), "y")
    return None if first == "y" else first == "d"


@cache
def _locale(language: str) -> str:
    """Return the nearest locale that CLDR has for a language tag; empty for none."""
    if not language:
        return ""
    from babel import UnknownLocaleError

    tag = language.strip().replace("-", "_")
    while tag:
        try:
            return str(_cldr(tag))
        except (UnknownLocaleError, ValueError, TypeError):
            tag = tag.rpartition("_")[0]
    return ""


def _cldr(tag: str) -> "Locale":
    # Imported when it is needed: few sources have dates that are not in English, and every command starts faster.
    from babel import Locale

    return Locale.parse(tag)


def _fold(word: str) -> str:
    return basic_letters(word).strip(".,")


@cache
def _months(code: str) -> Mapping[str, int]:
    return _names(code, "months")


@cache
def _days(code: str) -> Mapping[str, int]:
    return _names(code, "days")


def _names(code: str, kind: str) -> Mapping[str, int]:
    """Return the single words that mean one month or day; "j" alone could be several."""
    found = defaultdict[str, set[int]](set)
    for context in ("format", "stand-alone"):
        for width in ("wide", "abbreviated"):
            for number, name in getattr(_cldr(code), kind)[context][width].items():
                if (folded := _fold(name)) and " " not in folded:
                    found[folded].add(number)
    return {name: numbers.pop() for name, numbers in found.items() if len(numbers) == 1}


def _shortened(folded: str, names: Mapping[str, int]) -> int | None:
    """Return the month that a word names, or whose name alone begins with it."""
    if (exact := names.get(folded)) is not None or len(folded) < _SHORTEST:
        return exact
    numbers = {number for name, number in names.items() if name.startswith(folded)}
    return numbers.pop() if len(numbers) == 1 else None
