"""Render the messages of digests, with a subscriber's templates and personal links.

Without a public site the links are emails (``mailto:``) that the newsletter reads, as far as it reads any.
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from email.utils import parseaddr
from functools import cache, partial
from urllib.parse import quote, urlsplit

from newsletter.audience.signed_links import TokenPurpose
from newsletter.config.settings import Config
from newsletter.delivery.bounces.mailed_commands import feedback_subject, interests_body, interests_subject
from newsletter.delivery.bounces.verp import return_path
from newsletter.model import Digest, Layout, Message, Subscriber
from newsletter.rendering.message import make_message, message_id, render_parts
from newsletter.rendering.template import Look, Templates, load_templates
from newsletter.rendering.template_context import PersonalLinks, is_weekly, shared_links
from newsletter.services.context import AppContext
from newsletter.services.email_images import ShownIn, images_for
from newsletter.support.hosts import is_example, is_loopback

_LONGEST_LINK = 1_500
"""Characters of a ``mailto:`` link; mail programs fail with links of over 2,000."""

_JUST_SEND = "Send this email as it is."
_ASK_FIRST = "Send this email to get the list of your interests, and how to change it."

TemplateCache = dict[str, Templates]
"""The templates in use, by name, each loaded when a subscriber first needs it."""


def templates_for(
    context: AppContext, loaded: TemplateCache, subscriber: Subscriber, shown_in: ShownIn = ShownIn.MESSAGE
) -> Templates:
    """Return the templates of a subscriber's messages; the newsletter's own override the built-in ones.

    Args:
        loaded: templates loaded before, for the same ``shown_in``.

    Raises:
        UserError: one is missing or invalid.
    """
    settings = context.config.digest
    name = (settings.weekly_template if is_weekly(subscriber) else None) or settings.template
    if name not in loaded:
        own = context.config.folder / context.config.templates
        loaded[name] = load_templates(own, name, look_of(context.config, shown_in))
    return loaded[name]


def look_of(config: Config, shown_in: ShownIn = ShownIn.MESSAGE) -> Look:
    """Return what is the same in all messages of a newsletter."""
    settings = config.digest
    return Look(
        accent=config.brand.accent,
        site_url=config.site.url,
        source_summaries=settings.source_summaries,
        layout=settings.layout,
        subject=settings.subject,
        images=images_for(config, shown_in),
    )


def with_layout(subscriber: Subscriber, layout: Layout) -> Subscriber:
    """Return a subscriber whose digests have a layout."""
    return replace(subscriber, preferences=replace(subscriber.preferences, layout=layout))


def render_message(
    context: AppContext, loaded: TemplateCache, subscriber: Subscriber, digest: Digest, identity: str
) -> Message:
    """Render a digest into the message to send, with a Message-ID.

    If bounces have an address of their own, that is the envelope sender, with a token of this message.
    """
    filled, links = templates_for(context, loaded, subscriber), personal_links(context, subscriber, digest.edition)
    message = make_message(context.config.site, filled, subscriber, digest, links, identity, context.clock())
    address = context.config.bounces.address
    if address is None:
        return message
    return replace(message, sender=return_path(address, context.links.key, subscriber.row, digest.edition))


def render_pages(context: AppContext, loaded: TemplateCache, subscriber: Subscriber, digest: Digest) -> tuple[str, str]:
    """Render the HTML part and the text part of the message, to be saved as files: images are in the HTML itself."""
    filled, links = (
        templates_for(context, loaded, subscriber, ShownIn.FILE),
        personal_links(context, subscriber, digest.edition),
    )
    return render_parts(context.config.site, filled, subscriber, digest, links)


def render_shared(context: AppContext, subscriber: Subscriber, digest: Digest) -> str:
    """Render the HTML of a digest for sharing: it names no reader, and none of its links acts for one."""
    filled = templates_for(context, {}, subscriber, ShownIn.PAGE)
    return render_parts(context.config.site, filled, subscriber, digest, shared_links(context.config.site))[0]


def render_without_rights(context: AppContext, subscriber: Subscriber, digest: Digest) -> tuple[str, str]:
    """Render the HTML part and the text part of a subscriber's digest for somebody else to look at: none of its links
    acts for the subscriber.

    Raises:
        UserError: a template is missing or invalid.
    """
    filled = templates_for(context, {}, subscriber, ShownIn.PAGE)
    start = context.config.site.url or "https://example.org"
    links = PersonalLinks(
        preferences=start, unsubscribe=start, unsubscribe_email=start, judge=lambda *_: start, save=lambda _: start
    )
    return render_parts(context.config.site, filled, subscriber, digest, links)


def new_message_id(context: AppContext, subscriber: Subscriber, edition: date) -> str:
    """Create the Message-ID to plan a digest with. It is stored with the plan: with another key it would differ."""
    return message_id(context.config.site, context.links.key, edition, subscriber.row)


def personal_links(context: AppContext, subscriber: Subscriber, edition: date) -> PersonalLinks:
    """Return the signed links of a subscriber in the digest of an edition."""
    site, links, row, version = context.config.site, context.links, subscriber.row, subscriber.link_version
    token = links.token(TokenPurpose.UNSUBSCRIBE, row)
    unsubscribe = mailto_link(address_for_commands(context.config), f"unsubscribe {token}")
    if site.url is None:
        return PersonalLinks(
            preferences=interests_link(context, subscriber),
            unsubscribe=unsubscribe,
            unsubscribe_email=unsubscribe,
            judge=partial(_feedback_email, context, subscriber) if context.config.command_address else None,
        )
    page = links.url(TokenPurpose.UNSUBSCRIBE, row)
    return PersonalLinks(
        preferences=links.url(TokenPurpose.PREFERENCES, row, version),
        unsubscribe=page,
        unsubscribe_email=unsubscribe,
        one_click=page,
        browser=links.digest_url(row, edition),
        judge=partial(links.feedback_url, row, version=version),
        save=partial(links.save_url, row, version=version),
    )


def interests_link(context: AppContext, subscriber: Subscriber) -> str | None:
    """Return the link to an email that changes a subscriber's interests, filled in with the present ones; one that asks
    for them, if they are too long for a link; None if the newsletter reads no emails.
    """
    address = context.config.command_address
    if address is None:
        return None
    token = context.links.token(TokenPurpose.PREFERENCES, subscriber.row, subscriber.link_version)
    subject = interests_subject(token)
    body = interests_body([interest.name for interest in subscriber.preferences.interests])
    link = mailto_link(address, subject, body)
    return link if len(link) <= _LONGEST_LINK else mailto_link(address, subject, _ASK_FIRST)


def _feedback_email(context: AppContext, subscriber: Subscriber, paper: int, verdict: str) -> str:
    token = context.links.feedback_token(subscriber.row, paper, verdict, subscriber.link_version)
    return mailto_link(context.config.command_address or "", feedback_subject(verdict, token), _JUST_SEND)


def address_for_commands(config: Config) -> str:
    """Return where emails that unsubscribe go. One that nothing reads is the operator's, who processes them by hand."""
    return config.command_address or _bare_address(config.site.reply_to or config.site.sender)


