"""Render announcements and messages, for the dispatcher, for previews and for tests."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from newsletter.audience.signed_links import TokenPurpose
from newsletter.delivery.bounces.verp import mailing_return_path
from newsletter.delivery.sending.dispatcher import RenderError
from newsletter.errors import describe
from newsletter.model import Message, Send, Subscriber
from newsletter.rendering.announcement import (
    CompiledMailing,
    MailingLinks,
    compile_mailing,
    mailing_values,
    render_mailing,
)
from newsletter.rendering.message import mailing_message_id, make_mailing_message
from newsletter.services.context import AppContext
from newsletter.services.messages import address_for_commands, interests_link, look_of, mailto_link
from newsletter.store import mailings, reading, subscribers
from newsletter.store.mailings import Mailing, MailingFormat, MailingKind


class MailingRenderer:
    """Renders the messages of mailings. Each mailing is compiled once; one that is wrong fails its own sends only."""

    def __init__(self, context: AppContext) -> None:
        self._context = context
        self._compiled: dict[int, tuple[Mailing, CompiledMailing] | RenderError] = {}

    def render(self, block: Sequence[Send]) -> Iterator[tuple[Send, Message | RenderError]]:
        """Render messages; one that cannot be rendered does not stop the others."""
        rows = {send.mailing for send in block if send.mailing is not None} - self._compiled.keys()
        with reading(self._context.engine) as connection:
            found = mailings.by_rows(connection, rows)
            people = subscribers.by_rows(connection, [send.subscriber for send in block])
        for row in rows:
            self._compiled[row] = self._compile(found.get(row))
        for send in block:
            yield send, self._render_one(send, people.get(send.subscriber))

    def _compile(self, mailing: Mailing | None) -> tuple[Mailing, CompiledMailing] | RenderError:
        if mailing is None:
            return RenderError("the announcement was deleted")
        try:
            return mailing, compile_for(self._context, mailing)
        except Exception as error:
            return _render_error(error)

    def _render_one(self, send: Send, person: Subscriber | None) -> Message | RenderError:
        compiled = self._compiled[send.mailing or 0]
        if isinstance(compiled, RenderError):
            return compiled
        if person is None:
            return RenderError("the subscriber was deleted")
        try:
            return render_mailing_message(self._context, *compiled, person, send.message_id)
        except Exception as error:
            return _render_error(error)


def _render_error(error: Exception) -> RenderError:
    return RenderError(f"the message could not be rendered: {describe(error)}")


def compile_for(context: AppContext, mailing: Mailing) -> CompiledMailing:
    """Compile the templates of a mailing.

    Raises:
        UserError: it has an error; the message names file and line.
    """
    return compile_mailing(
        context.config.folder / context.config.templates,
        mailing.source,
        mailing.format is MailingFormat.MJML,
        mailing.name,
        mailing.subject,
        look_of(context.config),
        with_footer=mailing.kind is MailingKind.ANNOUNCEMENT,
    )


def render_mailing_message(
    context: AppContext, mailing: Mailing, compiled: CompiledMailing, subscriber: Subscriber, identity: str
) -> Message:
    """Render a mailing for a subscriber into the message to send, with a Message-ID.

    If bounces have an address of their own, that is the envelope sender, with a token of this message.

    Raises:
        UserError: a template uses an unknown variable, or fails otherwise.
    """
    site, links = context.config.site, mailing_links(context, subscriber, mailing.kind)
    values = mailing_values(compiled, site, subscriber, links, mailing.data)
    parts, campaign = render_mailing(compiled, values), f"m{mailing.row}"
    images, now = compiled.look.images, context.clock()
    message = make_mailing_message(
        site, subscriber, values["subject"], parts, links, identity, campaign, now, images=images
    )
    address = context.config.bounces.address
    if address is None:
        return message
    return replace(message, sender=mailing_return_path(address, context.links.key, subscriber.row, mailing.row))


def new_mailing_message_id(context: AppContext, mailing: int, subscriber: int) -> str:
    """Create the Message-ID to plan a send of a mailing with (both by row); it is stored with the plan."""
    return mailing_message_id(context.config.site, context.links.key, mailing, subscriber)


def mailing_links(context: AppContext, subscriber: Subscriber, kind: MailingKind) -> MailingLinks:
    """Return the signed links of a subscriber in an announcement or a message; without a site they are emails."""
    links, row, has_site = context.links, subscriber.row, context.config.site.url is not None
    preferences = (
        links.url(TokenPurpose.PREFERENCES, row, subscriber.link_version)
        if has_site
        else interests_link(context, subscriber)
    )
    if kind is MailingKind.MESSAGE:
        return MailingLinks(preferences)
    address = address_for_commands(context.config)
    emails = {
        purpose: mailto_link(address, f"unsubscribe {links.token(purpose, row)}")
        for purpose in (TokenPurpose.ANNOUNCEMENTS, TokenPurpose.UNSUBSCRIBE)
    }
    stop = emails[TokenPurpose.ANNOUNCEMENTS]
    if not has_site:
        return MailingLinks(preferences, emails[TokenPurpose.UNSUBSCRIBE], stop, announcements_email=stop)
    page = links.url(TokenPurpose.ANNOUNCEMENTS, row)
    return MailingLinks(preferences, links.url(TokenPurpose.UNSUBSCRIBE, row), page, stop, one_click=page)
