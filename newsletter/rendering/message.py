"""Builds messages: a rendered digest with the headers that bulk mail needs."""

import hashlib
import hmac
import re
import secrets
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime
from email.utils import format_datetime, parseaddr
from functools import cache

from newsletter.config.settings import Site
from newsletter.model import Digest, DigestItem, Message, Subscriber
from newsletter.rendering.announcement import MailingLinks
from newsletter.rendering.headers import (
    address_spec,
    ascii_domain,
    list_id_field,
    mailbox_field,
    plain_field,
    text_field,
)
from newsletter.rendering.images import NO_IMAGES, Images, parts_used
from newsletter.rendering.mime import alternative
from newsletter.rendering.paper_card import paper_card
from newsletter.rendering.subject import subject
from newsletter.rendering.template import Templates, render
from newsletter.rendering.template_context import PersonalLinks, digest_context

CLIPPED_FROM = 102_000
"""Bytes of HTML above which Gmail clips a message."""


def message_id(site: Site, key: str, edition: date, subscriber: int) -> str:
    """Return the Message-ID of a subscriber's digest in an edition: stable, and impossible to guess.

    RFC 5322, section 3.6.4: globally unique; the right side is the sender's domain.
    """
    mac = hmac.new(key.encode(), f"message-id|{edition.isoformat()}|{subscriber}".encode(), hashlib.sha256)
    return f"<{edition:%Y%m%d}.{mac.hexdigest()[:24]}@{ascii_domain(site.domain)}>"


def make_message(
    site: Site,
    templates: Templates,
    subscriber: Subscriber,
    digest: Digest,
    links: PersonalLinks,
    identity: str,
    now: datetime,
) -> Message:
    """Render a digest into a message.

    Args:
        identity: the Message-ID, with angle brackets.
        now: for the Date header (aware).

    Raises:
        UserError: a template uses an unknown variable.
    """
    html, text = render_parts(site, templates, subscriber, digest, links)
    headers = _list_headers(site, site.name, "papers", links.one_click, links.unsubscribe_email)
    headers.append(_feedback_id(site, f"{digest.edition:%Y%m%d}", "digest"))
    to = (subscriber.preferences.name, subscriber.email)
    images = _images(templates, digest, html) if templates.look.images is not NO_IMAGES else ()
    line = subject(templates.look.subject, site, digest, subscriber.preferences.name)
    return _message(site, to, line, now, identity, headers, html, text, images)


def _list_headers(site: Site, title: str, name: str, one_click: str | None, by_email: str | None) -> list[bytes]:
    """Return the header fields of bulk mail.

    RFC 2919: a List-Id for filters; RFC 2369 and RFC 8058: unsubscribing by email, or one click (with an HTTPS page).
    """
    headers = [
        list_id_field(title, f"{name}.{ascii_domain(site.domain)}"),
        plain_field("List-Unsubscribe", *(f"<{url}>" for url in (one_click, by_email) if url)),
    ]
    if one_click and one_click.startswith("https:"):
        headers.append(plain_field("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"))
    return headers


def _feedback_id(site: Site, campaign: str, kind: str) -> bytes:
    """Return the field for the statistics of mailbox providers: edition or mailing, type and sender."""
    return plain_field("Feedback-ID", f"{campaign}:{kind}:papers:{_sender_id(site)}")


def mailing_message_id(site: Site, key: str, mailing: int, subscriber: int) -> str:
    """Return the Message-ID of an announcement or a message (by row) to a subscriber, like :func:`message_id`."""
    mac = hmac.new(key.encode(), f"message-id|mailing {mailing}|{subscriber}".encode(), hashlib.sha256)
    return f"<m{mailing}.{mac.hexdigest()[:24]}@{ascii_domain(site.domain)}>"


def make_mailing_message(
    site: Site,
    subscriber: Subscriber,
    subject: str,
    parts: tuple[str, str],
    links: MailingLinks,
    identity: str,
    campaign: str,
    now: datetime,
    images: Images = NO_IMAGES,
) -> Message:
    """Build an announcement, or, if its links end no announcements, a message.

    Args:
        parts: the HTML and the text. ``identity``: the Message-ID, with angle brackets.
        campaign: names the mailing in the statistics of mailbox providers.
        now: for the Date header (aware).
    """
    is_bulk = links.announcements is not None
    headers = []
    if is_bulk:
        title = f"{site.name} announcements"
        headers = _list_headers(site, title, "announcements", links.one_click, links.announcements_email)
    headers.append(_feedback_id(site, campaign, "announcement" if is_bulk else "message"))
    to = (subscriber.preferences.name, subscriber.email)
    html, text = parts
    return _message(site, to, subject, now, identity, headers, html, text, parts_used(html, [images.logo]))


