"""Signed links: who holds one may act for the subscriber it names, for the one purpose it was made for."""

from dataclasses import dataclass
from enum import StrEnum
from functools import cache

from itsdangerous import BadSignature, URLSafeSerializer


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
        """The signed part of such a link: letters, digits, ``-``, ``_`` and dots."""
        return str(_serializer(self.key, purpose).dumps(subscriber))

    def subscriber(self, purpose: Purpose, token: str) -> int | None:
        """Whom a token speaks for, None when it was not signed here for this purpose."""
        try:
            read = _serializer(self.key, purpose).loads(token)
        except BadSignature:
            return None
        return read if isinstance(read, int) else None


@cache
def _serializer(key: str, purpose: Purpose) -> URLSafeSerializer:
    # Kept, since making one takes longer than signing.
    return URLSafeSerializer(key, salt=f"newsletter.{purpose.value}")
