"""Requests of mail providers and the events they report, in one form; and what their modules have in common."""

import hmac
import json
import logging
import math
from base64 import b64decode
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parseaddr
from typing import Any

from newsletter.delivery.refusal_classifier import BounceKind, status_in
from newsletter.store.suppressions import Reason
from newsletter.support.text import shorten_middle, to_single_line

LONGEST_SKEW = timedelta(minutes=15)
"""How far the time of a signature may be from now. Providers send a request that failed again after minutes."""

_LONGEST_DIAGNOSTIC = 300
_LONGEST_ADDRESS = 320
_LONGEST_ID = 500
_MILLISECONDS_FROM = 100_000_000_000
"""Seconds of this size are in the year 5138, so such a number is one of milliseconds."""

log = logging.getLogger("uvicorn.error")


class ForgedRequest(Exception):
    """A request is not proven to come from the provider, or is old; the text says why, for the log.

    Args:
        challenge: the scheme of HTTP authentication to ask for; empty if credentials were given, and are wrong.
    """

    def __init__(self, why: str, challenge: str = "") -> None:
        self.challenge = challenge
        super().__init__(why)


class UnreadableRequest(Exception):
    """The body of a request is not in the provider's format."""


@dataclass(frozen=True, slots=True)
class ProviderRequest:
    """A request of a provider: its headers (names in lower case) and its body."""

    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderEvent:
    """What a provider reports about one address.

    Attributes:
        kind: hard, soft, refused, complaint, unsubscribe or suppressed.
        address: the recipient, without name; empty if unknown.
        id: the provider's name for the event; empty if it has none.
        at: when it happened (UTC), None if the provider does not say.
        message_ids: what may be the Message-ID that we gave the message, with angle brackets.
        return_path: the envelope sender of the message, empty if unknown.
        status: the enhanced status code (RFC 3463), if any. ``diagnostic``: the server's text, in one line.
        reason: why the provider suppresses the address; None for other kinds.
    """

    kind: BounceKind
    address: str = ""
    id: str = ""
    at: datetime | None = None
    message_ids: tuple[str, ...] = ()
    return_path: str = ""
    status: str | None = None
    diagnostic: str = ""
    reason: Reason | None = None


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a provider shows with each request.

    Attributes:
        secret: the password of basic authentication, a bearer token, or the value of a header.
        user: the user name of basic authentication; any if None.
    """

    secret: str
    user: str | None = None


def read_json(body: bytes) -> Any:
    """Parse a body as JSON.

    Raises:
        UnreadableRequest: it is not JSON.
    """
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise UnreadableRequest("the body is not JSON") from None


def read_object(body: bytes) -> dict[str, Any]:
    """Parse a body as a JSON object. Raises the same error as :func:`read_json`."""
    found = read_json(body)
    if not isinstance(found, dict):
        raise UnreadableRequest("the body is not a JSON object")
    return found


def read_each(items: Iterable[Any], read: Callable[[dict[str, Any]], Iterable[ProviderEvent]]) -> list[ProviderEvent]:
    """Read the events of a batch. One that cannot be read is left out, so that it does not stop the others."""
    found: list[ProviderEvent] = []
    for number, item in enumerate(items, 1):
        try:
            found += [one for one in read(item) if one.address or one.message_ids or one.return_path]
        except (AttributeError, KeyError, IndexError, TypeError, ValueError, OverflowError) as error:
            log.warning("webhooks: event %d of a request cannot be read (%s)", number, type(error).__name__)
    return found


def within(item: Mapping[str, Any], *names: str) -> Any:
    """Return the value at a path of names in nested objects, None if it is missing."""
    value: Any = item
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def text(value: object) -> str:
    """Return a text or a number as text in one line, anything else as an empty text."""
    return to_single_line(str(value)) if isinstance(value, str | int | float) and not isinstance(value, bool) else ""


def identifier(value: object) -> str:
    """Return a provider's name for something, at a limited length."""
    return text(value)[:_LONGEST_ID]


def address(value: object) -> str:
    """Return the address in a text like ``Ada <ada@example.org>``; empty without one."""
    found = parseaddr(text(value))[1]
    return found if "@" in found and len(found) <= _LONGEST_ADDRESS else ""


def message_ids(*values: object) -> tuple[str, ...]:
    """Return Message-IDs with angle brackets, which some providers leave out."""
    plain = (identifier(value).strip("<>") for value in values)
    return tuple(dict.fromkeys(f"<{one}>" for one in plain if one))


def failure(status: object, words: object) -> tuple[str | None, str]:
    """Return the enhanced status code of a failure, from its field or else its text, and the text in one line."""
    said = text(words)
    return status_in(text(status)) or status_in(said), shorten_middle(said, _LONGEST_DIAGNOSTIC)


def moment(value: object) -> datetime | None:
    """Return the time (UTC) of a number of seconds or milliseconds since 1970, or of an ISO 8601 text."""
    try:
        if isinstance(value, str) and not value.replace(".", "", 1).isdigit():
            read = datetime.fromisoformat(value.strip())
            return read.replace(tzinfo=UTC) if read.tzinfo is None else read.astimezone(UTC)
        seconds = float(value) if isinstance(value, str | int | float) else math.nan
        return datetime.fromtimestamp(seconds / 1000 if seconds >= _MILLISECONDS_FROM else seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def check_fresh(signed_at: datetime | None, now: datetime, longest: timedelta = LONGEST_SKEW) -> None:
    """Reject a request whose signature is not of now.

    Raises:
        ForgedRequest: it is older than ``longest``, as far in the future, or has no time.
    """
    if signed_at is None or abs(now - signed_at) > longest:
        raise ForgedRequest("its time is missing, or too far from now")


def same(shown: str, expected: str) -> bool:
    """Compare a secret in constant time."""
    return hmac.compare_digest(shown.encode("utf-8", "replace"), expected.encode("utf-8", "replace"))


def check_credentials(request: ProviderRequest, expected: Credentials, header: str | None = None) -> None:
    """Check basic authentication (RFC 7617), a bearer token (RFC 6750), or the secret in a header of its own.

    Raises:
        ForgedRequest: none of them is there, or they are wrong.
    """
    if header is not None and (shown := request.headers.get(header)) is not None:
        if not same(shown.strip(), expected.secret):
            raise ForgedRequest(f"the secret in {header} is wrong")
        return
    scheme, _, value = request.headers.get("authorization", "").strip().partition(" ")
    match scheme.lower():
        case "basic":
            user, password = _basic(value)
            # Both are compared, so that the time does not tell which one is wrong.
            if not (same(password, expected.secret) & (expected.user is None or same(user, expected.user))):
                raise ForgedRequest("the user or the password is wrong")
        case "bearer":
            if not same(value.strip(), expected.secret):
                raise ForgedRequest("the token is wrong")
        case _:
            raise ForgedRequest("it has no credentials", challenge="Basic")


def _basic(value: str) -> tuple[str, str]:
    try:
        user, _, password = b64decode(value.strip(), validate=True).decode().partition(":")
    except ValueError:
        raise ForgedRequest("the credentials cannot be read") from None
    return user, password
