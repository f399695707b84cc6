"""Whether a part of a sentence limits the rest: "for convex functions", "when the oracle is noisy", "on two tasks".

Without such a part a sentence says more than its authors do, so the rules that cut leave it.
"""

import re

from newsletter.highlights.references import leans
from newsletter.highlights.verbs import SAYING

_STRICT = (
    r"(?:under|when|whenever|if|unless|provided(?!\ (?:by|with|in|to|for)\b)|assuming|except|as\ long\ as|"
    r"even\ (?:when|if|under|for|on|in|with))\b"
)
_SCOPE = re.compile(
    r"(?:in|on|at|for|over|across|among|within|during|after|before|between|given|where|without|from|compared|relative|"
    r"starting|restricted|limited|averaged|trained|tested|evaluated|applied|equipped)\b",
    re.IGNORECASE,
)
_MEANS = re.compile(
    r"(?:\w+ly )?(?:by|using|through|via|with|leveraging|combining|employing|applying|computing|exploiting|training|"
    r"viewing|treating|modell?ing|adopting|integrating|incorporating)\b",
    re.IGNORECASE,
)
_PURPOSE_OR_TIME = re.compile(
    r"(?:in our (?:method|approach|framework|model|work|paper|formulation|system)$|"
    r"in (?:order|line|keeping|doing \w+|contrast|addition|response|light|view|recent|the (?:past|last)|"
    r"this (?:way|context|spirit|vein|regard))|for (?:this|that) (?:purpose|reason|end|goal)|"
    r"for (?:the first time|the purpose|an? more)|after (?:this|that)|from (?:this|these|that|our)|"
    r"on (?:the other|the basis|top)|at (?:the (?:same time|heart|core)|its))\b",
    re.IGNORECASE,
)
_EVIDENCE = re.compile(
    r"(?:through|via|by|with|in|using|from|based on|after|across|during) (?:an? |the |our )?"
    r"(?:[\w-]+,? (?:and )?){0,4}?"
    r"(?:experiments?|experimentation|evaluations?|analys[ei]s|examinations?|stud(?:y|ies)|investigations?|"
    r"simulations?|ablations?|validations?|comparisons?)(?:,|$)",
    re.IGNORECASE,
)
# What is done in one step is not what the paper is about.
_STEP = re.compile(
    r"(?:in|at|during|after)\ (?:the|this|each|its)\ (?:first|second|third|fourth|next|final|last|other|same)\ "
    r"(?:stage|step|phase|part|one)\b",
    re.IGNORECASE | re.VERBOSE,
)
_ATTAINING = (
    "achieve|attain|obtain|improve|outperform|surpass|exceed|reduce|increase|reach|can|are|have|also|match|guarantee"
)
_WE_DO = re.compile(
    rf"(?:in\ this\ \w+,\ )?(?:we|this\ \w+)\ (?:\w+ly\ |also\ |then\ |first\ |further\ |therefore\ |thus\ )*"
    rf"(?!(?:{'|'.join(sorted(SAYING))}|{_ATTAINING})s?\b)[a-z]+\b",
    re.IGNORECASE | re.VERBOSE,
)
# "To learn when labels are few" has its condition in the purpose; "For data that is noisy if …" has not.
_PURPOSE = re.compile(r"(?:in order )?to\b|(?!assuming)\w+(?:ed|ing)\b", re.IGNORECASE)
_STRICT_AT_ALL = re.compile(rf"\b{_STRICT}", re.IGNORECASE | re.VERBOSE)
_STRICT_NEXT = re.compile(rf"[\s,;–—-]*(?:and\s+)?{_STRICT}", re.IGNORECASE | re.VERBOSE)
# Without a comma it says which: "poor where it matters", "the class where looms fail".
_WHERE_NEXT = re.compile(r"\s+(?:only\s+)?where\b", re.IGNORECASE)
_STRICT_LATER = re.compile(
    r"\b(?:when|whenever|if|unless|provided (?:that|the)|assuming|except|as long as|under (?:the |a |an |some |mild |"
    r"certain |standard |\w+ )?(?:\w+ )?(?:assumptions?|conditions?|settings?|budgets?|constraints?))\b",
    re.IGNORECASE,
)


def limits(introduction: str, rest: str) -> bool:
    """Return whether the rest of a sentence would claim more without its introduction.

    A purpose, a reason, a contrast or a time does not limit what follows. A condition does; so does a scope, and what a
    finding was made with, except for what authors make: "Using cards, we propose a loom" proposes it without them too.

    Args:
        introduction: the first words of a sentence, up to a comma.
        rest: the words behind it.
    """
    if _STEP.match(introduction) or (_STRICT_AT_ALL.search(introduction) and not _PURPOSE.match(introduction)):
        return True
    if _PURPOSE_OR_TIME.match(introduction) or _EVIDENCE.match(introduction):
        return False
    made = _WE_DO.match(rest) is not None
    if _MEANS.match(introduction):
        return not made and not leans(f"{introduction},")
    return _SCOPE.match(introduction) is not None and not (made and leans(f"{introduction},"))


def limited_by(rest: str, tail: str) -> bool:
    """Return whether a sentence would claim more without its last words.

    Args:
        rest: the sentence up to there.
        tail: the words behind it, with the white space and punctuation before them.
    """
    if _STRICT_NEXT.match(tail) or _WHERE_NEXT.match(tail):
        return True
    return _STRICT_LATER.search(tail) is not None and _WE_DO.match(rest) is None
