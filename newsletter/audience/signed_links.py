"""Signed links: the holder of a link may act for its subscriber, for one purpose.

Links are stable until the subscriber disables them, which raises the version of new links. ``UNSUBSCRIBE`` and
``ANNOUNCEMENTS`` (can only end mail) and ``DIGEST`` (carries no rights) have no version.
"""

import hashlib
import hmac
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from functools import cache

from itsdangerous import BadSignature, Signer
from itsdangerous.encoding import want_bytes

from newsletter.errors import UserError


class TokenPurpose(StrEnum):
    """The purpose of a link; its token is not valid for any other."""

    UNSUBSCRIBE = "unsubscribe"
    ANNOUNCEMENTS = "announcements"
    PREFERENCES = "preferences"
    FEEDBACK = "feedback"
    RATINGS = "ratings"
    SAVE = "save"
    SAVED = "saved"
    SAVED_FEED = "feeds/saved"
    DIGEST = "digest"
    FEED = "feeds/private"
    CONFIRM = "confirm"
    APPROVE = "approve"
    UNDO = "undo"


_BY_EMAIL = timedelta(hours=48)
VALID_FOR = {TokenPurpose.CONFIRM: _BY_EMAIL, TokenPurpose.APPROVE: _BY_EMAIL, TokenPurpose.UNDO: timedelta(hours=1)}
"""Lifetime of links that expire."""


REVOCABLE = frozenset(
    {
        TokenPurpose.PREFERENCES,
        TokenPurpose.FEEDBACK,
        TokenPurpose.RATINGS,
        TokenPurpose.SAVE,
        TokenPurpose.SAVED,
        TokenPurpose.SAVED_FEED,
        TokenPurpose.FEED,
    }
)
"""Links that a subscriber can disable."""


class LinkExpired(Exception):
    """A token is genuine, but has expired."""


@dataclass(frozen=True, slots=True)
class TokenHolder:
    """The subscriber (by row) of a link, and the link's version."""

    row: int
    version: int = 0


@dataclass(frozen=True, slots=True)
class Links:
    """Makes the links of a site and reads their tokens.

    Attributes:
        site_url: the public URL, without a slash at the end; None without a public site, which has tokens but no URLs.
        key: the site's signing key.
    """

    site_url: str | None
    key: str

    def page(self, purpose: TokenPurpose, token: str) -> str:
        """Return the link with a token.

        Raises:
            UserError: there is no public site.
        """
        if self.site_url is None:
            raise UserError("site.url: not set, so no link can lead to the site; set it in config.yaml")
        return f"{self.site_url}/{purpose.value}/{token}"

    def url(self, purpose: TokenPurpose, subscriber: int, version: int = 0) -> str:
        """Return the link of a subscriber (by row) for a purpose. It is always the same."""
        return self.page(purpose, self.token(purpose, subscriber, version))

    def token(self, purpose: TokenPurpose, subscriber: int, version: int = 0) -> str:
        """Return the token of such a link: letters, digits and dots.

        Args:
            version: the subscriber's ``link_version``; ignored unless the purpose is ``REVOCABLE``.
        """
        return self._signed(purpose, f"{subscriber}{_suffix(purpose, version)}")

    def subscriber(self, purpose: TokenPurpose, token: str) -> TokenHolder | None:
        """Verify a token; None if it was not signed here for this purpose. The caller must compare the version with the
        subscriber's, to reject disabled links.
        """
        return _holder((self._read(purpose, token) or "").split("."))

    def feedback_url(self, subscriber: int, paper: int, verdict: str, version: int = 0) -> str:
        """Return the feedback link of a subscriber for a paper (both by row) and ``more`` or ``less``."""
        return self.page(TokenPurpose.FEEDBACK, self.feedback_token(subscriber, paper, verdict, version))

    def feedback_token(self, subscriber: int, paper: int, verdict: str, version: int = 0) -> str:
        """Return the token of such a link."""
        return self._about(TokenPurpose.FEEDBACK, subscriber, version, paper, verdict)

    def feedback(self, token: str) -> tuple[TokenHolder, int, str] | None:
        """Return holder, paper and verdict of a feedback token; None if it is invalid."""
        found = self._read_about(TokenPurpose.FEEDBACK, token, 2)
        return (found[0], int(found[1][0]), found[1][1]) if found is not None else None

    def save_url(self, subscriber: int, paper: int, version: int = 0) -> str:
        """Return the link that saves a paper to a subscriber's reading list (both by row)."""
        token = self._about(TokenPurpose.SAVE, subscriber, version, paper)
        return self.page(TokenPurpose.SAVE, token)

    def save(self, token: str) -> tuple[TokenHolder, int] | None:
        """Return holder and paper of the token of such a link; None if it is invalid."""
        found = self._read_about(TokenPurpose.SAVE, token, 1)
        return (found[0], int(found[1][0])) if found is not None else None

    def digest_url(self, subscriber: int, edition: date) -> str:
        """Return the link to a subscriber's digest of an edition."""
        return self.page(TokenPurpose.DIGEST, self._signed(TokenPurpose.DIGEST, f"{subscriber}.{edition:%Y%m%d}"))

    def digest(self, token: str) -> tuple[int, date] | None:
        """Return the subscriber (by row) and edition of a digest token; None if it is invalid."""
        row, _, day = (self._read(TokenPurpose.DIGEST, token) or "").partition(".")
        return (int(row), datetime.strptime(day, "%Y%m%d").replace(tzinfo=UTC).date()) if day else None

    def timed_token(self, purpose: TokenPurpose, row: int, at: datetime) -> str:
        """Return a token that is valid for ``VALID_FOR`` from a moment (UTC, to the microsecond)."""
        return self._signed(purpose, f"{row}.{_microseconds(at)}")

    def timed(self, purpose: TokenPurpose, token: str, now: datetime) -> tuple[int, datetime] | None:
        """Return the row and the moment of a timed token; None if it is invalid.

        Raises:
            LinkExpired: the token has expired.
        """
        row, _, at = (self._read(purpose, token) or "").partition(".")
        if not at:
            return None
        made = _EPOCH + timedelta(microseconds=int(at))
        if now - made > VALID_FOR[purpose]:
            raise LinkExpired
        return int(row), made

    def _about(self, purpose: TokenPurpose, subscriber: int, version: int, *about: object) -> str:
        """Sign a token that is about something: the subscriber's row, what it is about, and the version."""
        named = ".".join(map(str, (subscriber, *about)))
        return self._signed(purpose, f"{named}{_suffix(purpose, version)}")

    def _read_about(self, purpose: TokenPurpose, token: str, number: int) -> tuple[TokenHolder, list[str]] | None:
        """Return the holder of such a token and the ``number`` parts that say what it is about."""
        row, *rest = (self._read(purpose, token) or "").split(".")
        if len(rest) not in (number, number + 1):
            return None
        holder = _holder([row, *rest[number:]])
        return (holder, rest[:number]) if holder is not None else None

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
    # Version 0 has no suffix, so that links sent before versions existed keep working.
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
    # Cached: creating a signer takes longer than signing.
    return _HexSigner(key, salt=f"newsletter.{purpose.value}", digest_method=hashlib.sha256)
