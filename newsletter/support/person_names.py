"""Compares names of authors: spellings of one name match, names of which only initials agree match possibly.

A name is read as given names and a family name, in either order ("Song, Yang", "Yang Song"), without accents, case,
punctuation, and suffixes such as "Jr.". Particles ("van der") belong to the family name. The names of organisations
("ATLAS Collaboration") and names in scripts without capital letters that are written in one piece, such as Chinese
ones, are compared as a whole.

The library nameparser splits names too, but it does not compare them, reads "GE" as a given name and a collaboration
as a person, and takes 0.1 ms a name, too long for the authors of all new papers.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from itertools import takewhile
from typing import Generic, NamedTuple, TypeVar

from newsletter.support.text import basic_letters

_Value = TypeVar("_Value")

_CACHED_NAMES = 65_536  # Some twenty megabytes.

PARTICLES = frozenset({
    "af", "al", "av", "d", "da", "dal", "das", "de", "degli", "dei", "del", "della", "den", "der", "des", "di", "do",
    "dos", "du", "e", "el", "la", "las", "le", "los", "op", "st", "ten", "ter", "van", "ver", "vom", "von", "y", "zu",
    "zum", "zur",
})  # fmt: skip
SUFFIXES = frozenset(("jr", "sr", "ii", "iii", "iv", "phd", "md"))
ORGANISATION_WORDS = frozenset((
    "alliance", "association", "center", "centre", "collaboration", "collaborations", "committee", "company",
    "consortium", "corporation", "council", "foundation", "group", "inc", "initiative", "institute", "lab",
    "laboratory", "labs", "llc", "ltd", "network", "organisation", "organization", "project", "research", "society",
    "team", "university",
))  # fmt: skip
"""Words by which a name is that of an organisation. The keys of stored names depend on them."""

_ORGANISATION = re.compile(rf"\b(?:{'|'.join(sorted(ORGANISATION_WORDS))})\b|\d|[@&]", re.IGNORECASE)
_LEADING_ARTICLE = re.compile(r"^(?:(?:on behalf of|for) )?the (?=.)")
_BRACKETED = re.compile(r"\([^()]*\)|\[[^][]*\]")
_APOSTROPHES = re.compile("['’‘ʼʻ`´]")
_INITIALS = re.compile(r"(?:[^\W\d_]\.-?)*[^\W\d_]\.?")
_LONGEST_KEY = 100  # In characters: keys are stored in a database index.
_LONGEST_RUN_OF_INITIALS = 3


class NameMatch(IntEnum):
    """How far two names agree: not, as far as one of them says more than initials, or fully."""

    NONE = 0
    POSSIBLE = 1
    FULL = 2


class GivenName(NamedTuple):
    """A part of a given name, folded; ``short`` for an initial or another abbreviation, such as "Yu."."""

    letters: str
    short: bool


@dataclass(frozen=True, slots=True)
class PersonName:
    """A name in the form in which it is compared.

    Attributes:
        given: the parts of the given name; empty for a family name alone and for what is compared as a whole.
        family: the letters of the family name, with its particles, or of the whole name.
        keys: what names that may match have at least one of in common: the family name, and its last word, each with
            the first letter of the given name ("hinton g").
    """

    given: tuple[GivenName, ...]
    family: str
    keys: tuple[str, ...]

    @property
    def prefix(self) -> str:
        """What the keys of the persons begin with who have this family name ("hinton ")."""
        return f"{self.keys[0].rpartition(' ')[0] if self.given else self.keys[0]} "


@lru_cache(_CACHED_NAMES)
def parse_name(name: str) -> PersonName:
    """Parse the name of a person or an organisation, as a source or a reader wrote it."""
    plain = " ".join(_BRACKETED.sub(" ", name).split()) or name
    if _ORGANISATION.search(plain):
        return _whole(plain)
    parts = [words for part in re.split("[,，;]", plain) if (words := _words(part)) and not _all_suffixes(words)]
    # Where letters have no case, there are no initials, and the family name is always first.
    if all(_caseless(word) for words in parts for word in words):
        return _whole("".join(word for words in parts for word in words) or plain)
    if len(parts) == 1:
        written, family = _split(parts[0])
    elif len(parts) == 2:
        family, written = parts
    else:
        return _whole(plain)
    given = [part for word in written for part in _given_parts(word, capitals=_in_capitals("".join(family)))]
    # "Maaten, Laurens van der": the particles that a catalogue puts last.
    particles: list[str] = []
    while len(given) > 1 and not given[-1].short and given[-1].letters in PARTICLES:
        particles.insert(0, given.pop().letters)
    words = _fold(" ".join(family).replace("-", " ")).split()
    return _person(tuple(given), [*particles, *words]) if words else _whole(plain)


def _person(given: tuple[GivenName, ...], family: Sequence[str]) -> PersonName:
    initial = f" {given[0].letters[0]}" if given else ""
    ends = dict.fromkeys(("".join(family), family[-1]) if given else ("".join(family),))
    return PersonName(given, "".join(family), tuple(f"{end[:_LONGEST_KEY]}{initial}" for end in ends))


def _whole(name: str) -> PersonName:
    """Return a name that is compared as a whole, without the article."""
    words = _LEADING_ARTICLE.sub("", " ".join(_fold(re.sub(r"[\W_]+", " ", name)).split()))
    return PersonName((), words.replace(" ", "") or name, ((words or name)[:_LONGEST_KEY],))


def _words(text: str) -> list[str]:
    """Return the words of a part of a name, without apostrophes; each keeps its dots and hyphens."""
    return [word for word in _APOSTROPHES.sub("", text).split() if any(map(str.isalpha, word))]


def _caseless(word: str) -> bool:
    return not any(letter.isupper() or letter.islower() for letter in word)


def _all_suffixes(words: Sequence[str]) -> bool:
    return all(word.replace(".", "").casefold() in SUFFIXES for word in words)


def _split(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Split a name without a comma into the words of its given and its family name."""
    left = [word for place, word in enumerate(words) if place == 0 or not _all_suffixes([word])]
    # "Hinton G. E.": initials after the family name.
    initials = len(list(takewhile(_INITIALS.fullmatch, reversed(left))))
    if 0 < initials < len(left):
        return left[-initials:], left[:-initials]
    start = len(left) - 1
    while start > 0 and left[start - 1].casefold() in PARTICLES and (start > 1 or left[0].islower()):
        start -= 1
    return left[:start], left[start:]


