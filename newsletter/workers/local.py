"""Workers on this machine: in this process, or each in its own process."""

import multiprocessing
import pickle
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from multiprocessing.context import BaseContext
from multiprocessing.process import BaseProcess
from pickle import PicklingError
from typing import Any

from newsletter.support.collector import rare_collections
from newsletter.workers.base import PoolSpec, ShouldStop, StateFactory, Worker, WorkerLost, WorkerState

_POLL_SECONDS = 0.2

PRELOADED = (
    "newsletter.sources.factory",
    "newsletter.sources.source_reader",
    "newsletter.services.edition_worker",
    "sklearn.feature_extraction.text",
)
"""What processes need. The fork server imports those of them that the process which starts it has imported."""


class InlineWorker(Worker[Any, Any]):
    """A worker in this process."""

    name = "here"

    def __init__(self, state: WorkerState[Any, Any]) -> None:
        self._state = state

    def _call(self, method: str, *arguments: Any) -> Any:
        return getattr(self._state, method)(*arguments)


class ProcessWorker(Worker[Any, Any]):
    """A worker in its own process; it is lost when the pipe to that process breaks.

    Args:
        start: starts the process and returns our end of the pipe; called again for a replacement.
    """

    def __init__(self, name: str, start: Callable[[], Connection]) -> None:
        self.name, self._start = name, start
        self._connection = start()

    def replacement(self) -> "ProcessWorker":
        return ProcessWorker(self.name, self._start)

    def _call(self, method: str, *arguments: Any) -> Any:
        try:
            self._connection.send((method, arguments))
            succeeded, value = self._connection.recv()
        except (EOFError, OSError) as error:
            raise WorkerLost(f"{self.name} ended: {error}") from None
        if not succeeded:
            raise value
        return value


@contextmanager
def process_workers(spec: PoolSpec, number: int) -> Iterator[Sequence[ProcessWorker]]:
    """Start workers in processes; at the end, tell them to stop and wait for them."""
    context = process_context()
    shared = pickle.dumps(spec.shared, pickle.HIGHEST_PROTOCOL)
    started: list[BaseProcess] = []
    connections: list[Connection] = []
    with _stop_flag(spec.should_stop, context) as stop:

        def start(which: int) -> Connection:
            ours, theirs = context.Pipe()
            arguments = (theirs, spec.create_state, shared, which, number, stop)
            process = context.Process(target=_serve, args=arguments, daemon=True)  # type: ignore[attr-defined]
            # One that ends while it starts is lost like any other: its pipe is broken.
            with suppress(EOFError, ConnectionError):
                process.start()
                started.append(process)
            # The pipe breaks with the process only if no other process has its end open.
            theirs.close()
            connections.append(ours)
            return ours

        try:
            yield [ProcessWorker(f"process {which + 1}", partial(start, which)) for which in range(number)]
        finally:
            for connection in connections:
                connection.close()
            for process in started:
                process.join()


@contextmanager
def _stop_flag(should_stop: ShouldStop, context: BaseContext) -> Iterator[Any]:
    """Provide a flag that other processes see, set once ``should_stop`` is true, even during a call.

    It has no lock, which a process that is killed would hold for ever.
    """
    stop, ended = context.RawValue("b", 0), threading.Event()

    def watch() -> None:
        while not ended.wait(_POLL_SECONDS):
            if should_stop():
                stop.value = 1
                return

    watching = threading.Thread(target=watch, daemon=True)
    watching.start()
    try:
        yield stop
    finally:
        ended.set()
        stop.value = 1
        watching.join()


def process_context(needed: Sequence[str] = ()) -> BaseContext:
    """Return the context to start processes: not by fork, since this one may have threads.

    The fork server imports once what its processes would each import anew.

    Args:
        needed: further modules for it to import.
    """
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    # A command that only fetches papers needs no scikit-learn.
    context.set_forkserver_preload(
        ["newsletter.__main__", *(name for name in PRELOADED if name in sys.modules), *needed]
    )
    return context


def start_fork_server(needed: Sequence[str]) -> None:
    """Start the fork server unless it runs: it takes a while to import modules, and does so beside this process."""
    if process_context(needed).get_start_method() == "forkserver":
        forkserver.ensure_running()


def _serve(
    connection: Connection, create_state: StateFactory, shared: bytes, which: int, number: int, stop: Any
) -> None:
    """Run the calls that arrive through a pipe, until it is closed or the process at its other end ends."""
    # The signals that stop a command go to all of its processes; this one stops at the first.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    threading.Thread(target=_stop_with_parent, args=(stop,), daemon=True).start()
    state: WorkerState[Any, Any] | None = None
    with suppress(EOFError, OSError), ExitStack() as until_the_end:
        while True:
            method, arguments = connection.recv()
            try:
                if state is None:
                    state = create_state(pickle.loads(shared), which, number, lambda: bool(stop.value))  # noqa: S301 - our own
                    until_the_end.enter_context(rare_collections())
                answer = (True, getattr(state, method)(*arguments))
            except Exception as error:
                answer = (False, error)
            try:
                connection.send(answer)
            except (AttributeError, TypeError, PicklingError) as error:
                connection.send((False, RuntimeError(f"the result of {method} cannot be pickled: {error}")))
    if state is not None:
        state.close(stop=True)


def _stop_with_parent(stop: Any) -> None:
    """Stop the call in progress when the process that started this one is gone."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        stop.value = 1
