"""The libraries of a new subscriber, read before the first digest."""

from concurrent.futures import Future

from newsletter.errors import UserError
from newsletter.model import Subscriber
from newsletter.services.context import AppContext
from newsletter.services.libraries import add_upload, sync_subscriber
from newsletter.store import reading, subscribers, writing
from newsletter.support.threads import run_in_thread


def read_first_libraries(context: AppContext, subscriber: Subscriber, upload: tuple[str, bytes] | None) -> Future[bool]:
    """Read the libraries that came with a sign-up, in the background; the first digest is then due at once.

    Args:
        upload: an uploaded library: the file's name and its content.

    Returns:
        Whether the uploaded library could be used; true without one.
    """
    return run_in_thread(lambda: _in_turn(context, subscriber, upload))


def _in_turn(context: AppContext, subscriber: Subscriber, upload: tuple[str, bytes] | None) -> bool:
    try:
        usable = upload is None or _add(context, subscriber, upload)
        with reading(context.engine) as connection:
            present = subscribers.by_rows(connection, [subscriber.row]).get(subscriber.row)
        if present is not None:
            # What fails is recorded, and the scheduler tries again.
            for _ in sync_subscriber(context, present):
                pass
        return usable
    finally:
        with writing(context.engine) as connection:
            subscribers.hasten(connection, subscriber.row, context.clock())


def _add(context: AppContext, subscriber: Subscriber, upload: tuple[str, bytes]) -> bool:
    try:
        add_upload(context, subscriber, *upload)
    except UserError:
        return False
    return True
