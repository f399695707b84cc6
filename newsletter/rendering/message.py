"""The message: a digest as mail, with the headers that bulk mail needs."""

import hashlib
import hmac
import re
from datetime import date, datetime
from email.headerregistry import Address, HeaderRegistry, UnstructuredHeader
from email.message import EmailMessage
from email.policy import SMTP, Policy
from email.utils import format_datetime, parseaddr

import idna

from newsletter.config import Site
from newsletter.model import Digest, Message, Subscriber
from newsletter.rendering.template import Templates, render
from newsletter.rendering.view import PersonalLinks, subject, view


class _ListHeader(UnstructuredHeader):
    """A header made of URLs in angle brackets: folded between them, never inside one.

    The standard folding would turn a long URL into an encoded word, which mail programs do not read as a URL.
    """

    def fold(self, *, policy: Policy) -> str:
        name: str = self.name  # type: ignore[attr-defined]  # HeaderRegistry mixes it in
        return f"{name}: {str(self).replace(', ', f',{policy.linesep} ')}{policy.linesep}"


_HEADERS = HeaderRegistry()
for _name in ("list-unsubscribe", "list-help", "message-id"):
    _HEADERS.map_to_type(_name, _ListHeader)  # type: ignore[arg-type]
_POLICY = SMTP.clone(header_factory=_HEADERS)


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
    sender = parseaddr(site.sender)[1]
    addresses = {"From": _address(site.sender), "To": _address_of(subscriber.preferences.name, subscriber.email)}
    if site.reply_to:
        addresses["Reply-To"] = _address(site.reply_to)
    # An encoded word may not stand inside an address (RFC 2047, section 5): one outside ASCII makes a message in UTF-8
    # (RFC 6532), which the wire asks the server to take.
    international = not all(address.addr_spec.isascii() for address in addresses.values())
    mail = EmailMessage(policy=_POLICY.clone(utf8=international))
    for name, address in addresses.items():
        mail[name] = address
    mail["Subject"] = _one_line(subject(site, digest))
    mail["Date"] = format_datetime(now)
    mail["Message-ID"] = identity
    # RFC 2919: a List-Id for filters; RFC 2369 and RFC 8058: unsubscribing in one click where there is a page, by mail.
    mail["List-Id"] = f"{_quoted(site.name)} <papers.{_ascii_domain(site.domain)}>"
    mail["List-Unsubscribe"] = ", ".join(f"<{url}>" for url in (links.one_click, links.unsubscribe_letter) if url)
    if links.one_click:
        mail["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(text, cte="quoted-printable")
    mail.add_alternative(html, subtype="html", cte="quoted-printable")
    # A boundary made from the identity, so that the same digest is the same bytes each time.
    mail.set_boundary("=_" + hashlib.sha256(identity.encode()).hexdigest()[:32])
    return Message(sender=sender, recipient=subscriber.email, message_id=identity, content=mail.as_bytes())


def render_parts(
    site: Site, templates: Templates, subscriber: Subscriber, digest: Digest, links: PersonalLinks
) -> tuple[str, str]:
    """The HTML part and the text part of a digest."""
    values = view(site, subscriber, digest, links)
    return render(templates.html, values), render(templates.text, values)


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
    return " ".join("".join(character if character.isprintable() else " " for character in text).split())
