"""Retention and erasure: delete old data, and all data of people who ask for it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from sqlalchemy import Connection

from newsletter.audience import subscriptions
from newsletter.delivery.sending import claims
from newsletter.errors import NewsletterError, UserError
from newsletter.model import Send, Subscriber
from newsletter.services.context import AppContext
from newsletter.store import audit, mailings, reading, secure_delete, suppressions, webhook_deliveries, writing
from newsletter.store import retention as store
from newsletter.store.suppressions import Reason
from newsletter.support.files import MAX_BYTES

_BLOCK = 500


def purge_expired(context: AppContext, should_stop: Callable[[], bool]) -> dict[str, int]:
    """Delete what the log no longer needs to keep, block by block.

    Returns:
        The number of log lines of skipped sends, log lines of settled sends, bounces, announcements and messages
        without log lines, and, if there were any, lines of the audit log and deliveries of webhooks deleted.
    """
    now = context.clock()
    old = now - timedelta(days=context.config.keep_days)
    skipped = now - timedelta(days=context.config.log.keep_skipped_days)
    forgotten = {
        "skipped": _in_blocks(
            context, should_stop, lambda connection: store.forget_skipped(connection, skipped, _BLOCK)
        ),
        "settled": _in_blocks(context, should_stop, lambda connection: store.forget_settled(connection, old, _BLOCK)),
        "bounces": _in_blocks(context, should_stop, lambda connection: store.forget_bounces(connection, old, _BLOCK)),
        "mailings": _in_blocks(context, should_stop, lambda connection: mailings.forget(connection, old, _BLOCK)),
    }
    if any(forgotten.values()):
        purge_contents(context, should_stop)
    others = {"audit": _purge_audit_log(context, should_stop), "webhooks": _purge_webhooks(context, should_stop)}
    return {**forgotten, **{name: number for name, number in others.items() if number}}


def _purge_audit_log(context: AppContext, should_stop: Callable[[], bool]) -> int:
    old = context.clock() - timedelta(days=context.config.log.keep_audit_days)
    return _in_blocks(context, should_stop, lambda connection: audit.forget(connection, old, _BLOCK))


def _purge_webhooks(context: AppContext, should_stop: Callable[[], bool]) -> int:
    """Delete old deliveries of webhooks, and give up those to endpoints that are no longer configured."""
    now, settings = context.clock(), context.config.log
    delivered = now - timedelta(days=settings.keep_webhooks_days)
    failed = now - timedelta(days=settings.keep_failed_webhooks_days)
    with writing(context.engine) as connection:
        webhook_deliveries.give_up_unknown(connection, list(context.config.webhooks.endpoints), now)
    return _in_blocks(
        context, should_stop, lambda connection: webhook_deliveries.forget(connection, delivered, failed, _BLOCK)
    )


def purge_contents(context: AppContext, should_stop: Callable[[], bool]) -> None:
    """Delete stored interests of subscribers from a time of which the log has no digests left."""
    after: tuple[int, str] | None = (0, "")
    while after is not None and not should_stop():
        with writing(context.engine) as connection:
            after = store.forget_contents(connection, after, _BLOCK)


def _in_blocks(context: AppContext, should_stop: Callable[[], bool], forget: Callable[[Connection], int]) -> int:
    forgotten = 0
    while not should_stop():
        with writing(context.engine) as connection:
            number = forget(connection)
        forgotten += number
        if number < _BLOCK:
            break
    return forgotten


@dataclass(frozen=True, slots=True)
class SubscriberRecord:
    """A subscriber with all stored data; ``file`` is the subscriber's file, None without one."""

    subscriber: Subscriber
    belongings: store.DataCounts
    file: Path | None


def find_subscriber(context: AppContext, email: str) -> SubscriberRecord:
    """Return all that is stored about a person.

    Raises:
        UserError: the address has no subscriber.
    """
    with reading(context.engine) as connection:
        subscriber = subscriptions.get_subscriber(connection, email)
        belongings = store.data_counts(connection, subscriber.row)
    file = context.config.subscribers_folder / subscriber.file if subscriber.file else None
    return SubscriberRecord(subscriber, belongings, file if file is not None and file.exists() else None)


def erase_subscriber(context: AppContext, person: SubscriberRecord) -> list[Send]:
    """Delete all that is stored about a person, including the file in the subscribers' folder, in one step.

    A digest of the address stays on the suppression list, whatever the state was, since a list imported later may still
    have it.

    Returns:
        Sends of other subscribers that became unsure, since processes that no longer exist had claimed them.

    Raises:
        NewsletterError: a process has claimed a digest of the person, so it may be on the wire.
        UserError: the file cannot be removed; then nothing is deleted.
    """
    subscriber = person.subscriber
    # Release the claims of processes that no longer exist.
    orphans = claims.release_orphans(context.engine, context.clock())
    with secure_delete(context.engine) as connection:
        edition = store.with_a_process(connection, subscriber.row)
        if edition is not None:
            raise NewsletterError(
                f"{subscriber.email}: the digest of {edition} is being sent right now, so nothing was deleted; "
                "run it again in a minute"
            )
        suppressions.suppress(connection, subscriber.email, Reason.FORGOTTEN, context.clock())
        store.forget_person(connection, subscriber.row, context.clock())
        if person.file is not None:
            # Remove the file before the commit: a process that still found it would take it for a new subscriber's.
            _remove(person.file)
    return [send for send in orphans if send.subscriber != subscriber.row]


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}; check the permissions of its folder") from None


def files_mentioning(folder: Path, email: str) -> Iterator[Path]:
    """Yield the files in the subscribers' folder that mention an address, such as backup copies."""
    wanted = email.casefold()
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        try:
            if path.is_file() and path.stat().st_size <= MAX_BYTES:
                text = path.read_bytes().decode("utf-8", "replace")
                if wanted in text.casefold():
                    yield path
        except OSError:
            continue
