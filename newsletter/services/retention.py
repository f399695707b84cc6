"""Forgetting: what is old, and people who ask for it."""

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
from newsletter.store import reading, secure_delete, suppressions, writing
from newsletter.store import retention as store
from newsletter.store.suppressions import Reason
from newsletter.support.files import MAX_BYTES

_BLOCK = 500


def purge_expired(context: AppContext, should_stop: Callable[[], bool]) -> dict[str, int]:
    """Forget what the log is not to keep any longer, block by block.

    Returns:
        How many lines of skipped sends, lines of settled ones, and bounces.
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
    }
    if any(forgotten.values()):
        purge_contents(context, should_stop)
    return forgotten


def purge_contents(context: AppContext, should_stop: Callable[[], bool]) -> None:
    """Forget what subscribers followed at a time of which no digest is in the log any more."""
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
    """A subscriber with all that is there of it; ``file`` is home to its interests, None without one."""

    subscriber: Subscriber
    belongings: store.DataCounts
    file: Path | None


def find_subscriber(context: AppContext, email: str) -> SubscriberRecord:
    """What there is of a person.

    Raises:
        UserError: the address is no subscriber.
    """
    with reading(context.engine) as connection:
        subscriber = subscriptions.get_subscriber(connection, email)
        belongings = store.data_counts(connection, subscriber.row)
    file = context.config.subscribers_folder / subscriber.file if subscriber.file else None
    return SubscriberRecord(subscriber, belongings, file if file is not None and file.exists() else None)


def erase_subscriber(context: AppContext, person: SubscriberRecord) -> list[Send]:
    """Remove all that there is of a person, the file in the subscribers' folder too, in one step. Of the address a
    digest stays on the suppression list, whatever the state was: a list that is imported later may still have it.

    Returns:
        The sends of others that were found to be unsure, since processes that are gone had them on the wire.

    Raises:
        NewsletterError: a process has a digest of the person in its hands, so that it may be on the wire.
        UserError: the file cannot be removed; then nothing is.
    """
    subscriber = person.subscriber
    # What a process that is gone had in its hands is in nobody's.
    orphans = claims.release_orphans(context.engine, context.clock())
    with secure_delete(context.engine) as connection:
        edition = store.with_a_process(connection, subscriber.row)
        if edition is not None:
            raise NewsletterError(
                f"{subscriber.email}: the digest of {edition} is being sent just now, and nothing is forgotten yet; "
                "run it again in a minute"
            )
        suppressions.suppress(connection, subscriber.email, Reason.FORGOTTEN, context.clock())
        store.forget_person(connection, subscriber.row)
        if person.file is not None:
            # Before others can read the store: who found the file then would take it for that of a new subscriber.
            _remove(person.file)
    return [send for send in orphans if send.subscriber != subscriber.row]


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}; check who may write there") from None


def files_mentioning(folder: Path, email: str) -> Iterator[Path]:
    """The files in the subscribers' folder that have an address in them, as those that a person keeps beside do."""
    wanted = email.casefold()
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        try:
            if path.is_file() and path.stat().st_size <= MAX_BYTES:
                text = path.read_bytes().decode("utf-8", "replace")
                if wanted in text.casefold():
                    yield path
        except OSError:
            continue
