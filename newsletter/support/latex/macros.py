"""LaTeX macros by name: what each stands for, and what kind it is."""

import re
import unicodedata
from functools import cache, lru_cache
from typing import Any

from pylatexenc.latex2text import get_default_latex_context_db  # type: ignore[import-untyped]


def _table(pairs: str) -> dict[str, str]:
    return dict(pair.split("=", 1) for pair in pairs.split())


# Macros that the library lacks, or has in a form that reads worse or that few fonts support.
_OWN = _table(
    """
    epsilon=ε eps=ε phi=φ textmu=µ micro=μ ohm=Ω prime=′ ast=* leqslant=≤ leqq=≤ geqslant=≥ geqq=≥ ne=≠ doteq=≐
    coloneqq=:= iff=⇔ implies=⇒ impliedby=⇐ gets=← land=∧ lor=∨ neg=¬ over=/ bmod=mod colon=: cdots=… hdots=… bullet=•
    owns=∋ Box=□ Diamond=◇ checkmark=✓ cmark=✓ xmark=✗ degree=° deg=° celsius=°C arcsec=″ arcmin=′ lbrack=[ rbrack=]
    textbar=| textless=< textgreater=> textunderscore=_ textasciicircum=^ textlangle=⟨ textrangle=⟩ textquotedbl="
    less=< greater=> lt=< gt=> textminus=− texttimes=× textpm=± textquotesingle=' textasciitilde=~ texttildelow=~
    textellipsis=… textrightarrow=→ textleftarrow=← textonehalf=½ textonequarter=¼ textthreequarters=¾ cprime=ʹ
    LaTeX=LaTeX TeX=TeX BibTeX=BibTeX LaTeXe=LaTeX2e
    textdegree=° textcelsius=℃ textonesuperior=¹ texttwosuperior=² textthreesuperior=³ textbullet=•
    copyright=© S=§ P=¶ pounds=£ euro=€ textperiodcentered=· ddag=‡ glqq=„ grqq=” glq=‚ grq=’ flqq=« frqq=» lq=‘ rq=’
    """
)
_GREEK = "αβγδεζηθικλμνξοπρστυφχψω"


def _greek_in_text() -> dict[str, str]:
    signs = dict[str, str]()
    for letter in _GREEK:
        # Unicode calls it "lamda", LaTeX "lambda".
        name = unicodedata.name(letter).rpartition(" ")[2].lower().replace("lamda", "lambda")
        signs |= {f"text{name}": letter, f"up{name}": letter, f"text{name.capitalize()}": letter.upper()}
    return signs


_GREEK_IN_TEXT = _greek_in_text()
# Names that the library has, but that authors use for macros of their own.
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
"""Characters that a backslash before them makes literal."""
BRACKETS = _table(
    "pmatrix=() bmatrix=[] Bmatrix={} vmatrix=|| Vmatrix=‖‖ ket=|⟩ bra=⟨| abs=|| norm=‖‖ ceil=⌈⌉ floor=⌊⌋"
)
"""The delimiters that environments and macros put around their contents."""

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
# In running text these are usually ordinary words.
_SWITCH_INSIDE = re.compile(r"it|cal|frak|left|right|middle|[bB]igg?[lrm]?|small|large|Large|huge|tiny")


@lru_cache(maxsize=1024)
def sign(name: str) -> str | None:
    """Return what a macro stands for, by its name without the backslash: a symbol, or the name of a function.

    None for a macro that is not a symbol or is unknown.
    """
    if name in _OWN:
        return _OWN[name]
    if letter := _GREEK_IN_TEXT.get(name):
        return letter
    found = getattr(_library().get_macro_spec(name), "simplify_repl", None)
    if not isinstance(found, str) or found.isspace() or _NO_SIGNS.fullmatch(name):
        return None
    # The rest of its table is placeholders, such as "<cit.>".
    return found if len(found) == 1 or found.replace(" ", "").isalpha() else None


@cache
def _library() -> Any:
    # Only the table of pylatexenc is used: its converter drops unknown macros, takes "$5 and $6" for a formula and the
    # text after a percent sign for a comment, and fails on deep nesting.
    return get_default_latex_context_db()


def is_text_sign(name: str) -> bool:
    """Return whether a macro is a sign that TeX allows in text, where the space after it belongs to the macro."""
    return name.startswith(("text", "up")) or LETTERS.fullmatch(name) is not None


def is_accent(name: str) -> bool:
    """Return whether a macro puts an accent on a letter."""
    return name in _ACCENTS


def accented(name: str, base: str) -> str:
    """Return a letter with the accent of a macro; one character if Unicode has it."""
    # A dotless i is only used so that the accent replaces its dot.
    return unicodedata.normalize("NFC", base.translate({ord("ı"): "i", ord("ȷ"): "j"}) + _ACCENTS[name])


def negated(relation: str) -> str:
    """Return a relation with a stroke through it: ≠ for =."""
    struck = unicodedata.normalize("NFC", relation + _NEGATED)
    return struck if len(struck) == 1 else f"¬{relation}"


def is_font(name: str) -> bool:
    """Return whether a macro only changes the font of its argument."""
    return _FONT.fullmatch(name) is not None


def is_text_font(name: str) -> bool:
    """Return whether the argument of a font macro is text, even in a formula."""
    return _TEXT_FONT.match(name) is not None


def in_font(name: str, said: str) -> str:
    """Convert letters to the font of a macro if email can show it, like ℝ and ℕ for blackboard bold."""
    return said.translate(_BLACKBOARD) if name in _DOUBLE_STRUCK else said


def is_switch(name: str, inside: bool) -> bool:
    """Return whether a macro only changes the font of what follows.

    Args:
        inside: whether it is in a group or a formula.
    """
    return _SWITCH.fullmatch(name) is not None or (inside and _SWITCH_INSIDE.fullmatch(name) is not None)


def raised(text: str) -> str | None:
    """Convert a text to superscript; None if Unicode lacks any of its characters as superscripts."""
    return _moved(text, _RAISED)


def lowered(text: str) -> str | None:
    """Convert a text to subscript; None if Unicode lacks any of its characters as subscripts."""
    return _moved(text, _LOWERED)


def _moved(text: str, table: dict[str, str]) -> str | None:
    return "".join(map(table.__getitem__, text)) if text and all(character in table for character in text) else None


def _variants(kind: str) -> dict[str, str]:
    # The Unicode database has the superscript and subscript forms of characters. Fonts support those of the blocks
    # below, but hardly any others, such as a superscript Q.
    blocks = (range(0xB2, 0xBA), range(0x2B0, 0x2E5), range(0x1D2C, 0x1DC0), range(0x2070, 0x209D), (0x2C7C, 0x2C7D))
    found: dict[str, str] = {}
    for code in (code for block in blocks for code in block):
        parts = unicodedata.decomposition(chr(code)).split()
        if len(parts) == 2 and parts[0] == kind:
            found.setdefault(chr(int(parts[1], 16)), chr(code))
    return {**found, "-": found["−"]}


_RAISED = {**_variants("<super>"), **{sign: sign for sign in "*⋆′″°†‡"}, "∘": "°", "⊤": "ᵀ"}
_LOWERED = _variants("<sub>")
