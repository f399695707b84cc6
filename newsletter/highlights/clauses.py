"""Shorten a sentence at the boundaries of its clauses, so that a whole sentence remains."""

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass

from newsletter.highlights.conditions import limited_by, limits
from newsletter.highlights.references import leans
from newsletter.highlights.sentences import capitalized
from newsletter.highlights.verbs import FINITE, SAYING, VERBS, is_complete, verbs_to_spare

MOST_WORDS = 30
"""A sentence with more words is shortened if that is possible."""

_LONG_WORDS = 40
_LEAST_WORDS = 8
_CLOSING = "\"'”’»)]}」』）"
_ASIDE = re.compile(r"\s*(?:\([^()]{1,300}\)|\[[^\[\]]{1,300}\])")
_ABBREVIATION = re.compile(r"\s*\([^\s()]{1,20}\)")
_DASHED = re.compile(r"\s+(?:–|—|-|--)\s+[^–—]{1,200}?\s+(?:–|—|-|--)(?=\s)")

FINITES = "|".join(sorted(FINITE))
INFINITIVES = "|".join(sorted(VERBS))
_PARTICIPLE = r"(?:(?:thereby|thus|hence|while|even|often|also|both|further|\w+ly)\s+)?[a-z-]+ing\b"
_BOUNDARY = re.compile(
    rf"""
    (?P<end>;\s+|:\s+|\s+[–—]\s*|\s+-\s+|—)
    | (?P<clause>,\s+(?:and\s+|but\s+|so\s+|yet\s+)?(?:in|for|on|at|to|by|of|with|from)?\s*(?:which|where|whose|
        while|whereas|although|though|because|since|when|whereby)\b
        | ,\s+(?:and|but|so|yet)\s+(?:that\s+)?(?:we|it|they|our|its|there|the\ results?|the\ \w+\ (?:is|are|can))\b
        | ,\s+(?:but|yet|that)\s
        | ,\s+{_PARTICIPLE}
        | ,\s+(?:e\.g\.|i\.e\.)
        | ,\s+(?:and\s+)?(?:[a-z]{{3,}}ed|given|built|drawn|known|shown)\s
        | ,?\s+and\s+at\ the\ same\ time\s
        | (?:,|,?\s+and)\s+(?:\w+ly\s+)?(?P<verb>{FINITES})\s
        | ,?\s+and\s+that\s
        | ,\s+(?:thereby|thus|hence|resulting|so\ that|such\ that|including|such\ as|especially|particularly|
            notably|namely|even|as\ well\ as|rather\ than|regardless|both|in\ particular|compared|making|based|
            inspired|motivated|built|designed|trained|guided|driven|followed|coupled|combined)\b)
    | (?P<phrase>,\s+(?:with|without|across|by|through|via|for|on|from|as|under|at|in|to|over|among|within|
        despite|unlike|like|using|after|beyond|up\ to)\s
        | ,\s+(?:an?|the|one|two|three|four)\s)
    | (?P<loose>\s+(?:while|whereas|although|because|in\ order\ to|so\ that|such\ that|thereby|without|
        as\ well\ as|compared\ (?:to|with)|rather\ than|based\ on|where|using|including|such\ as|leading\ to|
        resulting\ in)\s
        | \s+(?:by|via|through|when|while)\s+[a-z-]+ing\s
        | \s+and\s+(?:(?:\w+ly|also|further|then|thus)\s+)?(?:we|{"|".join(sorted(SAYING))})\s+(?:that|how|the|
            its|our|on|an?)\b
        | \s+and\s+(?:(?:\w+ly|also|further|then|thus)\s+)?(?:{INFINITIVES})\s
        | \s+by\s+\(?(?:1|i|a)\)\s
        | \s+(?:which|that)\s+(?:\w+ly\s+)?(?:can|could|may|is|are|{FINITES})\s
        | \s+(?:across|under|with|via|through)\s)
    | (?P<weak>\s+(?:on|for|in|at|from|during|among|over|within|to\ (?:{INFINITIVES}))\s)
    """,
    re.VERBOSE,
)
_COST = {"end": 0, "clause": 0, "phrase": 5, "loose": 9, "weak": 12}
"""By how many words a boundary of each kind must leave more than a better one."""

