"""An inverted index of texts: which of them have a phrase, or words near each other.

Results are sets of texts as bits of an integer: bit 0 is the first text.
"""

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence, Set
from fnmatch import translate
from functools import cached_property
from itertools import takewhile

from newsletter.alerts.words import has_wildcard, words_of

_BREAK = "\n"
"""Stands between the passages of a text, so that no phrase is found across them. No word contains it."""


class TextIndex:
    """The words of some texts, each of several passages (such as a title and an abstract)."""

    def __init__(self, texts: Iterable[Sequence[str]]) -> None:
        self._lines: list[str] = []
        self._having: dict[str, list[int]] = {}
        for number, passages in enumerate(texts):
            found: list[str] = []
            for passage in passages:
                found += words_of(passage)
                found.append(_BREAK)
            self._lines.append(f" {' '.join(found)} ")
            for word in set(found):
                self._having.setdefault(word, []).append(number)
        self._having.pop(_BREAK, None)
        self._sets: dict[str, Set[int]] = {}
        self._expanded: dict[str, frozenset[str]] = {}

    def __len__(self) -> int:
        return len(self._lines)

    def with_phrase(self, patterns: Sequence[str]) -> int:
        """Return the texts with some words next to each other, in this order, as bits."""
        candidates = self._with_all(patterns)
        if len(patterns) == 1:
            return bits_of(candidates, len(self))
        if not any(map(has_wildcard, patterns)):
            phrase = f" {' '.join(patterns)} "
            return bits_of((one for one in candidates if phrase in self._lines[one]), len(self))
        wanted = [self._words(pattern) for pattern in patterns]
        return bits_of((one for one in candidates if _follows(self._lines[one].split(" "), wanted)), len(self))

    def with_near(self, patterns: Sequence[str], within: int) -> int:
        """Return the texts with some words in any order, at most ``within`` other words between them, as bits."""
        wanted = [(self._words(pattern), times) for pattern, times in Counter(patterns).items()]
        longest = len(patterns) + within
        candidates = self._with_all(patterns)
        return bits_of((one for one in candidates if _near(self._lines[one].split(" "), wanted, longest)), len(self))

    def _with_all(self, patterns: Iterable[str]) -> Set[int]:
        """Return the texts that have all of some words, anywhere."""
        first, *others = sorted((self._set(pattern) for pattern in patterns), key=len)
        return first.intersection(*others) if isinstance(first, frozenset) and others else first

    def _set(self, pattern: str) -> Set[int]:
        found = self._sets.get(pattern)
        if found is None:
            found = frozenset(one for word in self._words(pattern) for one in self._having.get(word, ()))
            self._sets[pattern] = found
        return found

    def _words(self, pattern: str) -> frozenset[str]:
        """Return the words that a pattern stands for."""
        if not has_wildcard(pattern):
            return frozenset((pattern,))
        found = self._expanded.get(pattern)
        if found is None:
            beginning = "".join(takewhile(lambda one: one not in "*?", pattern))
            # fnmatch's expressions take linear time, whatever the pattern.
            matches = re.compile(translate(pattern)).match
            found = frozenset(word for word in self._beginning_with(beginning) if matches(word))
            self._expanded[pattern] = found
        return found

    def _beginning_with(self, beginning: str) -> Iterator[str]:
        for place in range(bisect_left(self._sorted, beginning), len(self._sorted)):
            if not self._sorted[place].startswith(beginning):
                return
            yield self._sorted[place]

    @cached_property
    def _sorted(self) -> list[str]:
        return sorted(self._having)


def _follows(words: Sequence[str], wanted: Sequence[frozenset[str]]) -> bool:
    last = len(words) - len(wanted) + 1
    return any(
        all(words[start + place] in one for place, one in enumerate(wanted))
        for start, word in enumerate(words[:last])
        if word in wanted[0]
    )


def _near(words: Sequence[str], wanted: Sequence[tuple[frozenset[str], int]], longest: int) -> bool:
    """Return whether all wanted words, each as often as wanted, are in some ``longest`` words of one passage."""
    start = 0
    counts = [0] * len(wanted)
    for end, word in enumerate(words):
        if word == _BREAK:
            start, counts = end + 1, [0] * len(wanted)
            continue
        if end - start >= longest:
            _count(words[start], wanted, counts, -1)
            start += 1
        if _count(word, wanted, counts, 1) and all(
            have >= times for have, (_, times) in zip(counts, wanted, strict=True)
        ):
            return True
    return False


def _count(word: str, wanted: Sequence[tuple[frozenset[str], int]], counts: list[int], change: int) -> bool:
    changed = False
    for place, (one, _) in enumerate(wanted):
        if word in one:
            counts[place] += change
            changed = True
    return changed


def bits_of(numbers: Iterable[int], size: int) -> int:
    """Return a set of numbers below ``size`` as the bits of an integer."""
    content = bytearray(size // 8 + 1)
    for number in numbers:
        content[number >> 3] |= 1 << (number & 7)
    return int.from_bytes(content, "little")


def numbers_of(bits: int) -> Iterator[int]:
    """Yield the numbers whose bits are set, ascending."""
    written = f"{bits:b}"[::-1]
    found = written.find("1")
    while found >= 0:
        yield found
        found = written.find("1", found + 1)
