"""Reword what points at text before: "We use this approach to analyse X" becomes "We analyse X".

Like the rules of :mod:`newsletter.highlights.openings`, each takes a whole sentence and returns a whole sentence, and
what it does not recognise stays as it is.
"""

import re
from functools import partial

from newsletter.highlights.references import POINTED, leans, points
from newsletter.highlights.sentences import capitalized
from newsletter.highlights.verbs import (
    BASE_OF_THIRD,
    FINITE,
    LISTS,
    VERBS,
    base_of_gerund,
    gerund,
    is_complete,
    third_person,
)

_METHOD = (
    r"(?:method|approach|framework|model|algorithm|system|technique|network|architecture|pipeline|formulation|strategy|"
    r"design|procedure)"
)
_THEM = r"(?:this|these|those|such(?:\ an?)?|the\ above|it|them|both|so)\b"
_STEP = r"(?:take|make)\ (?:an?|the|some|another)\ (?:\w+\ )?steps?\ (?:towards?|to)\ \w+"
_DONE = r"(?:achieved|accomplished|done|realized|realised|made\ possible)"
_BY_DOING = re.compile(
    rf"(?:We\ (?:(?:\w+ly|aim\ to|seek\ to|try\ to|attempt\ to|begin\ to|propose\ to)\ )?(?:[a-z]+|"
    rf"{_STEP})\ {_THEM}[^,;:.()]{{0,60}}?"
    rf"|This\ is\ {_DONE}|Our\ (?:\w+\ )?{_METHOD}\ [a-z]+(?:s|ed)\ {_THEM}[^,;:.()]{{0,60}}?)"
    r",?\ (?:by|through|via)\ (?:(?:first|explicitly|directly|jointly)\ )?(?P<verb>[a-z-]+ing)(?=\s)",
    re.VERBOSE,
)
_WITH = re.compile(
    r"We\ (?:address|tackle|overcome|solve|resolve|meet|fill|bridge|close|remedy|mitigate|alleviate|lift)\ (?:this|"
    r"these|both|such)\ [^,;:.()]{1,40}?\ "
    r"(?:with|through|via|using|by\ means\ of)\ (?:(?:our|the)\ (?:\w+\ )?(?:approach|method|model|framework|system|"
    r"solution),\ )?(?=an?\ |[A-Z])",
    re.VERBOSE,
)
_DONE_WITH = re.compile(rf"This is {_DONE.replace(chr(92), '')} (?:through|via|with|by|using) (?=an? |the )")
_USE = re.compile(
    r"We (?:use|leverage|employ|apply|adopt|exploit|utili[sz]e|build on|extend|combine|follow) (?:this|these|such|it|"
    r"them)\b[^,;:.]{0,50}? (?:in order )?to (?:further |then |also )?(?P<verb>[a-z]+)(?=\s)"
)
_ALLOWS = re.compile(
    r"(?:This|These|It|That|Such)(?: an?)?(?: [\w-]+){0,2} (?:allows?|enables?|lets?|permits?) us to (?=[a-z(])"
)
_FIRST_OF_TWO = re.compile(rf"We [a-z]+ [^;]{{0,160}}?,? and (?:also |then |\w+ly )?(?=(?:{'|'.join(VERBS)})\b)")
_DEALING = (
    "address|tackl|overcom|fill|bridg|solv|resolv|mitigat|alleviat|remedy|rectif|clos|answer|meet|handl|achiev|attain|"
    "circumvent|ameliorat|counter|bypass|avoid|combat|lift|explor|exploit|reduc|support|understand|captur|satisf|realiz"
)
_NOUN_PHRASE = r"\ (?:this|these|those|such|the\ above|the\ aforementioned|both|all\ these)\ (?:[\w-]+\ ){0,3}?[\w-]+"
_PURPOSE = re.compile(
    rf"(?:(?:,\ (?:\w+ly\ )?(?:designed|built|developed|intended|created))?,?\ (?:in\ order\ |"
    rf"so\ as\ )?to\ (?:\w+ly\ )?(?:help\ )?(?:{_DEALING})\w{{0,3}}"
    rf"|,?\ (?:aimed\ at|for|towards?|capable\ of|,\ thereby|,\ thus)\ (?:\w+ly\ )?(?:{_DEALING})\w{{0,3}}ing"
    rf"|,\ (?:thereby\ |thus\ |hence\ |effectively\ |directly\ |while\ )?(?:{_DEALING})\w{{0,3}}ing"
    rf"|\ (?:that|which)\ (?:\w+ly\ )?(?:{_DEALING})\w{{0,3}}s)"
    rf"(?:\ the\ (?:gap|tension|trade-off)\ between)?{_NOUN_PHRASE}(?=\.?$|[,;]|\.$|\ by\b|\ using\b|\ through\b)",
    re.VERBOSE,
)
# "that addresses these issues by reading" is "that reads".
_BY_DOING_SO = re.compile(r",? (?:by|through|via) (?:first )?(?P<how>\w+ly )?(?P<verb>[a-z-]+ing)(?=\s)")
_NO_VERB_NEXT = re.compile(r",?\ (?:by|through)\b")
_SUCH = re.compile(rf"\bsuch (?:an? )?(?!as\b|that\b)(?:{POINTED})(?! that [a-z]+s\b)", re.IGNORECASE)
_ANY_SUCH = re.compile(r"\bsuch (?P<an>an? )?(?!as\b|that\b|an?\b)(?=\w)", re.IGNORECASE)
_VAGUE = (
    r"(?:new|novel|simple|same|general|fundamental|important|critical|key|main|specific|particular|common|two|three|"
    r"four|first|second|last|"
    r"recent|latter|former|very|kind|type|sort|latest|challenging|complementary|proposed|basic|unified|present|"
    r"current|entire|whole|other|"
    r"various|different|paper|work|study|article|report|letter|thesis|research|survey|manuscript|tutorial|note|"
    r"chapter|review|[a-z]+ly)\b"
)
_DESCRIBING = r"(?:[a-z]{5,}|[a-z]+-[a-z-]+|[A-Z]{2,}\w*)"
_THIS_DESCRIBED = re.compile(
    rf"\b(?:[Tt]his(?= (?!{_VAGUE}){_DESCRIBING}(?<!s) [a-z-]{{3,}}(?<![^s]s)(?<!can)(?<!may)(?<!ed)(?<!ing)(?<!ly)\b)"
    rf"|[Tt]hese(?= (?!{_VAGUE}){_DESCRIBING} [a-z-]{{3,}}s\b))"
)
_PRONOUN = re.compile(r"\b(?:them|it|they|their|its|both|each|one another|respectively|the (?:two|latter|former))\b")
_THE_SAME = re.compile(rf"The same (?=(?!{_VAGUE}){_DESCRIBING} [a-z-]{{3,}})")
_THIS_METHOD = re.compile(
    rf"(?:This|The resulting|The proposed)(?: (?:new|novel|simple|general|unified|simple yet effective|simple but "
    rf"effective))? (?P<noun>{_METHOD})(?= [a-z])"
)
_THESE_METHODS = re.compile(rf"(?:These|The resulting|The proposed) (?P<noun>{_METHOD}s)(?= [a-z])")
_THESE_RESULTS = re.compile(
    r"(?:(?:These|Those)(?= (?:\w+ )?(?:results|findings|experiments|observations|analyses|evaluations|contributions|"
    r"insights) [a-z])"
    r"|This(?= (?:\w+ )?(?:result|finding|observation|analysis|evaluation|contribution|insight) [a-z]))"
)
_FIRST = re.compile(r"This is (?=(?:one of )?(?:the|among the) first (?!time)\w+)")
_OUR_METHOD_DOES = re.compile(rf"Our (?:\w+ )?{_METHOD} (?:(?P<how>\w+ly) )?(?P<verb>[a-z]+s)(?=\s)")
_OUR_METHODS_DO = re.compile(rf"Our (?:\w+ )?{_METHOD}s (?:(?P<how>\w+ly) )?(?P<verb>[a-z]+[a-rt-z])(?=\s)")
_OUR_METHOD_IS_FIRST = re.compile(rf"Our (?:\w+ )?{_METHOD} is (?=the first to )")
_PHRASE = re.compile(
    rf" (?:between|for|in|on|among|across|over) (?:all |each of )?(?:these|those|this|the above) "
    rf"(?:{POINTED})(?=[,;.]|\.?$| and )"
)
_A_SET = re.compile(
    r"\b(?:[Tt]his|[Tt]hat) (?=(?:collection|set|class|family|kind|type|suite|group|series|range|line) of )"
)
_AND_DOES = re.compile(
    rf"\band (?:[\w-]+ ){{0,5}}?(?:{'|'.join(sorted(FINITE))})\b|\band (?:(?:\w+ly|also) )*[a-z]+s\b"
)
_WE_CAN_SAY = LISTS["we_can_say"]


