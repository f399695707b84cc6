"""Cut what a sentence begins with and does not say: "To address this issue, in this paper, we propose" to "We propose".

Each rule takes a whole sentence and returns a whole sentence; what a rule does not recognise stays as it is.
"""

import re
from collections.abc import Callable, Sequence

from newsletter.highlights.conditions import limits
from newsletter.highlights.pointing import reworded
from newsletter.highlights.references import PAPERS, leans
from newsletter.highlights.sentences import capitalized
from newsletter.highlights.verbs import BASE_OF_THIRD, FINITE, LISTS, SAYING, is_complete

_ROUNDS = 8
_LEAST_WORDS = 3
_WE_DO = re.compile(r"(?:we|our [a-z-]+)\s+[a-z]", re.IGNORECASE)

_MARKER = re.compile(r"(?:\(?(?:\d{1,2}|[ivx]{1,4}|[a-h])\)|[-*•])\s+(?=\S)")
_HEADINGS = (
    r"(?:background|introduction|materials?|methods?|methodology|main|principal|key|results?|conclusions?|significance|"
    r"statement|objectives?|findings?|contributions?|purposes?|aims?|motivation|approach|discussion|importance|"
    r"interpretation|design|tl;dr|abstract|summary|novelty|outcomes?|measures?|setting|participants|patients|"
    r"implications?|practice|impact|context|limitations?|evidence|review|rationale|hypothesis|problem|of|for|and|the|study)"
)
_HEADING = re.compile(
    rf"{_HEADINGS}(?:[ /&,-]{{1,3}}{_HEADINGS}){{0,5}}\s*[:.–—]\s+(?=[^\W\d_])"
    r"|(?-i:[A-Z][A-Z /&,-]{3,60}:\s+(?=[^\W\d_]))"
    rf"|{_HEADINGS}[ ]?/[ ]?(?:{_HEADINGS}\s+){{1,2}}(?=(?:we|this|the|our|here|in|to)\b)",
    re.IGNORECASE,
)
_COMMENT = (
    "however|moreover|furthermore|additionally|therefore|thus|hence|consequently|nevertheless|nonetheless|meanwhile|"
    "conversely|accordingly|similarly|likewise|besides|instead|also|then|next|finally|firstly|secondly|thirdly|lastly|"
    "last but not least|first|second|third|fourth|yet|but|and|so|still|further|here|subsequently|alternatively|"
    "rather|specifically|"
    "concretely|importantly|notably|remarkably|interestingly|surprisingly|crucially|overall|ultimately|indeed|together|"
    "taken together|as such|as (?:a|one) (?:direct )?(?:result|consequence|by-?product)|for (?:example|instance|this|"
    "that)|on the other hand|"
    "on the one hand|on the contrary|by contrast|at the same time|even so|that is|first of all|to summari[sz]e|to "
    "conclude|"
    "to sum up|in (?:particular|addition|contrast|summary|conclusion|short|total|fact|general|turn|brief|essence|"
    "detail|"
    "doing so|other words|response|light of this|this way)|(?:to|toward|towards) (?:this|that|these) (?:end|aim|goal|"
    "purpose|ends)|for this (?:purpose|reason|goal)|to do (?:so|this)|"
    "(?:more|most|even more) (?:specifically|generally|importantly|broadly|precisely|concretely|interestingly|notably)"
)
_ADVERB = re.compile(rf"(?:{_COMMENT})\s*(?:,\s*(?=\S)|\s+(?=(?:we|our|it)\b))", re.IGNORECASE)
_HERE = (
    rf"(?:here|(?:with)?in\ (?:this|the\ present|the\ current|our|the)\ (?:\w+\ )?(?:{PAPERS})|"
    rf"(?:in|with|through|throughout|by)\ this\ (?:\w+\ )?(?:{PAPERS}))"
)
_IN_THIS_PAPER = re.compile(rf"{_HERE}\s*(?:,\s*(?=\S)|\s+(?=(?:we|I|an?|the|our|it)\b))", re.IGNORECASE | re.VERBOSE)
_IN_THIS_PAPER_INSIDE = re.compile(
    rf"(?<=,)\s+{_HERE},?(?=\s+we\b)|(?<=\bwe)\s+{_HERE},?(?=\s)|\s+{_HERE}(?=\.$)", re.IGNORECASE | re.VERBOSE
)
_WE_DO_HERE = re.compile(rf"(?P<we>We\s+[a-z]+)\s+{_HERE},?(?=\s)", re.IGNORECASE | re.VERBOSE)
_THIS_PAPER = re.compile(
    rf"(?:this|our|the\ (?:present|current))\ (?:(?:present|current|research|position|tutorial|technical|survey|"
    rf"review|demo|short)\ )?(?:{PAPERS})\s+"
    r"(?:(?:also|first|thus|then|therefore|further|hereby|next|\w+ly)\s+)?(?P<verb>[a-z]+)(?=\s)",
    re.IGNORECASE | re.VERBOSE,
)
# What authors do; a paper itself may also enable, advance or contribute.
_BY_AUTHORS = LISTS["by_authors"]
_COORDINATED = re.compile(
    r"(?P<and>(?:,|,?\s+and|,?\s+then|,\s+and\s+(?:also|further|then))\s+)(?P<verb>[a-z]+s)"
    r"(?=\s+(?P<object>(?:an?|the|its|our|that|how|on|new|novel|both|two|three|this|these|each|all|some)\b)?)"
)
_RELATIVE = re.compile(r"\b(?:that|which|who)\b")
_WE_THEN = re.compile(
    r"We\s+(?:(?:first|then|also|further|thus|therefore|next|finally|additionally|hence|here|now|instead|thereby|"
    r"subsequently|accordingly|consequently|furthermore|moreover|lastly|firstly|secondly|hereby),?\s+)+(?=[a-z])",
    re.IGNORECASE,
)
_EVIDENCE = (
    r"(?:extensive|comprehensive|experimental|empirical|numerical|our|the|these|simulation|quantitative|qualitative|"
    r"thorough|further|detailed|rigorous|systematic|large-scale|theoretical|preliminary|initial|additional|various|"
    r"several|"
    r"numerous|main|key|obtained|real-world|human|user|ablation|in-depth|careful|broad|many|both|synthetic|numeric|"
    r"controlled|more|"
    r"experiments?|results?|evaluations?|analys[ie]s|findings?|simulations?|stud(?:y|ies)|ablations?|tests?|"
    r"investigations?|"
    r"experimentation|observations?|comparisons?|validations?|evidence|benchmarks?|and|,)"
)
_SAID = (
    r"(?:show|demonstrate|reveal|confirm|verif(?:y|ie)|validate|prove|find|observe|indicate|discover|see|establish|"
    r"illustrate)"
)
_SHOWN = rf"(?:(?:\w+ly|also|further|clearly|together|then|first|thus|all)\ ){{0,2}}{_SAID}(?:s|d|ed)?\ that\ (?=\S)"
_THAT = re.compile(
    rf"""(?:
        (?:this|it|{_EVIDENCE})(?:[ ]{_EVIDENCE}){{0,8}}[ ]{_SHOWN}
        | (?:(?:through|with|via|by|in|using|from|after|based\ on|
            across)\ {_EVIDENCE}(?:,?\ {_EVIDENCE}){{0,8}},?\ )?(?:it\ is\ shown\ that|we\ {_SHOWN})
        | (?:empirically|experimentally|theoretically),?\ we\ {_SHOWN}
    )""",
    re.IGNORECASE | re.VERBOSE,
)
# Behind "we show that", what "we" do next, or a second "that", would lose what it belongs to.
_GOES_ON = re.compile(rf"\band (?:[a-z]+ )?(?:that|{'|'.join(sorted(SAYING | _BY_AUTHORS))})\b")
_NOTHING_SAID = re.compile(
    rf"(?:through|with|via|by|in|using|from|after|based\ on|across)\ {_EVIDENCE}(?:,?\ {_EVIDENCE}){{0,8}},\ (?=we\b|"
    rf"our\b|the\b)",
    re.IGNORECASE | re.VERBOSE,
)
_TO_SUCH = re.compile(
    r"(?:to|for|in|by|with|from|on)\s[^,.;]{0,60}?\b(?:this|these|such)\s[^,.;]{0,50}?\s+(?=we\s)",
    re.IGNORECASE,
)
_POINTING_BEFORE_COLON = re.compile(
    r"(?:this|that|these|those|such)\s(?:\w+\s)?(?:observation|finding|result|insight|analysis|analyses|experiment|"
    r"evidence|stud(?:y|ies)|evaluation)s?\s[^:;.]{1,80}:\s+(?=[^\W\d_])",
    re.IGNORECASE,
)
_MAIN = re.compile(r",\s+(?=(?:we|our|in this|here|this)\b)", re.IGNORECASE)
_ANY_MAIN = re.compile(r",\s+(?=(?:an?|the|we|our|each|[A-Z][\w-]*)\b)")
_LONGEST_INTRODUCTION = 260
_INTRODUCES = re.compile(
    r"(?:[a-z-]+(?:ing|ed)|to|for|in|with|by|on|through|given|despite|from|under|unlike|against|at|as|after|before|"
    r"because|"
    r"since|while|although|when|if|beyond|among|during|within|without|via|due|thanks|upon|built|driven|towards?|across|"
    r"compared|contrary|except|like|over|where|whereas|though|once)\b",
    re.IGNORECASE,
)
_OPENED = re.compile(r"[(\[{“]")
_CLOSED = re.compile(r"[)\]}”]")

