"""The return path: an envelope sender of its own for each message, by which a report that comes back names it.

VERP, variable envelope return paths: what mail servers and people rewrite or leave out of a report, the address that
it is sent to says all the same.
"""

import base64
import hashlib
import hmac
import re
from datetime import date

_MAC_BYTES = 10
_MAC_LETTERS = 16
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_TOKEN = re.compile(rf"([0-9a-z]{{1,13}})-([0-9a-z]{{1,5}})-([a-z2-7]{{{_MAC_LETTERS}}})", re.IGNORECASE | re.ASCII)


def return_path(address: str, key: str, subscriber: int, edition: date) -> str:
    """The envelope's sender of a subscriber's digest in an edition, always the same.

    Args:
        address: where reports come back to, in ASCII, like ``bounces@papers.example.org``.
        key: the key that signs the token.

    Returns:
        The address with ``+`` and a token: letters of one case, digits and ``-``, since some servers fold case. Its
        signature has 80 bits: who has not seen the message cannot guess it.
    """
    local, _, domain = address.rpartition("@")
    token = f"{_base36(subscriber)}-{_base36(edition.toordinal())}-{_mac(key, subscriber, edition)}"
    return f"{local}+{token}@{domain}"


def tokens(address: str, text: str) -> list[str]:
    """The tokens of the return paths below an address that stand in a text, each once, in their order."""
    local, _, domain = address.rpartition("@")
    ours = rf"\b{re.escape(local)}\+({_TOKEN.pattern})@{re.escape(domain)}\b"
    found = re.finditer(ours, text, re.IGNORECASE | re.ASCII)
    return list(dict.fromkeys(match[1].lower() for match in found))


def read_token(key: str, token: str) -> tuple[int, date] | None:
    """The subscriber and the edition that a token stands for, None when it was not signed with the key."""
    match = _TOKEN.fullmatch(token)
    if match is None:
        return None
    try:
        subscriber, edition = int(match[1], 36), date.fromordinal(int(match[2], 36))
    except (ValueError, OverflowError):
        return None
    if not hmac.compare_digest(match[3].lower(), _mac(key, subscriber, edition)):
        return None
    return subscriber, edition


def _mac(key: str, subscriber: int, edition: date) -> str:
    said = f"return-path|{edition.isoformat()}|{subscriber}"
    digest = hmac.new(key.encode(), said.encode(), hashlib.sha256).digest()
    return base64.b32encode(digest[:_MAC_BYTES]).decode().lower()


def _base36(number: int) -> str:
    text = ""
    while True:
        number, digit = divmod(number, 36)
        text = _DIGITS[digit] + text
        if not number:
            return text
