"""The libraries of a new subscriber, read before the first digest."""

from collections.abc import Callable
from concurrent.futures import Future

from newsletter.errors import NewsletterError, UserError
from newsletter.model import Subscriber
from newsletter.services.context import AppContext
from newsletter.services.libraries import add_upload, sync_subscriber
from newsletter.store import reading, subscribers, writing
from newsletter.support.threads import run_in_thread


def read_first_libraries(
    context: AppContext, subscriber: Subscriber, upload: tuple[str, bytes] | None
) -> Future[str | None]:
    """Read the libraries that came with a sign-up, in the background; the first digest is then due at once.

    Args:
        upload: an uploaded library: the file's name and its content.

    Returns:
        Why the upload cannot be used, in words for its reader; None if it can, or there is none.
    """
    return run_in_thread(lambda: _in_turn(context, subscriber, upload))


def _in_turn(context: AppContext, subscriber: Subscriber, upload: tuple[str, bytes] | None) -> str | None:
    try:
        problem = _upload(context, subscriber, upload)
        with reading(context.engine) as connection:
            present = subscribers.by_rows(connection, [subscriber.row]).get(subscriber.row)
        if present is not None:
            _ignore_failures(lambda: list(sync_subscriber(context, present)))
        return problem
    finally:
        with writing(context.engine) as connection:
            subscribers.hasten(connection, subscriber.row, context.clock())


def _upload(context: AppContext, subscriber: Subscriber, upload: tuple[str, bytes] | None) -> str | None:
    if upload is None:
        return None
    try:
        add_upload(context, subscriber, *upload)
    except UserError as error:
        return " ".join(error.lines)
    except NewsletterError:
        return "it could not be stored right now"
    return None


def _ignore_failures(work: Callable[[], object]) -> None:
    """Run what the scheduler repeats anyway."""
    try:
        work()
    except NewsletterError:
        return
