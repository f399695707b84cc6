"""The message: a digest as mail, with the headers that bulk mail needs."""

import hashlib
import hmac
import re
import secrets
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from email.headerregistry import Address
from email.policy import SMTP
from email.utils import format_datetime, parseaddr
from functools import cache, lru_cache

import idna

from newsletter.config import Site
from newsletter.model import Choice, Digest, Message, Subscriber
from newsletter.rendering.mime import alternative
from newsletter.rendering.template import Templates, render
from newsletter.rendering.view import PersonalLinks, subject, view

CLIPPED_FROM = 102_000
"""Bytes of HTML above which Gmail cuts a message off."""

_OF_URLS = frozenset(("List-Unsubscribe", "Message-ID"))
_LONGEST_LINE = 78
"""Characters of a header's line (RFC 5322, section 2.1.1)."""


def message_id(site: Site, key: str, edition: date, subscriber: int) -> str:
    """The Message-ID of a subscriber's digest in an edition: always the same, and not to be guessed by others.

    RFC 5322, section 3.6.4: globally unique; the right side is a domain of the sender's own.
    """
    mac = hmac.new(key.encode(), f"message-id|{edition.isoformat()}|{subscriber}".encode(), hashlib.sha256)
    return f"<{edition:%Y%m%d}.{mac.hexdigest()[:24]}@{_ascii_domain(site.domain)}>"


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
        UserError: a template asks for something that is not there.
    """
    html, text = render_parts(site, templates, subscriber, digest, links)
    headers = {"Subject": _one_line(subject(site, digest)), "Date": format_datetime(now), "Message-ID": identity}
    # RFC 2919: a List-Id for filters; RFC 2369 and RFC 8058: unsubscribing in one click where there is a page, by mail.
    headers["List-Id"] = f"{_quoted(site.name)} <papers.{_ascii_domain(site.domain)}>"
    headers["List-Unsubscribe"] = ", ".join(f"<{url}>" for url in (links.one_click, links.unsubscribe_letter) if url)
    if links.one_click:
        headers["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    # For the statistics of mailbox providers: the edition, what it is, and who sends it.
    headers["Feedback-ID"] = f"{digest.edition:%Y%m%d}:digest:papers:{_sender_id(site)}"
    return _message(site, (subscriber.preferences.name, subscriber.email), headers, html, text)


def make_letter(site: Site, email: str, subject: str, html: str, text: str, now: datetime) -> Message:
    """A letter that somebody asked for, such as one to confirm a subscription: no bulk mail.

    Args:
        now: for the Date header and the Message-ID (aware).
    """
    identity = f"<{now:%Y%m%d}.{secrets.token_hex(12)}@{_ascii_domain(site.domain)}>"
    headers = {"Subject": _one_line(subject), "Date": format_datetime(now), "Message-ID": identity}
    return _message(site, ("", email), headers, html, text)


def _message(site: Site, to: tuple[str, str], headers: Mapping[str, str], html: str, text: str) -> Message:
    addresses = {"From": _address(site.sender), "To": _address_of(*to)}
    if site.reply_to:
        addresses["Reply-To"] = _address(site.reply_to)
    # An encoded word may not stand inside an address (RFC 2047, section 5): one outside ASCII makes a message in UTF-8
    # (RFC 6532), which the wire asks the server to take.
    international = not all(address.addr_spec.isascii() for address in addresses.values())
    whole = {name: str(address) for name, address in addresses.items()} | dict(headers)
    whole["Auto-Submitted"] = "auto-generated"  # RFC 3834, section 5
    identity = headers["Message-ID"]
    # A boundary made from the identity, so that the same digest is the same bytes each time.
    boundary = "=_" + hashlib.sha256(identity.encode()).hexdigest()[:32]
    folded = [_header(name, value, international) for name, value in whole.items()]
    content = alternative(folded, text, html, boundary)
    return Message(sender=_bare(site.sender), recipient=to[1], message_id=identity, content=content)


def _header(name: str, value: str, utf8: bool) -> bytes:
    """A header's lines, as the standard library's policy folds them.

    What is one line of ASCII already needs no folding. One made of URLs in angle brackets is folded between them: the
    standard folding would turn a long URL into an encoded word, which mail programs do not read as a URL.
    """
    if name in _OF_URLS:
        return f"{name}: {value}\r\n".replace(", ", ",\r\n ").encode("ascii")
    if len(name) + 2 + len(value) <= _LONGEST_LINE and value.isascii() and value.isprintable() and "=?" not in value:
        return f"{name}: {value}\r\n".encode()
    return _folded(name, value, utf8)


@lru_cache(maxsize=1024)
def _folded(name: str, value: str, utf8: bool) -> bytes:
    # Kept, since most headers are the same in all messages of an edition.
    policy = SMTP.clone(utf8=utf8)
    folded: str = policy.header_factory(name, value).fold(policy=policy)
    return folded.encode("utf-8" if utf8 else "ascii")


@cache
def _bare(mailbox: str) -> str:
    return parseaddr(mailbox)[1]


def _sender_id(site: Site) -> str:
    return re.sub(r"[^a-z0-9]", "", _ascii_domain(site.domain).lower())[:15].ljust(5, "0")


def render_parts(
    site: Site, templates: Templates, subscriber: Subscriber, digest: Digest, links: PersonalLinks
) -> tuple[str, str]:
    """The HTML part and the text part of a digest.

    HTML over ``CLIPPED_FROM`` bytes would be cut off by Gmail: the last papers of the longest sections are named in it
    by their titles alone, as many as need be. The text part has them all.
    """
    values = view(site, templates, subscriber, digest, links)
    text = render(templates.text, values)
    html = render(templates.html, values)
    kept = list(digest.choices)
    while (size := len(html.encode())) > CLIPPED_FROM and len(kept) > 1:
        for _ in range(max(1, (size - CLIPPED_FROM) * len(kept) // size)):
            kept.remove(_last_of_the_longest(kept))
        left = [choice for choice in digest.choices if choice not in kept]
        html = render(
            templates.html, view(site, templates, subscriber, replace(digest, choices=tuple(kept)), links, left)
        )
    return html, text


def _last_of_the_longest(choices: Sequence[Choice]) -> Choice:
    sections = Counter(choice.section for choice in choices)
    longest = max(sections.values())
    return next(choice for choice in reversed(choices) if sections[choice.section] == longest)


@cache
def _address(mailbox: str) -> Address:
    return _address_of(*parseaddr(mailbox))


def _address_of(name: str, email: str) -> Address:
    local, _, domain = email.rpartition("@")
    return Address(_one_line(name), local, _ascii_domain(domain) if local.isascii() else domain)


def _ascii_domain(domain: str) -> str:
    return domain if domain.isascii() else idna.encode(domain, uts46=True).decode("ascii")


def _quoted(name: str) -> str:
    ascii_name = name.encode("ascii", "ignore").decode().strip()
    return '"' + re.sub(r'["\\]', "", ascii_name) + '"'


def _one_line(text: str) -> str:
    if not text.isprintable():
        text = "".join(character if character.isprintable() else " " for character in text)
    return " ".join(text.split())
