"""The index of a long-running newsletter, kept up to date in the background while digests are sent."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from datetime import timedelta

from newsletter.errors import Stopped
from newsletter.ranking.index import Index
from newsletter.services.context import AppContext
from newsletter.services.index import current_index, saved_index

_LOOK_SECONDS = 0.1


class IndexUpdater:
    """Keeps the index up to date in a thread, so that a run that sends waits for it for a limited time only.

    A source may have returned enough papers to make an update take minutes. The thread is abandoned when the newsletter
    stops.
    """

    def __init__(self, context: AppContext) -> None:
        self._context = context
        self._lock = threading.Lock()
        self._work: Future[Index | None] | None = None

    def update(self, should_stop: Callable[[], bool]) -> None:
        """Bring the index up to date with all that is in the store now; refit it when that is due.

        Raises:
            NewsletterError: the index cannot be written.
            Stopped: the newsletter is stopping.
        """
        _look(should_stop)
        with self._lock:
            running = self._work
        if running is not None:
            _wait(running, None, should_stop)  # It may have started before the last papers arrived.
        _wait(self._begin(), None, should_stop)

    def current(self, patience: timedelta, should_stop: Callable[[], bool]) -> Index | None:
        """Return the index: up to date if that takes no longer than ``patience``, otherwise as it was.

        None if the store contains no words.

        Raises:
            NewsletterError: the index cannot be written.
            Stopped: the newsletter is stopping.
        """
        work = self._begin()
        if not _wait(work, patience, should_stop) and (earlier := saved_index(self._context)) is not None:
            return earlier
        _wait(work, None, should_stop)
        return work.result()

    def _begin(self) -> "Future[Index | None]":
        """Return the work under way, or start new work."""
        with self._lock:
            if self._work is None or self._work.done():
                self._work = _in_background(lambda: current_index(self._context, refit=True))
            return self._work


def _wait(work: "Future[Index | None]", patience: timedelta | None, should_stop: Callable[[], bool]) -> bool:
    """Wait for some work; return whether it is done."""
    end = None if patience is None else time.monotonic() + patience.total_seconds()
    while not work.done():
        _look(should_stop)
        if end is not None and time.monotonic() > end:
            return False
        time.sleep(_LOOK_SECONDS)
    work.result()
    return True


def _look(should_stop: Callable[[], bool]) -> None:
    if should_stop():
        raise Stopped("stopped before the index was up to date")


def _in_background(work: "Callable[[], Index | None]") -> "Future[Index | None]":
    """Run some work in a daemon thread; a thread pool would keep the program from exiting until it is done."""
    future: Future[Index | None] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return future
