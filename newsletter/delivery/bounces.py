"""What a message that came back tells: a report of a mail server, a complaint, or a letter that unsubscribes.

Nothing here is believed: a report names what it is about (a return path, a Message-ID, a signed token), and who knows
what was sent finds out whether that is so.
"""

import logging
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from email import message_from_bytes
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from email.message import Message

from flufl.bounce import all_failures

from newsletter.delivery.verdict import Kind, status_in, verdict
from newsletter.delivery.verp import tokens
from newsletter.plaintext import clean, shortened

# It would tell on standard error of each message that one of its detectors cannot read.
logging.getLogger("flufl.bounce").addHandler(logging.NullHandler())
logging.getLogger("flufl.bounce").propagate = False

MOST_BYTES = 256 * 1024
"""As much of a message as is read: reports say what they have to say before they return the message."""

_MOST_NESTED = 20
_LONGEST_LINE = 998  # RFC 5322, section 2.1.1
_LONGEST_FIELD = 2_000
_LONGEST_DIAGNOSTIC = 300
_MOST_NAMED = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a message tells, as it says itself.

    Attributes:
        reason: what it is, for a notice or another thing.
        recipients: the addresses it names as those that failed.
        message_ids: of the message it is about, with angle brackets, the likeliest first.
        tokens: of return paths (VERP), likewise.
        letter_token: the signed token in the subject of a letter that unsubscribes.
        status: the enhanced status code (RFC 3463), as ``5.1.1``.
        diagnostic: the mail server's words, in one line.
    """

    kind: Kind
    reason: str | None = None
    recipients: tuple[str, ...] = ()
    message_ids: tuple[str, ...] = ()
    tokens: tuple[str, ...] = ()
    letter_token: str | None = None
    status: str | None = None
    diagnostic: str = ""


def read(content: bytes, address: str | None) -> Report:
    """What a message tells. It may be anything at all: only its first ``MOST_BYTES`` are looked at, and one that is
    nested deeply is not.

    Args:
        content: the whole message, headers and body.
        address: where reports come back to (the address below which return paths are), if there is one.
    """
    content = content[:MOST_BYTES]
    if len(_OPENS_A_LEVEL.findall(content)) > _MOST_NESTED:
        return Report(kind=Kind.OTHER, reason="nested too deeply")
    try:
        message = message_from_bytes(content)
        returned = _returned(message)
        report = _told(message, returned, address)
        return replace(
            report,
            message_ids=_message_ids(message, returned),
            tokens=_tokens(message, returned, address) if address else (),
        )
    except Exception as error:
        # Anybody can send anything here, and the standard library's parser does not stand everything.
        return Report(kind=Kind.OTHER, reason=f"cannot be read ({type(error).__name__})")


_OPENS_A_LEVEL = re.compile(rb"boundary[*\d \t]*=|:\s*message/", re.IGNORECASE)


def _told(message: Message, returned: Message | None, address: str | None) -> Report:
    told = _delivery_report(message) or _complaint(message, returned) or _letter(message)
    if told is not None:
        return told
    if _kind_of(message, "message/disposition-notification") is not None:
        return Report(kind=Kind.NOTICE, reason="a receipt")
    if _is_auto_reply(message):
        return Report(kind=Kind.NOTICE, reason="an automatic reply")
    if _is_from_a_server(message, address) and (told := _report_in_words(message)) is not None:
        return told
    if _field(message, "auto-submitted").lower() not in ("", "no"):
        return Report(kind=Kind.NOTICE, reason="an automatic reply")
    return Report(kind=Kind.OTHER, reason="no report of a kind that is known")


def _delivery_report(message: Message) -> Report | None:
    part = _kind_of(message, "message/delivery-status") or _kind_of(message, "message/global-delivery-status")
    blocks = [block for block in _blocks(part) if "action" in block] if part is not None else []
    if not blocks:
        return None
    failed = [block for block in blocks if _action(block) in ("failed", "error")]
    if not failed:
        return Report(kind=Kind.NOTICE, reason=_action(blocks[0]) or "a report of no failure")
    read = [_failure(block) for block in failed]
    # Behind an address may be several mailboxes: it is gone only when all of them are.
    kinds = {kind for kind, _, _ in read} if len(failed) == len(blocks) else {Kind.SOFT}
    kind = next(kind for kind in (Kind.SOFT, Kind.REFUSED, Kind.HARD) if kind in kinds)
    _, status, diagnostic = next((one for one in read if one[0] is kind), read[0])
    named = (_field(block, "original-recipient") or _field(block, "final-recipient") for block in failed)
    recipients = tuple(name.rpartition(";")[2].strip() for name in named)[:_MOST_NAMED]
    return Report(kind=kind, recipients=recipients, status=status, diagnostic=diagnostic)


def _action(block: Message) -> str:
    # Some servers put a comment behind it.
    return _field(block, "action").lower().partition(" ")[0]


def _failure(block: Message) -> tuple[Kind, str | None, str]:
    diagnostic = _field(block, "diagnostic-code").partition(";")[2].strip() or _field(block, "diagnostic-code")
    said, told = status_in(_field(block, "status")), status_in(diagnostic)
    # "5.0.0" is what a server writes down that was told nothing more; the words it was told may have more.
    status = told if said is None or (said.endswith(".0.0") and told is not None) else said
    return verdict(status, diagnostic), status, shortened(diagnostic, _LONGEST_DIAGNOSTIC)


_SERVERS = re.compile(r"\b(mailer-daemon|mail-daemon|postmaster|mail delivery (sub)?system)\b", re.IGNORECASE)


def _is_from_a_server(message: Message, address: str | None) -> bool:
    """Whether a message looks like a server's: what people quote would be found in their letters too."""
    return (
        _field(message, "return-path") == "<>"
        or "x-failed-recipients" in message
        or _SERVERS.search(_field(message, "from")) is not None
        or (address is not None and any(tokens(address, field) for field in _addressed(message)))
    )


