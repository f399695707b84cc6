"""Return paths: each message has its own envelope sender, which identifies it in bounces.

This is VERP (variable envelope return path): mail servers and people may rewrite or omit parts of a report, but the
address it is sent to remains.
"""

import base64
import hashlib
import hmac
import re
from datetime import date

_MAC_BYTES = 10
_MAC_LETTERS = 16
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_TOKEN = re.compile(
    rf"(?P<subscriber>[0-9a-z]{{1,13}})-(?P<number>[0-9a-z]{{1,13}})(?P<mailing>-m)?-(?P<mac>[a-z2-7]{{{_MAC_LETTERS}}})",
    re.IGNORECASE | re.ASCII,
)


def return_path(address: str, key: str, subscriber: int, edition: date) -> str:
    """Return the envelope sender of a subscriber's digest in an edition; always the same.

    Args:
        address: where bounces go, in ASCII, like ``bounces@papers.example.org``.
        key: the key that signs the token.

    Returns:
        The address with ``+`` and a token of lower-case letters, digits and ``-``, since some servers fold case. Its
        signature has 80 bits, so it cannot be guessed without the message.
    """
    return _address(address, f"{_base36(subscriber)}-{_base36(edition.toordinal())}-{_mac(key, subscriber, edition)}")


def mailing_return_path(address: str, key: str, subscriber: int, mailing: int) -> str:
    """Return the envelope sender of an announcement or a message (by row) to a subscriber, like :func:`return_path`."""
    return _address(address, f"{_base36(subscriber)}-{_base36(mailing)}-m-{_mac(key, subscriber, mailing)}")


def _address(address: str, token: str) -> str:
    local, _, domain = address.rpartition("@")
    return f"{local}+{token}@{domain}"


def tokens(address: str, text: str) -> list[str]:
    """Return the return-path tokens of an address that occur in a text, without duplicates, in order."""
    local, _, domain = address.rpartition("@")
    ours = rf"\b{re.escape(local)}\+({_TOKEN.pattern})@{re.escape(domain)}\b"
    found = re.finditer(ours, text, re.IGNORECASE | re.ASCII)
    return list(dict.fromkeys(match[1].lower() for match in found))


def read_token(key: str, token: str) -> tuple[int, date] | None:
    """Return the subscriber and the edition of a token; None if it was not signed with the key, or is a mailing's."""
    match = _TOKEN.fullmatch(token)
    if match is None or match["mailing"]:
        return None
    try:
        subscriber, edition = int(match["subscriber"], 36), date.fromordinal(int(match["number"], 36))
    except (ValueError, OverflowError):
        return None
    return (subscriber, edition) if _is_signed(key, match, subscriber, edition) else None


def read_mailing_token(key: str, token: str) -> tuple[int, int] | None:
    """Return the subscriber and the mailing of a token; None if it was not signed with the key, or is a digest's."""
    match = _TOKEN.fullmatch(token)
    if match is None or not match["mailing"]:
        return None
    subscriber, mailing = int(match["subscriber"], 36), int(match["number"], 36)
    return (subscriber, mailing) if _is_signed(key, match, subscriber, mailing) else None


def _is_signed(key: str, match: re.Match[str], subscriber: int, about: date | int) -> bool:
    return hmac.compare_digest(match["mac"].lower(), _mac(key, subscriber, about))


def _mac(key: str, subscriber: int, about: date | int) -> str:
    named = about.isoformat() if isinstance(about, date) else f"mailing {about}"
    said = f"return-path|{named}|{subscriber}"
    digest = hmac.new(key.encode(), said.encode(), hashlib.sha256).digest()
    return base64.b32encode(digest[:_MAC_BYTES]).decode().lower()


def _base36(number: int) -> str:
    text = ""
    while True:
        number, digit = divmod(number, 36)
        text = _DIGITS[digit] + text
        if not number:
            return text
