"""Postmark: webhooks of bounces, spam complaints and subscription changes.

Formats: "Bounce webhook", "Spam complaint webhook", "Subscription change webhook" and "Bounce types".
"""

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from newsletter.delivery.provider_webhooks.base import (
    Credentials,
    ProviderEvent,
    ProviderRequest,
    address,
    check_credentials,
    failure,
    identifier,
    message_ids,
    moment,
    read_each,
    read_object,
    text,
)
from newsletter.delivery.refusal_classifier import BounceKind
from newsletter.store.suppressions import Reason

HEADER = "x-webhook-secret"
"""The custom header that may have the password, instead of basic authentication."""

_KINDS = {
    "HardBounce": BounceKind.HARD,
    "BadEmailAddress": BounceKind.HARD,
    "SoftBounce": BounceKind.SOFT,
    "Transient": BounceKind.SOFT,
    "DnsError": BounceKind.SOFT,
    "Unknown": BounceKind.SOFT,
    "Blocked": BounceKind.REFUSED,
    "SpamNotification": BounceKind.REFUSED,
    "VirusNotification": BounceKind.REFUSED,
    "DMARCPolicy": BounceKind.REFUSED,
    "SpamComplaint": BounceKind.COMPLAINT,
    "Unsubscribe": BounceKind.UNSUBSCRIBE,
}
_SUPPRESSED = {
    "HardBounce": Reason.BOUNCED,
    "SpamComplaint": Reason.COMPLAINT,
    "ManualSuppression": Reason.UNSUBSCRIBED,
}
_MESSAGE_ID = re.compile(r"^Message-ID:[ \t]*(<[^<>\s]{3,250}>)", re.IGNORECASE | re.MULTILINE)
_READ_OF_CONTENT = 100_000
_MOST_NAMED = 10


def verify(request: ProviderRequest, settings: Credentials, now: datetime) -> None:
    """Check the credentials of a request. Postmark does not sign requests, so they have no time to check.

    Raises:
        ForgedRequest: they are missing or wrong.
    """
    check_credentials(request, settings, HEADER)


def replay_key(request: ProviderRequest) -> bytes:
    """Return what only the same request has."""
    return request.body


def events(body: bytes) -> list[ProviderEvent]:
    """Return the events of a verified request.

    Raises:
        UnreadableRequest: the body is not a JSON object.
    """
    return read_each([read_object(body)], _events)


def _events(item: dict[str, Any]) -> Iterator[ProviderEvent]:
    match text(item.get("RecordType")):
        case "Bounce":
            yield from _bounce(item)
        case "SpamComplaint":
            yield _event(item, BounceKind.COMPLAINT)
        case "SubscriptionChange" if item.get("SuppressSending") is True:
            reason = _SUPPRESSED.get(text(item.get("SuppressionReason")), Reason.UNSUBSCRIBED)
            yield ProviderEvent(
                kind=BounceKind.SUPPRESSED,
                address=address(item.get("Recipient")),
                id=identifier(item.get("MessageID")),
                at=moment(item.get("ChangedAt")),
                diagnostic=f"suppressed at Postmark: {text(item.get('SuppressionReason')) or 'no reason given'}"[:100],
                reason=reason,
            )


def _bounce(item: dict[str, Any]) -> Iterator[ProviderEvent]:
    name = text(item.get("Type"))
    kind = _KINDS.get(name)
    if kind is not None:
        yield _event(item, kind)
    if name == "ManuallyDeactivated":
        yield _event(item, BounceKind.SUPPRESSED, Reason.UNSUBSCRIBED)
    elif item.get("Inactive") is True and kind not in (BounceKind.COMPLAINT, BounceKind.UNSUBSCRIBE):
        # From now on Postmark drops whatever is sent there.
        yield _event(item, BounceKind.SUPPRESSED, Reason.BOUNCED)


def _event(item: dict[str, Any], kind: BounceKind, reason: Reason | None = None) -> ProviderEvent:
    content = item.get("Content")
    # The returned message, if the webhook includes it; the "MessageID" is Postmark's own.
    quoted = _MESSAGE_ID.findall(content[:_READ_OF_CONTENT])[:_MOST_NAMED] if isinstance(content, str) else []
    status, diagnostic = failure(None, item.get("Details") or item.get("Description"))
    return ProviderEvent(
        kind=kind,
        address=address(item.get("Email")),
        id=identifier(item.get("ID")),
        at=moment(item.get("BouncedAt")),
        message_ids=message_ids(*quoted),
        status=status,
        diagnostic=diagnostic,
        reason=reason,
    )