def reworded(sentence: str) -> str:
    """Return a sentence without what points at text before it, as far as that can be reworded; never longer."""
    for rule in (
        _do,
        partial(_reopened, _WITH, "We propose "),
        partial(_reopened, _DONE_WITH, "We use "),
        partial(_reopened, _USE, r"We \g<verb>"),
        partial(_reopened, _ALLOWS, "We can "),
        _without_purpose,
        _second_of_two,
        _without_phrase,
        _ours,
        _without_such,
        _the_described,
    ):
        shorter = rule(sentence)
        if len(shorter) <= len(sentence) and len(shorter.split()) > 3:
            sentence = shorter
    return sentence


def we_do(sentence: str) -> str:
    """Return "We use X" for "Our method uses X", if authors say it that way; otherwise the sentence."""
    sentence = _reopened(_OUR_METHOD_IS_FIRST, "We are ", sentence)
    found = _OUR_METHOD_DOES.match(sentence) or _OUR_METHODS_DO.match(sentence)
    verb = BASE_OF_THIRD.get(found["verb"], found["verb"]) if found else None
    if not found or verb not in _WE_CAN_SAY or _AND_DOES.search(sentence):
        return sentence
    return f"We {found['how'] + ' ' if found['how'] else ''}{verb}{sentence[found.end() :]}"


