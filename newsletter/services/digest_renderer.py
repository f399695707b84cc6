"""Render the messages of claimed sends, for the dispatcher."""

from collections.abc import Iterator, Sequence

from newsletter.delivery.sending.dispatcher import RenderError
from newsletter.errors import NewsletterError, describe
from newsletter.model import Digest, Message, Paper, Send, Subscriber
from newsletter.services.canary import check_rendering
from newsletter.services.context import AppContext
from newsletter.services.messages import TemplateCache, render_message
from newsletter.store import reading, send_log, subscribers


class DigestRenderer:
    """Renders messages from the stored digests. Templates and papers are loaded once."""

    def __init__(self, context: AppContext) -> None:
        self._context = context
        self._templates: TemplateCache = {}
        self._papers: dict[int, Paper] = {}

    def render(self, block: Sequence[Send]) -> Iterator[tuple[Send, Message | RenderError]]:
        """Render messages; one that cannot be rendered does not stop the others.

        Raises:
            NewsletterError: no message can be rendered.
        """
        try:
            rendered = self._render_together(block)
        except NewsletterError:
            raise
        except Exception as error:
            if len(block) > 1:
                for send in block:
                    yield from self.render([send])
                return
            rendered = iter([(block[0], _render_error(error))])
        yield from rendered

    def _render_together(self, block: Sequence[Send]) -> Iterator[tuple[Send, Message | RenderError]]:
        with reading(self._context.engine) as connection:
            digests = send_log.digests(connection, block, self._papers)
            people = subscribers.by_rows(connection, [send.subscriber for send in block])
        return ((send, self._render_one(send, people.get(send.subscriber), digests[send.row])) for send in block)

    def _render_one(self, send: Send, person: Subscriber | None, digest: Digest) -> Message | RenderError:
        if person is None:
            return RenderError("the subscriber was deleted")
        try:
            # The Message-ID was stored with the plan; computed now, with another signing key, it would differ.
            return render_message(self._context, self._templates, person, digest, send.message_id)
        except Exception as error:
            check_rendering(self._context, self._templates, person)
            return _render_error(error)


def _render_error(error: Exception) -> RenderError:
    return RenderError(f"the message could not be rendered: {describe(error)}")
