"""The index for a newsletter that runs on: brought up to date beside the sending."""

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
    """Keeps the index up to date in a thread, so that whoever sends waits for it only so long: a source may have given
    so many papers that it takes minutes. The thread is left behind when the newsletter stops.
    """

    def __init__(self, context: AppContext) -> None:
        self._context = context
        self._lock = threading.Lock()
        self._work: Future[Index | None] | None = None

    def update(self, should_stop: Callable[[], bool]) -> None:
        """Bring it up to date with all that is in the store now; fit the space again when its time has come.

        Raises:
            NewsletterError: the index cannot be written.
            Stopped: the newsletter is to stop.
        """
        _look(should_stop)
        with self._lock:
            running = self._work
        if running is not None:
            _wait(running, None, should_stop)  # It may have begun before the last papers came.
        _wait(self._begin(), None, should_stop)

    def current(self, patience: timedelta, should_stop: Callable[[], bool]) -> Index | None:
        """The index, up to date if that takes no longer than ``patience``, else as it was; None when the store holds no
        word.

        Raises:
            NewsletterError: the index cannot be written.
            Stopped: the newsletter is to stop.
        """
        work = self._begin()
        if not _wait(work, patience, should_stop) and (earlier := saved_index(self._context)) is not None:
            return earlier
        _wait(work, None, should_stop)
        return work.result()

    def _begin(self) -> "Future[Index | None]":
        """The work that is under way, else new work."""
        with self._lock:
            if self._work is None or self._work.done():
                self._work = _in_background(lambda: current_index(self._context, refit=True))
            return self._work


def _wait(work: "Future[Index | None]", patience: timedelta | None, should_stop: Callable[[], bool]) -> bool:
    """Wait for some work; returns whether it is done."""
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
    """Begin some work in a thread that ends with the program; a pool would have the program wait for its threads."""
    future: Future[Index | None] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return future
