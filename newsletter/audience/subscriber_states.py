"""States of subscribers: who gets mail, when each is due, and which addresses are suppressed."""

from datetime import datetime

from sqlalchemy import Connection

from newsletter.audience.next_due import next_due
from newsletter.errors import UserError
from newsletter.model import Preferences, Subscriber, SubscriberState
from newsletter.store import audit, mailings, suppressions
from newsletter.store import subscribers as store
from newsletter.store.suppressions import Reason

ENDED = (SubscriberState.UNSUBSCRIBED, SubscriberState.BOUNCED)
STRICT = (Reason.BOUNCED, Reason.COMPLAINT)
"""Suppression reasons that a request to come back does not lift."""


def check_not_suppressed(connection: Connection, email: str, where: str, strict: bool = False) -> None:
    suppression = suppressions.find(connection, email)
    if suppression is not None and (not strict or suppression.reason in STRICT):
        said = f"{suppression.reason}, {suppression.since:%Y-%m-%d}"
        fix = f"if there is a good reason, lift it with 'newsletter bounces forgive {email}'"
        if not where and suppression.reason not in STRICT:
            fix = "pass --again if that person asked to come back"
        raise UserError(f"{where}{email} is suppressed and gets no mail ({said}); {fix}")


def replan(connection: Connection, subscriber: Subscriber, now: datetime, before: Preferences) -> None:
    """Adapt what is planned to changed preferences: the next digest to the schedule, and waiting announcements are
    skipped for who wants none.
    """
    if before.announcements and not subscriber.preferences.announcements:
        mailings.withdraw(connection, subscriber.row, now)
    moved = before.schedule != subscriber.preferences.schedule
    if subscriber.state is SubscriberState.ACTIVE and (subscriber.next_due is None or moved):
        store.set_next_due(connection, {subscriber.row: next_due(subscriber.preferences.schedule, now)})


def set_state(
    connection: Connection, subscriber: Subscriber, state: SubscriberState, now: datetime, consent: str | None = None
) -> None:
    """Set a subscriber's state. Unsubscribed and bounced addresses are suppressed; active subscribers are due at the
    next scheduled time.

    Args:
        consent: where a new agreement came from, in words.
    """
    if state is subscriber.state:
        return
    store.set_state(connection, subscriber.row, state, now, consent)
    if state in ENDED:
        suppressions.suppress(connection, subscriber.email, Reason(state.value), now)
    if state is SubscriberState.ACTIVE:
        store.set_next_due(connection, {subscriber.row: next_due(subscriber.preferences.schedule, now)})


def unsubscribe(connection: Connection, email: str, now: datetime, actor: str = audit.SUBSCRIBER) -> Subscriber | None:
    """Unsubscribe an address at once; returns the subscriber, or None for an unknown address."""
    subscriber = store.by_email(connection, email)
    if subscriber is not None:
        set_state(connection, subscriber, SubscriberState.UNSUBSCRIBED, now)
        if subscriber.state is not SubscriberState.UNSUBSCRIBED:
            audit.record(connection, actor, "subscriber.unsubscribe", subscriber.email, now, subscriber.row)
    return subscriber


def undo_unsubscribe(connection: Connection, row: int, since: datetime, now: datetime) -> bool:
    """Have a subscriber be again what it was before it unsubscribed at a moment; returns whether that could be: not
    when more has happened since, such as a complaint.
    """
    subscriber = store.by_rows(connection, [row]).get(row)
    if subscriber is None or (subscriber.state, subscriber.state_since) != (SubscriberState.UNSUBSCRIBED, since):
        return False
    suppression = suppressions.find(connection, subscriber.email)
    if suppression is not None and suppression.reason in STRICT:
        return False
    suppressions.lift(connection, subscriber.email)
    until = subscriber.paused_until
    if until is not None and until > now:
        pause(connection, subscriber, now, until)
    else:
        set_state(connection, subscriber, SubscriberState.ACTIVE, now)
    audit.record(connection, audit.SUBSCRIBER, "subscriber.undo", subscriber.email, now, row)
    return True


def pause(connection: Connection, subscriber: Subscriber, now: datetime, until: datetime) -> None:
    """Pause a subscriber until a moment (UTC)."""
    set_state(connection, subscriber, SubscriberState.PAUSED, now)
    store.set_pause(connection, subscriber.row, until)


def end_pauses(connection: Connection, now: datetime, limit: int) -> int:
    """Bring back those whose pause is over, ``limit`` at most: each is due at the next time of the schedule, or now
    when that time has come since the pause ended. Returns how many.
    """
    back = store.pauses_over(connection, now, limit)
    for subscriber in back:
        set_state(connection, subscriber, SubscriberState.ACTIVE, now)
        due = next_due(subscriber.preferences.schedule, subscriber.paused_until or now)
        store.set_next_due(connection, {subscriber.row: due})
    return len(back)
