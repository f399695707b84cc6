"""The form in which a sentence of an abstract is shown by itself, and how well it can be."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np

from newsletter.highlights.clauses import MOST_WORDS, shortened
from newsletter.highlights.findings import has_figure, is_own, makes, praises, promises, states_finding
from newsletter.highlights.markup import has_debris, without_debris, without_markup
from newsletter.highlights.openings import cut_opening
from newsletter.highlights.pointing import we_do
from newsletter.highlights.references import PAPERS, leans, opens_with_ours, pointing_at
from newsletter.highlights.sentences import capitalized
from newsletter.highlights.verbs import LISTS

LONGEST = 900
"""A sentence with more characters is no sentence, or cannot be read; it is chosen only if there is no other."""

_CLOSING = "\"'”’»)]}」』）"
_QUESTION = re.compile(r"[?？]")
_MATERIAL = (
    r"(?:code|codes|source code|data|dataset|datasets|models?|weights|checkpoints?|demos?|project page|web ?site|web "
    r"?page|videos?|"
    r"implementations?|supplementary \w+|materials?|results|resources?|software|package|toolkit|library|benchmark|"
    r"scripts?|audio samples|samples|repository|and|,|all|our|the)"
)
_NOTICE = re.compile(
    rf"""https?:// | \bwww\. | \bgithub\b | \bhugging\ ?face\.co
    | \b{_MATERIAL}\b[^.;]{{0,80}}\b(?:is|are|will\ be|has\ been|have\ been|can\ be|may\ be)\ (?:\w+ly\ |also\ |
        made\ |freely\ |now\ ){{0,3}}(?:available|released|found|accessed|open-?\ ?sourced|hosted|published|provided|
        downloaded|accessible|shared)\b(?!\ (?:that|to\ be))
    | \b(?:is|are|be)\ (?:made\ )?(?:publicly\ |freely\ |openly\ )(?:available|accessible)\b
    | \b(?:available|found|accessible)\ (?:at|here|online|from|via|upon|under|on)\b
    | \bwe\ (?:\w+ly\ |also\ |will\ |further\ ){{0,3}}(?:release|open-?source|share|make)\ (?:all\ |our\ |the\ |
        both\ )?(?:\w+\ )?(?:code|source|models?|weights|implementation|checkpoints?|scripts|data|datasets?)\b
    | \b(?:accepted|published|to\ appear|presented)\ (?:at|in|by)\ (?:the\ )?[A-Z]{{2}}
    | ^(?:key\ ?words|index\ terms|comments?|note|copyright|acknowledge?ments?)\b\s*[:—–-] | © | \bunder\ review\b
    """,
    re.VERBOSE | re.IGNORECASE,
)
# Every notice has one of these, and most sentences have none.
_IN_NOTICES = (
    "http", "www.", "github", "hugging", "availab", "access", "releas", "found", "sourc", "hosted", "publish",
    "provided", "download", "shar", "make", "accepted", "appear", "presented", "word", "terms", "comment",
    "note", "copyright", "acknowl", "©", "under review",
)  # fmt: skip
_SEE_FIGURE = re.compile(
    r",?\s*[(]?(?:e\.g\.,?|see|cf\.|as (?:shown|seen|illustrated|depicted) in)\s+(?:Table|Figure|Fig\.|Section|Sec\.|"
    r"Appendix|Tab\.)s?\s*[\w.]{1,6}?[)]?(?=[\s,.;]|$)|\s*\((?:Table|Figure|Fig\.|Section|Sec\.|Appendix|Tab\.|"
    r"Eq\.)s?\s*[^()]{1,20}\)"
)
_FIGURE = re.compile(
    r"\b(?:figures?|figs?\.?|tables?|tab\.|sections?|secs?\.|appendix|appendices|eqs?\.|equations?|theorems?|lemmas?|"
    r"algorithms?)\s*\(?\d|\bsupplementary (?:material|information|video)|\bin the appendix\b",
    re.IGNORECASE,
)
_LEAST_WORDS = 6

_OURS = re.compile(
    r"(?:Our|The)\s+(?:(?:proposed|novel|new|resulting|full|final)\s+)?(?:method|approach|framework|model|algorithm|"
    r"system|technique|solution|architecture)\b(?=\s+(?!(?:of|for|to|in|that|which|on|is\s+to|with|and|by)\b)[a-z])"
)
_IT = re.compile(
    r"(?:It|This (?:\w+ )?(?:method|approach|framework|model|algorithm|system|technique|architecture|strategy))\b(?= "
    r"(?:then |also |further )?(?:[a-z]+(?<![su])s|can|has)\b)"
)
_ABOUT_THE_PAPER = re.compile(rf"(?:This|The present) (?:{PAPERS})\s")
_A_NAME = r"(?P<name>(?=[\w+*²³-]{0,24}[A-Z][\w+*²³-]{0,24}?[A-Z0-9²³])[A-Za-z][\w+*²³-]{1,24}(?<![-s]))"
_NAMING = re.compile(
    rf"\b(?:called|named|termed|dubbed|coined|namely|denoted(?:\ as)?|call|abbreviated(?:\ as)?|"
    rf"referred\ to\ as)\s+[\"“‘]?(?:the\ )?{_A_NAME}(?![\w-])"
    rf"|\b(?:propose|present|introduce|develop|design|describe|create|construct|build)s?\s+(?:the\s+|"
    rf"an?\s+)?(?:[^\s.;()]+\s+){{0,14}}?(?:\({_A_NAME.replace('name', 'short')}\)|"
    rf"{_A_NAME.replace('name', 'direct')}(?=[,:]|\s+[–—(]))",
    re.VERBOSE,
)
_VERB_NEXT = re.compile(r"\s+(?:[a-z]+ly\s+)?(?:[a-z]+s|can|has)\b")
_NO_NAMES = LISTS["no_names"]
# "Our method" is none of these, whatever it is called.
_NO_METHOD = re.compile(
    r"\b(?:datasets?|benchmarks?|corpus|corpora|testbed|challenge|competition|survey)\b", re.IGNORECASE
)
_INTRODUCED = re.compile(r"\((?P<short>[A-Z][\w-]{0,12}[A-Z][\w-]{0,6}?)s?\)")
_AROUND = 40
_NAMES_LOOKED_FOR_IN = 10_000


@dataclass(frozen=True, slots=True)
class Form:
    """A sentence as it would be shown.

    Attributes:
        text: in one line, without what leans on other text as far as that can be cut.
        never: whether it must not be shown: a question, an availability notice, a reference to a figure.
        broken: whether it has remains of markup, which were taken out.
        leaning: whether it still leans on text before it. ``ours``: whether it begins with something of the authors
            that it does not name.
        words: the number of words.
    """

    text: str
    never: bool
    broken: bool
    leaning: bool
    ours: bool
    words: int


@lru_cache(maxsize=4096)
def form_of(sentence: str) -> Form:
    """Return the form of a sentence; its text is never longer, and empty only if there is nothing but markup.

    Args:
        sentence: in one line.
    """
    never = _is_never_shown(sentence[:LONGEST])
    text = without_markup(sentence)
    broken = has_debris(text)
    if broken:
        text = without_debris(text)
    if len(text) <= LONGEST and text:
        text = _by_itself(_SEE_FIGURE.sub("", text))
    return Form(
        text=text,
        never=never or _FIGURE.search(text[:LONGEST]) is not None,
        broken=broken,
        leaning=leans(text[:LONGEST]),
        ours=opens_with_ours(text),
        words=len(text.split()),
    )


def _is_never_shown(sentence: str) -> bool:
    lower = sentence.lower()
    perhaps = any(word in lower for word in _IN_NOTICES)
    return bool(_QUESTION.search(sentence) or (perhaps and _NOTICE.search(_ASIDE.sub("", sentence))))


_ASIDE = re.compile(r"\([^()]{1,300}\)")


def _by_itself(sentence: str) -> str:
    text = we_do(cut_opening(sentence))
    at = pointing_at(text)
    if at is not None:
        before = shortened(text, end=at)
        text = before if not leans(before) else text
    return capitalized(we_do(shortened(text)))


def name_in(sentences: Sequence[str]) -> str | None:
    """Return the name that authors give to the method they propose, if they use it as one; None without any."""
    text = " ".join(sentences)[:_NAMES_LOOKED_FOR_IN]
    for found in _NAMING.finditer(text):
        name = found["name"] or found["short"] or found["direct"]
        around = text[max(0, found.start() - _AROUND) : found.end() + _AROUND]
        if (
            name not in _NO_NAMES
            and not re.search(r"-[a-z]{3}", name)
            and not _NO_METHOD.search(around)
            and _acts(name, text)
        ):
            return name
    return None


def _acts(name: str, text: str) -> bool:
    """Return whether a name is the subject of a verb anywhere in a text."""
    at = text.find(name)
    while at >= 0:
        if _VERB_NEXT.match(text, at + len(name)) and not re.match(r"[\w-]", text[at - 1 : at]):
            return True
        at = text.find(name, at + 1)
    return False


class Forms:
    """The forms of the sentences of an abstract, each made when it is asked for.

    Args:
        sentences: in order, each in one line.
    """

    def __init__(self, sentences: Sequence[str]) -> None:
        self._sentences = sentences
        self._name = name_in(sentences)

    def __getitem__(self, place: int) -> Form:
        sentence, before = self._sentences[place], self._sentences[place - 1] if place else ""
        if self._name is not None:
            sentence = _named(sentence, before, self._name)
        if _ABOUT_THE_PAPER.match(before) and _IT.match(sentence):
            sentence = _IT.sub("This paper", sentence, count=1)
        return form_of(sentence)

    @cached_property
    def _any_states_a_finding(self) -> bool:
        return any(map(states_finding, reversed(self._sentences)))

    @cached_property
    def _any_has_a_figure(self) -> bool:
        return any(map(has_figure, reversed(self._sentences)))

    @cached_property
    def _any_makes(self) -> bool:
        return any(map(makes, self._sentences))

    def costs(self, place: int) -> tuple[float, float]:
        """Return what is taken off the scores of a sentence as the idea and as the result.

        Besides the costs of its form, one that states no finding costs as the result if another states one, and one
        about what was known before costs as the idea if another says what the authors propose or study.
        """
        form = self[place]
        named = self._name is not None and self._name in form.text
        background = not named and not is_own(form.text) and self._any_makes
        hollow = not states_finding(form.text) and self._any_states_a_finding
        idea, result = costs(form)
        return idea + _BACKGROUND * background, result + (self._without_finding(form.text) if hollow else 0)

    def _without_finding(self, text: str) -> float:
        """Return the cost of a result that states no finding where another sentence does."""
        if promises(text):
            return _HOLLOW
        if praises(text):
            return _HOLLOW if self._any_has_a_figure else _PRAISE
        return _WITHOUT_FINDING

    def unexplained(self) -> np.ndarray:
        """Return the costs of results with abbreviations that only a sentence outside of the pair introduces: "(CFL)".

        Returns:
            Of each sentence as the idea with each as the result (sentences × sentences).
        """
        number = len(self._sentences)
        total = np.zeros((number, number))
        introduced: dict[str, int] = {}
        for place, sentence in enumerate(self._sentences):
            for found in _INTRODUCED.finditer(sentence) if "(" in sentence else ():
                introduced.setdefault(found["short"], place)
        for short, place in introduced.items():
            if short in _NO_NAMES:
                continue
            missing = np.tile([short in sentence for sentence in self._sentences], (number, 1))
            missing[place] = missing[:, place] = False
            total += _UNEXPLAINED * missing
        return total


def _named(sentence: str, before: str, name: str) -> str:
    """Return a sentence with a name for "Our method", and for "It" if the sentence before it has the name."""
    for pattern, known in ((_OURS, True), (_IT, name in before)):
        if known and name not in sentence and pattern.match(sentence):
            return pattern.sub(lambda _: name, sentence, count=1)
    return sentence


def costs(form: Form) -> tuple[float, float]:
    """Return what is taken off the scores of a sentence as the idea and as the result, for its form."""
    too_long = max(0, form.words - MOST_WORDS)
    both = _SHORT * (form.words < _LEAST_WORDS) + _BROKEN * form.broken + _LONG * too_long
    return both + _LEANING[0] * form.leaning + _UNNAMED * form.ours, both + _LEANING[1] * form.leaning


# In the units of the model's scores, whose standard deviation is about 1.7; chosen on the labelled abstracts, so that
# the right sentence is found as often as without costs.
_LEANING = (0.9, 0.6)
_UNNAMED = 0.1
_SHORT = 1.0
_BROKEN = 2.0
_LONG = 0.04  # For each word above 30.
_BACKGROUND = 0.5
_UNEXPLAINED = 0.1
# Of a result without a finding, if another sentence states one:
_WITHOUT_FINDING = 0.8
_HOLLOW = 2.0
_PRAISE = 0.4  # If no sentence has a figure: then praise is often all that readers marked.
