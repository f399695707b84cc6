"""Abbreviations that the store's papers define, such as "large language models (LLMs)", used in both directions.

Definitions are found as in Schwartz and Hearst, "A simple algorithm for identifying abbreviation definitions in
biomedical text" (2003). Those that most papers agree on are kept, so that an abbreviation with several meanings has
none.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import regex

from newsletter.ranking.tokens import NAMED, Token, tokens_of

_AGREED = 0.6
_USUAL = 0.1
_MOST_WORDS = 8
_NEAR = 80
_SHORT = regex.compile(r"(?=.*\p{Lu})[\p{L}\p{N}][\p{L}\p{N}/&+-]{1,9}")
_MAY_DEFINE = regex.compile(r"\([^\s)]*\p{Lu}")
_BREAKS = regex.compile(r"[.,;:!?()\[\]]")


class Abbreviation(NamedTuple):
    """An abbreviation and what it stands for, both as papers mostly write them.

    Attributes:
        share: of the papers with the abbreviation, the share that also have the long form (0 to 1). It is low for an
            abbreviation that is also an ordinary word, such as "MAP".
    """

    short: str
    long: str
    share: float


@dataclass(frozen=True)
class Abbreviations:
    """The abbreviations of a store."""

    known: tuple[Abbreviation, ...] = ()

    @cached_property
    def _by_short(self) -> Mapping[str, Abbreviation]:
        return {_key(tokens_of(one.short)): one for one in self.known}

    @cached_property
    def _by_long(self) -> Mapping[str, Abbreviation]:
        return {_key(tokens_of(one.long)): one for one in self.known if one.share >= _USUAL}

    def swapped(self, text: str) -> str:
        """Return a text with its abbreviations written out, and what has an abbreviation abbreviated."""
        if not self.known:
            return text
        tokens = tokens_of(text)
        parts, place, done = [], 0, 0
        while place < len(tokens):
            count, other = self._other(text, tokens[place : place + _MOST_WORDS])
            if count:
                parts += [text[done : tokens[place].start], other]
                done = tokens[place + count - 1].end
            place += max(count, 1)
        return "".join([*parts, text[done:]])

    def _other(self, text: str, tokens: Sequence[Token]) -> tuple[int, str]:
        """Return the other form of the longest one that a text has at the first of some tokens, and its number of
        tokens; 0 if there is none.
        """
        for count in range(len(tokens), 0, -1):
            some = tokens[:count]
            if any(_BREAKS.search(text, one.end, two.start) for one, two in pairwise(some)):
                continue
            key = _key(some)
            if found := self._by_long.get(key):
                return count, found.short
            found = self._by_short.get(key)
            if found and (found.share >= _USUAL or _same(text[some[0].start : some[-1].end], found.short)):
                return count, found.long
        return 0, ""


def _same(written: str, short: str) -> bool:
    return written.removesuffix("s") == short.removesuffix("s")


def _key(tokens: Iterable[Token]) -> str:
    """Return the words of an abbreviation or long form, in the form in which all its spellings agree."""
    return " ".join(token.word for token in tokens if token.word)


@dataclass
class Definitions:
    """The definitions in some papers, counted while the papers are read.

    Attributes:
        counts: how many papers have each, by the keys of its two forms. ``written``: how often each spelling occurs.
    """

    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    written: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))

    def reading(self, texts: Iterable[str]) -> Iterator[str]:
        """Yield the texts of papers as they are, and count their definitions."""
        for text in texts:
            own = {(_key(tokens_of(short)), _key(tokens_of(long))): (short, long) for short, long in definitions(text)}
            for (short_key, long_key), (short, long) in own.items():
                if short_key and long_key and short_key != long_key and NAMED not in short_key + long_key:
                    self.counts[short_key, long_key] += 1
                    self.written[short_key][short] += 1
                    self.written[long_key][long] += 1
            yield text

    def agreed(self, least: int, papers_with: Callable[[Sequence[str]], np.ndarray]) -> Abbreviations:
        """Return the definitions that papers agree on, one for each abbreviation and each long form.

        Args:
            least: the minimum number of papers that have a definition.
            papers_with: returns the papers (their numbers, ascending) that have all of some terms.
        """
        shorts, longs = Counter[str](), Counter[str]()
        for (short, long), count in self.counts.items():
            shorts[short] += count
            longs[long] += count
        kept = [
            self._abbreviation(short, long, papers_with)
            for (short, long), count in self.counts.items()
            if count >= least and count >= _AGREED * shorts[short] and count >= _AGREED * longs[long]
        ]
        return Abbreviations(tuple(sorted(kept)))

    def _abbreviation(
        self, short_key: str, long_key: str, papers_with: Callable[[Sequence[str]], np.ndarray]
    ) -> Abbreviation:
        short, long = (_most_common(self.written[key]) for key in (short_key, long_key))
        having = papers_with(_phrase_terms(short))
        both = np.intersect1d(having, papers_with(_phrase_terms(long)))
        return Abbreviation(short, long, len(both) / max(1, len(having)))


def _most_common(written: Counter[str]) -> str:
    """Return the spelling that occurs most often, of equally frequent ones the first by alphabet."""
    return min(written, key=lambda one: (-written[one], one))


def _phrase_terms(text: str) -> list[str]:
    """Return the terms that only the whole of a text has: its pairs, or its only word."""
    tokens = tokens_of(text)
    return [token.pair for token in tokens if token.pair] or [token.word for token in tokens]


def definitions(text: str) -> set[tuple[str, str]]:
    """Return the abbreviations that a text defines, each with its long form, both as written."""
    if not _MAY_DEFINE.search(text):
        return set()
    from abbreviation_extractor import extract_abbreviation_definition_pairs

    found = {(one.abbreviation, one.definition) for one in extract_abbreviation_definition_pairs(text)}
    return {
        (short, _whole(text, short, long))
        for short, long in found
        if _SHORT.fullmatch(short) and not _BREAKS.search(long) and len(long.split()) <= _MOST_WORDS
    }


def _whole(text: str, short: str, long: str) -> str:
    """Return a long form with the words before it that its initials stand for: the algorithm takes the shortest one
    that has the letters, such as "policy optimization" for "proximal policy optimization (PPO)".
    """
    letters = [letter.lower() for letter in short.removesuffix("s") if letter.isalpha()]
    before, found, _ = text.partition(f"{long} ({short}")
    missing = len(letters) - len(regex.split(r"[\s-]+", long))
    ahead = (
        regex.search(rf"(?:[\p{{L}}\p{{N}}]+[ -]){{{missing}}}\Z", before[-_NEAR:]) if found and missing > 0 else None
    )
    if ahead is None:
        return long
    whole = ahead[0] + long
    return whole if [word[0].lower() for word in regex.split(r"[\s-]+", whole)] == letters else long
