"""Mailgun: webhooks with "event-data" (version 3).

Formats: "Securing Webhooks" and "Event Structure" in Mailgun's documentation.
"""

import hashlib
import hmac
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from newsletter.delivery.provider_webhooks.base import (
    ForgedRequest,
    ProviderEvent,
    ProviderRequest,
    UnreadableRequest,
    address,
    check_fresh,
    failure,
    identifier,
    message_ids,
    moment,
    read_each,
    read_object,
    same,
    text,
    within,
)
from newsletter.delivery.refusal_classifier import BounceKind
from newsletter.store.suppressions import Reason

_SHORTEST_TOKEN = 16
_SUPPRESSED = {
    "suppress-bounce": Reason.BOUNCED,
    "suppress-unsubscribe": Reason.UNSUBSCRIBED,
    "suppress-complaint": Reason.COMPLAINT,
}
_LASTING = ("bounce", "generic", "")
"""The reasons of a permanent failure that are about the mailbox; others are about a time or a sender."""

_GREYLISTED = ("greylisted", "greylistblock")


def verify(request: ProviderRequest, settings: str, now: datetime) -> None:
    """Check the signature of a request. It covers a timestamp and a token, but not the event.

    Args:
        settings: the HTTP webhook signing key.

    Raises:
        ForgedRequest: it is missing or wrong, or old.
        UnreadableRequest: the body is not a JSON object.
    """
    timestamp, token, shown = _signature(read_object(request.body))
    if len(token) < _SHORTEST_TOKEN:
        raise ForgedRequest("its signature has no token")
    expected = hmac.new(settings.encode(), f"{timestamp}{token}".encode(), hashlib.sha256).hexdigest()
    if not same(shown.lower(), expected):
        raise ForgedRequest("its signature is wrong")
    check_fresh(moment(timestamp), now)


def _signature(found: dict[str, Any]) -> tuple[str, str, str]:
    names = ("timestamp", "token", "signature")
    timestamp, token, shown = (text(within(found, "signature", name)) for name in names)
    return timestamp, token, shown


def replay_key(request: ProviderRequest) -> bytes:
    """Return what only the same request has: its token. It would sign any other event as well."""
    timestamp, token, _ = _signature(read_object(request.body))
    # Joined as they are signed: the same characters could be divided in another way.
    return f"{timestamp}{token}".encode()


def events(body: bytes) -> list[ProviderEvent]:
    """Return the event of a verified request.

    Raises:
        UnreadableRequest: the body has no event.
    """
    found = read_object(body).get("event-data")
    if not isinstance(found, dict):
        raise UnreadableRequest("the body has no event-data")
    return read_each([found], _events)


def _events(item: dict[str, Any]) -> Iterator[ProviderEvent]:
    name, cause = text(item.get("event")), text(item.get("reason")).lower()
    reason = _SUPPRESSED.get(cause) if name == "failed" else None
    kind = BounceKind.SUPPRESSED if reason is not None else _kind(name, text(item.get("severity")).lower(), cause)
    if kind is None:
        return
    said = [text(within(item, "delivery-status", field)) for field in ("code", "message", "description")]
    words = f"{said[0]} {said[1] or said[2]}".strip() if name == "failed" else f"{name} at Mailgun"
    status, diagnostic = failure(within(item, "delivery-status", "enhanced-code"), words)
    yield ProviderEvent(
        kind=kind,
        address=address(item.get("recipient")),
        id=identifier(item.get("id")),
        at=moment(item.get("timestamp")),
        message_ids=message_ids(within(item, "message", "headers", "message-id")),
        return_path=text(within(item, "envelope", "sender")),
        status=status,
        diagnostic=diagnostic,
        reason=reason,
    )


def _kind(name: str, severity: str, cause: str) -> BounceKind | None:
    if name == "complained":
        return BounceKind.COMPLAINT
    if name == "unsubscribed":
        return BounceKind.UNSUBSCRIBE
    # A server that greylists takes the message later, as always.
    if name != "failed" or cause in _GREYLISTED:
        return None
    if cause == "espblock":
        return BounceKind.REFUSED
    return BounceKind.HARD if severity == "permanent" and cause in _LASTING else BounceKind.SOFT
