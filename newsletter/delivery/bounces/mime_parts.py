"""The parts of a returned message as plain text, robust against any input."""

import re
from collections.abc import Sequence
from email import message_from_bytes
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from email.message import Message
from email.parser import HeaderParser

from newsletter.support.text import to_single_line

_MOST_NESTED = 20
_LONGEST_FIELD = 2_000
_OPENS_A_LEVEL = re.compile(rb"boundary[*\d \t]*=", re.IGNORECASE)
_MOST_BLOCKS = 100
_BETWEEN_BLOCKS = re.compile(r"\r?\n[ \t]*\r?\n")
_TAG = re.compile(r"<[^<>]*>")


class Part(Message):
    """A part of a message.

    Enclosed messages are not parsed: only their headers are of interest, and the parser would mistake a bare
    ``message/global-delivery-status`` (RFC 6533) for one.
    """

    @property
    def kind(self) -> str:
        """Return the type given in the headers."""
        return super().get_content_type()

    def get_content_type(self) -> str:
        """Return the type that the parser uses."""
        return "application/octet-stream" if self.kind.startswith("message/") else self.kind


def is_nested_too_deeply(content: bytes) -> bool:
    """Return whether a message nests parts more deeply than :func:`parse` can handle in reasonable time."""
    return len(_OPENS_A_LEVEL.findall(content)) > _MOST_NESTED


def parse(content: bytes) -> Part:
    """Parse a whole message, headers and body."""
    return message_from_bytes(content, Part)


def leaves(part: Part) -> list[Part]:
    """Return the parts without parts of their own, at any depth, in document order."""
    return [one for one in part.walk() if not one.is_multipart()]


def enclosing(container: Part, part: Part) -> list[Part]:
    """Return the parts that contain a part, innermost first."""
    for child in children(container):
        if child is part:
            return [container]
        found = enclosing(child, part)
        if found:
            return [*found, container]
    return []


def children(part: Part) -> Sequence[Part]:
    """Return the direct parts of a part."""
    inner = part.get_payload()
    return [one for one in inner if isinstance(one, Part)] if isinstance(inner, list) else []


def first_of(parts: Sequence[Part], *kinds: str) -> Part | None:
    """Return the first part of the first of these kinds that occurs."""
    return next((one for kind in kinds for one in parts if one.kind == kind), None)


def blocks(part: Part) -> list[Message]:
    """Return the blocks of headers in a part, each as a message; blocks are separated by empty lines."""
    found = _BETWEEN_BLOCKS.split(text_of(part).strip("\r\n"), maxsplit=_MOST_BLOCKS)[:_MOST_BLOCKS]
    return [HeaderParser().parsestr(block.strip("\r\n")) for block in found]


def field(message: Message | None, name: str) -> str:
    """Return a header in one line, truncated; empty if missing."""
    return to_single_line(str(message.get(name, ""))[:_LONGEST_FIELD]) if message is not None else ""


def subject(message: Message) -> str:
    """Return the subject, decoded, in one line."""
    raw = field(message, "subject")
    try:
        return to_single_line(str(make_header(decode_header(raw))))
    except (ValueError, LookupError, HeaderParseError):
        return raw


def text(parts: Sequence[Part]) -> str:
    """Return the first plain text among parts, up to the message it returns."""
    for part in parts:
        if part.kind.startswith("message/"):
            return ""
        if part.kind == "text/plain":
            return text_of(part)
    return ""


def text_of_html(parts: Sequence[Part]) -> str:
    """Return the first HTML among parts as text, with each tag replaced by a line break."""
    part = first_of(parts, "text/html")
    return _TAG.sub("\n", text_of(part)) if part is not None else ""


def text_of(part: Part) -> str:
    """Return the text of a part, in its declared charset, or else UTF-8."""
    content = part.get_payload(decode=True)
    if not isinstance(content, bytes):
        return ""
    try:
        return content.decode(part.get_content_charset() or "utf-8", "replace")
    except (ValueError, LookupError):
        return content.decode("utf-8", "replace")
