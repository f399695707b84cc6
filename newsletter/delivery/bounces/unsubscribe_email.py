"""Unsubscribe emails: recognised by a signed token, or as a reply that consists of that one word."""

import re
from collections.abc import Sequence
from html import unescape

from newsletter.delivery.bounces.mime_parts import Part, field, subject, text, text_of_html

_MOST_TOKENS = 10
_LONGEST_LINE = 998  # RFC 5322, section 2.1.1

# Gateways and mail programs add tags to a subject ("[EXTERNAL]", "Re:", "***SPAM***"). The token is the proof, so the
# text around it does not matter.
_SIGNED = r"([\w-]{1,40}\.[\w-]{16,200})"
_WITH_TOKEN = re.compile(rf"(?<![a-z])unsubscribe(?:[\s:=<\"'+-]|%20){{1,10}}{_SIGNED}", re.IGNORECASE | re.ASCII)
# In a body the token must be alone on its line: a reply quotes the digest, which contains unsubscribe links.
_LINE_WITH_TOKEN = re.compile(
    rf"^[ \t>*|]{{0,20}}(?:subject:[ \t]*)?(?:\[[^\]\n]{{0,40}}\][ \t]*)?unsubscribe\s{{1,4}}{_SIGNED}[ \t]*$",
    re.IGNORECASE | re.ASCII | re.MULTILINE,
)
_TAG_BEFORE = re.compile(
    r"\s*(?:\[[^\]]{0,60}\]|\([^)]{0,60}\)|\{[^}]{0,60}\}|\*{1,5}[^*]{0,60}\*{1,5}|[\w -]{1,20}:)\s*"
)
_TAG_BEHIND = re.compile(r"\s*(?:\[[^\]]{0,60}\]|\([^)]{0,60}\)|\{[^}]{0,60}\})\s*$")
_WORD = re.compile(r"\W*(?:please\s+)?unsubscribe(?:\s+me)?(?:,?\s+please)?\W*", re.IGNORECASE)


def unsubscribe_tokens(message: Part, parts: Sequence[Part]) -> tuple[str, ...]:
    """Return possible signed tokens of an unsubscribe email: from its subject, or else from lines of their own."""
    found = _WITH_TOKEN.findall(subject(message))
    if not found:
        body = text(parts) or unescape(text_of_html(parts))
        found = _LINE_WITH_TOKEN.findall(body.replace("\r\n", "\n"))
    return tuple(dict.fromkeys(found))[:_MOST_TOKENS]


def says_unsubscribe(message: Part, parts: Sequence[Part]) -> bool:
    """Return whether a person's reply says that word and nothing else, as its subject or its first line."""
    if "in-reply-to" not in message or field(message, "auto-submitted").lower() not in ("", "no"):
        return False
    first = next((line for line in text(parts).splitlines() if line.strip()), "")
    return any(_WORD.fullmatch(line) for line in (_bare(subject(message)), first[:_LONGEST_LINE]))


def _bare(line: str) -> str:
    """Return a subject without leading and trailing tags."""
    line = _TAG_BEHIND.sub("", line)
    while (tag := _TAG_BEFORE.match(line)) is not None:
        line = line[tag.end() :]
    return line
