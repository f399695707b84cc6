"""An inverted index of texts: which of them have a phrase, or words near each other.

Results are sets of texts as bits of an integer: bit 0 is the first text.
"""

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from fnmatch import translate
from functools import cached_property
from itertools import takewhile

from newsletter.alerts.words import has_wildcard, words_of

_BREAK = "\n"
"""Stands between the passages of a text, so that no phrase is found across them. No word contains it."""


_MOST_WRITTEN_OUT = 100
"""Words that a wildcard stands for, up to which they are looked for with one regular expression."""


_MOST_EXPANDED = 1_000
"""Wildcards whose words are kept, to limit the memory."""


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
        if max(map(len, wanted)) > _MOST_WRITTEN_OUT:
            return bits_of((one for one in candidates if _follows(self._lines[one].split(" "), wanted)), len(self))
        written = " ".join(f"(?:{'|'.join(map(re.escape, sorted(words)))})" for words in wanted)
        search = re.compile(f" {written} ").search
        return bits_of((one for one in candidates if search(self._lines[one])), len(self))

    def with_near(self, patterns: Sequence[str], within: int) -> int:
        """Return the texts with some words in any order, at most ``within`` other words between them, as bits."""
        counts, longest = Counter(patterns), len(patterns) + within
        wanted: dict[str, list[int]] = {_BREAK: []}
        for place, pattern in enumerate(counts):
            for word in self._words(pattern):
                wanted.setdefault(word, []).append(place)
        needed = list(counts.values())
        candidates = self._with_all(patterns)
        lines = ((one, self._lines[one].split(" ")) for one in candidates)
        return bits_of((one for one, line in lines if _near(line, wanted, needed, longest)), len(self))

    def _with_all(self, patterns: Iterable[str]) -> Set[int]:
        """Return the texts that have all of some words, anywhere."""
        first, *others = sorted((self._set(pattern) for pattern in patterns), key=len)
        return first.intersection(*others) if isinstance(first, frozenset) and others else first

    def _set(self, pattern: str) -> Set[int]:
        if has_wildcard(pattern):
            return frozenset(one for word in self._words(pattern) for one in self._having.get(word, ()))
        found = self._sets.get(pattern)
        if found is None:
            found = frozenset(self._having.get(pattern, ()))
            if found:
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
            if len(self._expanded) >= _MOST_EXPANDED:
                self._expanded.clear()
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


def _near(words: Sequence[str], wanted: Mapping[str, Sequence[int]], counts: Sequence[int], longest: int) -> bool:
    """Return whether some ``longest`` words of one passage have all that is wanted.

    Args:
        wanted: which of several things each word is; also has the break between passages.
        counts: how often each of these things must be there.
    """
    start, missing = 0, list(counts)
    events = [(place, word) for place, word in enumerate(words) if word in wanted]
    for number, (end, word) in enumerate(events):
        if word == _BREAK:
            start, missing = number + 1, list(counts)
            continue
        for one in wanted[word]:
            missing[one] -= 1
        while end - events[start][0] >= longest:
            for one in wanted[events[start][1]]:
                missing[one] += 1
            start += 1
        if max(missing) <= 0:
            return True
    return False


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