def _report_in_words(message: Message) -> Report | None:
    text = _text(message)
    _make_short_lines(message)
    try:
        delayed, failed = all_failures(message)
    except Exception:
        return None  # Not every one of its detectors stands everything.
    if not failed:
        return Report(kind=Kind.NOTICE, reason="delayed") if delayed else None
    recipients = tuple(sorted(address.decode("ascii", "replace") for address in failed))[:_MOST_NAMED]
    words = _words_about(text, recipients)
    status = status_in(words)
    diagnostic = shortened(words, _LONGEST_DIAGNOSTIC)
    return Report(kind=verdict(status, words), recipients=recipients, status=status, diagnostic=diagnostic)


_RETURNS_THE_MESSAGE = re.compile(
    r"^-{3,}|^.{0,40}\bcopy of (the|your) (original )?message", re.IGNORECASE | re.MULTILINE
)


def _words_about(text: str, recipients: Sequence[str]) -> str:
    """What a text says from the first address that failed on, up to where it returns the message; in one line."""
    places = [place for name in recipients if (place := text.find(name)) >= 0]
    about = text[min(places, default=0) :][:_LONGEST_LINE]
    return clean(_RETURNS_THE_MESSAGE.split(about, maxsplit=1)[0])


def _make_short_lines(message: Message) -> None:
    """Cut what is no line of mail: patterns that look for addresses take long over it."""
    for part in message.walk():
        if part.get_content_maintype() == "text" and isinstance(part.get_payload(), str):
            lines = [line[:_LONGEST_LINE] for line in _text_of(part).splitlines()]
            del part["content-transfer-encoding"]
            part.set_payload("\n".join(lines))


_COMPLAINTS = {"abuse", "fraud", "complaint"}
_LEAVES = {"opt-out", "opt-out-list"}


def _complaint(message: Message, returned: Message | None) -> Report | None:
    part = _kind_of(message, "message/feedback-report")
    if part is None:
        # Outlook's older form: the message as an attachment, from an address of the provider's.
        subject = _subject(message).lower()
        if returned is None or not subject.startswith("complaint about message from"):
            return None
        return Report(kind=Kind.COMPLAINT, diagnostic=shortened(_subject(message), _LONGEST_DIAGNOSTIC))
    fields = next(iter(_blocks(part)), Message())
    feedback = _field(fields, "feedback-type").lower()
    named = tuple(_field(fields, name) for name in ("original-rcpt-to", "removal-recipient") if name in fields)
    words = f"{feedback or 'no type'} by {_field(fields, 'user-agent') or _field(message, 'from')}"
    kind = Kind.COMPLAINT if feedback in _COMPLAINTS else Kind.UNSUBSCRIBE if feedback in _LEAVES else Kind.NOTICE
    reason = f"feedback of type {feedback or 'none'}" if kind is Kind.NOTICE else None
    return Report(kind=kind, reason=reason, recipients=named, diagnostic=shortened(clean(words), _LONGEST_DIAGNOSTIC))


_LETTER = re.compile(r"(?:\w{1,8}:\s*)*unsubscribe\s+([\w.-]{16,200})", re.IGNORECASE | re.ASCII)
_WORD = re.compile(r"\W*(?:please\s+)?unsubscribe(?:\s+me)?(?:,?\s+please)?\W*", re.IGNORECASE)


