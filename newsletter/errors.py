"""Errors for users: each line says what is wrong and how to fix it."""

import traceback
from pathlib import Path

from newsletter.support.text import escape_for_terminal, shorten_middle

_LONGEST_LINE = 600
_LONGEST_WORDS = 200
_PACKAGE = str(Path(__file__).parent)


class NewsletterError(Exception):
    """Something failed that is not the user's fault (exit code 1).

    Args:
        lines: what is wrong, one line for each problem. Text from elsewhere cannot add lines: breaks and invisible
            characters are escaped, and a very long line is shortened in the middle.
    """

    exit_code = 1

    def __init__(self, *lines: str) -> None:
        self.lines = tuple(shorten_middle(escape_for_terminal(line), _LONGEST_LINE) for line in lines)
        super().__init__("\n".join(self.lines))

    def __reduce__(self) -> tuple[type["NewsletterError"], tuple[str, ...]]:
        # Pickle only the lines, so that they survive the transfer to another process.
        return type(self), self.lines


def describe(error: BaseException) -> str:
    """Describe an error in one line: its message if it is meant for users, otherwise its type and its origin."""
    if isinstance(error, NewsletterError):
        return error.lines[0] if error.lines else type(error).__name__
    frames = traceback.extract_tb(error.__traceback__)
    place = next((frame for frame in reversed(frames) if _PACKAGE in frame.filename), None)
    where = f" ({Path(place.filename).name}:{place.lineno})" if place is not None else ""
    words = shorten_middle(escape_for_terminal(str(error)), _LONGEST_WORDS)
    return f"{type(error).__name__}: {words}{where}" if words else f"{type(error).__name__}{where}"


class UserError(NewsletterError):
    """Something that the user can fix: the text names the place, the value and the fix (exit code 2)."""

    exit_code = 2


class NotFound(UserError):
    """What is named does not exist, or not any more."""


class Conflict(UserError):
    """The state of what is to be changed does not allow the change, or it was changed elsewhere meanwhile."""


class ReaderError(UserError):
    """A user error that concerns what a reader gave, and has neither paths nor commands: the site may show it."""


class Stopped(NewsletterError):
    """The newsletter is stopping, so a wait was ended; nothing is wrong."""
