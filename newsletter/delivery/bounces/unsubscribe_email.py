"""Emails that unsubscribe: by a signed token, or as a reply that says that one word."""

import re
from collections.abc import Sequence
from html import unescape

from newsletter.delivery.bounces.mime_parts import Part, field, subject, text, text_of_html

_MOST_TOKENS = 10
_LONGEST_LINE = 998  # RFC 5322, section 2.1.1

# Gateways and mail programs write tags around a subject ("[EXTERNAL]", "Re:", "***SPAM***"). The token is the proof,
# so what stands around it does not matter.
_SIGNED = r"([\w-]{1,40}\.[\w-]{16,200})"
_WITH_TOKEN = re.compile(rf"(?<![a-z])unsubscribe(?:[\s:=<\"'+-]|%20){{1,10}}{_SIGNED}", re.IGNORECASE | re.ASCII)
# In a body a line must say nothing else: a reply quotes the digest, and that has links to unsubscribe.
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
    """What may be the signed token of an email that unsubscribes: in its subject, else on a line of its own."""
    found = _WITH_TOKEN.findall(subject(message))
    if not found:
        body = text(parts) or unescape(text_of_html(parts))
        found = _LINE_WITH_TOKEN.findall(body.replace("\r\n", "\n"))
    return tuple(dict.fromkeys(found))[:_MOST_TOKENS]


def says_unsubscribe(message: Part, parts: Sequence[Part]) -> bool:
    """Whether a person's reply says that word and nothing else, as its subject or as its first line."""
    if "in-reply-to" not in message or field(message, "auto-submitted").lower() not in ("", "no"):
        return False
    first = next((line for line in text(parts).splitlines() if line.strip()), "")
    return any(_WORD.fullmatch(line) for line in (_bare(subject(message)), first[:_LONGEST_LINE]))


def _bare(line: str) -> str:
    """A subject without the tags that stand before and behind it."""
    line = _TAG_BEHIND.sub("", line)
    while (tag := _TAG_BEFORE.match(line)) is not None:
        line = line[tag.end() :]
    return line