Rule = Callable[[str], str]


def cut_opening(sentence: str) -> str:
    """Return a sentence without the openings that lean on other text or say nothing; it is still a whole sentence.

    "This paper presents X" becomes "We present X", "Experiments show that X improves Y" becomes "X improves Y". The
    result is never longer than the sentence.
    """
    for _ in range(_ROUNDS):
        shorter = next((cut for rule in _RULES if (cut := rule(sentence)) != sentence), sentence)
        if shorter == sentence:
            break
        sentence = shorter
    return sentence


def _kept(sentence: str, rest: str) -> str:
    """Return the rest of a sentence if it can stand as one, otherwise the sentence."""
    rest = rest.strip()
    if len(rest.split()) < _LEAST_WORDS or not rest[0].isalnum() or not (_WE_DO.match(rest) or is_complete(rest)):
        return sentence
    return capitalized(rest)


def _after(pattern: re.Pattern[str]) -> Rule:
    """Return a rule that cuts what a pattern finds at the start: words on which nothing behind them depends."""

    def rule(sentence: str) -> str:
        found = pattern.match(sentence)
        rest = sentence[found.end() :] if found else ""
        return capitalized(rest) if len(rest.split()) >= _LEAST_WORDS and rest[0].isalnum() else sentence

    return rule


