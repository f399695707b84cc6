"""Find the formulas in a text, and the dollar signs that are money."""

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

_ENVIRONMENTS = "(?:equation|align|alignat|gather|multline|eqnarray|displaymath|math)"
# An escaped dollar opens nothing, nor do other escaped characters; one that was escaped twice on its way is a dollar.
_FENCE = re.compile(rf"(?:\\\\)?\$|\\\\|\\[$()\[\]{{}}]|\\(?:begin|end)\{{{_ENVIRONMENTS}\*?\}}|[{{}}]")
_OPENING = {"\\)": "\\(", "\\]": "\\["}

_LATEX = re.compile(r"[\\^_]")
_EQUATION = re.compile(r"[\\^_=<>(]|[^\W\d]")
_WRITTEN_OUT = re.compile(
    r"\\(?:text\w*|mbox|math\w+|operatorname)\*? ?\{[^{}]*\}|[_^]\{[^{}]*\}|\\(?:begin|end)\{\w+\*?\}|\\[A-Za-z]+"
)
_WORD = re.compile(r"(?<![\w\\-])[A-Za-z]{2,}(?![\w(\[^_{])")
_FUNCTIONS = frozenset(
    ["arg", "cos", "det", "exp", "inf", "lim", "ln", "log", "max", "min", "mod", "sin", "sup", "tan"]
)
_SOMETHING = re.compile(r"\w|^[<>=+*|\[\]-]$")
_LETTER = re.compile(r"[^\W\d_]")
_IDEOGRAPH = re.compile("[\u3040-\ud7ff]")
_PRICES = re.compile(r"\d[^=<>+*/-]*\s[^=<>+*/-]*$")  # "$3.5M; 64$", as in "$3.5M; 64$\times$"
_WHOLE = re.compile(r"[\w)\]}'*]$|^\D.*-$")  # "$n$th" and "$k-$means", but not "$5-per-$GB"
_LONGEST_BARE = 60  # Formulas without any LaTeX syntax are short.


class Formula(NamedTuple):
    """The text between two fences: its start and end, and where the text continues after them."""

    start: int
    end: int
    after: int


class _Fence(NamedTuple):
    at: int
    after: int
    sign: str


def formulas(text: str) -> dict[int, Formula]:
    r"""Find the formulas of a text, by start position: ``$x$``, ``$$x$$``, ``\(x\)``, ``\[x\]`` and environments.

    Dollar signs are money if the text between two of them reads as prose or as a price: "$5 to $10".
    """
    fences = [
        _Fence(match.start(), match.end(), "$" if match[0] == r"\\$" else match[0]) for match in _FENCE.finditer(text)
    ]
    return dict([*_between_dollars(text, fences), *_between_brackets(text, fences)])


def _between_dollars(text: str, fences: Sequence[_Fence]) -> Iterator[tuple[int, Formula]]:
    places = [place for place, fence in enumerate(fences) if fence.sign == "$"]
    doubled = [fences[one].after == fences[two].at for one, two in pairwise(places)] + [False]
    first = 0
    while first + 1 < len(places):
        double = doubled[first]
        last = first + 1 + double
        if last < len(places) and (doubled[last] or not double):
            inside = range(places[last - 1] + 1, places[last])
            opening, closing = fences[places[last - 1]], fences[places[last]]
            if _balanced(fences, inside) and _is_formula(text, opening, closing, double):
                after = fences[places[last + double]].after
                yield fences[places[first]].at, Formula(opening.after, closing.at, after)
                first = last + 1 + double
                continue
        first += 1


def _between_brackets(text: str, fences: Sequence[_Fence]) -> Iterator[tuple[int, Formula]]:
    opened: dict[str, int] = {}
    for place, closing in enumerate(fences):
        if closing.sign in _OPENING.values() or closing.sign.startswith("\\begin"):
            opened[closing.sign] = place
        elif closing.sign in _OPENING or closing.sign.startswith("\\end"):
            begun = opened.pop(_OPENING.get(closing.sign) or closing.sign.replace("end", "begin"), None)
            if begun is None or not _balanced(fences, range(begun + 1, place)):
                continue
            opening = fences[begun]
            # Brackets are escaped for other reasons too, as "\[1\]" is in Markdown.
            bracket = closing.sign in _OPENING
            if not bracket or (
                _is_formula(text, opening, closing, True) and _EQUATION.search(text, opening.after, closing.at)
            ):
                yield opening.at, Formula(opening.after, closing.at, closing.after)


def _balanced(fences: Sequence[_Fence], inside: range) -> bool:
    depth = 0
    for place in inside:
        depth += {"{": 1, "}": -1}.get(fences[place].sign, 0)
        if depth < 0:
            return False
    return depth == 0


def _is_formula(text: str, opening: _Fence, closing: _Fence, displayed: bool) -> bool:
    inner = text[opening.after : closing.at]
    before, after = text[max(0, opening.at - 1) : opening.at], text[closing.after : closing.after + 1]
    words = _words_of_prose(inner)
    latex = _LATEX.search(inner) is not None
    if not inner.strip() or words > (0 if not latex else 3 if displayed else 1):
        return False
    if displayed:
        return True
    lopsided = inner[:1].isspace() != inner[-1:].isspace()
    if lopsided and (words or after.isalnum()):
        return False
    # "$HOME/bin:$PATH" and "$5-$10": the second dollar opens again.
    if after.isalnum() and inner[-1] in "/:,;=&|?":
        return False
    if inner[0].isdigit() and after.isdigit() and (lopsided or not latex):
        return False
    return latex or (not lopsided and _is_bare_formula(inner, before, after))


def _is_bare_formula(inner: str, before: str, after: str) -> bool:
    """Return whether a text without any LaTeX syntax is a formula, such as $n$ and $p < 0.05$."""
    if len(inner) > _LONGEST_BARE or not _SOMETHING.search(inner) or _IDEOGRAPH.search(inner):
        return False
    price = _PRICES.match(inner) or (before.isdigit() and not _LETTER.search(inner))  # "5$-10$"
    spaced = inner[0].isspace() and len(inner.split()) > 1
    opens_again = after in ("{", "\\") or (after.isalnum() and not _WHOLE.search(inner))
    return not (price or spaced or opens_again)


def _words_of_prose(inner: str) -> int:
    """Count the words in a possible formula, except names of functions."""
    if not re.search(r"\s", inner):
        return 0
    return sum(word not in _FUNCTIONS for word in _WORD.findall(_WRITTEN_OUT.sub(" ", inner)))
