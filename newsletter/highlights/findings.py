"""Whether a sentence states a finding or what was proposed, or only says what it is good for."""

import re
from functools import lru_cache

_FIGURE = re.compile(
    r"(?<![\w.-])\d[\d.,]*\s?(?:%|×|x\b|points?\b|percent|fold|times\b|pp\b|dB\b|ms\b|bits?\b|hours?\b)|[±∼≈]\s?\d|"
    r"\d[\d.]*-fold\b|\bby (?:up to |over |around |about |an? average of )?\d|\b(?:from|of|to|over|than) \d+\.\d|"
    r"\b(?:scor|achiev|reach|obtain|attain)\w*\s(?:\w+\s){0,4}\d+\.\d",
    re.IGNORECASE,
)
_DIGIT = re.compile(r"\d")
# What is searched in text in lower case:
_COMPARED = re.compile(
    r"\b(?:outperform|outlast|outscor|outpac|outrank|surpass|exceed|beat|improv|reduc|increas|decreas|boost|accelerat|enhanc|achiev|attain|halv|"
    r"doubl|lower|degrad|converg|guarantee|recover|suffic|correlat)\w{0,4}\b|"
    r"\bgains?\b|\bgenerali[sz]es?\b|\bmatch(?:es)?\b|"
    r"\b(?:better|worse|higher|lower|faster|slower|fewer|smaller|larger|stronger|less|more)\b[^.;]{0,60}\bthan\b|"
    r"\b(?:superior to|on par with|competitive with|comparable to|state[- ]of[- ]the[- ]art|sota|promising results|"
    r"competitive (?:results|performance))\b|"
    r"\b(?:can(?:not)?|does not|do not|is|are) (?:not )?(?:\w+ly )?(?:possible|sufficient|necessary|optimal|"
    r"insufficient|equivalent|sensitive|robust|consistent)\b",
)
_BEATS = re.compile(
    r"\b(?:outperform|surpass|exceed)\w*\b|\bstate[- ]of[- ]the[- ]art\b|\bsuperior\b|"
    r"\bimprov\w+\s(?:by|over|upon|on)\b|"
    r"\b(?:significantly|substantially|consistently|considerably|dramatically|greatly)\s"
    r"(?:improv|reduc|increas|enhanc|boost|accelerat|decreas|lower)\w+|\b(?:better|higher|faster|lower)\b[^.;]{0,60}\bthan\b"
)
_SAID_THAT = re.compile(
    r"\b(?:show|demonstrate|find|found|prove|reveal|observe|discover|indicate|establish|conclude|suggest|confirm|verify|"
    r"validate)(?:s|d|ed|n)?\s(?:empirically\s|theoretically\s)?that\b|"
    r"\bwe\s(?:\w+ly\s|also\s)?(?:find|found|observe|observed|discover|prove|derive)\b",
)
_PROMISING = re.compile(
    r"""\b(?:ha(?:s|ve)|holds?|shows?|showing|with|highlight\w*|demonstrat\w+|reveal\w*|underscor\w+|indicat\w+|
        suggest\w*|showcas\w+|emphasi\w+|illustrat\w+|stress\w*)\ (?:also\ )?(?:the\ |its\ |their\ |an?\ |our\ )?
        (?:[\w-]+\ )?(?:potential|promise|promising|importance|need|necessity|significance|value)\b
    | \b(?:lay|lays|laying|provid\w+|form|forms|offer\w*|serve\w*\ as)\ (?:an?\ |the\ )?(?:[\w-]+\ ){0,2}(?:groundwork|
        foundations?|starting\ point|stepping\ stones?|insights?|guidance|guidelines?|perspectives?|recommendations|
        (?:understanding|solution|tool|framework|basis|direction|pathway)s?)\b
    | \bpav(?:e|es|ed|ing)\ the\ way\b | \b(?:steps?|strides|leap)\ (?:toward|towards|forward|in)\b
    | \bcontribut\w+\ (?:to|towards?)\ [^.;]{0,40}\b(?:understanding|field|literature|advancement|development|
        bod(?:y|ies))\b
    | \bsheds?\ (?:\w+\ )?light\b | \bshedding\ (?:\w+\ )?light\b
    | \bopen(?:s|ing)?\ (?:up\ )?(?:the\ )?(?:new\ |several\ |exciting\ )?(?:doors?|avenues?|directions?|possibilit\w+|
        paths?|opportunit\w+)\b
    | \b(?:can|could|may|might|will)\ (?:also\ |potentially\ |further\ |help\ )*(?:guide|inform|inspire|motivate|
        serve\ as)\b
    | \baims?\ to\ serve\ as\b
    | \b(?:enabl|allow|help|empower|assist|benefit)\w*\ (?:\w+\ )?(?:practitioners|researchers|developers|
        policy-?makers|users|communit\w+|designers|clinicians)\b
    | \b(?:advanc(?:e|es|ing)|push\w*)\ (?:the\ )?(?:field|state|understanding|frontier|boundar\w+)
    | \bfuture\ (?:research|work|studies|directions?|investigations?|developments?)\b
    | \bwe\ (?:\w+ly\ |also\ |finally\ )?(?:hope|believe|invite|encourage|discuss|envision|conclude\ (?:by|with)|call|
        advocate|anticipate|outline)\b
    """,
    re.VERBOSE,
)
_PRAISE = (
    r"(?:effectiveness|efficacy|superiority|usefulness|utility|benefits?|advantages?|validity|feasibility|merits?|"
    r"robustness|versatility|generali[sz]ability|practicality|applicability|efficiency|strengths?|capabilit\w+|"
    r"performances?|success|soundness|compatibility|relevance|power|quality|competence|viability|correctness)"
)
_PRAISING = re.compile(
    rf"\b(?:confirm|demonstrat|show|validat|verif|indicat|illustrat|highlight|justif|underscor|support|testif|prov|"
    rf"evidenc|corroborat|reveal|attest|establish|showcas|substantiat|evaluat|assess|affirm|exhibit)\w*\s"
    rf"(?:[\w-]+,?\s){{0,6}}?{_PRAISE}\b",
    re.IGNORECASE,
)
_RELATIVE_TO = re.compile(r"\b(?:than|compared|over|against)\b")
_MAKING = re.compile(
    r"\b(?:we|I|this\ (?:paper|work|study|article|survey|report)|the\ (?:paper|authors|article))\ (?:\w+ly\ |also\ |"
    r"then\ |first\ |here\ |therefore\ |thus\ |instead\ |further\ |aim\ to\ |seek\ to\ )*(?:propose|introduce|present|"
    r"develop|design|devise|study|studies|investigate|explore|examine|consider|formulate|construct|build|create|describe|"
    r"formali[sz]e|address|tackle|revisit|analy[sz]e|give|focus)s?\b"
    r"|\b(?:is|are)\ (?:\w+ly\ |also\ |then\ )?(?:proposed|introduced|presented|developed|designed|investigated|"
    r"studied)\b",
    re.IGNORECASE | re.VERBOSE,
)
_MAKES_FIRST = re.compile(rf"(?:[^,]{{1,120}}, )?(?:{_MAKING.pattern})", re.IGNORECASE | re.VERBOSE)
_AND_FINDS = re.compile(
    r"(?:,|\band)\s(?:also\s|\w+ly\s)?(?:show|demonstrat|find|prov|observ|achiev|outperform|surpass|obtain|improv|yield|"
    r"reach)\w*\b",
    re.IGNORECASE,
)
_OWN = re.compile(
    r"\b(?:we|our|ours|us|I)\b|\b(?:this|the present)\s(?:paper|work|study|article|survey|report)\b|\bproposed\b",
    re.IGNORECASE,
)