def _without(pattern: re.Pattern[str]) -> Rule:
    def rule(sentence: str) -> str:
        rest = pattern.sub("", sentence, count=1)
        return sentence if rest == sentence else _kept(sentence, rest)

    return rule


def _drop_marker(sentence: str) -> str:
    for pattern in (_MARKER, _HEADING):
        if (found := pattern.match(sentence)) and len(sentence) > found.end():
            return capitalized(sentence[found.end() :])
    return sentence


def _drop_leaning_introduction(sentence: str) -> str:
    """Cut an introductory phrase that leans on other text: "Observing this discrepancy, we" to "We"."""
    for pattern in (_MAIN, _ANY_MAIN):
        for comma in pattern.finditer(sentence, 0, _LONGEST_INTRODUCTION):
            introduction = sentence[: comma.start()]
            if len(_OPENED.findall(introduction)) != len(_CLOSED.findall(introduction)):
                continue
            if pattern is _ANY_MAIN and not _INTRODUCES.match(introduction):
                break
            if not leans(introduction + ",") or (
                pattern is _MAIN and is_complete(introduction) and not _INTRODUCES.match(introduction)
            ):
                break
            rest = sentence[comma.end() :]
            return sentence if limits(introduction, rest) else _kept(sentence, rest)
    return sentence


def _we_instead_of_the_paper(sentence: str) -> str:
    found = _THIS_PAPER.match(sentence)
    verb = BASE_OF_THIRD.get(found["verb"]) if found else None
    if not found or verb not in _BY_AUTHORS:
        return sentence
    return f"We {verb}{_COORDINATED.sub(_also_by_us, sentence[found.end() :])}"


def _also_by_us(found: re.Match[str]) -> str:
    """Return a coordinated verb in the form that fits "we": "and demonstrates how" becomes "and demonstrate how"."""
    verb = BASE_OF_THIRD.get(found["verb"])
    of_other = _RELATIVE.search(found.string, 0, found.start()) is not None and verb not in _BY_AUTHORS
    if verb is None or of_other or not (found["object"] or found["verb"] in FINITE):
        return found[0]
    return found["and"] + verb


def _we_propose_here(sentence: str) -> str:
    found = _WE_DO_HERE.match(sentence)
    return found["we"] + sentence[found.end() :] if found else sentence


def _we_without_then(sentence: str) -> str:
    found = _WE_THEN.match(sentence)
    return f"We {sentence[found.end() :]}" if found else sentence


def _drop_pointing_before_colon(sentence: str) -> str:
    """Keep what is said after a colon: "That observation leads to a more general point: X" to "X"."""
    found = _POINTING_BEFORE_COLON.match(sentence)
    rest = sentence[found.end() :] if found else ""
    return _kept(sentence, rest) if rest and is_complete(rest) and not leans(capitalized(rest)) else sentence


def _drop_such_an_introduction(sentence: str) -> str:
    """Cut one that leans and has no comma: "To achieve such a goal we" to "We"."""
    found = _TO_SUCH.match(sentence)
    if not found or limits(found[0].strip(), sentence[found.end() :]):
        return sentence
    return _kept(sentence, sentence[found.end() :])


def _drop_saying(sentence: str) -> str:
    found = _THAT.match(sentence)
    if not found:
        return sentence
    rest = sentence[found.end() :]
    return sentence if leans(rest) or _GOES_ON.search(rest) else _kept(sentence, rest)


_RULES: Sequence[Rule] = (
    _drop_marker,
    _after(_ADVERB),
    _after(_IN_THIS_PAPER),
    _without(_IN_THIS_PAPER_INSIDE),
    _we_propose_here,
    _we_instead_of_the_paper,
    _we_without_then,
    reworded,
    _drop_such_an_introduction,
    _drop_saying,
    _drop_pointing_before_colon,
    _after(_NOTHING_SAID),
    _drop_leaning_introduction,
)
