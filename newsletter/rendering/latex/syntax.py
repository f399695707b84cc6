"""What reading LaTeX works with: the position, the kind of text around it, and a macro with its context."""

import re
from enum import Enum
from typing import NamedTuple, Protocol

SPACE = re.compile(r"\s*")


class Mode(Enum):
    RUNNING = "running text, where what is no LaTeX stays"
    GROUP = "text in the braces of a macro"
    MATH = "a formula"


class Within(NamedTuple):
    """What is being read: up to where, as what, and how deep it is nested."""

    end: int
    mode: Mode
    depth: int = 0

    @property
    def math(self) -> bool:
        return self.mode is Mode.MATH

    def inside(self, end: int, mode: Mode | None = None) -> "Within":
        return Within(end, mode or (Mode.MATH if self.math else Mode.GROUP), self.depth + 1)


class Call(NamedTuple):
    """A macro: its name, where the text goes on after the name, what is being read, and the character said before."""

    name: str
    at: int
    within: Within
    before: str

    @property
    def space(self) -> str:
        """The space between this and what was said before."""
        return "" if not self.before or self.before.isspace() else " "


Reading = tuple[str, int]
"""What a piece reads as, and where the text goes on after it."""


class Reader(Protocol):
    """What macros read their arguments with."""

    @property
    def text(self) -> str:
        """The whole text."""

    def read(self, at: int, within: Within) -> str:
        """Read from a position up to the end of what is being read."""

    def argument(self, at: int, within: Within, mode: Mode | None = None) -> Reading:
        """Read a group, a macro with its own arguments, or one character; "" where there is nothing."""

    def raw_argument(self, at: int, within: Within) -> Reading:
        """Take a group as it is written, as for addresses."""

    def closing_brace(self, at: int, within: Within) -> int | None:
        """Return where the group that starts here ends; None if no group starts here."""

    def after_space(self, at: int, within: Within) -> int:
        """Return the position after any white space."""


def matched(pattern: re.Pattern[str], text: str, at: int, end: int) -> str:
    match = pattern.match(text, at, end)
    return match[0] if match else ""
