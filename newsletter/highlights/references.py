"""Whether a sentence leans on text before it: "To address this issue", "these models", "It", "the latter"."""

import re

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
_OUR_OPENING = re.compile(
    r"our\s+(?!(?:results?|experiments?|findings?|work|paper|study|analys[ie]s|evaluations?)\b)|the\s+proposed\b|"
    r"the\s+(?:method|approach|framework|model|algorithm|system|technique)\s+(?!of\b|for\b|that\b|to\b|in\b)",
    re.IGNORECASE,
)


def leans(sentence: str) -> bool:
    """Return whether a sentence refers to text before it, by its opening or by pointing words without an antecedent.

    A pointing word is taken to have its antecedent in the sentence if there are eight or more words before it, unless
    it points at what only a sentence before can have named ("this issue").
    """
    return _OPENING.match(sentence) is not None or pointing_at(sentence) is not None


def points(text: str) -> bool:
    """Return whether there is any pointing word in a part of a sentence."""
    return bool(_DEMONSTRATIVE.search(text) or _POINTING.search(text))


def pointing_at(sentence: str) -> int | None:
    """Return where a sentence points at text before it, other than by its opening; None if it does not."""
    found = next((one for one in _POINTING.finditer(sentence) if not _is_named_before(sentence, one)), None)
    near = _DEMONSTRATIVE.search(sentence)
    if near and len(_WORDS.findall(sentence[: near.start()])) >= _ANTECEDENT_WORDS:
        near = None
    return min((one.start() for one in (found, near) if one), default=None)


def _is_named_before(sentence: str, found: re.Match[str]) -> bool:
    """Return whether the sentence itself has the noun before: "of two tasks, these tasks"."""
    noun = found[0].split()[-1].lower().rstrip("s")
    before = sentence[: found.start()].lower()
    return found[0][:2].lower() == "th" and len(noun) > 3 and noun in before


def opens_with_ours(sentence: str) -> bool:
    """Return whether a sentence begins with something of the authors that it does not name: "Our method"."""
    return _OUR_OPENING.match(sentence) is not None