def _given_parts(word: str, capitals: bool) -> Iterator[GivenName]:
    """Yield the parts of a word of a given name: those between its hyphens, and its initials, with or without dots.

    Args:
        capitals: whether the family name is written in capitals, so that "GE" may be a whole name.
    """
    for piece in re.findall(r"[^.\s-]+\.?", word):
        letters = _fold(piece)
        if not letters:
            continue
        run = not capitals and 1 < len(piece) <= _LONGEST_RUN_OF_INITIALS and _in_capitals(piece)
        if run:
            yield from (GivenName(letter, True) for letter in letters)
        else:
            yield GivenName(letters, len(letters) == 1 or piece.endswith("."))


def _in_capitals(text: str) -> bool:
    return text.isupper() and text.isalpha()


def _fold(text: str) -> str:
    """Return the letters, digits and spaces of a text without accents, in lower case."""
    plain = basic_letters(text)
    kept = "".join(one for one in plain if one == " " or unicodedata.category(one)[0] in "LMN")
    return unicodedata.normalize("NFC", kept)


def compare_names(one: PersonName, other: PersonName) -> NameMatch:
    """Return how far two names agree, whichever comes first.

    They match fully if their family names and first given names are equal, and what follows agrees or is missing on
    one side as an initial ("Geoffrey E. Hinton", "Geoffrey Hinton"). They match possibly if nothing contradicts, but
    only an initial stands for a given name, or one has another given name more ("G. Hinton", "Geoffrey Hinton"). A
    family name alone matches nobody who has a given name.
    """
    if one.family == other.family:
        return _compare_given(one.given, other.given)
    # Two family names without a comma: "Juan García Pérez" for "García Pérez, Juan".
    for longer, shorter in ((one, other), (other, one)):
        for taken in range(1, len(shorter.given)):
            middle = "".join(part.letters for part in shorter.given[-taken:])
            if middle + shorter.family == longer.family:
                return _compare_given(longer.given, shorter.given[:-taken])
    return NameMatch.NONE


