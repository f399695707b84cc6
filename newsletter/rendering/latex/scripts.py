"""Superscripts and subscripts as plain text."""

import re

from newsletter.rendering.latex import macros

_SHORT_SCRIPT = re.compile(r"[A-Za-z0-9\u0370-\u03ff]+|\d+\.\d+|[^\w\s]")
_LONG_WORD = re.compile(r"[^\W\d_]{4}")


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