# A result that is cut before "while others fail" may say the opposite.
_CONTRAST = re.compile(r",?\s+(?:but|yet|while|whereas|although|though)\s+(?!\w+ing\b)")
_CONTRAST_COST = 7

_CLOSES_ASIDE = re.compile(r"\s+[–—-]\s+")

_MANY = 10**6
_LOOK = 5  # Words before a boundary that tell whether a text may end there.
_UNFINISHED = re.compile(
    r"(?:\b(?:the|an?|of|to|in|on|for|by|with|from|and|or|but|that|which|as|at|is|are|was|were|be|than|its|their|our|"
    r"this|these|both|"
    r"either|between|for example|for instance|such|include|includes|including|"
    r"following(?:\s+\w+)?|follows|namely|consists?|comprising|not|"
    r"only|also|via|through|"
    r"using|into|e\.g\.|i\.e\.|vs\.?|when|where|while|if|allows?|enables?|makes?|called|named|termed|dubbed|"
    r"shows?|indicates?|demonstrates?|reveals?|suggests?|finds?|reads?)|first|second|that\s+[\w-]+|\w+ed|[,;:(–—-])$",
    re.IGNORECASE,
)
_CLOSED_BY = {"not only": " but ", "both": " and ", "either": " or ", "neither": " nor ", "between": " and "}
_PAIRED = re.compile(rf"\b(?:{'|'.join(_CLOSED_BY)})\b", re.IGNORECASE)
_LISTED_FINITE = re.compile(rf",\s+(?:\w+ly\s+)?(?:{FINITES})\s")
_NEEDS_MORE = re.compile(
    r"\b(?:(?:the|an?) \w+ (?:the|an?) \w+|able|potential|ability|opportunity|capability|capacity|capable|due|similar|"
    r"related|responsible|available|superior|robust|prone|sensitive|respect|order|how|need|way|aims?|seeks?|tends?|fails?|"
    r"not an? \w+|necessity|requirement|prerequisite|optimal|"
    r"likely|hard|difficult|easy|necessary|possible|rely|relies|depends?|focus|focuses|results?|accounts?|leads?|"
    r"reliance|dependence|impact|effect|emphasis|compatible|consistent|competitive|comparable|consists?|differs?|learns?|"
    r"us|what|combination|conjunction|comparison|accordance|difference|sufficient|too|enough|attempts?|access|contributes?|converges?|"
    r"\w+ing|\w+ly|to \w+|(?<=, )[\w%.-]+|and [\w%.-]+)$",
    re.IGNORECASE,
)
_CONDITION = re.compile(r"(?:if|when|given|while|although|since|for)\b", re.IGNORECASE)
_ENUMERATION = re.compile(
    r"(?:\(|[:,]\s|\b(?:by|that|are|and|on|can|how)\s)(?:1|i|a)\)|\bfirst,|\bfirstly\b", re.IGNORECASE
)
_SECOND = re.compile(r"\(?\b(?:(?:2|ii|b)\)|second|secondly)", re.IGNORECASE)
_RELATIVE = re.compile(
    rf",\s+(?:which|who|including|such as|termed|named|called|"
    rf"dubbed)\s[^,]{{1,200}},(?=\s+(?:\w+ly\s+)?(?:{FINITES}|{INFINITIVES}|offers)\b)"
)
_INTRODUCTION = re.compile(
    r"[^,]{1,200}(?:,[^,]{1,100})??,\s+(?=we\b)"
    r"|(?:At|In|On|Under|For|With|By|Using|Given|When|While|Through|Across|Compared|From|Among|Unlike|Despite|As|During)\s"
    r"[^;:]{1,200}?,\s+(?=(?:our|the)\s)"
)
_FIRST_ITEM = re.compile(
    r"[^;]{1,160}?(?:[:,]|\b(?:that|are|include|by))\s+\(?(?:1|i|a)\)\s+(?P<item>[^;]{20,400}?)"
    r"[;,.]?\s+(?:and\s+)?\(?(?:2|ii|b)\)\s"
)
_LOST_SUBJECT = re.compile(
    r"(?:when|while|if|once|although|though)\s+\w+(?:ed|ing|en)\b[^,]*?\b(?:can|could|will|may|is|are|has|have)\b",
    re.IGNORECASE,
)
_INTRODUCES = re.compile(
    r"(?:When|While|At|In|On|Under|For|With|By|Using|Given|Through|Across|Compared|From|Among|Unlike|Despite|As|During)\s"
)
_SHOWN_THAT = re.compile(
    r"[^;:]{1,260}?\s(?:shows?|demonstrates?|indicates?|reveals?|confirms?|illustrates?|substantiates?|finds?|"
    r"observes?|verify|verifies|"
    r"proves?|validates?|suggests?)\s+that,?\s+"
)
_LISTED_VERB = re.compile(rf",\s+(?:(?:and|then)\s+)?(?:{'|'.join(VERBS)})\s")


