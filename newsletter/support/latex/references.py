"""Citations and references to other parts of a paper, which mean nothing outside of it."""

import re

_NAMES = r"[cC]ite\w{0,12}|(?:paren|text|auto|foot|no|full)cite|(?:page|name|auto|eq|[cC])?ref|label|index|bibliography"
_REFERENCE = rf"\\(?:{_NAMES})\*?(?:\[[^\[\]]{{0,200}}\]){{0,2}}\{{[^{{}}]*\}}"
_REFERRING = re.compile(rf"(?<![\s~])[\s~]*(?:\({_REFERENCE}\)|\[{_REFERENCE}\]|{_REFERENCE})(?P<on>\w?)")


def without_references(text: str) -> str:
    r"""Return a text without ``\cite{...}``, ``(\ref{...})`` and the like, and the space before them."""
    return _REFERRING.sub(lambda found: f" {found['on']}" if found["on"] else "", text)