@cache
def _bare_address(mailbox: str) -> str:
    return parseaddr(mailbox)[1]


def mailto_link(address: str, subject: str, body: str = "") -> str:
    """Return a link that opens a new email (RFC 6068); the lines of its body end in CRLF."""
    filled = f"&body={quote(body.replace(chr(10), chr(13) + chr(10)))}" if body else ""
    return f"mailto:{quote(address, safe='@')}?subject={quote(subject)}{filled}"


def sender_warnings(config: Config) -> Iterator[str]:
    """Yield a warning for each sender setting that is wrong for real mail: example names, or names of this machine.

    Yields none if the mail server is on this machine, as when trying things out.
    """
    away = [account.host for account in config.mail_accounts.values() if not is_loopback(account.host)]
    if not away:
        return
    site = config.site
    mailboxes = (("from", site.sender), ("reply_to", site.reply_to or ""))
    hosts = [("url", site.url, urlsplit(site.url).hostname or "")] if site.url else []
    hosts += [(key, mailbox, parseaddr(mailbox)[1].rpartition("@")[2]) for key, mailbox in mailboxes]
    for key, value, host in hosts:
        if is_loopback(host) or is_example(host):
            yield f"site.{key}: readers cannot reach {value}, but mail is sent through {away[0]}; set your own"
