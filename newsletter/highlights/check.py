"""Measure highlights: whether they stand alone, without markup, and are short."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from newsletter.highlights.classifier import Highlights
from newsletter.highlights.clauses import MOST_WORDS
from newsletter.highlights.markup import has_debris
from newsletter.highlights.references import leans, opens_with_ours

# Written for the check alone, so that it does not only repeat what the choice goes by.
_REFERS_BACK = re.compile(
    r"(?:To|For|In|With|By|Based on|Motivated by|Inspired by|Given|Building on|Addressing|Observing|Through|Using|"
    r"Combining) "
    r"(?:\w+ ){0,2}?(?:this|these|such(?! as)|those)\b(?! (?:paper|work|study|article)\b)"
    r"|(?:It|They|This|These|That|Those|Such|Here|However|Moreover|Furthermore|Thus|Therefore|Hence|Then|Also|"
    r"Specifically|"
    r"Additionally|But|And|So|Its|Their)\b(?! (?:paper|work|study|article|survey|report|thesis|investigation)\b)"
)
_BOILERPLATE = re.compile(
    r"(?:In|With|Through) (?:this|our|the present) (?:\w+ )?(?:paper|work|study|article|report|survey)\b|Here,? we\b"
    r"|(?:This|The present|Our) (?:paper|work|study|article) (?:proposes|presents|introduces|develops|describes)\b"
    r"|(?:Extensive |Comprehensive |Our )?(?:[Ee]xperiments|(?:[Ee]xperimental )?[Rr]esults) (?:show|demonstrate) "
    r"that\b"
    r"|We (?:show|demonstrate) that\b|(?:However|Moreover|Furthermore|Finally|Notably|Specifically|In particular),"
)
_NEVER = re.compile(
    r"\?|https?://|www\.|\b(?:code|data|models?) (?:is|are|will be) (?:\w+ )?available\b|\b(?:Figure|Fig\.|Table) \d",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Measured:
    """The measures of the highlights of some papers.

    Attributes:
        papers: with an abstract. ``sentences``: shown.
        leaning: how many sentences lean on text that is not shown; ``markup``: have remains of markup;
            ``boilerplate``: begin with words that say nothing; ``never``: are questions or notices, or name a figure.
        median_words, most_words: of a sentence. ``too_long``: how many have more than 30.
    """

    papers: int
    sentences: int
    leaning: int
    markup: int
    boilerplate: int
    never: int
    median_words: float
    most_words: int
    too_long: int


def measure(shown: Iterable[Highlights]) -> Measured:
    """Measure the highlights of papers."""
    pairs = list(shown)
    texts = [text for pair in pairs for text in (pair.idea, pair.result) if text]
    words = [len(text.split()) for text in texts]
    return Measured(
        papers=len(pairs),
        sentences=len(texts),
        leaning=sum(bool(findings(text, pair)) for pair in pairs for text in (pair.idea, pair.result) if text),
        markup=sum(map(has_debris, texts)),
        boilerplate=_count(_BOILERPLATE, texts),
        never=sum(_NEVER.search(text) is not None for text in texts),
        median_words=median(words) if words else 0,
        most_words=max(words, default=0),
        too_long=sum(number > MOST_WORDS for number in words),
    )


def findings(text: str, pair: Highlights) -> bool:
    """Return whether a sentence of a pair leans on text that is not shown.

    "Our method" leans if it is the idea; as the result it does if the idea does not say what "we" do.
    """
    if leans(text) or _REFERS_BACK.match(text):
        return True
    introduced = text is pair.result and pair.idea is not None and not opens_with_ours(pair.idea)
    return opens_with_ours(text) and not introduced


def _count(pattern: re.Pattern[str], texts: Sequence[str]) -> int:
    return sum(pattern.match(text) is not None for text in texts)