@dataclass(frozen=True, slots=True)
class _Cut:
    """A way to cut a sentence.

    Attributes:
        text: what remains, with ``words`` words.
        cost: how many words more it must have than another way that costs nothing.
        turns: whether a contrast is cut off. ``widens``: whether a condition is, so that more is claimed.
    """

    text: str
    words: int
    cost: float
    turns: bool = False
    widens: bool = False


def shortened(sentence: str, most: int = MOST_WORDS, end: int | None = None) -> str:
    """Return a sentence cut to at most ``most`` words at a boundary of its clauses, or as it is if none allows it.

    What is in parentheses, or an introduction before "we", may be left out too. Of all ways that leave a whole
    sentence, the one that keeps most is taken. If that one cuts off a condition or a contrast, the sentence stays as it
    is up to 40 words; if it is longer, the best one that leaves the condition is taken.

    Args:
        end: a position behind which nothing may remain.
    """
    words = len(sentence.split())
    if end is None and words <= most:
        return sentence
    fitting = [
        cut
        for text, cost in _variants(sentence)
        for cut in (_Cut(text, len(text.split()), cost), *_cuts(text, cost))
        if _LEAST_WORDS <= cut.words <= most
        and (end is None or (len(cut.text) <= end + 1 and sentence.startswith(cut.text[:-1])))
    ]
    best = max(fitting, key=_worth, default=None)
    if best is not None and (best.turns or best.widens) and end is None and words <= _LONG_WORDS:
        return sentence
    safe = max((cut for cut in fitting if not cut.widens), key=_worth, default=None)
    return safe.text if safe is not None else sentence


def _worth(cut: _Cut) -> float:
    return cut.words - cut.cost


def _variants(sentence: str) -> Iterator[tuple[str, float]]:
    """Yield a sentence and the same without asides or introduction, each with its cost in words."""
    yield sentence, 0
    plain = _without_asides(sentence)
    if plain != sentence:
        yield plain, 2
    for text, cost in ((sentence, 3), (plain, 5)):
        for pattern in (_INTRODUCTION, _SHOWN_THAT):
            found = pattern.match(text)
            rest = text[found.end() :] if found else ""
            if found and limits(found[0].rstrip(" ,"), rest):
                continue
            if rest[:1].isalnum() and is_complete(rest) and not leans(rest) and not _LOST_SUBJECT.match(rest):
                # What is said counts more than that it is shown.
                shown = len(text[: found.end()].split()) / 2 if found and pattern is _SHOWN_THAT else 0
                yield capitalized(rest), cost - shown
    if rest := _after_introduction(sentence):
        yield rest, 3
    if (found := _FIRST_ITEM.match(sentence)) and is_complete(found["item"]) and not leans(found["item"]):
        yield capitalized(found["item"]) + ".", 6