def _without_phrase(sentence: str) -> str:
    """Leave out "between these objectives" at the end of a clause."""
    found = _PHRASE.search(sentence)
    if not found or not is_complete(sentence[: found.start()]):
        return sentence
    return sentence[: found.start()] + sentence[found.end() :]


def _do(sentence: str) -> str:
    found = _BY_DOING.match(sentence)
    verb = base_of_gerund(found["verb"]) if found else None
    return f"We {verb}{sentence[found.end() :]}" if found and verb else sentence


def _reopened(opening: re.Pattern[str], words: str, sentence: str) -> str:
    """Replace an opening, if the sentence has it, by words that may name its groups as in ``re.Match.expand``."""
    found = opening.match(sentence)
    return found.expand(words) + sentence[found.end() :] if found else sentence


def _without_purpose(sentence: str) -> str:
    found = _PURPOSE.search(sentence)
    if (
        not found
        or not points(found[0])
        or re.search(
            r"\b(?:able|aims?|seeks?|used|how|need|needed|fails?|us|attempts?|tr(?:y|ies)|is|are|designed|aim|seek|"
            r"possible)$",
            sentence[: found.start()],
        )
    ):
        return sentence
    before, after = sentence[: found.start()], sentence[found.end() :]
    if not _NO_VERB_NEXT.match(after):
        return before + after
    if re.match(r",? (?:in order |so as )?to ", found[0]):  # "We propose it to solve this by" is "We propose it by".
        return before + after
    doing = _BY_DOING_SO.match(after)
    verb = base_of_gerund(doing["verb"]) if doing else None
    if not doing or not verb:
        return sentence
    leads = _leads_to_verb(found[0], doing["how"] or "", verb)
    return f"{before}{leads}{after[doing.end() :]}" if leads else sentence


def _leads_to_verb(purpose: str, how: str, verb: str) -> str | None:
    """Return a verb in the place and form of another's; None if there is no such form.

    Args:
        purpose: a relative clause or a gerund: " that addresses it", " for addressing it".
        how: an adverb with the space behind it, or nothing.
        verb: in its base form.
    """
    if found := re.match(r" (?:that|which) ", purpose):
        return f"{found[0]}{how}{third_person(verb)}"
    if found := re.match(r",? (?:aimed at|for|towards?|capable of) ", purpose):
        return f"{found[0]}{how}{gerund(verb)}"
    return None


def _second_of_two(sentence: str) -> str:
    """Return the second of two things that are done, if only the first points at text before it."""
    found = _FIRST_OF_TWO.match(sentence)
    if not found or not points(found[0]):
        return sentence
    rest = f"We {sentence[found.end() :]}"
    return sentence if leans(rest) or len(rest.split()) < 6 or _PRONOUN.search(rest) else rest


def _ours(sentence: str) -> str:
    """Return "Our method", "The results" for "This method", "These results": they are the authors'."""
    for pattern in (_THIS_METHOD, _THESE_METHODS):
        if found := pattern.match(sentence):
            return f"Our {found['noun']}{sentence[found.end() :]}"
    if _FIRST.match(sentence):
        return _FIRST.sub("Ours is ", sentence, count=1)
    return _THESE_RESULTS.sub("The", sentence, count=1) if _THESE_RESULTS.match(sentence) else sentence


def _without_such(sentence: str) -> str:
    """Leave out "such" before what says by itself what it is; before "issue" it stays."""
    found = _ANY_SUCH.search(sentence)
    if not found or _SUCH.search(sentence):
        return sentence
    rest = sentence[: found.start()] + (found["an"] or "") + sentence[found.end() :]
    return capitalized(rest) if found.start() == 0 else rest


def _the_described(sentence: str) -> str:
    """Return "the" for "this" before a noun that is described: "this objective mismatch" is known by its name."""
    sentence = _THE_SAME.sub("The ", sentence, count=1) if _THE_SAME.match(sentence) else sentence
    sentence = _A_SET.sub(lambda found: "A " if found[0][0] == "T" else "a ", sentence)
    return _THIS_DESCRIBED.sub(lambda found: "The" if found[0][0] == "T" else "the", sentence)
