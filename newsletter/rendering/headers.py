"""Format header fields: plain text in, folded bytes out.

Text is encoded here and never parsed, so nothing in a name or a title can act as an encoded word, a mailbox or another
field. From the standard library only the encoder of RFC 2047 is used: its policy decodes encoded words that it finds in
a value, and loses spaces between those it writes (python/cpython#92081) and the quotes of a long name
(python/cpython#80222).
"""

import re
from collections.abc import Iterable
from email.header import Header
from functools import lru_cache
from textwrap import wrap

import idna

from newsletter.support.text import to_single_line

_LINE = 78
"""Maximum characters of a line (RFC 5322, section 2.1.1; RFC 6532, section 3.4)."""

_ENCODED_LINE = 76
"""Maximum characters of a line with an encoded word (RFC 2047, section 2)."""

_SPECIALS = re.compile(r'[()<>@,:;.\\"\[\]]')
"""Characters that a phrase may contain only in quotes (RFC 5322, section 3.2.3)."""

_DOT_ATOM = re.compile(r'[^\s()<>\[\]:;@\\,."]+(?:\.[^\s()<>\[\]:;@\\,."]+)*')
_NOT_IN_DOMAIN = re.compile(r'[()<>;@\\,"]')
_NOT_PRINTABLE = re.compile(r"[^ -~]")


@lru_cache(maxsize=1024)
def text_field(name: str, text: str, utf8: bool = False) -> bytes:
    """Format a field of free text, such as Subject.

    Args:
        utf8: whether text outside ASCII may stay unencoded (RFC 6532).
    """
    text, start = to_single_line(text), f"{name}: "
    lines = _lines(start, _parts(start, text, _LINE))
    if not _may_stand(text, utf8) or _too_long(lines):
        lines = _encoded_lines(name, text)
    return _ended(lines)


@lru_cache(maxsize=1024)
def mailbox_field(name: str, person: str, address: str, utf8: bool = False) -> bytes:
    """Format a field of one mailbox, such as ``From: Ada <ada@example.org>``; without a name only the address.

    Args:
        address: as returned by :func:`address_spec`.
        utf8: whether text outside ASCII may stay unencoded (RFC 6532).
    """
    person = to_single_line(person)
    if not person:
        return _ended([f"{name}: {address}"])
    return _ended(_named(name, person, address, utf8, quoted=False))


@lru_cache(maxsize=64)
def list_id_field(title: str, identity: str) -> bytes:
    """Format the List-Id (RFC 2919): the name of the list, and its identity on a domain of the sender."""
    return _ended(_named("List-Id", to_single_line(title), identity, utf8=False, quoted=True))


def _named(name: str, phrase: str, identity: str, utf8: bool, quoted: bool) -> list[str]:
    """Return the lines of a field that consists of a phrase and what it names."""
    lines, longest = _phrase_lines(f"{name}: ", phrase, quoted), _LINE
    if not _may_stand(phrase, utf8) or _too_long(lines):
        lines, longest = _encoded_lines(name, phrase), _ENCODED_LINE
    end = f" <{identity}>"
    if len(lines[-1]) + len(end) <= longest:
        return [*lines[:-1], lines[-1] + end]
    return [*lines, end]


def _phrase_lines(start: str, phrase: str, quoted: bool) -> list[str]:
    """Split a phrase into as few lines as possible. If it needs quotes, each line is a quoted string of its own, since
    some parsers lose what follows a line break inside quotes; the words of a phrase are separated by one space (RFC
    5322, 3.2.5).
    """

    def written(part: str) -> str:
        return _quoted(part) if quoted or _SPECIALS.search(part) else part

    if len(whole := start + written(phrase)) <= _LINE:
        return [whole]
    return _lines(start, map(written, _parts(start, phrase, _LINE - len('""'))))


def _parts(start: str, text: str, longest: int) -> list[str]:
    """Split a text between words, so that each part fits on a line, the first one after ``start``."""
    indent = " " * len(start)
    lines = wrap(
        text, longest, initial_indent=indent, subsequent_indent=" ", break_long_words=False, break_on_hyphens=False
    )
    return [line.strip() for line in lines]


def _lines(start: str, parts: Iterable[str]) -> list[str]:
    first, *others = [*parts] or [""]
    return [start + first, *(f" {part}" for part in others)]


def _too_long(lines: list[str]) -> bool:
    return any(len(line) > _LINE for line in lines)


def plain_field(name: str, *values: str) -> bytes:
    """Format a field of ASCII in a fixed form, such as a date; several values are on lines of their own.

    Values are never folded: mail clients cannot read a folded URL.
    """
    return _ended([f"{name}: " + ",\r\n ".join(_NOT_PRINTABLE.sub("", value) for value in values)])


def address_spec(email: str) -> str:
    """Format an address for a header. The domain is in ASCII if the local part is.

    Characters that are invalid in an address are removed, so that even a damaged address is one mailbox.
    """
    local, _, domain = "".join(to_single_line(email).split()).rpartition("@")
    domain = _NOT_IN_DOMAIN.sub("", domain)
    if local.isascii():
        domain = ascii_domain(domain)
    return f"{local if _DOT_ATOM.fullmatch(local) else _quoted(local)}@{domain}"


@lru_cache(maxsize=1024)
def ascii_domain(domain: str) -> str:
    """Convert a domain to Punycode; one that cannot be converted stays as it is."""
    try:
        return domain if domain.isascii() else idna.encode(domain, uts46=True).decode("ascii")
    except UnicodeError:  # idna's errors are subclasses.
        return domain


def _may_stand(text: str, utf8: bool) -> bool:
    """Return whether a field can contain text unencoded. Mail clients would decode anything like an encoded word."""
    return (utf8 or text.isascii()) and "=?" not in text


def _encoded_lines(name: str, text: str) -> list[str]:
    encoded = Header(text, "utf-8", maxlinelen=_ENCODED_LINE, header_name=name).encode()
    return f"{name}: {encoded}".split("\n")


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", r"\\").replace('"', r"\"") + '"'


def _ended(lines: list[str]) -> bytes:
    return ("\r\n".join(lines) + "\r\n").encode()
