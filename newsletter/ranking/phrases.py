"""The words of a paper, parsed once for all subscribers: where its terms are, and how a phrase is written."""

import re
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field

from newsletter.model import Paper
from newsletter.ranking.sparse import Row
from newsletter.ranking.tfidf import TfidfModel, paper_text
from newsletter.ranking.tokens import tokens_of
from newsletter.ranking.word_windows import WordWindows, make_windows

_UNKNOWN = -1
_MOSTLY = 0.7  # In half of the papers with the first word, the second follows.
_SELDOM = 1.1  # Below three times the frequency of the rarest terms, the next word is not predictable.
_WORDS = re.compile(r"\w+")
_NAMES = re.compile(r"(?<=[a-z,] )[A-Z]\w*")
_HYPHEN_BEFORE = re.compile(r"(?<![\w-])\w+-\Z")
_HYPHEN_AFTER = re.compile(r"-\w+(?![\w-])")


@dataclass(frozen=True, slots=True)
class PaperPhrases:
    """A paper's text as a sequence of its tokens, which are numbered from 0 (:class:`newsletter.ranking.tokens.Token`).

    Attributes:
        text: contains the words. ``names``: capitalised words in the middle of the abstract's sentences.
        starts, ends: the range to cut out of the text for a phrase that begins, or ends, with a word.
        words: the term of each word; -1 if the space does not know it.
        windows: the windows of adjacent words.
        vector: the paper's vector.
        written: a cache of phrases, by the positions of their first and last word.
    """

    text: str
    names: frozenset[str]
    starts: "array[int]"
    ends: "array[int]"
    words: "array[int]"
    windows: WordWindows
    vector: Row
    written: dict[tuple[int, int], str] = field(default_factory=dict)

    def phrase(self, first: int, last: int) -> str:
        """Return the words from one position to another, as the paper writes them."""
        if (first, last) not in self.written:
            self.written[first, last] = _as_written(self.text, self.starts[first], self.ends[last], self.names)
        return self.written[first, last]


def read(model: TfidfModel, paper: Paper, vector: Row) -> PaperPhrases:
    """Parse the words of a paper; ``vector`` is its vector in the space."""
    text = paper_text(paper)
    tokens = tokens_of(text)
    spelled, starts, ends, paired, tripled, joined = zip(*tokens, strict=True) if tokens else ((),) * 6
    known = model.known
    words = [known.get(word, _UNKNOWN) for word in spelled]
    pairs = [known.get(pair, _UNKNOWN) for pair in paired]
    triples = [known.get(triple, _UNKNOWN) for triple in tripled]
    run_on = [False, *(start == end for end, start in zip(ends, starts[1:], strict=False)), False]
    return PaperPhrases(
        text=text,
        names=frozenset(_NAMES.findall(paper.abstract)),
        starts=array("i", starts),
        ends=array("i", _ends(model, ends, words, pairs, run_on)),
        words=array("i", words),
        windows=make_windows(vector.terms, words, pairs, triples, joined, run_on),
        vector=vector,
    )


def _ends(
    model: TfidfModel, ends: Sequence[int], words: Sequence[int], pairs: Sequence[int], run_on: Sequence[bool]
) -> list[int]:
    """Return where a phrase ends that ends with each word: after the next word if that usually follows, as "learning"
    follows "reinforcement", so that the phrase is not cut off.
    """
    idf, seldom = model.idf, model.idf.max() - _SELDOM
    taken_in = list(ends)
    for place, (alone, together) in enumerate(zip(words, pairs[1:], strict=False)):
        known = alone != _UNKNOWN and together != _UNKNOWN and not run_on[place + 1]
        if known and idf[alone] <= seldom and idf[together] - idf[alone] < _MOSTLY:
            taken_in[place] = ends[place + 1]
    return taken_in


def _as_written(text: str, start: int, end: int, names: frozenset[str]) -> str:
    """Return a phrase with complete hyphenated words, and in lower case except for names."""
    apart = max(text.rfind(" ", 0, start), text.rfind("\n", 0, start)) + 1
    before = _HYPHEN_BEFORE.search(text, apart, start)
    after = _HYPHEN_AFTER.match(text, end)
    phrase = text[before.start() if before else start : after.end() if after else end]
    return _WORDS.sub(
        lambda word: (
            word[0].lower() if word[0].istitle() and word[0][1:].islower() and word[0] not in names else word[0]
        ),
        " ".join(phrase.split()),
    )
