"""What operators and programs do to subscribers: each change is recorded in the audit log, in the same transaction."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from newsletter.audience import subscriber_states, subscriptions
from newsletter.audience.data_export import export_data
from newsletter.errors import Conflict, NotFound, UserError
from newsletter.model import Preferences, Subscriber, SubscriberState
from newsletter.services.context import AppContext
from newsletter.services.retention import erase_subscriber, find_subscriber
from newsletter.store import audit, reading, subscribers, suppressions, tags, writing
from newsletter.store.suppressions import Reason

Change = Callable[[Connection, Subscriber, datetime], dict[str, Any] | None]
"""Changes a subscriber, and returns the details for the audit log; None if there was nothing to change."""


class NoSubscriber(NotFound):
    """There is no such subscriber, or not any more."""


@dataclass(frozen=True, slots=True)
class Profile:
    """A subscriber with what an operator has noted.

    Attributes:
        consent: where the agreement to get mail came from, in words.
    """

    subscriber: Subscriber
    tags: tuple[str, ...]
    consent: str


def profile(context: AppContext, row: int) -> Profile:
    """Return a subscriber by row.

    Raises:
        NoSubscriber: there is none.
    """
    with reading(context.engine) as connection:
        return _profile(connection, row)


def _profile(connection: Connection, row: int) -> Profile:
    found = _find(connection, row)
    return Profile(
        found, tuple(tags.of_subscribers(connection, [row]).get(row, ())), subscribers.consent(connection, row)
    )


def _find(connection: Connection, row: int) -> Subscriber:
    found = subscribers.by_rows(connection, [row]).get(row)
    if found is None:
        raise NoSubscriber("No subscriber has this id.")
    return found


def create(
    context: AppContext,
    preferences: Preferences,
    consent: str,
    actor: str,
    named: Iterable[str] = (),
    on_created: Callable[[Connection, Profile], None] = lambda connection, created: None,
) -> Profile:
    """Add an active subscriber.

    Args:
        consent: where that person agreed to get mail, in words. ``named``: tags.
        on_created: called in the same transaction; if it raises an error, nobody is added.

    Raises:
        Conflict: the address is a subscriber already, or is suppressed.
    """
    now = context.clock()
    with writing(context.engine) as connection:
        if subscribers.by_email(connection, preferences.email) is not None:
            raise Conflict(f"{preferences.email} is a subscriber already")
        _check_not_suppressed(connection, preferences.email)
        added = subscriptions.subscribe(connection, preferences, consent, now, folder=None)
        tags.add(connection, added.row, named)
        audit.record(connection, actor, "subscriber.create", added.email, now, added.row, consent=consent)
        created = _profile(connection, added.row)
        on_created(connection, created)
    return created


def change(context: AppContext, row: int, wanted: Preferences, mark: str, actor: str) -> Profile:
    """Change a subscriber's preferences, also in the subscriber's file.

    Args:
        mark: that of the stored preferences from which ``wanted`` was made, see
            :func:`newsletter.audience.subscriptions.read_stored`.

    Raises:
        NoSubscriber, Conflict: it was deleted or changed elsewhere meanwhile; or the new address is another's, or
            suppressed.
        UserError: the subscriber's file has an error or cannot be written.
    """

    def apply(connection: Connection, one: Subscriber, now: datetime) -> None:
        if subscribers.email_key(wanted.email) != subscribers.email_key(one.email):
            if subscribers.by_email(connection, wanted.email) is not None:
                raise Conflict(f"{wanted.email} is another subscriber")
            _check_not_suppressed(connection, wanted.email)
        folder = context.config.subscribers_folder
        if not subscriptions.save_preferences(connection, one, wanted, mark, folder, now, actor):
            raise Conflict("the preferences were changed elsewhere meanwhile; look at them again")

    return _change(context, row, "subscriber.change", actor, apply)


def _check_not_suppressed(connection: Connection, email: str) -> None:
    """Raise an error if an address gets no mail: nothing that is written here brings anybody back."""
    found = suppressions.find(connection, email)
    if found is not None:
        raise Conflict(f"{email} is suppressed and gets no mail ({found.reason}, {found.since:%Y-%m-%d})")


def set_tags(context: AppContext, row: int, named: Iterable[str], actor: str) -> Profile:
    """Replace the tags of a subscriber, also in the subscriber's file.

    Raises:
        UserError: the subscriber's file has an error or cannot be written.
    """

    def apply(connection: Connection, one: Subscriber, now: datetime) -> dict[str, Any] | None:
        before, after = set(tags.of_subscribers(connection, [one.row]).get(one.row, ())), set(named)
        added, removed = sorted(after - before), sorted(before - after)
        subscriptions.change_tags(connection, one, added, removed, context.config.subscribers_folder)
        return {"added": added, "removed": removed} if added or removed else None

    return _change(context, row, "subscriber.tag", actor, apply)


def pause(context: AppContext, row: int, until: datetime | None, actor: str) -> Profile:
    """Pause an active subscriber, until a time (UTC) or until :func:`resume`.

    Raises:
        Conflict: the subscriber is not active.
        UserError: the time is over.
    """

    def apply(connection: Connection, one: Subscriber, now: datetime) -> dict[str, Any]:
        if until is not None and until <= now:
            raise UserError(f"until: {until:%Y-%m-%d %H:%M} UTC is over; choose a time to come")
        _check_state(one, SubscriberState.ACTIVE)
        subscriber_states.set_state(connection, one, SubscriberState.PAUSED, now)
        if until is not None:
            subscribers.set_pause(connection, one.row, until)
        return {"until": until.isoformat() if until is not None else None}

    return _change(context, row, "subscriber.pause", actor, apply)


def resume(context: AppContext, row: int, actor: str) -> Profile:
    """End the pause of a subscriber.

    Raises:
        Conflict: the subscriber is not paused, or the address is suppressed.
    """

    def apply(connection: Connection, one: Subscriber, now: datetime) -> dict[str, Any]:
        _check_state(one, SubscriberState.PAUSED)
        _check_not_suppressed(connection, one.email)
        subscriber_states.set_state(connection, one, SubscriberState.ACTIVE, now)
        return {}

    return _change(context, row, "subscriber.resume", actor, apply)


def block(context: AppContext, row: int, actor: str, reason: str = "") -> Profile:
    """Unsubscribe somebody and suppress the address, so that no file, import or program brings it back.

    Args:
        reason: why, in the operator's words.
    """

    def apply(connection: Connection, one: Subscriber, now: datetime) -> dict[str, Any] | None:
        ended = one.state in subscriber_states.ENDED
        if ended and suppressions.find(connection, one.email) is not None:
            return None
        if not ended:
            subscriber_states.set_state(connection, one, SubscriberState.UNSUBSCRIBED, now)
        suppressions.suppress(connection, one.email, Reason.UNSUBSCRIBED, now)
        return {"reason": reason} if reason else {}

    return _change(context, row, "subscriber.block", actor, apply)


def forget(context: AppContext, row: int, actor: str) -> None:
    """Delete all data of a subscriber; the audit log says that somebody was deleted, and not who.

    Raises:
        NoSubscriber: there is none, or not any more.
        NewsletterError: a message to the subscriber is being sent right now.
    """
    erase_subscriber(context, find_subscriber(context, profile(context, row).subscriber.email))
    with writing(context.engine) as connection:
        audit.record(connection, actor, "subscriber.forget", "", context.clock())


def export(context: AppContext, row: int, actor: str) -> dict[str, Any]:
    """Return all data about a subscriber as JSON values. That it was read is recorded."""
    with writing(context.engine) as connection:
        one = _find(connection, row)
        audit.record(connection, actor, "subscriber.export", one.email, context.clock(), row)
    with reading(context.engine) as connection:
        return export_data(connection, one)


def _check_state(one: Subscriber, wanted: SubscriberState) -> None:
    if one.state is not wanted:
        raise Conflict(f"{one.email} is {one.state}, not {wanted}")


def _change(context: AppContext, row: int, action: str, actor: str, apply: Change) -> Profile:
    now = context.clock()
    with writing(context.engine) as connection:
        one = _find(connection, row)
        details = apply(connection, one, now)
        found = _profile(connection, row)
        if details is not None:
            audit.record(connection, actor, action, found.subscriber.email, now, row, **details)
        return found
