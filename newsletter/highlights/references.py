"""Whether a sentence leans on text before it: "To address this issue", "these models", "It", "the latter"."""

import re
from functools import lru_cache

from newsletter.highlights.verbs import FINITE, LISTS, SAYING

_WORDS = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*|[,;:.]")

PAPERS = (
    "paper|work|study|article|report|letter|thesis|research|survey|manuscript|tutorial|note|chapter|review|"
    "investigation"
)
"""What authors call their own text: "this paper" leans on nothing."""

_CONNECTIVE = (  # of a verbose pattern
    "however|moreover|furthermore|additionally|therefore|thus|hence|consequently|nevertheless|nonetheless|meanwhile|"
    r"conversely|accordingly|similarly|likewise|besides|instead(?!\ of)|also|then|next|otherwise|secondly|thirdly|"
    r"lastly|yet|but|and|so|or|nor|still|further(?=,|\ we\b)|here|subsequently|afterwards|"
    r"alternatively|rather(?!\ than)|again"
)
_IMPERSONAL = (  # "It is hard to" refers to what follows.
    "critical|important|essential|likely|unlikely|possible|impossible|difficult|hard|easy|useful|crucial|known|clear|"
    "laborious|necessary|challenging|unclear|desirable|common|vital|natural|true"
)
_OPENING = re.compile(
    rf"""(?:[("“‘\[]*)(?:
        (?:{_CONNECTIVE})\b(?!-)
        | (?:it(?!\ (?:is|was|remains)\ (?:\w+ly\ |often\ )?(?:{_IMPERSONAL})\b)|its|they|their|them|he|she|his|her|
            both(?=\s+(?:of|are|were|have|can|methods|approaches|models))|
            neither|another|others|doing\ so|following\ (?:this|these))\b(?!-)
        | (?:this|these|those|such|that)\b(?!\s+(?:{PAPERS})\b)
        | (?:specifically|concretely|in\ (?:particular|addition(?!\ to)|contrast(?!\ to)|summary|conclusion|short|
            detail|turn|doing|other\ words))\b
        | (?:for\ (?:example|instance)|as\ (?:such|a\ result|a\ consequence)|on\ the\ (?:other|contrary)|
            to\ (?:this|that)\ end)\b
        | (?:to|by|for|in)\ (?:\w+\ )?(?:\w+ing|\w+)\ (?:the|both|all|either)\ (?:\w+\ )?(?:issues?|problems?|
            challenges?|limitations?|gaps?|drawbacks?|shortcomings?|questions?),
        | the\ (?:former|latter|other|others|same|second|third|resulting|above|two|three|rest)\b
        | (?:second|third|fourth|fifth),
        | (?:in|at|during|after)\ the\ (?:first|second|third|fourth|next|final|last|other)\ (?:stage|step|phase|part|
            one)\b
        | all\ (?:of\ )?(?:this|these|three|two|four|of\ them)\b
        | (?:in|at|with|under|by|from|on|for|to|of|through|via|between|among|within)\s+(?:doing\ (?:so|this)|it|
            them|which|that)\b
        | (?:more|most)\ (?:specifically|importantly|broadly|generally|precisely|concretely)\b
    )""",
    re.VERBOSE | re.IGNORECASE,
)
_TROUBLE = (
    "issues?|problems?|challenges?|limitations?|gaps?|questions?|difficult(?:y|ies)|drawbacks?|shortcomings?|needs?|"
    "bottlenecks?|obstacles?|oversights?|assumptions?|observations?|findings?|insights?|ideas?|goals?|ends?|purposes?|"
    "objectives?|concerns?|discrepanc(?:y|ies)|inconsistenc(?:y|ies)|phenomen(?:on|a)|trade-?offs?|dilemmas?|pitfalls?|"
    "differences?|deficienc(?:y|ies)|weaknesses?|requirements?|tasks?|settings?|approach(?:es)?|methods?|models?|"
    "frameworks?|techniques?|strateg(?:y|ies)|results?|properties|property|advantages?|constraints?|biases|effects?|"
    "conditions?|mechanisms?|systems?|directions?|aspects?|considerations?|criteria|factors?|types?|kinds?|two|three|"
    "four"
)
POINTED = rf"(?:[\w-]+ ){{0,1}}?(?:{_TROUBLE})\b"
"""What a pointing word can only mean together with the text before: "issue", "main limitation"."""

