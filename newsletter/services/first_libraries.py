"""The libraries of a new subscriber, read before the first digest.

An uploaded library stays with the sign-up requests until it is stored as a library. The scheduler tries again what an
error or a restart prevented.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import Future
from datetime import timedelta

from newsletter.errors import UserError, describe
from newsletter.model import LibraryKind, LibraryRef, Subscriber
from newsletter.services.context import AppContext
from newsletter.services.libraries import SyncResult, add_upload, sync_subscriber
from newsletter.sources.bounds import brief
from newsletter.store import reading, sign_ups, subscribers, writing
from newsletter.support.threads import run_in_thread

_LEFT_ALONE = timedelta(minutes=10)
"""How long after its confirmation an upload is left to :func:`read_first_libraries`."""


def read_first_libraries(context: AppContext, subscriber: Subscriber) -> Future[bool]:
    """Read the libraries that came with a sign-up, in the background; the first digest is then due at once.

    Returns:
        Whether the uploaded library could be used; true without one.
    """
    return run_in_thread(lambda: _in_turn(context, subscriber))


def add_waiting(context: AppContext, should_stop: Callable[[], bool]) -> Iterator[SyncResult]:
    """Add the uploaded libraries of confirmed sign-ups that are still not stored, yielding each result.

    Raises:
        NewsletterError: the store failed.
    """
    with reading(context.engine) as connection:
        rows = sign_ups.waiting_uploads(connection, context.clock() - _LEFT_ALONE)
    for row in rows:
        if should_stop():
            return
        if (result := _add(context, row)) is not None:
            yield result


def _in_turn(context: AppContext, subscriber: Subscriber) -> bool:
    try:
        with reading(context.engine) as connection:
            rows = sign_ups.waiting_uploads(connection, context.clock() + _LEFT_ALONE, subscriber.row)
        added = [_add(context, row, raises=True) for row in rows]
        with reading(context.engine) as connection:
            present = subscribers.by_rows(connection, [subscriber.row]).get(subscriber.row)
        if present is not None:
            # What fails is recorded, and the scheduler tries again.
            for _ in sync_subscriber(context, present):
                pass
        return not any(result and result.error for result in added)
    finally:
        with writing(context.engine) as connection:
            subscribers.hasten(connection, subscriber.row, context.clock())


def _add(context: AppContext, row: int, raises: bool = False) -> SyncResult | None:
    """Add the library of a confirmed upload (by row), and remove the upload unless that failed for another reason than
    its content; None if there is nothing to add.
    """
    with writing(context.engine) as connection:
        waiting = sign_ups.begin_upload(connection, row)
        found = subscribers.by_rows(connection, [waiting.subscriber or 0]) if waiting is not None else {}
    if waiting is None or waiting.upload is None:
        return None
    result = None
    if (subscriber := found.get(waiting.subscriber or 0)) is not None:
        try:
            result = add_upload(context, subscriber, *waiting.upload)
        except UserError as error:
            result = _failed(waiting, error, new=True)
        except Exception as error:
            if raises:
                raise
            return _failed(waiting, error, new=waiting.attempts == 1)
    with writing(context.engine) as connection:
        sign_ups.remove(connection, row)
    return result


def _failed(waiting: sign_ups.SignUp, error: Exception, new: bool) -> SyncResult:
    name = waiting.upload[0] if waiting.upload is not None else ""
    address = LibraryRef(kind=LibraryKind.UPLOAD, id=name).address
    return SyncResult(email=waiting.email, address=address, error=brief(describe(error)), new_error=new)
