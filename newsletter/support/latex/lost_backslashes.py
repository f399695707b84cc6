r"""LaTeX whose backslashes and dollar signs were lost on its way: "2.33times", "tau^*", "{ell_2}", "O(epsilon^{-3})".

Pages that were converted to text by others lose them. What follows from a script ("^", "_{") or from a name glued to a
number is set as a formula again; words by themselves ("times", "epsilon") stay, as they may be meant.
"""

import re

from newsletter.support.latex import macros

ANY_LOST = re.compile(
    r"[\^{}]|\d(?:times|approx)|(?:approx|sim|geq|leq|pm)\d|[a-zA-Z]_|\b(?:cal|math)|geq|leq|infty|forall|propto|"
    r"varepsilon|varphi|[lc]dots"
)
"""A fast test: a text without a match has nothing to restore."""

_GLUED = re.compile(
    r"(?<=\d)(?P<after>times|approx|geq|leq|cdot|pm)(?=\d|\b)"
    r"|(?<![A-Za-z])(?P<before>approx|simeq|sim|geq|leq|neq|pm|lesssim|gtrsim)(?=\d)"
    r"|\b(?P<letter>[A-Za-z])(?P<relation>geq|leq|neq|propto)\b"
    r"|(?<![\w\\])(?P<sign>geq|leq|neq|infty|ldots|cdots|varepsilon|varphi|vartheta|"
    r"forall(?= [a-zA-Z](?:\b|geq|leq)))(?![\w}])"
    r"|(?<![\w\\])cal(?P<cal>[A-Z])(?![A-Za-z])"
    r"|(?<![\w\\])(?:mathbb|mathcal|mathbf|mathrm|mathfrak)(?:\{(?P<braced>[A-Za-z])\}|(?P<font>[A-Z])(?![A-Za-z]))"
)
# A run without spaces, except in braces.
_RUN = re.compile(r"(?:[^\s{}]|\{[^{}]{0,60}\})+")
_NO_FORMULA = re.compile(r"[$\\@`]|://|www\.")
_GREEK = "alpha|beta|gamma|delta|epsilon|zeta|eta|theta|kappa|lambda|mu|nu|xi|pi|rho|sigma|tau|phi|chi|psi|omega|ell"
_FORMULA = re.compile(
    r"(?<=[\w)\]}])\^(?:\{|[A-Za-z0-9*+\-∞]|infty)|[\w)\]}]_\{"
    rf"|(?<![A-Za-z0-9_])(?:{_GREEK}|{_GREEK.title()}|[A-Za-z])_[A-Za-z0-9](?![A-Za-z0-9_])"
    rf"|^\{{(?:{_GREEK})\b[^{{}}]*\}}"
    r"|left[(\[|][^()\[\]|]{1,60}right[)\]|]"
    r"|(?<![A-Za-z_])(?:sqrt|frac|tilde|hat|bar|text|mathrm|mathbb|mathcal|mathbf|operatorname)\{",
    re.IGNORECASE,
)
_LONG_EXPONENT = re.compile(r"\^(\d{2,}|[+-]\d+)")
_NAME = re.compile(r"(?<![A-Za-z\\])[A-Za-z]{2,}(?![A-Za-z])")
_TAKES_BRACES = frozenset(
    ["sqrt", "frac", "tilde", "hat", "bar", "text", "textbf", "mathrm", "mathbb", "mathcal", "mathbf", "operatorname"]
)
# Macros that are words as well, and would be so in a run.
_WORDS = frozenset(
    [
        "and",
        "or",
        "in",
        "to",
        "top",
        "mid",
        "star",
        "dot",
        "not",
        "sum",
        "prod",
        "log",
        "exp",
        "max",
        "min",
        "top",
        "bot",
        "ast",
        "cap",
        "cup",
        "ni",
        "deg",
        "arg",
        "det",
        "dim",
        "gcd",
        "hom",
        "inf",
        "ker",
        "lim",
        "sec",
        "sin",
        "cos",
        "tan",
        "sup",
        "Pr",
    ]
)
_SIZED = re.compile(r"left(?=[(\[|])")
_SIZED_END = re.compile(r"right(?=[)\]|])")
_ENDS = re.compile(r"(?P<head>[(\[“\"']*)(?P<core>.*?)(?P<tail>[,.;:!?”\"']*)", re.DOTALL)
_LONGEST = 200


def restore_backslashes(text: str) -> str:
    r"""Return a text in which LaTeX that lost its backslashes and dollar signs has them again.

    "O(epsilon^{-3})" becomes ``$O(\epsilon^{-3})$``, and "2.33times" becomes "2.33×". A text that has none does not
    change. The time is proportional to the length.
    """
    if not ANY_LOST.search(text):
        return text
    return _RUN.sub(_as_formula, _GLUED.sub(_sign, text))


def _sign(found: re.Match[str]) -> str:
    if letter := found["cal"] or found["font"] or found["braced"]:
        return macros.in_font("mathbb", letter) if found[0].startswith("mathbb") else letter
    name = found["after"] or found["before"] or found["relation"] or found["sign"]
    said = macros.sign(name) or name
    # Relations have spaces around them, in what was set as a formula.
    return f"{found['letter']} {said}" if found["letter"] else said


def _as_formula(found: re.Match[str]) -> str:
    run = found[0]
    if len(run) > _LONGEST or _NO_FORMULA.search(run) or not _FORMULA.search(run):
        return run
    parts = _ENDS.fullmatch(run)
    if parts is None or not parts["core"]:
        return run
    head, core, tail = parts["head"], parts["core"], parts["tail"]
    if core.count("(") < core.count(")") and head.endswith("("):
        head, core = head[:-1], "(" + core
    if _SIZED.search(core):
        core = _SIZED_END.sub("", _SIZED.sub("", core))
    core = _LONG_EXPONENT.sub(r"^{\1}", core)
    return f"{head}${_NAME.sub(_macro, core)}${tail}"


def _macro(found: re.Match[str]) -> str:
    name, following = found[0], found.string[found.end() : found.end() + 1]
    before = found.string[found.start() - 1 : found.start()]
    if name in _TAKES_BRACES:
        return f"\\{name}" if following == "{" else name
    if (name in _WORDS and before not in ("_", "^")) or macros.LETTERS.fullmatch(name):
        return name
    return f"\\{name}" if macros.sign(name) else name
