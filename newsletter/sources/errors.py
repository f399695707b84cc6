"""Errors of a source as a whole."""

from collections.abc import Sequence

from newsletter.errors import NewsletterError
from newsletter.model import SkippedPaper

TRIED_AGAIN = "the next fetch tries again"
NEW_FORMAT = f"{TRIED_AGAIN}; if it stays so, check its settings in config.yaml, or update the newsletter"
"""What to do about content that is not as expected: it may be an error page, or have a new format."""


class SourceError(NewsletterError):
    """A source did not respond, or not as expected: the text names the request and the problem.

    Args:
        text: one line.
        status: the HTTP status of the response, None if the status is not the problem.
        fix: what the operator of a newsletter can do, or when it tries again; empty if the text says so.
    """

    def __init__(self, text: str, status: int | None = None, fix: str = "") -> None:
        self.status, self.fix = status, fix
        super().__init__(text)

    @property
    def explained(self) -> str:
        """The text and the fix, for the operator. A text without any fix is about content that is not as expected."""
        fix = self.fix or ("" if "; " in str(self) else NEW_FORMAT)
        return f"{self}; {fix}" if fix else str(self)


class NoAnswerError(SourceError):
    """A server cannot be reached, fails, or does not answer in time: so it does for whoever asks next."""


def none_readable(skipped: Sequence[SkippedPaper]) -> str:
    """Describe a source with entries of which none can be read, as after a change of its format."""
    first = skipped[0]
    number = "the only entry cannot" if len(skipped) == 1 else f"none of {len(skipped)} entries can"
    return f"{number} be read: {first.where}: {first.why}; {NEW_FORMAT}"
