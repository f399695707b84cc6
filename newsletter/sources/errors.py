"""Errors of a source as a whole."""

from newsletter.errors import NewsletterError

NEW_FORMAT = "check its settings in config.yaml; if they are right, its format has changed: update the newsletter"


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
