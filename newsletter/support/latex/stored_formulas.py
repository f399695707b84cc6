"""Formulas as they are stored: as they are written, except those that only stand for a character."""

import re

from newsletter.support.latex import macros
from newsletter.support.latex.formulas import Formula

_SIGN = re.compile(r"\\?([<>=+±×÷≤≥≠≈∼~&%|°µ])")
_MACRO = re.compile(r"\{?\\([A-Za-z]+)\s*\}?")
_DEGREES = re.compile(r"(?:\{\})?\^\s*\{?\s*\\circ\s*\}?")
_ACCENTED = re.compile(r"\\([A-Za-z]+)\s*\{?(?:\\rm\s*)?\\?([A-Za-z])\}?")


def stored_formula(text: str, at: int, formula: Formula, before: str) -> str:
    r"""Return a formula as it is written; one that is a sign, or an accent in a word, as a character.

    Some programs write ``$<$`` for an angle bracket, ``$\beta$-cell`` and ``Kowa$\acute{n}$ski``.

    Args:
        text: the whole text.
        at: where the formula begins, with its dollar sign.
        formula: where its contents are.
        before: the character before it.
    """
    inner = text[formula.start : formula.end].strip()
    if sign := _SIGN.fullmatch(inner):
        return sign[1]
    if _DEGREES.fullmatch(inner):
        return "°"
    macro = _MACRO.fullmatch(inner)
    if macro and (found := macros.sign(macro[1])) and len(found) == 1:
        return found
    within_word = before.isalpha() or text[formula.after : formula.after + 1].isalpha()
    accent = _ACCENTED.fullmatch(inner)
    if within_word and accent and macros.is_accent(accent[1]):
        return macros.accented(accent[1], accent[2])
    return text[at : formula.after]