def _images(templates: Templates, digest: Digest, html: str) -> Sequence[bytes]:
    """Return the MIME parts of the images that the HTML of a digest shows."""
    thumbnails = (paper_card(templates, choice.paper).thumbnail for choice in digest.choices)
    return parts_used(html, (templates.look.images.logo, *thumbnails))


def make_signup_message(
    site: Site, email: str, subject: str, html: str, text: str, now: datetime, images: Images = NO_IMAGES
) -> Message:
    """Build a sign-up email, such as one to confirm a subscription. It is not bulk mail.

    Args:
        now: for the Date header and the Message-ID (aware).
        images: what the HTML may show; what it does show is attached, if it is not linked.
    """
    identity = f"<{now:%Y%m%d}.{secrets.token_hex(12)}@{ascii_domain(site.domain)}>"
    return _message(site, ("", email), subject, now, identity, [], html, text, parts_used(html, [images.logo]))


def _message(
    site: Site,
    to: tuple[str, str],
    subject: str,
    now: datetime,
    identity: str,
    headers: Sequence[bytes],
    html: str,
    text: str,
    images: Sequence[bytes],
) -> Message:
    mailboxes = {"From": _mailbox(site.sender), "To": (to[0], address_spec(to[1]))}
    if site.reply_to:
        mailboxes["Reply-To"] = _mailbox(site.reply_to)
    # An address cannot contain encoded words (RFC 2047, section 5): one outside ASCII makes the message UTF-8
    # (RFC 6532), for which the session uses SMTPUTF8.
    utf8 = not all(address.isascii() for _, address in mailboxes.values())
    whole = [
        *(mailbox_field(name, person, address, utf8) for name, (person, address) in mailboxes.items()),
        text_field("Subject", subject, utf8),
        plain_field("Date", format_datetime(now)),
        plain_field("Message-ID", identity),
        *headers,
        plain_field("Auto-Submitted", "auto-generated"),  # RFC 3834, section 5
    ]
    # The boundary is derived from the Message-ID, so that the same digest always has the same bytes.
    boundary = "=_" + hashlib.sha256(identity.encode(errors="replace")).hexdigest()[:32]
    content = alternative(whole, text, html, boundary, images)
    return Message(sender=_bare(site.sender), recipient=to[1], message_id=identity, content=content)


@cache
def _mailbox(mailbox: str) -> tuple[str, str]:
    """Split a mailbox of the configuration into name and address, encoded for headers."""
    name, email = parseaddr(mailbox)
    return name, address_spec(email)


@cache
def _bare(mailbox: str) -> str:
    return parseaddr(mailbox)[1]


def _sender_id(site: Site) -> str:
    return re.sub(r"[^a-z0-9]", "", ascii_domain(site.domain).lower())[:15].ljust(5, "0")


def render_parts(
    site: Site, templates: Templates, subscriber: Subscriber, digest: Digest, links: PersonalLinks
) -> tuple[str, str]:
    """Render the HTML part and the text part of a digest.

    Gmail clips HTML over ``CLIPPED_FROM`` bytes: as many papers as needed, from the ends of the longest sections, are
    listed by title only, and what updates quote of abstracts is left out. The text part has everything.
    """
    values = digest_context(site, templates, subscriber, digest, links)
    text = render(templates.text, values)
    html = render(templates.html, values)
    kept, brief = list(digest.choices), bool(digest.updates) and len(html.encode(errors="replace")) > CLIPPED_FROM
    if brief:
        html = render(templates.html, digest_context(site, templates, subscriber, digest, links, brief=True))
    while (size := len(html.encode(errors="replace"))) > CLIPPED_FROM and len(kept) > 1:
        for _ in range(max(1, (size - CLIPPED_FROM) * len(kept) // size)):
            kept.remove(_last_of_the_longest(kept))
        left = [choice for choice in digest.choices if choice not in kept]
        html = render(
            templates.html,
            digest_context(site, templates, subscriber, replace(digest, choices=tuple(kept)), links, left, brief),
        )
    return html, text


def _last_of_the_longest(choices: Sequence[DigestItem]) -> DigestItem:
    sections = Counter(choice.section for choice in choices)
    longest = max(sections.values())
    return next(choice for choice in reversed(choices) if sections[choice.section] == longest)