def _letter(message: Message) -> Report | None:
    subject = _subject(message)
    if (signed := _LETTER.fullmatch(subject)) is not None:
        return Report(kind=Kind.UNSUBSCRIBE, letter_token=signed[1], diagnostic="a letter with a signed subject")
    if "in-reply-to" not in message or _field(message, "auto-submitted").lower() not in ("", "no"):
        return None
    first = next((line for line in _text(message).splitlines() if line.strip()), "")
    if _WORD.fullmatch(subject) or _WORD.fullmatch(first[:_LONGEST_LINE]):
        return Report(kind=Kind.UNSUBSCRIBE, diagnostic="a reply with that word")
    return None


def _is_auto_reply(message: Message) -> bool:
    """Whether a program answers for a person (RFC 3834, and what came before it)."""
    submitted = _field(message, "auto-submitted").lower()
    return (
        "vacation" in submitted
        or any(name in message for name in ("x-autoreply", "x-autorespond", "x-autoresponder"))
        or _field(message, "precedence").lower() in ("auto_reply", "auto-reply")
    )


_ADDRESSED = ("to", "cc", "delivered-to", "x-original-to", "envelope-to", "x-envelope-to", "apparently-to")
_IDENTITY = re.compile(r"<[^<>\s]{3,250}>")


def _addressed(message: Message) -> Iterable[str]:
    return (_field(message, name) for name in _ADDRESSED)


def _returned(message: Message) -> Message | None:
    """The headers of the message that a report returns."""
    for kind in ("message/rfc822", "message/global", "message/global-headers"):
        part = _kind_of(message, kind)
        inner = next(iter(_blocks(part)), None) if part is not None else None
        if inner is not None:
            return inner
    part = _kind_of(message, "text/rfc822-headers")
    return message_from_bytes(_bytes_of(part)) if part is not None else None


def _message_ids(message: Message, returned: Message | None) -> tuple[str, ...]:
    # Not its references: those are of other messages.
    about = _field(returned, "message-id") if returned is not None else _field_in_words(message, "message-id")
    fields = (about, _field(message, "in-reply-to"))
    return tuple(dict.fromkeys(name for field in fields for name in _IDENTITY.findall(field)))[:_MOST_NAMED]


def _tokens(message: Message, returned: Message | None, address: str) -> tuple[str, ...]:
    fields = [*_addressed(message)]
    if returned is not None:
        fields += [_field(returned, name) for name in ("return-path", "sender", "errors-to")]
    else:
        fields.append(_field_in_words(message, "return-path"))
    reports = (("message/feedback-report", "original-mail-from"), ("message/delivery-status", "x-postfix-sender"))
    for kind, name in reports:
        part = _kind_of(message, kind)
        fields += [_field(block, name) for block in (_blocks(part) if part is not None else ())]
    return tuple(dict.fromkeys(token for field in fields for token in tokens(address, field)))[:_MOST_NAMED]


def _field_in_words(message: Message, name: str) -> str:
    """The first header of a name in a text that returns the message as it was."""
    found = re.search(rf"^\W{{0,4}}{name}:[ \t]*(<[^<>\s]{{3,250}}>)", _text(message), re.IGNORECASE | re.MULTILINE)
    return found[1] if found else ""


def _kind_of(message: Message, kind: str) -> Message | None:
    """The part of a kind: the message itself or one of its own parts, but not of one that it returns."""
    parts = message.get_payload() if message.get_content_maintype() == "multipart" else [message]
    candidates = [part for part in parts if isinstance(part, Message)] if isinstance(parts, list) else []
    return next((part for part in candidates if part.get_content_type() == kind), None)


def _blocks(part: Message) -> list[Message]:
    """The headers that make up a ``message/`` part, a message for each block of them."""
    inner = part.get_payload()
    return [one for one in inner if isinstance(one, Message)] if isinstance(inner, list) else []


def _field(message: Message, name: str) -> str:
    """A header in one line, not too long; empty without it."""
    return clean(str(message.get(name, ""))[:_LONGEST_FIELD])


def _subject(message: Message) -> str:
    raw = _field(message, "subject")
    try:
        return clean(str(make_header(decode_header(raw))))
    except (ValueError, LookupError, HeaderParseError):
        return raw


def _text(message: Message) -> str:
    """The first text of a message, up to what it returns."""
    for part in message.walk():
        if part.get_content_maintype() == "message" and part is not message:
            return ""
        if part.get_content_type() == "text/plain":
            return _text_of(part)
    return ""


def _text_of(part: Message) -> str:
    content = _bytes_of(part)
    try:
        return content.decode(part.get_content_charset() or "utf-8", "replace")
    except (ValueError, LookupError):
        return content.decode("utf-8", "replace")


def _bytes_of(part: Message) -> bytes:
    content = part.get_payload(decode=True)
    return content if isinstance(content, bytes) else b""
