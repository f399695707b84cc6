"""Signed links: who holds one may act for the subscriber it names, for the one purpose it was made for."""

import hashlib
import hmac
from dataclasses import dataclass
from enum import StrEnum
from functools import cache

from itsdangerous import BadSignature, Signer
from itsdangerous.encoding import want_bytes


class Purpose(StrEnum):
    """What a link is for; a token made for one purpose is worth nothing for another."""

    UNSUBSCRIBE = "unsubscribe"
    PREFERENCES = "preferences"


@dataclass(frozen=True, slots=True)
class Links:
    """Makes the links of a site and reads their tokens.

    Attributes:
        site_url: the public URL, without a slash at the end.
        key: the site's signing key.
    """

    site_url: str
    key: str

    def url(self, purpose: Purpose, subscriber: int) -> str:
        """The link by which a subscriber (a row of the store) can act. The same link each time."""
        return f"{self.site_url}/{purpose.value}/{self.token(purpose, subscriber)}"

    def token(self, purpose: Purpose, subscriber: int) -> str:
        """The signed part of such a link: letters, digits and dots."""
        return _signer(self.key, purpose).sign(str(subscriber)).decode()

    def subscriber(self, purpose: Purpose, token: str) -> int | None:
        """Whom a token speaks for, None when it was not signed here for this purpose."""
        try:
            return int(_signer(self.key, purpose).unsign(token))
        except (BadSignature, ValueError):
            return None


class _HexSigner(Signer):
    """Writes signatures in hexadecimal digits.

    In base64, one in a few hundred has a stretch that SpamAssassin takes for a Bitcoin address (rule ``PDS_BTC_ID``,
    one point); 64 digits without a break are too long for one.
    """

    def get_signature(self, value: str | bytes) -> bytes:
        return self.algorithm.get_signature(self.derive_key(), want_bytes(value)).hex().encode()

    def verify_signature(self, value: str | bytes, sig: str | bytes) -> bool:
        return hmac.compare_digest(self.get_signature(value), want_bytes(sig))


@cache
def _signer(key: str, purpose: Purpose) -> Signer:
    # Kept, since making one takes longer than signing.
    return _HexSigner(key, salt=f"newsletter.{purpose.value}", digest_method=hashlib.sha256)
