"""Errors of a source as a whole."""

from newsletter.errors import NewsletterError


class SourceError(NewsletterError):
    """A source did not respond, or not as expected: the text names the request and the problem.

    Args:
        text: one line.
        status: the HTTP status of the response, None if the status is not the problem.
    """

    def __init__(self, text: str, status: int | None = None) -> None:
        self.status = status
        super().__init__(text)


class NoAnswerError(SourceError):
    """A server cannot be reached, fails, or does not answer in time: so it does for whoever asks next."""