def _compare_given(one: tuple[GivenName, ...], other: tuple[GivenName, ...]) -> NameMatch:
    if one == other:
        return NameMatch.FULL
    if not one or not other:
        return NameMatch.NONE
    # "Xiao-Ming", "Xiaoming".
    if not any(part.short for part in (*one, *other)) and _letters(one) == _letters(other):
        return NameMatch.FULL
    if not all(_agree(*pair) for pair in zip(one, other, strict=False)):
        return NameMatch.NONE
    known = not one[0].short and not other[0].short
    further = max(one, other, key=len)[min(len(one), len(other)) :]
    return NameMatch.FULL if known and all(part.short for part in further) else NameMatch.POSSIBLE


def _letters(given: tuple[GivenName, ...]) -> str:
    return "".join(part.letters for part in given)


def _agree(one: GivenName, other: GivenName) -> bool:
    return (
        one.letters == other.letters
        or (one.short and other.letters.startswith(one.letters))
        or (other.short and one.letters.startswith(other.letters))
    )


@dataclass(frozen=True, slots=True)
class WrittenName:
    """A name as it is written in a bibliography.

    Attributes:
        family: the family name, with its particles; the whole name if it cannot be told which part is the family name,
            or if it is that of an organisation.
        given: the given names and initials; empty for a whole name.
        suffix: such as "Jr."; usually empty.
    """

    family: str
    given: str = ""
    suffix: str = ""

    @property
    def family_first(self) -> str:
        """The name with the family name first: "van der Maaten, Laurens", "King, Martin Luther, Jr."."""
        return ", ".join(part for part in (self.family, self.given, self.suffix) if part)


def split_name(name: str) -> WrittenName:
    """Split a name, as a source wrote it, into given and family name, by the rules of :func:`parse_name`."""
    plain = " ".join(_BRACKETED.sub(" ", name).split()) or " ".join(name.split())
    parts = [words for part in re.split("[,，;]", plain) if (words := part.split())]
    if _ORGANISATION.search(plain):
        return WrittenName(plain)
    suffixes = [word for words in parts[1:] if _all_suffixes(words) for word in words]
    parts = [*parts[:1], *(words for words in parts[1:] if not _all_suffixes(words))]
    if len(parts) == 2:
        family, given = parts
    elif len(parts) == 1 and not all(_caseless(word) for word in parts[0]):
        family = parts[0]
        while len(family) > 1 and _all_suffixes(family[-1:]):
            suffixes.insert(0, family[-1])
            family = family[:-1]
        given, family = _split(family)
    else:
        return WrittenName(plain)
    particles: list[str] = []
    while len(given) > 1 and given[-1].casefold() in PARTICLES and given[-1].islower():
        particles.insert(0, given[-1])
        given = given[:-1]
    split = WrittenName(" ".join([*particles, *family]), " ".join(given), " ".join(suffixes))
    # What is no name at all ("Jr :A") may come apart as another one.
    same = compare_names(parse_name(f"{split.family}, {split.given}"), parse_name(name)) is not NameMatch.NONE
    named = all(any(map(str.isalpha, "".join(words))) for words in (given, family))
    return split if named and same else WrittenName(plain)


class NameIndex(Generic[_Value]):
    """Names with a value each, such as the papers of an author, found by any spelling of the name."""

    def __init__(self, named: Iterable[tuple[str, _Value]]) -> None:
        self._by_key: dict[str, dict[str, list[_Value]]] = {}
        for name, value in named:
            for key in parse_name(name).keys:
                self._by_key.setdefault(key, {}).setdefault(name, []).append(value)

    def find(self, name: str) -> dict[str, tuple[NameMatch, list[_Value]]]:
        """Return the names that match a name, by their spelling: how far each does, and its values."""
        wanted, found = parse_name(name), dict[str, tuple[NameMatch, list[_Value]]]()
        for key in wanted.keys:
            for spelling, values in self._by_key.get(key, {}).items():
                if spelling not in found and (how := compare_names(wanted, parse_name(spelling))):
                    found[spelling] = how, values
        return found
