"""Brevo: webhooks of transactional emails, single or batched.

Formats: "Transactional webhooks", "Batched webhooks" and "Secure webhook calls" in Brevo's documentation.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from newsletter.delivery.provider_webhooks.base import (
    Credentials,
    ProviderEvent,
    ProviderRequest,
    UnreadableRequest,
    address,
    check_credentials,
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

_KINDS = {
    "hard_bounce": BounceKind.HARD,
    "invalid_email": BounceKind.HARD,
    "invalid": BounceKind.HARD,
    "soft_bounce": BounceKind.SOFT,
    "spam": BounceKind.COMPLAINT,
    "complaint": BounceKind.COMPLAINT,
    "unsubscribed": BounceKind.UNSUBSCRIBE,
    "unsubscribe": BounceKind.UNSUBSCRIBE,
    "blocked": BounceKind.SUPPRESSED,
}


def verify(request: ProviderRequest, settings: Credentials, now: datetime) -> None:
    """Check the credentials of a request. Brevo does not sign requests, so they have no time to check.

    Raises:
        ForgedRequest: they are missing or wrong.
    """
    check_credentials(request, settings)


def replay_key(request: ProviderRequest) -> bytes:
    """Return what only the same request has."""
    return request.body


def events(body: bytes) -> list[ProviderEvent]:
    """Return the events of a verified request.

    Raises:
        UnreadableRequest: the body is neither an event nor a list of events.
    """
    found = read_json(body)
    if not isinstance(found, dict | list):
        raise UnreadableRequest("the body is neither an event nor a list of events")
    return read_each(found if isinstance(found, list) else [found], _events)


def _events(item: dict[str, Any]) -> Iterator[ProviderEvent]:
    name = text(item.get("event")).lower()
    kind = _KINDS.get(name)
    if kind is None:
        return
    status, diagnostic = failure(None, item.get("reason") or f"{name} at Brevo")
    # The "id" is that of the webhook. Only "ts_epoch" and "ts_event" are in UTC.
    at = item.get("ts_epoch") or item.get("ts_event") or item.get("ts")
    yield ProviderEvent(
        kind=kind,
        address=address(item.get("email")),
        id=identifier(item.get("message-id")),
        at=moment(at),
        message_ids=message_ids(item.get("message-id")),
        status=status,
        diagnostic=diagnostic,
        reason=_blocked_for(diagnostic.lower()) if kind is BounceKind.SUPPRESSED else None,
    )


def _blocked_for(said: str) -> Reason:
    if "unsub" in said:
        return Reason.UNSUBSCRIBED
    return Reason.COMPLAINT if "spam" in said or "complain" in said else Reason.BOUNCED
