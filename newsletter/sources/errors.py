"""What goes wrong with a source as a whole."""

from newsletter.errors import NewsletterError


class SourceError(NewsletterError):
    """A source did not answer, or not with what it should: the text says what it was asked and what came.

    Args:
        text: one line.
        status: the HTTP status that came, None when it was not the status that was wrong.
    """

    def __init__(self, text: str, status: int | None = None) -> None:
        self.status = status
        super().__init__(text)
