"""The macros of LaTeX by their names: what each stands for, and what kind it is."""

import re
import unicodedata
from functools import cache, lru_cache
from typing import Any

from pylatexenc.latex2text import get_default_latex_context_db  # type: ignore[import-untyped]


def _table(pairs: str) -> dict[str, str]:
    return dict(pair.split("=", 1) for pair in pairs.split())


# What the library does not know, or has in a form that reads worse or that few fonts have.
_OWN = _table(
    """
    epsilon=ε eps=ε phi=φ textmu=μ micro=μ ohm=Ω prime=′ ast=* leqslant=≤ leqq=≤ geqslant=≥ geqq=≥ ne=≠ doteq=≐
    coloneqq=:= iff=⇔ implies=⇒ impliedby=⇐ gets=← land=∧ lor=∨ neg=¬ over=/ bmod=mod colon=: cdots=… hdots=… bullet=•
    owns=∋ Box=□ Diamond=◇ checkmark=✓ cmark=✓ xmark=✗ degree=° deg=° celsius=°C arcsec=″ arcmin=′ lbrack=[ rbrack=]
    textbar=| textless=< textgreater=> textunderscore=_ textasciicircum=^ textlangle=⟨ textrangle=⟩ textquotedbl="
    copyright=© S=§ P=¶ pounds=£ euro=€ textperiodcentered=· ddag=‡ glqq=„ grqq=” glq=‚ grq=’ flqq=« frqq=» lq=‘ rq=’
    """
)
# Names that the library has, but that authors give to things of their own.
_NO_SIGNS = re.compile(
    "aquarius|aries|because|between|cancer|capricornus|equal|estimates|gemini|hints?|id|image|include|input|jupiter|leo"
    "|libra|male|mercury|neptune|original|pisces|pluto|recorder|sagittarius|saturn|scorpio|taurus|today|truestate"
    "|uranus|venus|virgo"
)
_MARKS = "\u0300\u0301\u0302\u0303\u0304\u0306\u0307\u0308\u030a\u030b\u030c\u0323\u0327\u0328\u0331"
_ACCENTS = dict(zip("`'^~=u.\"rHvdckb", _MARKS, strict=True))
_IN_FORMULAS = _table(
    "grave=` acute=' hat=^ widehat=^ tilde=~ widetilde=~ bar== overline== breve=u dot=. ddot=\" check=v"
)
_ACCENTS |= {name: _ACCENTS[short] for name, short in _IN_FORMULAS.items()}
_NEGATED = "\u0338"
_BLACKBOARD = str.maketrans("CHNPQRZ", "ℂℍℕℙℚℝℤ")

ABBREVIATIONS = {
    "eg": "e.g.",
    "Eg": "E.g.",
    "ie": "i.e.",
    "Ie": "I.e.",
    "etal": "et al.",
    "etc": "etc.",
    "cf": "cf.",
    "vs": "vs.",
    "wrt": "w.r.t.",
    "aka": "a.k.a.",
    "iid": "i.i.d.",
    "resp": "resp.",
}
LETTERS = re.compile("[oOlLij]|ae|AE|oe|OE|aa|ss|[dt]h|DH|TH|dj|DJ|ng|NG")
"""Macros that are letters inside words."""
SPACES = re.compile(r"[ ,;:\s]|q?quad|enspace|thinspace|par|newline|space")
NOTHING = frozenset("!-@")
ESCAPED = frozenset("%&$#_{}")
"""Signs that a backslash before them makes plain."""
BRACKETS = _table(
    "pmatrix=() bmatrix=[] Bmatrix={} vmatrix=|| Vmatrix=‖‖ ket=|⟩ bra=⟨| abs=|| norm=‖‖ ceil=⌈⌉ floor=⌊⌋"
)
"""What environments and macros put around what is in them."""

