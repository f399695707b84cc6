"""The engine: where the work of an edition is done, in this process, in others of this machine, or on a cluster.

A hand does one call after another at a place of its own, which is made where the hand is. Calls and what they return
are plain data. What all places need is shared out once.
"""

import multiprocessing
import os
import pickle
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import BrokenExecutor, Future, ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from multiprocessing.context import BaseContext
from pathlib import Path
from typing import Any, Protocol

_LOOK_SECONDS = 0.2

ShouldStop = Callable[[], bool]


@dataclass(frozen=True, slots=True)
class DaskAddress:
    """Where a Dask scheduler is: at an address (``host:port``), or as a file says that it writes."""

    address: str | None = None
    file: Path | None = None

    def __str__(self) -> str:
        return self.address or str(self.file)


WorkerLost = BrokenExecutor
"""What a call ends with whose hand is no more: its process was killed, or cannot be reached."""


class WorkerState(Protocol):
    """Where a hand works."""

    def end(self, stop: bool) -> object:
        """Leave it; to ``stop``, without doing what waits. For one that was left already, it does nothing."""


StateFactory = Callable[[Any, int, int, ShouldStop], WorkerState]
"""Makes the place of one hand, from what is shared, for this one of so many; the last says whether to stop."""


@dataclass(frozen=True, slots=True)
class PoolSpec:
    """What a crew is for.

    Attributes:
        make: makes the place of each hand. ``shared``: data that each is given, once.
        stopping: says whether to stop. ``told``: hears where the work is done, if there is something to see.
    """

    make: StateFactory
    shared: Any
    should_stop: ShouldStop
    told: Callable[[str], None] = lambda line: None


class Worker(Protocol):
    """Does what it is asked, one call after another.

    Attributes:
        name: tells it from the others.
    """

    name: str

    def ask(self, call: Callable[..., Any], *arguments: Any) -> "Future[Any]":
        """Have it call something with its place and these arguments."""

    def instead(self) -> "Worker | None":
        """Another, where this one is gone; None when there is none at present."""


class InlineWorker:
    """A hand in this process: a call is done when :meth:`ask` returns."""

    name = "here"

    def __init__(self, job: PoolSpec) -> None:
        self._job = job
        self._place: WorkerState | None = None

    def ask(self, call: Callable[..., Any], *arguments: Any) -> "Future[Any]":
        answer: Future[Any] = Future()
        try:
            self._place = self._place or self._job.make(self._job.shared, 0, 1, self._job.should_stop)
            answer.set_result(call(self._place, *arguments))
        except Exception as error:
            answer.set_exception(error)
        return answer

    def instead(self) -> None: ...


class ProcessWorker:
    """A hand in a process of its own, which begins with the first call.

    Args:
        begin: makes the pool of one process. It is made anew for a replacement.
    """

    def __init__(self, name: str, begin: Callable[[], ProcessPoolExecutor]) -> None:
        self.name, self._begin = name, begin
        self._pool = begin()

    def ask(self, call: Callable[..., Any], *arguments: Any) -> "Future[Any]":
        try:
            return self._pool.submit(_call, call, *arguments)
        except BrokenExecutor as error:
            answer: Future[Any] = Future()
            answer.set_exception(error)
            return answer

    def instead(self) -> "ProcessWorker":
        return ProcessWorker(self.name, self._begin)


@contextmanager
def worker_pool(job: PoolSpec, number: int, cluster: DaskAddress | None = None) -> Iterator[Sequence[Worker]]:
    """So many hands: one works in this process, more of them each in a process of their own, or on a cluster as many as
    it has workers, up to that number.

    Raises:
        NewsletterError: the cluster cannot be used.
    """
    if number == 1:
        yield [InlineWorker(job)]
    elif cluster is not None:
        from newsletter.workers import dask as on_cluster  # Only here, since Dask is an extra, and slow to import.

        with on_cluster.worker_pool(job, number, cluster) as pool:
            yield pool
    else:
        with _processes(job, number) as pool:
            yield pool


@contextmanager
def _processes(job: PoolSpec, number: int) -> Iterator[Sequence[Worker]]:
    context = process_context()
    stop = context.Event()
    shared = pickle.dumps(job.shared, pickle.HIGHEST_PROTOCOL)
    with ExitStack() as pools, _passed_on(job.should_stop, stop):
        # Each has a pool for itself, so that it can be asked to go on with what it holds.
        def begin(which: int) -> ProcessPoolExecutor:
            given = (job.make, shared, which, number, stop)
            return pools.enter_context(ProcessPoolExecutor(1, context, initializer=_begin, initargs=given))

        yield [ProcessWorker(f"process {which + 1}", partial(begin, which)) for which in range(number)]


@contextmanager
def _passed_on(should_stop: ShouldStop, stop: Any) -> Iterator[None]:
    """Have the other processes told to stop, too, while one of them is in the middle of a call."""
    ended = threading.Event()

    def look() -> None:
        while not ended.wait(_LOOK_SECONDS):
            if should_stop():
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


def process_context() -> BaseContext:
    """Processes that are no copies of this one, since it may have threads; they import what they need once."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["newsletter.__main__"])
    return context


_lock = threading.Lock()
_make_place: Callable[[], WorkerState] | None = None
_place: WorkerState | None = None


def _begin(make: StateFactory, shared: bytes, which: int, number: int, stop: Any) -> None:
    """Set a process up. The signals that end a command go to all its processes, and the first one tells the others."""
    global _make_place
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    # The place is made by the first call.
    _make_place = lambda: make(pickle.loads(shared), which, number, stop.is_set)  # noqa: E731, S301 - our own
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
