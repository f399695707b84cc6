"""Emails that give feedback or change interests: what ``mailto:`` links fill in, and reading it from what arrives.

The subject has a signed token, which is the proof; mail programs and gateways may add anything around it. The new
interests are a list between two marks, so that nothing else in the message is taken for an interest.
"""

import re
from collections.abc import Sequence
from html import unescape

from newsletter.delivery.bounces.mime_parts import Part, field, first_of, subject, text, text_of
from newsletter.delivery.refusal_classifier import BounceKind
from newsletter.support.text import to_single_line

_FEEDBACK, _INTERESTS = "{verdict} like this", "change my interests"
_BEGIN, _END = "[interests]", "[end]"
_MOST_LINES = 1_000
_LONGEST_WORD_LEFT = 64
"""Columns from which a line may have been wrapped: mail programs wrap at 65 or later (RFC 3676, section 4.2)."""

_NUMBERS = r"\d{1,18}"
_SIGNATURE = r"[0-9a-f]{64}"
_SPACE = r"(?:\s|%20){1,10}"
_FEEDBACK_SUBJECT = re.compile(
    rf"(?<![a-z])(?:more|less){_SPACE}like{_SPACE}this:?{_SPACE}"
    rf"({_NUMBERS}\.{_NUMBERS}\.(?:more|less)(?:\.{_NUMBERS})?\.{_SIGNATURE})(?![0-9a-z])",
    re.IGNORECASE | re.ASCII,
)
_INTERESTS_SUBJECT = re.compile(
    rf"(?<![a-z])change{_SPACE}my{_SPACE}interests:?{_SPACE}({_NUMBERS}(?:\.{_NUMBERS})?\.{_SIGNATURE})(?![0-9a-z])",
    re.IGNORECASE | re.ASCII,
)
_QUOTED = re.compile(r"^[ \t>|]{1,20}")
_NEW_LINE = re.compile(r"</?(?:br|p|div|li|ul|ol|tr|table|blockquote|h[1-6])\b[^<>]*>", re.IGNORECASE)
_TAG = re.compile(r"<[^<>]*>")
_BULLET = re.compile(r"^[-*•–]\s*")


def feedback_subject(verdict: str, token: str) -> str:
    """Return the subject of an email that gives feedback (``more`` or ``less``), with a signed token."""
    return f"{_FEEDBACK.format(verdict=verdict)} {token}"


def interests_subject(token: str) -> str:
    """Return the subject of an email that changes interests, with a signed token."""
    return f"{_INTERESTS} {token}"


def interests_body(interests: Sequence[str]) -> str:
    """Return the body of such an email, with the present interests for the reader to edit."""
    lines = [f"- {to_single_line(one)}" for one in interests]
    return "\n".join(["Edit this list, one interest per line, and send the email.", "", _BEGIN, *lines, _END, ""])


def command_in(message: Part) -> tuple[BounceKind, str] | None:
    """Return the command of an email and its (not yet verified) token; None if it has none.

    Automatic messages (RFC 3834) have none: a mail program that answers by itself must not act for its owner.
    """
    if field(message, "auto-submitted").lower() not in ("", "no"):
        return None
    words = subject(message)
    for kind, pattern in ((BounceKind.FEEDBACK, _FEEDBACK_SUBJECT), (BounceKind.INTERESTS, _INTERESTS_SUBJECT)):
        found = pattern.search(words)
        if found is not None:
            return kind, found[1].lower()
    return None


def listed_interests(parts: Sequence[Part]) -> tuple[str, ...] | None:
    """Return the interests listed in the parts of an email, without duplicates; None without a complete list.

    The HTML part is preferred, since many mail programs wrap the lines of the plain text.
    """
    html = first_of(parts, "text/html")
    for body in (_as_text(text_of(html)) if html is not None else "", text(parts)):
        found = _listed(body.splitlines())
        if found is not None:
            return found
    return None


def _as_text(html: str) -> str:
    return unescape(_TAG.sub("", _NEW_LINE.sub("\n", " ".join(html.split()))))


def _listed(lines: Sequence[str]) -> tuple[str, ...] | None:
    plain = [to_single_line(_QUOTED.sub("", line)) for line in lines]
    marks = [line.lower() for line in plain]
    if _BEGIN not in marks:
        return None
    begin = marks.index(_BEGIN) + 1
    if _END not in marks[begin : begin + _MOST_LINES]:
        return None
    return _unwrapped([line for line in plain[begin : marks.index(_END, begin)] if line])


def _unwrapped(lines: Sequence[str]) -> tuple[str, ...]:
    """Join lines that a mail program wrapped: those without a dash whose first word had no room before them."""
    found: list[str] = []
    room = 0
    for line in lines:
        bare = _BULLET.sub("", line)
        if found and bare == line and len(line.split(" ", 1)[0]) > room:
            found[-1] = f"{found[-1]} {bare}"
        elif bare:
            found.append(bare)
        room = _LONGEST_WORD_LEFT - len(line)
    return tuple(dict.fromkeys(found))