_FONT = re.compile(
    r"(?:text|math)(?:rm|bf|it|sf|tt|sc|sl|md|up|normal|cal|scr|frak|bb|bbm|ds)?|emph|underline|uline|boldsymbol|bm|pmb"
    r"|[mfh]box|operatorname|ensuremath|math(?:op|rel|bin|ord|open|close|inner|punct)|Bbb|scr|bold"
)
_TEXT_FONT = re.compile(r"text|emph|[mfh]box|u")
_DOUBLE_STRUCK = frozenset(["mathbb", "Bbb", "mathbbm", "mathds"])
_SWITCH = re.compile(
    r"bf|sc|tt|rm|sf|sl|em|(?:bf|it|sc|tt|rm|sf|sl|md|up)(?:series|shape|family)|normalfont|(?:no)?limits|nonumber"
    r"|(?:display|text|script)style|noindent|centering|protect|maketitle|xspace|relax|footnotesize|scriptsize"
)
# In running text these are more often somebody's words.
_SWITCH_INSIDE = re.compile(r"it|cal|frak|left|right|middle|[bB]igg?[lrm]?|small|large|Large|huge|tiny")


@lru_cache(maxsize=1024)
def sign(name: str) -> str | None:
    """What a macro stands for, by its name without the backslash: a sign, or the name of a function as it is written.

    None for a macro that is no sign or is not known.
    """
    if name in _OWN:
        return _OWN[name]
    found = getattr(_library().get_macro_spec(name), "simplify_repl", None)
    if not isinstance(found, str) or found.isspace() or _NO_SIGNS.fullmatch(name):
        return None
    # What else it has are placeholders, such as "<cit.>".
    return found if len(found) == 1 or found.replace(" ", "").isalpha() else None


@cache
def _library() -> Any:
    # Its table is all that is used of pylatexenc: its converter drops macros that it does not know, takes "$5 and $6"
    # for a formula and what follows a percent sign for a comment, and fails on deep nesting.
    return get_default_latex_context_db()


def is_accent(name: str) -> bool:
    """Whether a macro puts an accent on a letter."""
    return name in _ACCENTS


def accented(name: str, base: str) -> str:
    """A letter with the accent of a macro; one character where Unicode has it so."""
    # A dotless i is one only so that the accent takes the place of its dot.
    return unicodedata.normalize("NFC", base.translate({ord("ı"): "i", ord("ȷ"): "j"}) + _ACCENTS[name])


def negated(relation: str) -> str:
    """A relation with a stroke through it: ≠ for =."""
    struck = unicodedata.normalize("NFC", relation + _NEGATED)
    return struck if len(struck) == 1 else f"¬{relation}"


def is_font(name: str) -> bool:
    """Whether a macro only says how its argument looks."""
    return _FONT.fullmatch(name) is not None


def is_text_font(name: str) -> bool:
    """Whether the argument of a font's macro is text, also in a formula."""
    return _TEXT_FONT.match(name) is not None


def in_font(name: str, said: str) -> str:
    """Letters as a font's macro has them, where mail can show it: ℝ and ℕ for blackboard bold, else plain."""
    return said.translate(_BLACKBOARD) if name in _DOUBLE_STRUCK else said


def is_switch(name: str, inside: bool) -> bool:
    """Whether a macro only changes how what follows looks.

    Args:
        inside: it stands in a group or a formula.
    """
    return _SWITCH.fullmatch(name) is not None or (inside and _SWITCH_INSIDE.fullmatch(name) is not None)


def raised(text: str) -> str | None:
    """A text as a superscript; None when Unicode does not have all its characters as such."""
    return _moved(text, _RAISED)


def lowered(text: str) -> str | None:
    """A text as a subscript; None when Unicode does not have all its characters as such."""
    return _moved(text, _LOWERED)


def _moved(text: str, table: dict[str, str]) -> str | None:
    return "".join(map(table.__getitem__, text)) if text and all(character in table for character in text) else None


def _variants(kind: str) -> dict[str, str]:
    # The database of Unicode says which character is the superscript or subscript of which. Fonts have those of the
    # blocks below; of the others, such as a superscript Q, hardly any.
    blocks = (range(0xB2, 0xBA), range(0x2B0, 0x2E5), range(0x1D2C, 0x1DC0), range(0x2070, 0x209D), (0x2C7C, 0x2C7D))
    found: dict[str, str] = {}
    for code in (code for block in blocks for code in block):
        parts = unicodedata.decomposition(chr(code)).split()
        if len(parts) == 2 and parts[0] == kind:
            found.setdefault(chr(int(parts[1], 16)), chr(code))
    return {**found, "-": found["−"]}


_RAISED = {**_variants("<super>"), **{sign: sign for sign in "*⋆′″°†‡"}, "∘": "°", "⊤": "ᵀ"}
_LOWERED = _variants("<sub>")
