"""Imports of subscribers and of suppressed addresses. Nobody who unsubscribed or is suppressed comes back by one."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from sqlalchemy import Connection

from newsletter.audience import subscriber_states, subscriptions
from newsletter.audience.import_rows import ImportRow
from newsletter.audience.suppression_lists import SuppressedAddress
from newsletter.model import SubscriberState
from newsletter.store import subscribers as store
from newsletter.store import suppressions
from newsletter.store.suppressions import Reason


class Outcome(StrEnum):
    """What becomes of a line of an import."""

    ADDED = "added"
    UPDATED = "updated"
    KEPT_OUT = "kept out"
    SUPPRESSED = "suppressed"
    UNCHANGED = "unchanged"


def import_subscriber(
    connection: Connection, row: ImportRow, consent: str, now: datetime, folder: Path, tags: Sequence[str] = ()
) -> Outcome:
    """Add or update the subscriber of an import line.

    A line may pause somebody and end a pause. Nobody who unsubscribed, bounced or is suppressed comes back by it, and
    nobody who agreed becomes pending. Tags are added to those present.

    Args:
        consent: where the agreement to get mail came from, in words.
        folder: where the files of present subscribers are kept; a new one gets none.
        tags: those to add besides the line's own.

    Raises:
        UserError: the subscriber's file cannot be written.
    """
    outcome = _outcome(connection, row)
    if outcome is Outcome.KEPT_OUT:
        return outcome
    subscriber = store.by_email(connection, row.preferences.email)
    if subscriber is None:
        subscriber = subscriptions.subscribe(connection, row.preferences, consent, now, folder=None)
        if row.created_at is not None and row.created_at < now:
            store.set_created_at(connection, subscriber.row, row.created_at)
    else:
        wanted = subscriptions.merged(subscriber.preferences, row.preferences, row.said)
        subscriptions.change_preferences(connection, subscriber, wanted, folder, now)
        subscriber = replace(subscriber, preferences=wanted)
    subscriptions.change_tags(connection, subscriber, [*row.tags, *tags], [], folder)
    if row.state is not None and (outcome is Outcome.ADDED or row.state is not SubscriberState.PENDING):
        agreed = subscriber.state is SubscriberState.PENDING and row.state is SubscriberState.ACTIVE
        subscriber_states.set_state(connection, subscriber, row.state, now, consent if agreed else None)
    return outcome


def suppress_address(connection: Connection, found: SuppressedAddress, now: datetime) -> Outcome:
    """Put an address on the suppression list; a subscriber who has it ends as bounced or unsubscribed."""
    outcome = _suppression_outcome(connection, found)
    suppressions.suppress(connection, found.email, found.reason, now)
    subscriber = store.by_email(connection, found.email)
    if subscriber is not None and subscriber.state not in subscriber_states.ENDED:
        bounced = found.reason is Reason.BOUNCED
        ended = SubscriberState.BOUNCED if bounced else SubscriberState.UNSUBSCRIBED
        subscriber_states.set_state(connection, subscriber, ended, now)
    return outcome


class Forecast:
    """What an import would do, without doing it. It remembers the earlier lines, which count for the later ones."""

    def __init__(self) -> None:
        self._present: set[str] = set()
        self._ended: set[str] = set()

    def of_row(self, connection: Connection, row: ImportRow) -> Outcome:
        """Return what :func:`import_subscriber` would return."""
        key = store.email_key(row.preferences.email)
        outcome = Outcome.KEPT_OUT if key in self._ended else _outcome(connection, row)
        if outcome is Outcome.ADDED and key in self._present:
            outcome = Outcome.UPDATED
        if outcome is not Outcome.KEPT_OUT:
            (self._ended if row.state in subscriber_states.ENDED else self._present).add(key)
        return outcome

    def of_suppressed(self, connection: Connection, found: SuppressedAddress) -> Outcome:
        """Return what :func:`suppress_address` would return."""
        key = store.email_key(found.email)
        outcome = Outcome.UNCHANGED if key in self._ended else _suppression_outcome(connection, found)
        self._ended.add(key)
        return outcome


def _outcome(connection: Connection, row: ImportRow) -> Outcome:
    subscriber = store.by_email(connection, row.preferences.email)
    ended = subscriber is not None and subscriber.state in subscriber_states.ENDED
    if ended or suppressions.find(connection, row.preferences.email) is not None:
        return Outcome.KEPT_OUT
    return Outcome.ADDED if subscriber is None else Outcome.UPDATED


def _suppression_outcome(connection: Connection, found: SuppressedAddress) -> Outcome:
    subscriber = store.by_email(connection, found.email)
    gets_mail = subscriber is not None and subscriber.state not in subscriber_states.ENDED
    known = suppressions.find(connection, found.email) is not None
    return Outcome.UNCHANGED if known and not gets_mail else Outcome.SUPPRESSED
