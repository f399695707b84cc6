"""The engine on a Dask cluster: a hand is a worker, and its place lives in that worker's process from call to call.

A call is a task that is pinned to its worker, one at a time, so that a worker holds one block and no more. A place is
there for as long as Dask keeps the result of the task that made it: it is left when the one who leads lets go of that
or is gone, and when the worker closes.
"""

import logging
import pickle
import threading
import time
import uuid
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from newsletter.errors import NewsletterError, UserError
from newsletter.workers.local import DaskAddress, PoolSpec, StateFactory, Worker, WorkerLost, WorkerState

try:
    from distributed import CancelledError, Client, KilledWorker, Status, get_worker
    from distributed import Future as Task
    from distributed.scheduler import NoValidWorkerError
except ModuleNotFoundError as error:
    raise UserError(f"engine: no module {error.name}; run \"pip install 'newsletter[cluster]'\"") from None

_CONNECT_SECONDS = 10.0
_LOOK_SECONDS = 1.0
_LOOKS_BEFORE = 60
"""So often a worker looks for the result of a task that has just ended."""


class _NoState(Exception):
    """The worker has left the place, or is another process by now."""


@dataclass(slots=True)
class _Pool:
    """What the hands of a run have in common.

    Attributes:
        shared: what is shared out. ``used``: the addresses of all that are, or were, hands.
    """

    client: Client
    cluster: DaskAddress
    job: PoolSpec
    shared: bytes
    of: int
    used: set[str]
    lock: threading.Lock = field(default_factory=threading.Lock)


class DaskWorker:
    """A hand that is a worker of the cluster, known by its address."""

    def __init__(self, crew: _Pool, name: str, which: int, shared: "Task[Any]") -> None:
        self.name, self._shared = name, shared
        self._crew, self._client, self._which = crew, crew.client, which
        self._place = f"place-{uuid.uuid4().hex}"
        self._held: Task[Any] | None = None
        self._begun = self._stopped = False

    def ask(self, call: Callable[..., Any], *arguments: Any) -> "Future[Any]":
        answer: Future[Any] = Future()
        try:
            if self._held is None:
                crew = self._crew
                given = (crew.job.make, self._shared, self._which, crew.of)
                self._held = self._task(self._place, _begin, self._place, *given)
                self._result(self._held)
                self._begun = True
            title = f"{call.__name__}-{uuid.uuid4().hex}"
            answer.set_result(self._result(self._task(title, _call, self._place, call, *arguments)))
        except Exception as error:
            answer.set_exception(error)
        return answer

    def instead(self) -> "DaskWorker | None":
        crew = self._crew
        with crew.lock, suppress(OSError, TimeoutError, ValueError):
            for name in sorted(crew.client.scheduler_info()["workers"].keys() - crew.used):
                crew.used.add(name)
                # Those who had it may be gone by now.
                shared = crew.client.scatter(crew.shared, workers=[name], hash=False)
                return DaskWorker(crew, name, self._which, shared)
        return None

    def _task(self, title: str, function: Callable[..., Any], *arguments: Any) -> "Task[Any]":
        here = {"workers": [self.name], "allow_other_workers": False}
        return self._client.submit(function, *arguments, key=title, pure=False, retries=0, **here)

    def _result(self, task: "Task[Any]") -> Any:
        while True:
            try:
                failed = task.exception(timeout=_LOOK_SECONDS)
                result = task.result(timeout=_LOOK_SECONDS) if failed is None else None
                break
            except TimeoutError:
                self._look()
            except (CancelledError, OSError) as error:
                # All is cancelled when the scheduler goes, and with a worker what only that one had.
                self._look()
                raise WorkerLost(f"{self.name}: {error}") from None
        if failed is not None:
            raise _as_told(failed, self.name)
        return result

    def _look(self) -> None:
        """See that the worker is there still, and tell it when to stop.

        Raises:
            Gone: it is not. NewsletterError: the scheduler is not.
        """
        try:
            there = self._client.nthreads([self.name]) if self._client.status == "running" else None
        except (OSError, TimeoutError, ValueError):
            there = None
        if there is None:
            raise NewsletterError(
                f"engine: the Dask scheduler at {self._crew.cluster} is gone; when it is back, run it again to go on"
            )
        if not there:
            raise WorkerLost(f"the worker {self.name} is gone")
        if self._crew.job.should_stop() and self._begun and not self._stopped:
            self._stopped = True
            # In a thread, since a worker that is paused by its system answers only when it goes on.
            threading.Thread(target=self._stop, daemon=True).start()

    def _stop(self) -> None:
        with suppress(Exception):
            self._client.run(_stop, self._place, workers=[self.name], on_error="ignore")


