"""Render claimed sends, each by what it carries: a digest, or an announcement or a message."""

from collections.abc import Iterator, Sequence

from newsletter.delivery.sending.dispatcher import RenderError
from newsletter.model import Message, Send
from newsletter.services.context import AppContext
from newsletter.services.digest_renderer import DigestRenderer
from newsletter.services.mailing_renderer import MailingRenderer


class SendRenderer:
    """Hands each send of a block to the renderer of its kind."""

    def __init__(self, context: AppContext) -> None:
        self._digests, self._mailings = DigestRenderer(context), MailingRenderer(context)

    def render(self, block: Sequence[Send]) -> Iterator[tuple[Send, Message | RenderError]]:
        """Render the messages of sends, announcements first; one that cannot be rendered does not stop the others.

        Raises:
            NewsletterError: no digest can be rendered.
        """
        digests = [send for send in block if send.mailing is None]
        others = [send for send in block if send.mailing is not None]
        if others:
            yield from self._mailings.render(others)
        if digests:
            yield from self._digests.render(digests)
