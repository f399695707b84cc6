"""Plain text from the fields of a BibTeX file, which mix LaTeX, HTML and text.

pylatexenc decodes single macros with their arguments. What is between them is text: it would read an ampersand as the
end of a table cell and a percent sign as the begin of a comment, and it takes milliseconds for an abstract.
"""

import logging
import re
import unicodedata
from functools import lru_cache

from pylatexenc.latex2text import (  # type: ignore[import-untyped]
    LatexNodes2Text,
    MacroTextSpec,
    get_default_latex_context_db,
)
from pylatexenc.latexwalker import LatexWalkerError  # type: ignore[import-untyped]

from newsletter.sources.text import from_html
from newsletter.support.text import to_single_line

# Of macros that the decoder does not know.
logging.getLogger("pylatexenc").addHandler(logging.NullHandler())

_SIGNS = {
    "less": "<",
    "greater": ">",
    "lt": "<",
    "gt": ">",
    "textless": "<",
    "textgreater": ">",
    "textbar": "|",
    "textminus": "−",
    "texttimes": "×",
    "textpm": "±",
    "textmu": "µ",
    "textquotesingle": "'",
    "textquotedbl": '"',
    "textunderscore": "_",
    "textasciicircum": "^",
    "textasciitilde": "~",
    "texttildelow": "~",
    "textellipsis": "…",
    "textrightarrow": "→",
    "textleftarrow": "←",
    "textonehalf": "½",
    "cprime": "ʹ",
    "url": "%s",
}
"""Macros that pylatexenc does not know, or reads as a formula or with marks around it."""

_GREEK = "αβγδεζηθικλμνξοπρστυφχψω"


def _decoder() -> LatexNodes2Text:
    signs = dict[str, str]()
    for letter in _GREEK:
        # Unicode calls it "lamda", LaTeX "lambda".
        name = unicodedata.name(letter).rpartition(" ")[2].lower().replace("lamda", "lambda")
        signs |= {f"text{name}": letter, f"up{name}": letter, f"text{name.capitalize()}": letter.upper()}
    macros = [MacroTextSpec(name, simplify_repl=sign) for name, sign in (signs | _SIGNS).items()]
    context = get_default_latex_context_db()
    context.add_context_category("signs of text", macros=macros, prepend=True)
    return LatexNodes2Text(latex_context=context, math_mode="verbatim")


_LATEX = _decoder()

# Of up to four levels. Quantifiers are possessive or bounded, so that the time is proportional to the length.
_GROUP = r"\{(?:[^{}]++|\{(?:[^{}]++|\{(?:[^{}]++|\{[^{}]*+\})*+\})*+\})*+\}"
_MACRO = re.compile(
    r"(?P<formula>\$\$?(?!\$)(?:[^$\\]|\\.)*+\$\$?|\\\(.{0,500}?\\\)|\\\[.{0,500}?\\\])"
    rf"|\\href\s*\{{[^{{}}]*\}}\s*(?P<linked>{_GROUP})"
    rf"|\\begin\s*\{{(?P<name>\w+\*?)\}}.{{0,500}}?\\end\s*\{{(?P=name)\}}"
    rf"|\\[\"'`^~=.]\s*(?:{_GROUP}|\\[A-Za-z]+\s*|[^\W\d_])"
    rf"|\\[cvukrHdbt](?:\s*{_GROUP}|\s+[A-Za-z](?![A-Za-z])|\s*\\[ij](?![A-Za-z])\s*)"
    rf"|\\[A-Za-z]+\*?(?:\s*\[[^\[\]{{}}]*\])?(?:\s*{_GROUP})+"
    r"|\\[A-Za-z]+\*?\s*"
    r"|\\.",
    re.DOTALL,
)
_BRANCHES = re.compile(
    r"\\ifmmode(?![A-Za-z]).{0,100}?\\else(?![A-Za-z])\s*(.{0,100}?)\\fi(?![A-Za-z])\s*(?:\{\})?", re.DOTALL
)
_SIGN_IN_FORMULA = re.compile(r"\$\s*\\?(less|greater|lt|gt|<|>|&)\s*\$")
_SIGN = {"less": "<", "lt": "<", "greater": ">", "gt": ">"}
_BARE_SIGN = re.compile(r"(?<!\\)[%&]")
_ANY_LATEX = re.compile(r"[\\~$]|--|``|''|[!?]`")
_LIGATURES = {"---": "—", "--": "–", "``": "“", "''": "”", "!`": "¡", "?`": "¿", "~": " ", "{": "", "}": ""}
_LIGATURE = re.compile("|".join(map(re.escape, _LIGATURES)))


def plain(latex: str) -> str:
    """Convert a field to text in one line: decode macros, accents and HTML, drop braces, keep formulas."""
    text = without_latex(latex)
    return from_html(text) if "<" in text or "&" in text else to_single_line(text)


def without_latex(latex: str) -> str:
    """Do the same but leave HTML and white space: for addresses and identifiers, in which ``<`` is no tag."""
    if not _ANY_LATEX.search(latex):
        return latex.replace("{", "").replace("}", "")
    text = _SIGN_IN_FORMULA.sub(lambda sign: _SIGN.get(sign[1], sign[1]), _BRANCHES.sub(r"\1", latex))
    parts, end = list[str](), 0
    for macro in _MACRO.finditer(text):
        parts += [_text(text[end : macro.start()]), _macro(macro)]
        end = macro.end()
    return "".join([*parts, _text(text[end:])])


def _text(text: str) -> str:
    return _LIGATURE.sub(lambda found: _LIGATURES[found[0]], text)


def _macro(macro: re.Match[str]) -> str:
    if macro["formula"] is not None:
        return macro[0]
    return without_latex(macro["linked"]) if macro["linked"] is not None else _decoded(macro[0])


@lru_cache(10_000)
def _decoded(macro: str) -> str:
    if macro.endswith("{}") and macro[1:-2].strip() in ("^", "~"):
        return macro[1]  # An accent on nothing is the character itself.
    text = macro if macro.startswith("\\begin") else _BARE_SIGN.sub(r"\\\g<0>", macro)
    try:
        decoded: str = _LATEX.latex_to_text(text)
    except (LatexWalkerError, ValueError, IndexError, RecursionError):
        return macro.replace("{", "").replace("}", "")
    return decoded
