"""Split a text into sentences. In doubt two are kept together, since half a sentence is worse."""

import re
from bisect import bisect_left
from itertools import pairwise

_BEGINNERS = (
    "A|Additionally|Although|An|And|As|Based|Both|But|By|Code|Compared|Despite|Each|Existing|Experimental|Experiments|"
    "Extensive|Finally|First|Firstly|Following|For|From|Furthermore|Given|Hence|Here|How|However|If|In|Instead|It|Its|"
    "Many|Moreover|Most|On|Our|Overall|Previous|Prior|Recent|Recently|Results|Second|Since|Some|Specifically|Such|"
    "Surprisingly|That|The|Their|Then|There|Therefore|These|They|This|Those|Through|Thus|To|Under|Unlike|Using|We|What|"
    "When|Where|While|With|Yet"
)
_BREAK = re.compile(
    rf"""
    (?P<stop>[.!?…]{{1,9}})
    (?:
        ["'”’»)\]}}]{{0,4}} (?:\[[\d,\s–-]{{1,20}}\])? \s+  # what closes, and the number of a reference
        | (?<=[a-z)]\.) (?=(?:{_BEGINNERS})[ ])  # the space was forgotten
        | (?<=[a-z]{{3}}\.) (?=[A-Z][\w-]*[ ][a-z])
    )
    | [。！？｡]{{1,9}} ["'”’»」』）)]{{0,4}} \s*               # needs no space
    | \n[ \t]* (?=\n|[-*•][ ]|\d{{1,2}}[.)][ ]) \s*           # a blank line, or the next of a list
    """,
    re.VERBOSE,
)
_TOGETHER = re.compile(r"\$(?=\S)[^$\n]{1,300}(?<=\S)\$(?!\d)|\([^()]{1,300}\)|\[[^\[\]]{1,300}\]|“[^“”]{1,300}”")
_OPENING = "\"'“‘«([{*~"
_NEVER = re.compile(r"approx|ca|cf|dr|e\.g|eg|i\.e|ie|incl|mr|mrs|prof|resp|st|viz|vs|w\.r\.t|wrt", re.IGNORECASE)
_SELDOM = re.compile(
    r"al|apr|aug|co|dec|eq|eqn|eqs|etc|feb|fig|figs|inc|jan|jr|jul|jun|ltd|no|nos|nov|oct|ph\.d|pp|ref|refs|sec|sect|"
    r"sep"
    r"|sept|tab|thm|vol",
    re.IGNORECASE,
)
_LETTERS = re.compile(r"[A-Z]|(?:[A-Za-z]\.)+[A-Za-z]")
_NUMBER_OF_A_LIST = re.compile(r"(?:.*[:;,]\s+)?(?:\d{1,2}|[ivx]{1,4}|[a-z])", re.DOTALL | re.IGNORECASE)
_LOOK = 80  # Characters on either side of a full stop that decide whether it ends a sentence.
_FIRST_WORD = re.compile(r"[\w-]*")
_BEGINNER = re.compile(rf"(?:{_BEGINNERS})\b")


def sentences(text: str) -> list[str]:
    """Return the sentences of a text, each with the white space after it: joined they are the text.

    Formulas between dollar signs, and text in brackets, are never split. White space alone is one piece.
    """
    together = [found.span() for found in _TOGETHER.finditer(text)]
    cuts = [0]
    for found in _BREAK.finditer(text):
        at, stop = found.end(), found.start()
        nearest = bisect_left(together, (at, 0)) - 1  # the last that begins before the cut
        if at == len(text) or (nearest >= 0 and at < together[nearest][1]):
            continue
        before, after = text[max(cuts[-1], stop - _LOOK) : stop], text[at : at + _LOOK]
        if not found["stop"] or _ends(before, found["stop"], after):
            cuts.append(at)
    return [text[start:end] for start, end in pairwise([*cuts, len(text)]) if end > start]


def capitalized(text: str) -> str:
    """Return a text with its first letter in upper case, unless its first word is a name like iCaRL or pix2pix."""
    first = text.split(" ", 1)[0]
    upper = text[:1].upper()
    return text if re.search(r"[A-Z\d]", first[1:]) or len(upper) > 1 else upper + text[1:]


def _ends(before: str, stop: str, after: str) -> bool:
    """Return whether a full stop ends the sentence before it, judging by the text on both sides."""
    following = after.lstrip(_OPENING)
    if stop == ".":
        words = before.split()
        last = words[-1].lstrip(_OPENING) if words else ""
        if not last or _NEVER.fullmatch(last) or _NUMBER_OF_A_LIST.fullmatch(before.strip(f" \n\t{_OPENING}")):
            return False
        if _SELDOM.fullmatch(last) or _LETTERS.fullmatch(last):
            return bool(_BEGINNER.match(following))
    # A name like iCaRL or pix2pix may begin a sentence, other lower-case letters do not.
    name = _FIRST_WORD.match(following)
    return not following[:1].islower() or bool(name and re.search(r"[A-Z\d]", name[0]))
