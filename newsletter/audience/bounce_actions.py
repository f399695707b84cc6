"""Effects of bounces and complaints: subscribers are paused or ended, and addresses suppressed."""

from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy import Connection

from newsletter.audience import subscriber_states
from newsletter.config.mail import Bounces
from newsletter.delivery.refusal_classifier import BounceKind
from newsletter.model import Send, Subscriber, SubscriberState
from newsletter.store import bounces, suppressions
from newsletter.store import subscribers as store
from newsletter.store.suppressions import Reason, Suppression


def apply_bounce(
    connection: Connection,
    subscriber: Subscriber,
    send: Send | None,
    kind: BounceKind,
    settings: Bounces,
    now: datetime,
) -> SubscriberState | None:
    """Apply the effect of a bounce, complaint or unsubscribe email.

    Args:
        send: the send it is about; None for an unsubscribe email, or an address that a mail provider names.
        settings: the limits of hard bounces (suppress) and soft bounces (pause).

    Returns:
        The state that it brought the subscriber into, None when it changed no state.
    """
    match kind:
        case BounceKind.UNSUBSCRIBE:
            return _changed(connection, subscriber, SubscriberState.UNSUBSCRIBED, now)
        case BounceKind.COMPLAINT:
            for address in {subscriber.email, send.email if send else subscriber.email}:
                suppressions.suppress(connection, address, Reason.COMPLAINT, now)
            return _changed(connection, subscriber, SubscriberState.UNSUBSCRIBED, now)
        case BounceKind.HARD if send is None:
            return apply_suppression(connection, subscriber, subscriber.email, Reason.BOUNCED, now)
        case BounceKind.HARD if send is not None and not _is_outdated(subscriber, send):
            if _number_back(connection, subscriber, send, kind, subscriber.state_since) < settings.hard_limit:
                return None
            suppressions.suppress(connection, send.email, Reason.BOUNCED, now)
            if subscriber.state is not SubscriberState.UNSUBSCRIBED and _is_to_current_address(subscriber, send):
                return _changed(connection, subscriber, SubscriberState.BOUNCED, now)
        case BounceKind.SOFT if send is not None and not _is_outdated(subscriber, send):
            since = max(now - timedelta(days=settings.soft_days), subscriber.state_since or now)
            number = _number_back(connection, subscriber, send, kind, since)
            active = subscriber.state is SubscriberState.ACTIVE and _is_to_current_address(subscriber, send)
            if active and number >= settings.soft_limit:
                return _changed(connection, subscriber, SubscriberState.PAUSED, now)
    return None


def apply_suppression(
    connection: Connection, subscriber: Subscriber, address: str, reason: Reason, now: datetime
) -> SubscriberState | None:
    """Suppress a present or former address of a subscriber; if it is the present one, end the subscription.

    Returns:
        The state that it brought the subscriber into, None when it changed no state.
    """
    suppressions.suppress(connection, address, reason, now)
    if store.email_key(address) != store.email_key(subscriber.email):
        return None
    if reason is not Reason.BOUNCED:
        return _changed(connection, subscriber, SubscriberState.UNSUBSCRIBED, now)
    if subscriber.state is SubscriberState.UNSUBSCRIBED:
        return None
    return _changed(connection, subscriber, SubscriberState.BOUNCED, now)


def _is_outdated(subscriber: Subscriber, send: Send) -> bool:
    """Whether a send was sent before the subscriber became active again."""
    active, since = subscriber.state is SubscriberState.ACTIVE, subscriber.state_since
    return active and send.settled_at is not None and since is not None and send.settled_at < since


def _is_to_current_address(subscriber: Subscriber, send: Send) -> bool:
    return store.email_key(send.email) == store.email_key(subscriber.email)


def _number_back(
    connection: Connection, subscriber: Subscriber, send: Send, kind: BounceKind, since: datetime | None
) -> int:
    """Count the bounces of a kind at the address of a send, including this one."""
    if since is None:
        return 1
    return len(bounces.sends_back(connection, subscriber.row, kind, send.email, since) | {send.row})


def _changed(
    connection: Connection, subscriber: Subscriber, state: SubscriberState, now: datetime
) -> SubscriberState | None:
    subscriber_states.set_state(connection, subscriber, state, now)
    return state if state is not subscriber.state else None


def forgive(connection: Connection, email: str, now: datetime) -> tuple[Suppression | None, Subscriber | None]:
    """Remove an address from the suppression list. Subscribers who bounced, or were paused for it, become active again;
    those who unsubscribed must ask to come back.

    Returns:
        The suppression and the updated subscriber of the address, or None.
    """
    suppression, subscriber = suppressions.find(connection, email), store.by_email(connection, email)
    suppressions.lift(connection, email)
    if subscriber is not None and is_bounced_out(connection, subscriber):
        subscriber_states.set_state(connection, subscriber, SubscriberState.ACTIVE, now)
        subscriber = replace(subscriber, state=SubscriberState.ACTIVE)
    return suppression, subscriber


def is_bounced_out(connection: Connection, subscriber: Subscriber) -> bool:
    """Whether a subscriber bounced, or is paused for bouncing."""
    if subscriber.state is not SubscriberState.PAUSED:
        return subscriber.state is SubscriberState.BOUNCED
    # Subscribers can also pause themselves.
    last = bounces.last_effect(connection, subscriber.row)
    return last is not None and last == (SubscriberState.PAUSED.value, subscriber.state_since)
