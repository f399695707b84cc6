"""Workers on a Dask cluster; their state lives in Dask's worker processes from call to call.

A call is a task pinned to its worker, one at a time, so that a worker holds only one batch. The state exists for as
long as Dask keeps the result of the task that created it: it is closed when the client releases that result or is gone,
and when the Dask worker closes.
"""

import logging
import pickle
import threading
import time
import uuid
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from newsletter.errors import NewsletterError, UserError
from newsletter.workers.base import DaskAddress, PoolSpec, StateFactory, Worker, WorkerLost, WorkerState

try:
    from distributed import CancelledError, Client, KilledWorker, Status, get_worker
    from distributed import Future as Task
    from distributed.scheduler import NoValidWorkerError
except ModuleNotFoundError as error:
    raise UserError(f"engine: no module {error.name}; run \"pip install 'newsletter[cluster]'\"") from None

_CONNECT_SECONDS = 10.0
_LOOK_SECONDS = 1.0
_LOOKS_BEFORE = 60
"""How many times a worker looks for the result of the task that created the state before assuming it was released."""


class _NoState(Exception):
    """The worker has closed the state, or is another process by now."""


@dataclass(slots=True)
class _Cluster:
    """What the workers of a run share.

    Attributes:
        shared: the pickled data that each worker gets. ``of``: the number of workers.
        used: the addresses of all Dask workers that are or were used.
    """

    client: Client
    address: DaskAddress
    spec: PoolSpec
    shared: bytes
    of: int
    used: set[str]
    lock: threading.Lock = field(default_factory=threading.Lock)


class DaskWorker(Worker[Any, Any]):
    """A worker of a Dask cluster; its name is its address there."""

    def __init__(self, cluster: _Cluster, name: str, which: int, shared: "Task[Any]") -> None:
        self.name, self._shared = name, shared
        self._cluster, self._client, self._which = cluster, cluster.client, which
        self._key = f"state-{uuid.uuid4().hex}"
        self._state: Task[Any] | None = None
        self._started = self._stopped = False

    def replacement(self) -> "DaskWorker | None":
        cluster = self._cluster
        with cluster.lock, suppress(OSError, TimeoutError, ValueError):
            for name in sorted(cluster.client.scheduler_info()["workers"].keys() - cluster.used):
                cluster.used.add(name)
                # The workers that held the shared data may be gone by now.
                shared = cluster.client.scatter(cluster.shared, workers=[name], hash=False)
                return DaskWorker(cluster, name, self._which, shared)
        return None

    def _call(self, method: str, *arguments: Any) -> Any:
        if self._state is None:
            given = (self._cluster.spec.create_state, self._shared, self._which, self._cluster.of)
            self._state = self._task(self._key, _create, self._key, *given)
            self._result(self._state)
            self._started = True
        return self._result(self._task(f"{method}-{uuid.uuid4().hex}", _run, self._key, method, *arguments))

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
                self._check()
            except (CancelledError, OSError) as error:
                # Everything is cancelled if the scheduler goes; if a worker goes, what only that one had.
                self._check()
                raise WorkerLost(f"{self.name}: {error}") from None
        if failed is not None:
            raise _as_reported(failed, self.name)
        return result

    def _check(self) -> None:
        """Check that the worker still exists, and tell it to stop if needed.

        Raises:
            WorkerLost: the worker is gone. NewsletterError: the scheduler is gone.
        """
        try:
            there = self._client.nthreads([self.name]) if self._client.status == "running" else None
        except (OSError, TimeoutError, ValueError):
            there = None
        if there is None:
            raise NewsletterError(
                f"engine: the Dask scheduler at {self._cluster.address} is gone; run the command again once it is back"
            )
        if not there:
            raise WorkerLost(f"the worker {self.name} is gone")
        if self._cluster.spec.should_stop() and self._started and not self._stopped:
            self._stopped = True
            # In a thread: a suspended worker process (SIGSTOP) answers only when it continues.
            threading.Thread(target=self._stop, daemon=True).start()

    def _stop(self) -> None:
        with suppress(Exception):
            self._client.run(_stop, self._key, workers=[self.name], on_error="ignore")


def _as_reported(error: BaseException, name: str) -> BaseException:
    """Return the error of a task as the client reports it."""
    if isinstance(error, _NoState | KilledWorker | NoValidWorkerError):
        return WorkerLost(str(error))
    if isinstance(error, NewsletterError):
        return type(error)(*(f"{line} (the worker {name})" for line in error.lines))
    return error


