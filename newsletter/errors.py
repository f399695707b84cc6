"""The errors that reach people: each is one line that says what is wrong and how to mend it."""

import traceback
from pathlib import Path

from newsletter.support.text import escape_for_terminal, shorten_middle

_LONGEST_LINE = 600
_LONGEST_WORDS = 200
_PACKAGE = str(Path(__file__).parent)


class NewsletterError(Exception):
    """Something failed that the person at the keyboard did not do wrong (exit code 1).

    Args:
        lines: what is wrong, a line for each thing. Whatever stands in them of others' text, they stay lines: breaks
            and what cannot be seen are written out, and one that is far too long loses its middle.
    """

    exit_code = 1

    def __init__(self, *lines: str) -> None:
        self.lines = tuple(shorten_middle(escape_for_terminal(line), _LONGEST_LINE) for line in lines)
        super().__init__("\n".join(self.lines))

    def __reduce__(self) -> tuple[type["NewsletterError"], tuple[str, ...]]:
        # Handed to another process it keeps its lines.
        return type(self), self.lines


def describe(error: BaseException) -> str:
    """What went wrong, in one line: the words of an error for people, else which error it was, and where."""
    if isinstance(error, NewsletterError):
        return error.lines[0] if error.lines else type(error).__name__
    frames = traceback.extract_tb(error.__traceback__)
    place = next((frame for frame in reversed(frames) if _PACKAGE in frame.filename), None)
    where = f" ({Path(place.filename).name}:{place.lineno})" if place is not None else ""
    words = shorten_middle(escape_for_terminal(str(error)), _LONGEST_WORDS)
    return f"{type(error).__name__}: {words}{where}" if words else f"{type(error).__name__}{where}"


class UserError(NewsletterError):
    """Something the person can mend: the text names the place, the value and the mend (exit code 2)."""

    exit_code = 2


class Stopped(NewsletterError):
    """The newsletter is to stop, and something was not waited for any longer; nothing is wrong with it."""
