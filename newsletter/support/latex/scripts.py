"""Superscripts and subscripts as plain text."""

import re

from newsletter.support.latex import macros

_SHORT_SCRIPT = re.compile(r"[A-Za-z0-9\u0370-\u03ff]+|\d+\.\d+|[^\w\s]")
_LONG_WORD = re.compile(r"[^\W\d_]{4}")
_NUMBER = re.compile(r"[+−-]?\d+")


def as_script(mark: str, said: str, following: str) -> str:
    """Format a superscript or subscript: in Unicode characters if they exist, or as it is typed, ``x_max``."""
    said = said.strip()
    if not said:
        return ""
    if not _LONG_WORD.search(said):
        small = (macros.raised if mark == "^" else macros.lowered)("".join(said.split()))
        if small:
            return small
    bare = _SHORT_SCRIPT.fullmatch(said) and not (said[-1].isalnum() and following.isalnum())
    return mark + (said if bare else f"{{{said}}}")


def typed_script(before: str, said: str) -> str:
    """Format a superscript of a text as people type it: "1st", "Ca2+", but 10⁵, which would be another number.

    Args:
        before: the character before it.
        said: the superscript.
    """
    return as_script("^", said, "") if before.isdecimal() and _NUMBER.fullmatch(said.strip()) else said
