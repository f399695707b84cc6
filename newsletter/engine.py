"""The engine: where the work of an edition is done, in this process or in others of this machine.

A hand does one call after another at a place of its own, which is made where the hand is. Calls and what they return
are plain data.
"""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, Future, ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from multiprocessing.context import BaseContext
from typing import Any, Protocol

_LOOK_SECONDS = 0.2

Stopping = Callable[[], bool]

Gone = BrokenExecutor
"""What a call ends with whose hand is no more: its process was killed."""


class Place(Protocol):
    """Where a hand works."""

    def end(self, stop: bool) -> object:
        """Leave it; to ``stop``, without doing what waits."""


Make = Callable[[int, int, Stopping], Place]
"""Makes the place of one hand of so many; what it is given says whether to stop."""


class Hand(Protocol):
    """Does what it is asked, one call after another."""

    def ask(self, call: Callable[..., Any], *arguments: Any) -> "Future[Any]":
        """Have it call something with its place and these arguments."""


class Here:
    """A hand in this process: a call is done when :meth:`ask` returns."""

    def __init__(self, make: Make, stopping: Stopping) -> None:
        self._make, self._stopping = make, stopping
        self._place: Place | None = None

    def ask(self, call: Callable[..., Any], *arguments: Any) -> "Future[Any]":
        answer: Future[Any] = Future()
        try:
            self._place = self._place or self._make(0, 1, self._stopping)
            answer.set_result(call(self._place, *arguments))
        except Exception as error:
            answer.set_exception(error)
        return answer


class Elsewhere:
    """A hand in a process of its own, which begins with the first call."""

    def __init__(self, pool: ProcessPoolExecutor) -> None:
        self._pool = pool

    def ask(self, call: Callable[..., Any], *arguments: Any) -> "Future[Any]":
        try:
            return self._pool.submit(_call, call, *arguments)
        except BrokenExecutor as error:
            answer: Future[Any] = Future()
            answer.set_exception(error)
            return answer


@contextmanager
def crew(number: int, make: Make, stopping: Stopping) -> Iterator[list[Hand]]:
    """So many hands: one works in this process, more of them each in a process of their own."""
    if number == 1:
        yield [Here(make, stopping)]
        return
    context = _context()
    stop = context.Event()
    with ExitStack() as pools, _passed_on(stopping, stop):
        # Each has a pool for itself, so that it can be asked to go on with what it holds.
        yield [
            Elsewhere(
                pools.enter_context(
                    ProcessPoolExecutor(1, context, initializer=_begin, initargs=(make, which, number, stop))
                )
            )
            for which in range(number)
        ]


@contextmanager
def _passed_on(stopping: Stopping, stop: Any) -> Iterator[None]:
    """Have the other processes told to stop, too, while one of them is in the middle of a call."""
    ended = threading.Event()

    def look() -> None:
        while not ended.wait(_LOOK_SECONDS):
            if stopping():
                stop.set()
                return

    watching = threading.Thread(target=look, daemon=True)
    watching.start()
    try:
        yield
    finally:
        ended.set()
        stop.set()
        watching.join()


def _context() -> BaseContext:
    """Processes that are no copies of this one, since it may have threads; they import what they need once."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["newsletter.__main__"])
    return context


_lock = threading.Lock()
_make_place: Callable[[], Place] | None = None
_place: Place | None = None


def _begin(make: Make, which: int, number: int, stop: Any) -> None:
    """Set a process up. The signals that end a command go to all its processes, and the first one tells the others."""
    global _make_place
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    _make_place = lambda: make(which, number, stop.is_set)  # noqa: E731 - the place is made by the first call
    threading.Thread(target=_leave_with_parent, args=(stop,), daemon=True).start()


def _leave_with_parent(stop: Any) -> None:
    """End this process after the one that began it: nobody else would."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return
    parent.join()
    stop.set()
    with _lock:
        if _place is not None:
            _place.end(stop=True)
        os._exit(1)


def _call(call: Callable[..., Any], *arguments: Any) -> Any:
    global _place
    with _lock:
        if _place is None and _make_place is not None:
            _place = _make_place()
        return call(_place, *arguments)
