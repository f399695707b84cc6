"""LaTeX in what is stored: accents and signs become characters, formulas stay for those who show them."""

import re

from newsletter.support.latex.latex_to_text import read_latex
from newsletter.support.latex.references import without_references
from newsletter.support.latex.syntax import Purpose

_ANY_MACRO = re.compile(r"\\|\$\s*[<>=+±×÷≤≥≠≈∼~&%|°µ]\s*\$")
_ANY_LATEX = re.compile(r"[\\~$]|--|``|''|[!?]`")
_BRACES = str.maketrans("", "", "{}")
_BRANCHES = re.compile(
    r"\\ifmmode(?![A-Za-z]).{0,100}?\\else(?![A-Za-z])\s*(.{0,100}?)\\fi(?![A-Za-z])\s*(?:\{\})?", re.DOTALL
)


def decode_latex(text: str) -> str:
    r"""Decode accents, signs and fonts in a text that may contain LaTeX: ``Erd\H{o}s``, ``5\%``, ``\emph{x}``.

    Formulas stay as they are written, except lone signs (``$\sim$5``). So does what only looks like LaTeX: money,
    paths, variables of a shell, code. White space stays too. The time is proportional to the length.
    """
    if not _ANY_MACRO.search(text):
        return text
    return read_latex(without_references(text), Purpose.STORAGE)


def decode_field(latex: str) -> str:
    r"""Decode a field of BibTeX: as :func:`decode_latex`, but braces, ties, dashes and quotes are always LaTeX.

    The contents of unknown macros stay; those without contents are left out.
    """
    if not _ANY_LATEX.search(latex):
        return latex.translate(_BRACES)
    return read_latex(_BRANCHES.sub(r"\1", without_references(latex)), Purpose.FIELD)
