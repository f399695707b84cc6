"""Terms: the words of a text and pairs of neighbouring ones, in the form in which papers and interests are compared.

Most terms are *ordinary*: words in singular without the common ones, pairs of them, and pairs of characters in scripts
that are written without spaces. Others count only for an interest that names them, since in a paper they say little by
themselves: single letters ("R"), pairs with one ("T cell", "k-means"), two words with a short common word in between
("learning to rank"), and single characters ("猫"). Such *named* terms start with ``NAMED``.
"""

import re
from functools import cache, lru_cache
from typing import NamedTuple

from newsletter.ranking.segmentation import Stretch, folded, stretches

NAMED = "="
"""The first character of each named term; no ordinary term starts with it."""

_JOINS = " -\n"
_HOLDS_TOGETHER = re.compile(r"-[a-z]+[ -]", re.IGNORECASE)
_SHORT_WORDS = ["to", "of", "in", "on", "for", "and", "with", "by", "from"]
_LINKS = {
    f"{before}{written}{after}": word
    for word in _SHORT_WORDS
    for written in (word, word.capitalize())
    for before in _JOINS
    for after in _JOINS
}
"""What may stand between two words that form a term, each with its short common word."""

_NAME_ENDS = re.compile(r"\+\+|[#*](?=[^\w#*]|\Z)")
# A letter or digit that stands alone, and a capital that does not abbreviate a name ("C. elegans").
_ALONE = re.compile(r"(?<![^\s(\[,;/\"“-])(?<!\w\()[A-Za-z0-9](?![^\s)\]\"”.,;:!?/-])")
_CAPITAL = re.compile(r"[B-HJ-Z](?!\.\s*[a-z\d]|\.\w)")
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


class Token(NamedTuple):
    """A word of a text that is not common, or a character of a script without spaces.

    Attributes:
        word: its term; empty for a letter that counts only together with a neighbour.
        start, end: its position.
        pair: the term it forms with the token right before it, or with a short common word in between; empty without
            one. ``triple``: the term that a character forms with the two before it.
        joined: whether it and the previous token may be shown as one phrase: adjacent, or with a common word in between
            as in "energy-based models".
    """

    word: str
    start: int
    end: int
    pair: str
    triple: str
    joined: bool

    @property
    def terms(self) -> list[str]:
        """Return its terms."""
        return [term for term in (self.word, self.pair, self.triple) if term]


_Plain = tuple[str, int, int, str, str, bool]
"""As :class:`Token`: all papers of a store pass through here, and a class takes half as long again."""


def terms_of(text: str) -> list[str]:
    """Return the terms of a text, ordinary and named."""
    terms = []
    for word, _, _, pair, triple, _ in _tokens(text):
        if word:
            terms.append(word)
        if pair:
            terms.append(pair)
            if triple:
                terms.append(triple)
    return terms


def words_of(text: str) -> list[str]:
    """Return only the ordinary terms of a text that are single words."""
    return [word for word, *_ in _tokens(text) if word and word[0] != NAMED]


def tokens_of(text: str) -> list[Token]:
    """Return the words of a text that are not common, in order, and its characters in scripts without spaces."""
    return [Token(*one) for one in _tokens(text)]


def wanted_tokens(text: str) -> list[Token]:
    """Return the tokens of what an interest says.

    A single character of a script without spaces is a term only if it stands alone, and a single letter names what its
    capital does.
    """
    tokens = tokens_of(text.upper() if len(text) == 1 and text.isascii() else text)
    pairs = [bool(token.pair) for token in tokens] + [False]
    return [
        token._replace(word="") if _is_character(token.word) and (pairs[place] or pairs[place + 1]) else token
        for place, token in enumerate(tokens)
    ]


def word_spans(text: str) -> list[tuple[int, int, set[str]]]:
    """Return the words of what an interest says, each with its start, its end and the terms it must have.

    Characters that run on are one word, with all its pairs of characters. Single letters are left out.
    """
    spans: list[tuple[int, int, set[str]]] = []
    for token in wanted_tokens(text):
        runs_on = bool(spans) and spans[-1][1] == token.start
        terms = {token.word} if token.word and (token.word[0] != NAMED or _is_character(token.word)) else set()
        if runs_on and token.pair:
            terms.add(token.pair)
        if runs_on:
            spans[-1] = spans[-1][0], token.end, spans[-1][2] | terms
        else:
            spans.append((token.start, token.end, terms))
    return [span for span in spans if span[2]]


def _is_character(word: str) -> bool:
    return word[:1] == NAMED and not word.isascii()


def written_term(term: str) -> str:
    """Return a term as people read it."""
    return term.removeprefix(NAMED)


def _tokens(text: str) -> list[_Plain]:
    tokens: list[_Plain] = []
    for stretch in stretches(text):
        found = _characters(stretch) if stretch.unspaced else _words(text, stretch)
        if tokens and found and found[0][1] == tokens[-1][2]:
            found[0] = (*found[0][:-1], True)
        tokens = tokens + found if tokens else found
    return tokens


def _characters(stretch: Stretch) -> list[_Plain]:
    tokens: list[_Plain] = []
    before, pair, end = "", "", stretch.start
    for written, _ in stretch.pieces:
        start, end = end, end + len(written)
        character = folded(written)
        triple = pair and pair + character
        pair = before and before + character
        tokens.append((NAMED + character, start, end, pair, triple, bool(before)))
        before = character
    return tokens


def _words(text: str, stretch: Stretch) -> list[_Plain]:
    tokens: list[_Plain] = []
    end = stretch.start
    before, ended = "", -2
    for written, between in stretch.pieces:
        start, end = end, end + len(written) + len(between)
        word = part = _term(written)
        if not word:
            if len(written) > 1:
                continue
            if name := _NAME_ENDS.match(between):
                written += name[0]
                word = part = written.lower()
            elif written == "a" or not _counts(text, start, ended):
                continue
            else:
                word = NAMED + written if _CAPITAL.match(text, start) else ""
                part = NAMED + written.lower()
        pair, joined = "", False
        if before:
            gap = start - ended
            # Only a space or a hyphen makes two words one term.
            if gap == 1:
                if text[ended] in _JOINS:
                    pair, joined = f"{before} {part}", True
                    if NAMED in pair:
                        pair = NAMED + pair.replace(NAMED, "")
            else:
                if gap < 7 and (link := _LINKS.get(text[ended:start])) and NAMED not in before + part:
                    pair = f"{NAMED}{before} {link} {part}"
                if text[ended] == "-":
                    joined = _HOLDS_TOGETHER.fullmatch(text, ended, start) is not None
        # A digit ends a name: in "type 2 diabetes", "2 diabetes" is none.
        before, ended = part if word or not written.isdigit() else "", start + len(written)
        tokens.append((word, start, ended, pair, "", joined))
    return tokens


def _counts(text: str, start: int, ended: int) -> bool:
    """Return whether a single letter or digit is part of a name: a digit only after a word ("type 2"), and "A" and "I"
    only after a word or next to a hyphen.

    Args:
        start: its position. ``ended``: the end of the word before.
    """
    if not _ALONE.match(text, start):
        return False
    if start == ended + 1:
        return True
    return text[start] not in "AI0123456789" or (text[start] in "AI" and text[start + 1 : start + 2] == "-")


@lru_cache(maxsize=100_000)
def _term(written: str) -> str:
    """Return a word in lower case and singular; empty for a common one. Cached, since papers share most words."""
    small = folded(written)
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
