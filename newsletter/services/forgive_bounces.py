"""Forgive bounces: subscribers who bounced get mail again, one by one or in bulk."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy import Connection

from newsletter.audience import bounce_actions
from newsletter.model import SubscriberState
from newsletter.services.context import AppContext
from newsletter.store import bounces, send_changes, subscribers, suppressions, writing
from newsletter.store.suppressions import Reason

_BATCH = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """The bounces to forgive; by default everybody's.

    Attributes:
        domain: of the addresses, as stored. ``since``: only those who bounced at this time or later (UTC).
    """

    domain: str | None = None
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class ForgivenAddress:
    """An address that is no longer suppressed.

    Attributes:
        email: None if only its digest is known.
        lifted: why it was suppressed, None if it was not.
        state: the current state of its subscriber; None without one.
        planned_again: the edition whose failed digest will be sent now.
    """

    email: str | None
    lifted: Reason | None
    state: SubscriberState | None
    planned_again: date | None = None


def forgive(context: AppContext, email: str, dry_run: bool = False) -> ForgivenAddress:
    """Lift the suppression of one address, whatever its reason, and reactivate its subscriber if bounced.

    Args:
        dry_run: return what would happen, and change nothing.
    """
    with writing(context.engine) as connection, connection.begin_nested() as attempt:
        forgiven = _forgive(context, connection, email)
        if dry_run:
            attempt.rollback()
    return forgiven


def forgive_all(context: AppContext, selection: Selection, dry_run: bool = False) -> Iterator[ForgivenAddress]:
    """Forgive every selected subscriber who bounced, or was paused for bouncing, in batches.

    Each is yielded once its batch is stored. Subscribers who complained or unsubscribed are left alone.

    Args:
        dry_run: yield what would happen, and change nothing.
    """
    yield from _forgive_subscribers(context, selection, dry_run)
    yield from _forgive_addresses(context, selection, dry_run)


def _forgive_subscribers(context: AppContext, selection: Selection, dry_run: bool) -> Iterator[ForgivenAddress]:
    after: int | None = 0
    while after is not None:
        with writing(context.engine) as connection, connection.begin_nested() as attempt:
            batch = subscribers.held_back(connection, selection.domain, selection.since, after, _BATCH)
            forgiven = [
                _forgive(context, connection, subscriber.email)
                for subscriber in batch
                if bounce_actions.is_bounced_out(connection, subscriber)
                and _reason(connection, subscriber.email) in (None, Reason.BOUNCED)
            ]
            if dry_run:
                attempt.rollback()
        yield from forgiven
        after = batch[-1].row if len(batch) == _BATCH else None


def _forgive_addresses(context: AppContext, selection: Selection, dry_run: bool) -> Iterator[ForgivenAddress]:
    """Lift the suppressions of addresses that no longer have a subscriber."""
    with writing(context.engine) as connection:
        found = set(suppressions.bounced(connection, selection.since))
        kept = (SubscriberState.BOUNCED, SubscriberState.UNSUBSCRIBED)
        found -= {suppressions.digest_of(key) for key in subscribers.email_keys(connection, kept)}
        named: dict[str, str] = {}
        if selection.domain is not None:
            addresses = bounces.hard_bounced(connection, selection.domain)
            named = {suppressions.digest_of(subscribers.email_key(email)): email for email in addresses}
            found &= named.keys()
    digests = sorted(found)
    for start in range(0, len(digests), _BATCH):
        batch = digests[start : start + _BATCH]
        if not dry_run:
            with writing(context.engine) as connection:
                suppressions.lift_bounced(connection, batch)
        for digest in batch:
            yield ForgivenAddress(named.get(digest), Reason.BOUNCED, None)


def _reason(connection: Connection, email: str) -> Reason | None:
    suppression = suppressions.find(connection, email)
    return suppression.reason if suppression is not None else None


def _forgive(context: AppContext, connection: Connection, email: str) -> ForgivenAddress:
    now = context.clock()
    suppression, subscriber = bounce_actions.forgive(connection, email, now)
    lifted = suppression.reason if suppression is not None else None
    if subscriber is None:
        return ForgivenAddress(email, lifted, None)
    edition = None
    if subscriber.state is SubscriberState.ACTIVE:
        # Papers of older failures were released, so they come with the next digest.
        recent = now - timedelta(hours=context.config.delivery.retry_hours)
        edition = send_changes.plan_bounced_again(connection, subscriber.row, recent)
    return ForgivenAddress(subscriber.email, lifted, subscriber.state, edition)
