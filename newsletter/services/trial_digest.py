"""Send a subscriber's digest to another address, as a test."""

from dataclasses import replace

from newsletter.errors import UserError
from newsletter.model import Message, Subscriber
from newsletter.rendering.folding import candidates_in_full
from newsletter.rendering.template import Templates
from newsletter.services.announcements import TEST, test_reader
from newsletter.services.context import AppContext
from newsletter.services.direct_delivery import deliver_test
from newsletter.services.messages import TemplateCache, new_message_id, render_message, templates_for
from newsletter.services.recommend import preview_digest
from newsletter.services.thumbnails import fetch_missing_thumbnails


def send_test_digest(context: AppContext, subscriber: Subscriber, address: str, actor: str) -> Message:
    """Send the digest that a subscriber would get now to any address. Its links do nothing, no edition is used up, and
    it is not in the log, only in the audit log.

    Raises:
        UserError: the address is none, or the subscriber would get nothing now.
        NewsletterError: it could not be sent.
    """
    reader = test_reader(subscriber, address)
    found = preview_digest(context, subscriber)
    digest = found.digest
    if digest is None or not found.is_sent:
        raise UserError(f"nothing would be sent to {subscriber.email} now: {found.nothing}")
    fetch_missing_thumbnails(context, [choice.paper for choice in candidates_in_full(digest.choices)])
    loaded: TemplateCache = {}
    templates_for(context, loaded, subscriber)
    loaded = {name: _marked(templates) for name, templates in loaded.items()}
    message = render_message(context, loaded, reader, digest, new_message_id(context, reader, digest.edition))
    deliver_test(context, message, actor, "digest.test", subscriber.email)
    return message


def _marked(templates: Templates) -> Templates:
    return replace(templates, look=replace(templates.look, subject=TEST + templates.look.subject))
