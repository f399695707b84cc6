"""Parse returned messages: delivery reports, complaints, and subscribers' emails to the newsletter.

Nothing is trusted here: a report names what it is about (a return path, a Message-ID, a signed token), and the caller,
who knows what was sent, verifies it.
"""

import logging
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from email.message import Message

from flufl.bounce import all_failures

from newsletter.delivery.bounces.mailed_commands import command_in, listed_interests
from newsletter.delivery.bounces.mime_parts import (
    Part,
    blocks,
    children,
    enclosing,
    field,
    first_of,
    is_nested_too_deeply,
    leaves,
    parse,
    subject,
    text,
    text_of,
)
from newsletter.delivery.bounces.unsubscribe_email import says_unsubscribe, unsubscribe_tokens
from newsletter.delivery.bounces.verp import tokens
from newsletter.delivery.refusal_classifier import BounceKind, classify, replies_in, status_in
from newsletter.support.text import shorten_middle, to_single_line

# Otherwise it would log to standard error every message that one of its detectors cannot read.
logging.getLogger("flufl.bounce").addHandler(logging.NullHandler())
logging.getLogger("flufl.bounce").propagate = False

MAX_BYTES = 256 * 1024
"""The part of a message that is read: reports say what matters before they return the message."""

_LONGEST_LINE = 998  # RFC 5322, section 2.1.1
_LONGEST_DIAGNOSTIC = 300
_MOST_NAMED = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class BounceReport:
    """The content of a returned message, as it claims.

    Attributes:
        reason: what it is, for a notice or other message.
        recipients: the addresses it names as failed.
        message_ids: those of the message it is about, with angle brackets, the likeliest first.
        tokens: the tokens of return paths (VERP), the likeliest first.
        signed_tokens: possible signed tokens of a subscriber's email, the likeliest first.
        interests: the interests listed in an email that changes them; None without a complete list.
        identity: the email's own Message-ID, empty if missing.
        status: the enhanced status code (RFC 3463), such as ``5.1.1``.
        diagnostic: the mail server's text, in one line.
    """

    kind: BounceKind
    reason: str | None = None
    recipients: tuple[str, ...] = ()
    message_ids: tuple[str, ...] = ()
    tokens: tuple[str, ...] = ()
    signed_tokens: tuple[str, ...] = ()
    interests: tuple[str, ...] | None = None
    identity: str = ""
    status: str | None = None
    diagnostic: str = ""


def parse_report(content: bytes, address: str | None) -> BounceReport:
    """Parse a returned message. It may be anything.

    Only its first ``MAX_BYTES`` are read, and deeply nested messages are not parsed.

    Args:
        content: the whole message, headers and body.
        address: where bounces go (the address that return paths are derived from), if there is one.
    """
    content = content[:MAX_BYTES]
    if is_nested_too_deeply(content):
        return BounceReport(kind=BounceKind.OTHER, reason="nested too deeply")
    try:
        incoming = _Incoming(parse(content))
        report = _classified(incoming, address)
        return replace(
            report,
            message_ids=_message_ids(incoming),
            tokens=_tokens(incoming, address) if address else (),
        )
    except Exception as error:
        # Anybody can send anything here, and the standard library's parser does not survive everything.
        return BounceReport(kind=BounceKind.OTHER, reason=f"cannot be read ({type(error).__name__})")


class _Incoming:
    """A returned message, broken down.

    Attributes:
        parts: its parts, however deeply a gateway or a list wrapped them; not those of an enclosed message.
        status: a mail server's report on each recipient, by block; ``feedback``: a provider's feedback report.
        text: the first plain text, of the report if there is one.
        returned: the headers of the returned message.
    """

    def __init__(self, message: Part) -> None:
        self.message = message
        self.parts = leaves(message)
        reports = [part for part in self.parts if part.kind in _STATUS_KINDS]
        report = next((part for part in reports if any("action" in block for block in blocks(part))), None)
        complaint = first_of(self.parts, "message/feedback-report")
        self.status = blocks(report) if report is not None else []
        self.feedback = blocks(complaint) if complaint is not None else []
        self.is_complaint = complaint is not None
        found_report = report or complaint
        around = enclosing(message, found_report) if found_report is not None else []
        self.text = text(leaves(around[0]) if around else self.parts)
        self.returned = _returned(around or [message], alone=len(reports) < 2)


_STATUS_KINDS = ("message/delivery-status", "message/global-delivery-status")  # RFC 3464; RFC 6533
_RETURNED_KINDS = (
    *("message/rfc822", "message/global", "message/global-headers"),
    *("text/rfc822-headers", "message/rfc822-headers"),
)


def _returned(around: Sequence[Part], alone: bool) -> Message | None:
    """Return the headers of the message that a report returns: of the one nearest to the report.

    Of several reports in one message, each is about the message next to it, so nothing further away counts.

    Args:
        around: the parts that contain the report, innermost first.
    """
    near = [leaves(container) for container in around] if alone else [children(around[0])]
    found = (first_of(parts, *_RETURNED_KINDS) for parts in near)
    part = next((part for part in found if part is not None), None)
    return blocks(part)[0] if part is not None else None


