"""Terms: the words of a text and pairs of neighbouring ones, in the form in which papers and interests are compared."""

import re
from functools import cache, lru_cache
from typing import NamedTuple

_WORD = re.compile(r"([^\W_]+)([\W_]*)")
_BETWEEN_WORDS = re.compile(r"[\W_]*")
_HOLDS_TOGETHER = re.compile(r"-[a-z]+[ -]", re.IGNORECASE)
# Words in nearly every abstract, which say nothing about its subject.
_ABSTRACTS_SAY = {
    "abstract", "approach", "based", "demonstrate", "existing", "experiment", "introduce", "method", "novel", "paper",
    "present", "propose", "proposed", "result", "show", "significantly", "state", "study", "use", "used", "using",
    "work",
    # The remains of "don't", "we'll" and the like.
    "aren", "couldn", "didn", "doesn", "don", "hasn", "haven", "isn", "ll", "ve", "wasn", "weren", "won",
}  # fmt: skip


@cache
def _common() -> frozenset[str]:
    from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

    return frozenset(_ABSTRACTS_SAY | set(ENGLISH_STOP_WORDS))


def terms_of(text: str) -> list[str]:
    """Return the terms of a text: its words in singular without the common ones, and each adjacent pair."""
    return [term for word, _, _, pair, _ in _tokens(text) for term in ((word, pair) if pair else (word,))]


def words_of(text: str) -> list[str]:
    """Return the words of a text in singular, without the common ones and without phrases."""
    return [word for word, *_ in _tokens(text)]


class Token(NamedTuple):
    """A word of a text that is not common.

    Attributes:
        word: in singular and lower case. ``start``, ``end``: its position.
        pair: the term it forms with the word right before it, empty without one.
        joined: whether it and the previous token may be shown as one phrase: adjacent, or with a common word in between
            as in "energy-based models".
    """

    word: str
    start: int
    end: int
    pair: str
    joined: bool


def tokens_of(text: str) -> list[Token]:
    """Return the words of a text that are not common, in order."""
    return [Token(*one) for one in _tokens(text)]


def _tokens(text: str) -> list[tuple[str, int, int, str, bool]]:
    # Plain tuples: all papers of a store pass through here, and a class takes half as long again.
    tokens = []
    end = _BETWEEN_WORDS.match(text).end()  # type: ignore[union-attr]
    before, ended = "", -1
    for written, between in _WORD.findall(text):
        start, end = end, end + len(written) + len(between)
        word = _term(written)
        if not word:
            continue
        pair, joined = "", False
        if before:
            # Only a space or a hyphen makes two words one term.
            if start == ended + 1 and text[ended] in " -\n":
                pair, joined = f"{before} {word}", True
            elif text[ended] == "-":
                joined = _HOLDS_TOGETHER.fullmatch(text, ended, start) is not None
        before, ended = word, start + len(written)
        tokens.append((word, start, ended, pair, joined))
    return tokens


@lru_cache(maxsize=100_000)
def _term(written: str) -> str:
    """Return a word in lower case and singular; empty for a common one. Cached, since papers share most words."""
    small = written.lower()
    word = _singular(small)
    common = _common()
    return "" if small in common or word in common or (len(word) < 2 and word.isascii()) else word


def _singular(word: str) -> str:
    """Remove the plural ending of an English word: the S-stemmer of Harman, "How effective is suffixing?" (1991)."""
    if len(word) < 4 or not word.endswith("s"):
        return word
    if word.endswith("ies") and word[-4] not in "ea":
        return word[:-3] + "y"
    if word.endswith("es") and word[-3] not in "aeo":
        return word[:-1]
    if word[-2] not in "us":
        return word[:-1]
    return word