def _as_told(error: BaseException, name: str) -> BaseException:
    """What a task failed with, as the one who leads tells it."""
    if isinstance(error, _NoState | KilledWorker | NoValidWorkerError):
        return WorkerLost(str(error))
    if isinstance(error, NewsletterError):
        return type(error)(*(f"{line} (the worker {name})" for line in error.lines))
    return error


@contextmanager
def worker_pool(job: PoolSpec, most: int, cluster: DaskAddress) -> Iterator[Sequence[Worker]]:
    """The workers that a cluster has, so many at most.

    Raises:
        NewsletterError: there is no scheduler, or no worker.
        UserError: Dask is not installed, or the scheduler's file not there.
    """
    # What Dask has to say is said in our own lines.
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    with _connected(cluster) as client:
        try:
            # Those that were killed may be about to begin anew.
            client.wait_for_workers(1, timeout=_CONNECT_SECONDS)
        except TimeoutError:
            raise NewsletterError(
                f"engine: the Dask scheduler at {cluster} has no worker; start 'dask worker'"
            ) from None
        known = sorted(client.scheduler_info()["workers"])
        answering = _answering(client, known)
        names = answering[:most]
        if not names:
            raise NewsletterError(f"engine: no worker of the Dask scheduler at {cluster} answers; see how they are")
        with suppress(KeyError):  # A scheduler may do without.
            workers = "1 worker" if len(names) == 1 else f"{len(names)} workers"
            job.told(f"{workers}; Dask's dashboard: {client.dashboard_link}")
        packed = pickle.dumps(job.shared, pickle.HIGHEST_PROTOCOL)
        shared = client.scatter(packed, workers=names, broadcast=True, hash=False)
        # Those beyond ``most`` stand by for who is lost.
        unheard = set(known) - set(answering)
        common = _Pool(client, cluster, job, packed, len(names), {*names, *unheard})
        yield [DaskWorker(common, name, which, shared) for which, name in enumerate(names)]


def _answering(client: Client, names: list[str]) -> list[str]:
    """Those workers that can be reached. Each can load the newsletter: one that is sent what it cannot would close.

    Raises:
        UserError: one cannot.
    """
    loaded = client.run(exec, f"import {__name__}", workers=names, on_error="return")
    for name, error in loaded.items():
        if error is not None and not isinstance(error, OSError | TimeoutError):
            raise UserError(f"engine: the worker {name} cannot load the newsletter ({error}); install the same there")
    return [name for name in names if name in loaded and loaded[name] is None]


@contextmanager
def _connected(cluster: DaskAddress) -> Iterator[Client]:
    if cluster.file is not None and not cluster.file.exists():
        raise UserError(f"engine: {cluster.file}: no such file; 'dask scheduler --scheduler-file' writes it")
    where = {"scheduler_file": str(cluster.file)} if cluster.file else {"address": cluster.address}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Of versions that differ; what matters of them, each place looks at.
            client = Client(**where, timeout=_CONNECT_SECONDS, set_as_default=False, name="newsletter")
    except (OSError, ValueError, TypeError) as error:
        raise NewsletterError(
            f"engine: no Dask scheduler answers at {cluster} ({error}); start 'dask scheduler', or check the address"
        ) from None
    try:
        yield client
    finally:
        with suppress(OSError, TimeoutError):
            client.close(timeout=_LOOK_SECONDS)


# What follows is done in the workers.


@dataclass(slots=True)
class _KeptStates:
    """A place that is kept from call to call."""

    stop: threading.Event
    place: WorkerState
    lock: threading.Lock = field(default_factory=threading.Lock)


_states: dict[str, _KeptStates] = {}


def _begin(name: str, make: StateFactory, shared: bytes, which: int, of: int) -> None:
    stop = threading.Event()
    kept = _states[name] = _KeptStates(stop, make(pickle.loads(shared), which, of, stop.is_set))  # noqa: S301 - Dask itself would
    # No daemon: a worker that is told to end waits for the messages on the wire.
    threading.Thread(target=_keep, args=(name, kept, get_worker()), name="keeper of a place", daemon=False).start()


def _call(name: str, call: Callable[..., Any], *arguments: Any) -> Any:
    kept = _states.get(name)
    if kept is None:
        raise _NoState(f"{name} is left")
    with kept.lock:
        return call(kept.place, *arguments)


def _stop(name: str) -> None:
    if kept := _states.get(name):
        kept.stop.set()


def _keep(name: str, kept: _KeptStates, worker: Any) -> None:
    """Wait until the place is to be left, and leave it."""
    looks = 0
    while worker.status in (Status.running, Status.paused):
        time.sleep(_LOOK_SECONDS)
        if name in worker.data:
            looks = _LOOKS_BEFORE
        elif looks == _LOOKS_BEFORE:
            break
        else:
            looks += 1
    kept.stop.set()
    with kept.lock:
        del _states[name]
        kept.place.end(stop=True)
