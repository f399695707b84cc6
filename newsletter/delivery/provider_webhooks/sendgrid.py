"""SendGrid: the signed event webhook.

Formats: "Event Webhook Reference" and "Getting Started with the Event Webhook Security Features".
"""

from base64 import b64decode
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
from cryptography.hazmat.primitives.hashes import SHA256

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
    read_json,
    text,
)
from newsletter.delivery.refusal_classifier import BounceKind
from newsletter.store.suppressions import Reason

_SIGNATURE = "x-twilio-email-event-webhook-signature"
_TIMESTAMP = "x-twilio-email-event-webhook-timestamp"

_KINDS = {
    "bounce": BounceKind.HARD,
    "spamreport": BounceKind.COMPLAINT,
    "unsubscribe": BounceKind.UNSUBSCRIBE,
    "group_unsubscribe": BounceKind.UNSUBSCRIBE,
}
_DROPPED = {
    "bounced address": Reason.BOUNCED,
    "bounce": Reason.BOUNCED,
    "invalid": Reason.BOUNCED,
    "invalid address": Reason.BOUNCED,
    "unsubscribed address": Reason.UNSUBSCRIBED,
    "spam reporting address": Reason.COMPLAINT,
}
"""Why a message was dropped, if it is for the address; others are for the message or the account."""


def verify(request: ProviderRequest, settings: EllipticCurvePublicKey, now: datetime) -> None:
    """Check the signature of a request, over its timestamp and its body.

    Args:
        settings: the public key of the webhook.

    Raises:
        ForgedRequest: it is missing or wrong, or old.
    """
    signature, timestamp = request.headers.get(_SIGNATURE, ""), request.headers.get(_TIMESTAMP, "")
    try:
        signed = timestamp.encode() + request.body
        settings.verify(b64decode(signature, validate=True), signed, ECDSA(SHA256()))
    except (InvalidSignature, ValueError):
        raise ForgedRequest("its signature is missing or wrong") from None
    check_fresh(moment(timestamp), now)


def replay_key(request: ProviderRequest) -> bytes:
    """Return what only the same request has: what is signed. The signature itself has many valid forms."""
    return request.headers.get(_TIMESTAMP, "").encode() + request.body


def events(body: bytes) -> list[ProviderEvent]:
    """Return the events of a verified request.

    Raises:
        UnreadableRequest: the body is not a list of events.
    """
    found = read_json(body)
    if not isinstance(found, list):
        raise UnreadableRequest("the body is not a list of events")
    return read_each(found, _events)


def _events(item: dict[str, Any]) -> Iterator[ProviderEvent]:
    name, reason = text(item.get("event")), None
    kind = _KINDS.get(name)
    if name == "bounce" and text(item.get("type")).lower() in ("blocked", "expired"):
        kind = BounceKind.SOFT
    if name == "dropped":
        reason = _dropped_for(item)
        kind = BounceKind.SUPPRESSED if reason is not None else None
    if kind is None:
        return
    status, diagnostic = failure(item.get("status"), item.get("reason") or item.get("response") or name)
    yield ProviderEvent(
        kind=kind,
        address=address(item.get("email")),
        id=identifier(item.get("sg_event_id")),
        at=moment(item.get("timestamp")),
        message_ids=message_ids(item.get("smtp-id")),
        status=status,
        diagnostic=diagnostic,
        reason=reason,
    )


def _dropped_for(item: dict[str, Any]) -> Reason | None:
    said = (text(item.get(name)).lower() for name in ("reason", "type"))
    return next((_DROPPED[one] for one in said if one in _DROPPED), None)