def _classified(incoming: _Incoming, address: str | None) -> BounceReport:
    message = incoming.message
    for recognise in (_delivery_report, _complaint, _unsubscribe_email, _mailed_command):
        found_report = recognise(incoming)
        if found_report is not None:
            return found_report
    if first_of(incoming.parts, "message/disposition-notification") is not None:
        return BounceReport(kind=BounceKind.NOTICE, reason="a receipt")
    if _is_auto_reply(message):
        return BounceReport(kind=BounceKind.NOTICE, reason="an automatic reply")
    if _is_from_a_server(message, address) and (found_report := _report_in_words(incoming)) is not None:
        return found_report
    if field(message, "auto-submitted").lower() not in ("", "no"):
        return BounceReport(kind=BounceKind.NOTICE, reason="an automatic reply")
    return BounceReport(kind=BounceKind.OTHER, reason="not a report of a known kind")


def _delivery_report(incoming: _Incoming) -> BounceReport | None:
    reported = [block for block in incoming.status if "action" in block]
    if not reported:
        return None
    failed = [block for block in reported if _action(block) in ("failed", "error")]
    if not failed:
        return BounceReport(kind=BounceKind.NOTICE, reason=_action(reported[0]) or "not a report of a failure")
    # If the report on a mailbox contains no text, the text part may quote it.
    quoted = replies_in(incoming.text.splitlines()) if len(reported) == 1 else []
    read = [_failure(block, " ".join(quoted)[:_LONGEST_LINE]) for block in failed]
    # An address may have several mailboxes behind it: it is gone only if all of them are.
    kinds = {kind for kind, _, _ in read} if len(failed) == len(reported) else {BounceKind.SOFT}
    kind = next(kind for kind in (BounceKind.SOFT, BounceKind.REFUSED, BounceKind.HARD) if kind in kinds)
    _, status, diagnostic = next((one for one in read if one[0] is kind), read[0])
    named = (field(block, "original-recipient") or field(block, "final-recipient") for block in failed)
    recipients = tuple(name.rpartition(";")[2].strip() for name in named)[:_MOST_NAMED]
    return BounceReport(kind=kind, recipients=recipients, status=status, diagnostic=diagnostic)


def _action(block: Message) -> str:
    # Some servers append a comment.
    return field(block, "action").lower().partition(" ")[0]


def _failure(block: Message, quoted: str) -> tuple[BounceKind, str | None, str]:
    words = _words_of(block) or quoted
    declared, in_words = status_in(field(block, "status")), status_in(words)
    # Servers record "5.0.0" if they were given no code; the text they received may be more specific.
    status = in_words if declared is None or (declared.endswith(".0.0") and in_words is not None) else declared
    return classify(status, words), status, shorten_middle(to_single_line(words), _LONGEST_DIAGNOSTIC)


def _words_of(block: Message) -> str:
    """Return the other server's text: from the standard field, or from a vendor's own."""
    code = field(block, "diagnostic-code")
    own = [field(block, name) for name in dict.fromkeys(name.lower() for name in block) if name.startswith("x-")]
    return " ".join(part for part in (code.partition(";")[2].strip() or code, *replies_in(own)) if part)


_SERVERS = re.compile(r"\b(mailer-daemon|mail-daemon|postmaster|mail delivery (sub)?system)\b", re.IGNORECASE)


def _is_from_a_server(message: Message, address: str | None) -> bool:
    """Return whether a message looks like a server's; quotes in people's emails would match the patterns too."""
    return (
        field(message, "return-path") == "<>"
        or "x-failed-recipients" in message
        or _SERVERS.search(field(message, "from")) is not None
        or (address is not None and any(tokens(address, value) for value in _addressed(message)))
    )


def _report_in_words(incoming: _Incoming) -> BounceReport | None:
    words = incoming.text
    for part in incoming.parts:
        _keep_short_lines(part)
    try:
        delayed, failed = all_failures(incoming.message)
    except Exception:
        return None  # Some of its detectors fail on unusual input.
    if not failed:
        return BounceReport(kind=BounceKind.NOTICE, reason="delayed") if delayed else None
    recipients = tuple(sorted(address.decode("ascii", "replace") for address in failed))[:_MOST_NAMED]
    words = _words_about(words, recipients)
    status = status_in(words)
    diagnostic = shorten_middle(words, _LONGEST_DIAGNOSTIC)
    return BounceReport(kind=classify(status, words), recipients=recipients, status=status, diagnostic=diagnostic)


_RETURNS_THE_MESSAGE = re.compile(
    r"^-{3,}|^.{0,40}\bcopy of (the|your) (original )?message", re.IGNORECASE | re.MULTILINE
)


def _words_about(words: str, recipients: Sequence[str]) -> str:
    """Return what a text says from the first failed address on, up to where it returns the message; in one line."""
    places = [place for name in recipients if (place := words.find(name)) >= 0]
    about = words[min(places, default=0) :][:_LONGEST_LINE]
    return to_single_line(_RETURNS_THE_MESSAGE.split(about, maxsplit=1)[0])