_POINTING = re.compile(
    rf"\b(?:this|these|those|such(?!\s+as\b)|aforementioned|"
    rf"above-?mentioned)\s+(?:an?\s+)?(?:\w+[\s-]){{0,2}}?(?:{_TROUBLE})\b"
    r"|\bboth\s+(?:issues|problems|challenges|limitations|questions|drawbacks|shortcomings)\b"
    r"|\b(?:the\s+)?(?:aforementioned|above-?mentioned)\b|\bthe\s+(?:former|latter)\b"
    r"|\b(?:noted|mentioned|described|discussed|listed|introduced)\s+(?:above|before|earlier|previously)\b"
    r"|\bthe\s+above\b",
    re.IGNORECASE,
)
_DEMONSTRATIVE = re.compile(
    rf"\b(?:this|these|those(?!\s+(?:of|that|who|from|in|with)\b)|such(?!\s+(?:as|"
    rf"that)\b))(?!\s+(?:{PAPERS})\b)(?![-\w])",
    re.IGNORECASE,
)
_ANTECEDENT_WORDS = 8
# What only says who did what: none of it can be what "they" or "it" is.
_NO_ANTECEDENT = (
    r"(?:we|i|our|the|these|that|how|why|whether|to|and|then|also|further|first|aim|seek|can|not|only|\w+ly|"
    r"(?:extensive|experimental|empirical|theoretical|numerical|comprehensive|main|key|many|several|further|additional|"
    r"ablation|thorough)|(?:experiment|result|finding|evaluation|simulation|comparison|observation|ablation|test|studie|"
    r"contribution|insight)s|analys[ei]s|study|evaluation|"
    rf"(?:{'|'.join(sorted(SAYING | LISTS['by_authors'] | LISTS['we_can_say']))})(?:s|d|ed)?|found|shown)"
)
_DANGLING = re.compile(
    rf"(?:{_NO_ANTECEDENT}\s+)++(?:they|them|their|theirs|its|both(?!\s[^.;]{{1,100}}\sand\b)|"
    r"it(?!\s+(?:is|was|remains|becomes|can\s+be|may\s+be|suffices|takes|pays|helps|turns|follows|holds)\b))\b(?!-)",
    re.IGNORECASE,
)
_COUNTED = re.compile(
    r"\b(?:the|these|those|all)\s+(?:two|three|four|five|identified|mentioned|discussed|said|described|noted|prescribed)"
    r"\s+(?:[\w-]+\s+){0,2}?(?P<noun>[\w-]{3,}(?<!st)(?<!ly))\b",
    re.IGNORECASE,
)
_BARE = re.compile(
    r"\b(?:the|all\s+the)\s+(?:(?:main|key|resulting|underlying|same)\s+)?(?P<noun>problem|issue|challenge|limitation|"
    r"drawback|shortcoming|gap|phenomenon|phenomena|insight|assumption)s?\b"
    r"(?=\s*(?:[,.;]|$|\s(?:by|we|through|using|via|from|while|as)\b))",
    re.IGNORECASE,
)
_BEFORE_CLAUSES = frozenset(["we", "it", "is", "are", "can", "then", "that"])
_RESPECTIVELY = re.compile(r"\brespectively\b", re.IGNORECASE)
_LISTED = re.compile(
    r"(?:\s(?:and|or|versus|vs\.?)\s+|\s?/\s?)(?P<after>[\w(+±~≈-]+)|\b(?:two|three|four|both)\b",
    re.IGNORECASE,
)
_OUR_OPENING = re.compile(
    r"our\s+(?!(?:results?|experiments?|findings?|work|paper|study|analys[ie]s|evaluations?)\b)|the\s+proposed\b|"
    r"the\s+(?:method|approach|framework|model|algorithm|system|technique)\s+(?!of\b|for\b|that\b|to\b|in\b)",
    re.IGNORECASE,
)


@lru_cache(maxsize=2**12)
def leans(sentence: str) -> bool:
    """Return whether a sentence refers to text before it, by its opening or by pointing words without an antecedent.

    A pointing word is taken to have its antecedent in the sentence if there are eight or more words before it, unless
    it points at what only a sentence before can have named ("this issue").
    """
    return (
        _OPENING.match(sentence) is not None
        or _DANGLING.match(sentence) is not None
        or pointing_at(sentence) is not None
        or _pairs_what_is_not_listed(sentence)
    )


def _pairs_what_is_not_listed(sentence: str) -> bool:
    """Return whether a sentence says "respectively" without two lists: "by 5 and 3, respectively" has one."""
    found = _RESPECTIVELY.search(sentence)
    if not found:
        return False
    lists = [
        one for one in _LISTED.finditer(sentence) if one["after"] not in FINITE and one["after"] not in _BEFORE_CLAUSES
    ]
    return len(lists) < 2


def points(text: str) -> bool:
    """Return whether there is any pointing word in a part of a sentence."""
    return bool(_DEMONSTRATIVE.search(text) or _POINTING.search(text))


@lru_cache(maxsize=2**12)
def pointing_at(sentence: str) -> int | None:
    """Return where a sentence points at text before it, other than by its opening; None if it does not."""
    found = next((one for one in _POINTING.finditer(sentence) if not _is_named_before(sentence, one)), None)
    near = _DEMONSTRATIVE.search(sentence)
    if near and len(_WORDS.findall(sentence[: near.start()])) >= _ANTECEDENT_WORDS:
        near = None
    definite = next(
        (
            one
            for pattern in (_COUNTED, _BARE)
            for one in pattern.finditer(sentence)
            if not _has_noun_before(sentence, one)
        ),
        None,
    )
    return min((one.start() for one in (found, near, definite) if one), default=None)


def _has_noun_before(sentence: str, found: re.Match[str]) -> bool:
    return found["noun"].lower().rstrip("s")[:5] in sentence[: found.start()].lower()


def _is_named_before(sentence: str, found: re.Match[str]) -> bool:
    """Return whether the sentence itself has the noun before: "of two tasks, these tasks"."""
    noun = found[0].split()[-1].lower().rstrip("s")
    before = sentence[: found.start()].lower()
    return found[0][:2].lower() == "th" and len(noun) > 3 and noun in before


def opens_with_ours(sentence: str) -> bool:
    """Return whether a sentence begins with something of the authors that it does not name: "Our method"."""
    return _OUR_OPENING.match(sentence) is not None