@contextmanager
def dask_workers(spec: PoolSpec, most: int, address: DaskAddress) -> Iterator[Sequence[DaskWorker]]:
    """Provide up to ``most`` workers of a cluster.

    Raises:
        NewsletterError: there is no scheduler, or no worker.
        UserError: Dask is not installed, or the scheduler's file is missing.
    """
    # What matters is reported here.
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    with _connected(address) as client:
        try:
            # Workers that were killed may be about to restart.
            client.wait_for_workers(1, timeout=_CONNECT_SECONDS)
        except TimeoutError:
            raise NewsletterError(
                f"engine: the Dask scheduler at {address} has no worker; start 'dask worker'"
            ) from None
        known = sorted(client.scheduler_info()["workers"])
        answering = _answering(client, known)
        names = answering[:most]
        if not names:
            raise NewsletterError(
                f"engine: no worker of the Dask scheduler at {address} answers; check the worker logs"
            )
        with suppress(KeyError):  # The scheduler may run without a dashboard.
            workers = "1 worker" if len(names) == 1 else f"{len(names)} workers"
            spec.on_info(f"{workers}; Dask's dashboard: {client.dashboard_link}")
        pickled = pickle.dumps(spec.shared, pickle.HIGHEST_PROTOCOL)
        shared = client.scatter(pickled, workers=names, broadcast=True, hash=False)
        # Workers beyond ``most`` stand by as replacements.
        silent = set(known) - set(answering)
        cluster = _Cluster(client, address, spec, pickled, len(names), {*names, *silent})
        yield [DaskWorker(cluster, name, which, shared) for which, name in enumerate(names)]


def _answering(client: Client, names: list[str]) -> list[str]:
    """Return the workers that can be reached. Each must be able to import the newsletter, or its tasks would fail.

    Raises:
        UserError: one of them cannot.
    """
    loaded = client.run(exec, f"import {__name__}", workers=names, on_error="return")
    for name, error in loaded.items():
        if error is not None and not isinstance(error, OSError | TimeoutError):
            raise UserError(
                f"engine: the worker {name} cannot load the newsletter ({error}); install the same version there"
            )
    return [name for name in names if name in loaded and loaded[name] is None]


@contextmanager
def _connected(address: DaskAddress) -> Iterator[Client]:
    if address.file is not None and not address.file.exists():
        raise UserError(f"engine: {address.file}: no such file; 'dask scheduler --scheduler-file' writes it")
    where = {"scheduler_file": str(address.file)} if address.file else {"address": address.address}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # About different versions; each state checks what matters.
            client = Client(**where, timeout=_CONNECT_SECONDS, set_as_default=False, name="newsletter")
    except (OSError, ValueError, TypeError) as error:
        raise NewsletterError(
            f"engine: no Dask scheduler answers at {address} ({error}); start 'dask scheduler', or check the address"
        ) from None
    try:
        yield client
    finally:
        with suppress(OSError, TimeoutError):
            client.close(timeout=_LOOK_SECONDS)


# The rest runs in Dask's worker processes.


@dataclass(slots=True)
class _Kept:
    """A state that is kept between calls."""

    stop: threading.Event
    state: WorkerState[Any, Any]
    lock: threading.Lock = field(default_factory=threading.Lock)


def _states() -> dict[str, _Kept]:
    """Return the states that this Dask worker keeps, by key."""
    states: dict[str, _Kept] = get_worker().__dict__.setdefault("newsletter_states", {})
    return states


def _create(key: str, create_state: StateFactory, shared: bytes, which: int, of: int) -> None:
    stop, states = threading.Event(), _states()
    state = create_state(pickle.loads(shared), which, of, stop.is_set)  # noqa: S301 - Dask itself would
    states[key] = _Kept(stop, state)
    # Not a daemon thread: a worker that must stop waits for the messages on the wire.
    arguments = (key, states, get_worker())
    threading.Thread(target=_keep, args=arguments, name="newsletter state", daemon=False).start()


def _run(key: str, method: str, *arguments: Any) -> Any:
    kept = _states().get(key)
    if kept is None:
        raise _NoState(f"{key} is closed")
    with kept.lock:
        return getattr(kept.state, method)(*arguments)


def _stop(key: str, dask_worker: Any) -> None:
    # Called by Client.run, which passes the worker under this name.
    if kept := getattr(dask_worker, "newsletter_states", {}).get(key):
        kept.stop.set()


def _keep(key: str, states: dict[str, _Kept], worker: Any) -> None:
    """Wait until the state must be closed, and close it."""
    looks = 0
    while worker.status in (Status.running, Status.paused):
        time.sleep(_LOOK_SECONDS)
        if key in worker.data:
            looks = _LOOKS_BEFORE
        elif looks == _LOOKS_BEFORE:
            break
        else:
            looks += 1
    kept = states[key]
    kept.stop.set()
    with kept.lock:
        del states[key]
        kept.state.close(stop=True)