@lru_cache(maxsize=2**12)
def states_finding(text: str) -> bool:
    """Return whether a sentence says what was found: a figure, or a comparison, change or fact that is no promise."""
    if has_figure(text):
        return True
    lower = text.lower()
    if not (_COMPARED.search(lower) or _SAID_THAT.search(lower)) or promises(text):
        return False
    return not _MAKES_FIRST.match(text) or _AND_FINDS.search(text) is not None


def has_figure(text: str) -> bool:
    """Return whether a sentence has a measured figure: "by 5%", "3.2×", "1.5 points"."""
    return _DIGIT.search(text) is not None and _FIGURE.search(text) is not None


def promises(text: str) -> bool:
    """Return whether a sentence says what a finding is good for but not what it is: "has the potential to help"."""
    lower = text.lower()
    return _PROMISING.search(lower) is not None and not has_figure(text) and _BEATS.search(lower) is None


def praises(text: str) -> bool:
    """Return whether a sentence says that something is effective, but not by how much or than what."""
    return _PRAISING.search(text) is not None and not has_figure(text) and _RELATIVE_TO.search(text) is None


def makes(text: str) -> bool:
    """Return whether a sentence says what the authors propose or study."""
    return _MAKING.search(text) is not None


def is_own(text: str) -> bool:
    """Return whether a sentence is about what the authors did, not about what was known before."""
    return _OWN.search(text) is not None
