"""Signed links: who holds one may act for the subscriber it names, for the one purpose it was made for.

A link is the same each time it is made, until the subscriber signs out all links: that raises the version in which they
are made from then on. What can only end mail (``UNSUBSCRIBE``), and what carries no rights (``DIGEST``), has none.
"""

import hashlib
import hmac
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from functools import cache

from itsdangerous import BadSignature, Signer
from itsdangerous.encoding import want_bytes


class TokenPurpose(StrEnum):
    """What a link is for; a token made for one purpose is worth nothing for another."""

    UNSUBSCRIBE = "unsubscribe"
    PREFERENCES = "preferences"
    FEEDBACK = "feedback"
    DIGEST = "digest"
    FEED = "feeds/private"
    CONFIRM = "confirm"
    APPROVE = "approve"
    UNDO = "undo"


_BY_EMAIL = timedelta(hours=48)
VALID_FOR = {TokenPurpose.CONFIRM: _BY_EMAIL, TokenPurpose.APPROVE: _BY_EMAIL, TokenPurpose.UNDO: timedelta(hours=1)}
"""How long links are good that are not good for ever."""


REVOCABLE = frozenset({TokenPurpose.PREFERENCES, TokenPurpose.FEEDBACK, TokenPurpose.FEED})
"""Links that a subscriber can sign out; all others stand as they were made."""


class LinkExpired(Exception):
    """A token was signed here, and its time is over."""


@dataclass(frozen=True, slots=True)
class TokenHolder:
    """Whom a link speaks for: a subscriber (by row), and the version of the links that it was made in."""

    row: int
    version: int = 0


@dataclass(frozen=True, slots=True)
class Links:
    """Makes the links of a site and reads their tokens.

    Attributes:
        site_url: the public URL, without a slash at the end.
        key: the site's signing key.
    """

    site_url: str
    key: str

    def url(self, purpose: TokenPurpose, subscriber: int, version: int = 0) -> str:
        """The link by which a subscriber (a row of the store) can act. The same link each time."""
        return f"{self.site_url}/{purpose.value}/{self.token(purpose, subscriber, version)}"

    def token(self, purpose: TokenPurpose, subscriber: int, version: int = 0) -> str:
        """The signed part of such a link: letters, digits and dots.

        Args:
            version: the subscriber's ``link_version``; of no account where the purpose is not ``REVOCABLE``.
        """
        return self._signed(purpose, f"{subscriber}{_suffix(purpose, version)}")

    def subscriber(self, purpose: TokenPurpose, token: str) -> TokenHolder | None:
        """Whom a token speaks for, None when it was not signed here for this purpose. Whether the subscriber has signed
        it out since is the caller's to check: the version is then another.
        """
        return _holder((self._read(purpose, token) or "").split("."))

    def feedback_url(self, subscriber: int, paper: int, verdict: str, version: int = 0) -> str:
        """The link by which a subscriber says ``more`` or ``less`` of a paper (both by row)."""
        token = self._signed(
            TokenPurpose.FEEDBACK, f"{subscriber}.{paper}.{verdict}{_suffix(TokenPurpose.FEEDBACK, version)}"
        )
        return f"{self.site_url}/{TokenPurpose.FEEDBACK.value}/{token}"

    def feedback(self, token: str) -> tuple[TokenHolder, int, str] | None:
        """Whom such a token speaks for, of which paper, and what it says; None as in :meth:`subscriber`."""
        row, *rest = (self._read(TokenPurpose.FEEDBACK, token) or "").split(".")
        if len(rest) not in (2, 3):
            return None
        holder = _holder([row, *rest[2:]])
        return (holder, int(rest[0]), rest[1]) if holder is not None else None

    def digest_url(self, subscriber: int, edition: date) -> str:
        """The link to a subscriber's digest of an edition."""
        token = self._signed(TokenPurpose.DIGEST, f"{subscriber}.{edition:%Y%m%d}")
        return f"{self.site_url}/{TokenPurpose.DIGEST.value}/{token}"

    def digest(self, token: str) -> tuple[int, date] | None:
        """Whose digest such a token is for, and of which edition; None as in :meth:`subscriber`."""
        row, _, day = (self._read(TokenPurpose.DIGEST, token) or "").partition(".")
        return (int(row), datetime.strptime(day, "%Y%m%d").replace(tzinfo=UTC).date()) if day else None

    def timed_token(self, purpose: TokenPurpose, row: int, at: datetime) -> str:
        """A token that is good for as long as ``VALID_FOR`` says from a moment (UTC) on, which is kept to the
        microsecond.
        """
        return self._signed(purpose, f"{row}.{_microseconds(at)}")

    def timed(self, purpose: TokenPurpose, token: str, now: datetime) -> tuple[int, datetime] | None:
        """The row that such a token is for, and the moment it was made for; None as in :meth:`subscriber`.

        Raises:
            LinkExpired: its time is over.
        """
        row, _, at = (self._read(purpose, token) or "").partition(".")
        if not at:
            return None
        made = _EPOCH + timedelta(microseconds=int(at))
        if now - made > VALID_FOR[purpose]:
            raise LinkExpired
        return int(row), made

    def _signed(self, purpose: TokenPurpose, value: str) -> str:
        return _signer(self.key, purpose).sign(value).decode()

    def _read(self, purpose: TokenPurpose, token: str) -> str | None:
        try:
            return _signer(self.key, purpose).unsign(token).decode()
        except (BadSignature, ValueError):
            return None


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _microseconds(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1)


def _suffix(purpose: TokenPurpose, version: int) -> str:
    # None in the first version, so that the links of messages sent before there were versions go on working.
    return f".{version}" if version and purpose in REVOCABLE else ""


def _holder(parts: list[str]) -> TokenHolder | None:
    if len(parts) > 2 or not all(part.isdecimal() for part in parts):
        return None
    return TokenHolder(*(int(part) for part in parts))


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
def _signer(key: str, purpose: TokenPurpose) -> Signer:
    # Kept, since making one takes longer than signing.
    return _HexSigner(key, salt=f"newsletter.{purpose.value}", digest_method=hashlib.sha256)
