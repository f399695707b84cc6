"""Types for reading LaTeX: the position, the kind of text around it, and a macro with its context."""

import re
from enum import Enum
from typing import NamedTuple, Protocol

SPACE = re.compile(r"\s*")


class Mode(Enum):
    RUNNING = "running text, where anything that is not LaTeX stays"
    GROUP = "text in the braces of a macro"
    MATH = "a formula"


class Purpose(Enum):
    """What a text is read for: which of its LaTeX becomes characters, and what surrounds it."""

    DISPLAY = "show all of it, formulas too"
    STORAGE = "decode accents and signs in a plain text; formulas stay"
    FIELD = "decode a field of BibTeX, all of which is LaTeX; formulas stay"


class Within(NamedTuple):
    """The range being read: its end, its kind, and its nesting depth."""

    end: int
    mode: Mode
    depth: int = 0

    @property
    def math(self) -> bool:
        return self.mode is Mode.MATH

    def inside(self, end: int, mode: Mode | None = None) -> "Within":
        return Within(end, mode or (Mode.MATH if self.math else Mode.GROUP), self.depth + 1)


class Call(NamedTuple):
    """A macro: its name, where the text continues after it, the range being read, and the last output character."""

    name: str
    at: int
    within: Within
    before: str

    @property
    def space(self) -> str:
        """The space between this and the output before it."""
        return "" if not self.before or self.before.isspace() else " "


Reading = tuple[str, int]
"""The output for a piece, and where the text continues after it."""


class Reader(Protocol):
    """The interface that macros read their arguments with."""

    @property
    def text(self) -> str:
        """The whole text."""

    @property
    def purpose(self) -> Purpose: ...

    def read(self, at: int, within: Within) -> str:
        """Read from a position to the end of the range."""

    def argument(self, at: int, within: Within, mode: Mode | None = None) -> Reading:
        """Read a group, a macro with its own arguments, or one character; "" if there is nothing."""

    def raw_argument(self, at: int, within: Within) -> Reading:
        """Return a group as it is written, for addresses."""

    def closing_brace(self, at: int, within: Within) -> int | None:
        """Return where the group that starts here ends; None if no group starts here."""

    def after_space(self, at: int, within: Within) -> int:
        """Return the position after any white space."""


def matched(pattern: re.Pattern[str], text: str, at: int, end: int) -> str:
    match = pattern.match(text, at, end)
    return match[0] if match else ""