def _keep_short_lines(part: Part) -> None:
    """Keep only lines of normal length: the patterns that look for addresses are slow on longer ones, which never occur
    in what matters here.
    """
    is_text = part.get_content_maintype() == "text"
    lines = [line[:_LONGEST_LINE] for line in text_of(part).splitlines()] if is_text else []
    del part["content-transfer-encoding"]
    part.set_payload("\n".join(lines))


_COMPLAINTS = {"abuse", "fraud", "complaint"}
_LEAVES = {"opt-out", "opt-out-list"}


def _complaint(incoming: _Incoming) -> BounceReport | None:
    message = incoming.message
    if not incoming.is_complaint:
        # Outlook's older format: the message as an attachment, from an address of the provider.
        if incoming.returned is None or not subject(message).lower().startswith("complaint about message from"):
            return None
        return BounceReport(kind=BounceKind.COMPLAINT, diagnostic=shorten_middle(subject(message), _LONGEST_DIAGNOSTIC))
    fields = next(iter(incoming.feedback), Message())
    feedback = field(fields, "feedback-type").lower()
    named = tuple(field(fields, name) for name in ("original-rcpt-to", "removal-recipient") if name in fields)
    words = f"{feedback or 'no type'} by {field(fields, 'user-agent') or field(message, 'from')}"
    kind = (
        BounceKind.COMPLAINT
        if feedback in _COMPLAINTS
        else BounceKind.UNSUBSCRIBE
        if feedback in _LEAVES
        else BounceKind.NOTICE
    )
    reason = f"feedback of type {feedback or 'none'}" if kind is BounceKind.NOTICE else None
    return BounceReport(
        kind=kind,
        reason=reason,
        recipients=named,
        diagnostic=shorten_middle(to_single_line(words), _LONGEST_DIAGNOSTIC),
    )


def _unsubscribe_email(incoming: _Incoming) -> BounceReport | None:
    found = unsubscribe_tokens(incoming.message, incoming.parts)
    if found:
        return BounceReport(kind=BounceKind.UNSUBSCRIBE, signed_tokens=found, diagnostic="an email with a signed token")
    if says_unsubscribe(incoming.message, incoming.parts):
        return BounceReport(kind=BounceKind.UNSUBSCRIBE, diagnostic="a reply with that word")
    return None


def _mailed_command(incoming: _Incoming) -> BounceReport | None:
    found = None if _is_auto_reply(incoming.message) else command_in(incoming.message)
    if found is None:
        return None
    kind, token = found
    return BounceReport(
        kind=kind,
        signed_tokens=(token,),
        interests=listed_interests(incoming.parts) if kind is BounceKind.INTERESTS else None,
        identity=field(incoming.message, "message-id"),
    )


def _is_auto_reply(message: Message) -> bool:
    """Return whether a message is an automatic reply (RFC 3834, and older conventions)."""
    submitted = field(message, "auto-submitted").lower()
    return (
        "vacation" in submitted
        or any(name in message for name in ("x-autoreply", "x-autorespond", "x-autoresponder"))
        or field(message, "precedence").lower() in ("auto_reply", "auto-reply")
    )


_ADDRESSED = ("to", "cc", "delivered-to", "x-original-to", "envelope-to", "x-envelope-to", "apparently-to")
_IDENTITY = re.compile(r"<[^<>\s]{3,250}>")


def _addressed(message: Message) -> Iterable[str]:
    return (field(message, name) for name in _ADDRESSED)


def _message_ids(incoming: _Incoming) -> tuple[str, ...]:
    # Not References: those are about other messages.
    if incoming.returned is not None:
        about = field(incoming.returned, "message-id")
    else:
        about = _field_in_words(incoming, "message-id")
    written_down = (field(block, "x-original-message-id") for block in incoming.status)
    fields = (about, *written_down, field(incoming.message, "in-reply-to"))
    return tuple(dict.fromkeys(name for value in fields for name in _IDENTITY.findall(value)))[:_MOST_NAMED]


def _tokens(incoming: _Incoming, address: str) -> tuple[str, ...]:
    fields = [*_addressed(incoming.message)]
    if incoming.returned is not None:
        fields += [field(incoming.returned, name) for name in ("return-path", "sender", "errors-to")]
    else:
        fields.append(_field_in_words(incoming, "return-path"))
    fields += [field(block, "original-mail-from") for block in incoming.feedback]
    fields += [field(block, "x-postfix-sender") for block in incoming.status]
    return tuple(dict.fromkeys(token for value in fields for token in tokens(address, value)))[:_MOST_NAMED]


def _field_in_words(incoming: _Incoming, name: str) -> str:
    """Return the first header of a name in a text that quotes the message verbatim."""
    quoted = rf"^\W{{0,4}}{name}:[ \t]*(<[^<>\s]{{3,250}}>)"
    found = re.search(quoted, incoming.text, re.IGNORECASE | re.MULTILINE)
    return found[1] if found else ""