def _after_introduction(sentence: str) -> str:
    """Return what follows an introduction, if that is all before the first verb but the subject; "" for none."""
    verb = next((end for end, spare in verbs_to_spare(sentence) if spare > 0), 0)
    comma = sentence.find(", ")
    if not _INTRODUCES.match(sentence) or not 0 < comma < verb or sentence.count(",", 0, verb) != 1:
        return ""
    rest = sentence[comma + 2 :]
    if limits(sentence[:comma], rest):
        return ""
    return capitalized(rest) if is_complete(rest) and not leans(rest) else ""


def _without_asides(sentence: str) -> str:
    """Leave out what is in parentheses, between dashes or in a relative clause, except abbreviations of one word."""
    text = _ASIDE.sub(lambda found: found[0] if _ABBREVIATION.fullmatch(found[0]) else "", sentence)
    for pattern in (_DASHED, _RELATIVE):
        shorter = pattern.sub("", text)
        if shorter != text and is_complete(shorter):
            text = shorter
    return text


def _cuts(sentence: str, cost: float) -> Iterator[_Cut]:
    stop = "。" if sentence.rstrip(_CLOSING).endswith("。") else "."
    depths, spare = _depths(sentence), verbs_to_spare(sentence)
    for found in _BOUNDARY.finditer(sentence):
        text = sentence[: found.start()].rstrip(" ,;:–—-")
        place = bisect_right(spare, (len(text), _MANY)) - 1
        if depths[found.start()] or place < 0 or spare[place][1] <= 0 or _UNFINISHED.search(ending := _ending(text)):
            continue
        if _is_open(text, found[0]) or (found["verb"] and _LISTED_FINITE.search(text)):
            continue
        if (found["weak"] or found["loose"]) and (
            text.rsplit(" ", 1)[-1] in FINITE or _NEEDS_MORE.search(ending) or _enumerates(text)
        ):
            continue
        if text[-1] in _CLOSING and text[-2:-1] in ",;:":
            text = text[:-2] + text[-1]
        contrast = _CONTRAST_COST if _CONTRAST.match(sentence, found.start()) else 0
        kind = next(kind for kind in _COST if found[kind])
        if kind == "end" and _CLOSES_ASIDE.fullmatch(found[0]) and _CLOSES_ASIDE.search(text):
            kind = "loose"  # What an aside interrupts goes on behind its second dash.
        widens = limited_by(text, sentence[found.start() :])
        yield _Cut(text + stop, len(text.split()), cost + contrast + _COST[kind], contrast > 0, widens)


def _ending(text: str) -> str:
    return " ".join(text.rsplit(" ", _LOOK)[-_LOOK:])


def _enumerates(text: str) -> bool:
    return (")" in text or "irst" in text) and _ENUMERATION.search(text) is not None


def _is_open(text: str, boundary: str) -> bool:
    """Return whether a text promises more than it has: one of two, or the first verbs of a list."""
    pairs = list(_PAIRED.finditer(text))
    if pairs:
        opened, after = pairs[-1][0].lower(), text[pairs[-1].end() :]
        if _CLOSED_BY[opened] not in f"{after} " and (opened != "both" or " and " in boundary):
            return True
    last = re.split(r"[;:]\s+", text)[-1]
    if last != text and (_CONDITION.match(last) or ";" in text) and not is_complete(last):
        return True
    if boundary.startswith(":") and re.search(r"\b(?:following|below)\b", text):
        return True
    if _enumerates(text) and not _SECOND.search(text):
        return True
    return " and " in boundary and _LISTED_VERB.search(text) is not None


def _depths(text: str) -> list[int]:
    """Return for each position how many brackets and quotation marks are open."""
    depths, depth, quoted = [], 0, False
    for character in text:
        if character in "([{“":
            depth += 1
        elif character in ")]}”":
            depth = max(0, depth - 1)
        elif character == '"':
            quoted = not quoted
        depths.append(depth + quoted)
    return depths
