"""The engine on a Dask cluster: a hand is a worker, and its place lives in that worker's process from call to call.

A call is a task that is pinned to its worker, one at a time, so that a worker holds one block and no more. Which
workers are there, Dask's scheduler knows. A place that hears nothing from the one who leads for half a minute is left,
and so is that of a worker which closes.
"""

import logging
import threading
import uuid
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from newsletter.engine import Cluster, Gone, Hand, Job, Make, Place
from newsletter.errors import NewsletterError, UserError

try:
    from distributed import CancelledError, Client, KilledWorker, Status, get_worker, wait
    from distributed.scheduler import NoValidWorkerError
except ModuleNotFoundError as error:
    raise UserError(f"engine: no module {error.name}; run \"pip install 'newsletter[cluster]'\"") from None

_CONNECT_SECONDS = 10.0
_LOOK_SECONDS = 1.0
_LOOKS_ALONE = 30
"""So many looks in which nothing is heard; not seconds, since a process that was stopped for a minute missed none."""


class _NoPlace(Exception):
    """The worker has left the place: it heard nothing for too long, or is another process by now."""


class Worker:
    """A hand that is a worker of the cluster, known by its address."""

    def __init__(self, client: Client, cluster: Cluster, name: str, place: str, begin: Sequence[Any], job: Job) -> None:
        self.name = name
        self._client, self._cluster, self._place, self._begin, self._job = client, cluster, place, begin, job
        self._telling = threading.Thread()

    def ask(self, call: Callable[..., Any], *arguments: Any) -> "Future[Any]":
        answer: Future[Any] = Future()
        try:
            if self._begin:
                self._do("begin", _begin, self._place, *self._begin)
                self._begin = ()
            answer.set_result(self._do(call.__name__, _call, self._place, call, *arguments))
        except Exception as error:
            answer.set_exception(error)
        return answer

    def _do(self, title: str, function: Callable[..., Any], *arguments: Any) -> Any:
        """Have the worker do something, under a title for the dashboard, and wait for it."""
        key, here = f"{title}-{uuid.uuid4().hex}", {"workers": [self.name], "allow_other_workers": False}
        task = self._client.submit(function, *arguments, key=key, pure=False, retries=0, **here)
        while True:
            try:
                wait(task, timeout=_LOOK_SECONDS)
                failed = task.exception(timeout=_LOOK_SECONDS)
                result = task.result(timeout=_LOOK_SECONDS) if failed is None else None
                break
            except TimeoutError:
                self._look()
            except (CancelledError, OSError) as error:
                # All is cancelled when the scheduler goes, and with a worker what only that one had.
                self._look()
                raise Gone(f"{self.name}: {error}") from None
        if failed is not None:
            raise _as_told(failed, self.name)
        return result

    def _look(self) -> None:
        """See that the worker is there still, and let it hear from us.

        Raises:
            Gone: it is not. NewsletterError: the scheduler is not.
        """
        try:
            there = self._client.nthreads([self.name]) if self._client.status == "running" else None
        except (OSError, TimeoutError, ValueError):
            there = None
        if there is None:
            raise NewsletterError(
                f"engine: the Dask scheduler at {self._cluster} is gone; when it is back, run it again to go on"
            )
        if not there:
            raise Gone(f"the worker {self.name} is gone")
        # In a thread, since a worker that is stopped answers only when it goes on.
        if not self._telling.is_alive():
            self._telling = self._tell(_hear, self._place, self._job.stopping())

    def leave(self) -> None:
        """Have the place left, if it is not."""
        self._tell(_leave, self._place).join(_LOOK_SECONDS)

    def _tell(self, function: Callable[..., None], *arguments: Any) -> threading.Thread:
        """Have something done at once, beside the worker's task."""

        def tell() -> None:
            with suppress(Exception):
                self._client.run(function, *arguments, workers=[self.name], on_error="ignore")

        thread = threading.Thread(target=tell, daemon=True)
        thread.start()
        return thread


def _as_told(error: BaseException, name: str) -> BaseException:
    """What a task failed with, as the one who leads tells it."""
    if isinstance(error, _NoPlace | KilledWorker | NoValidWorkerError):
        return Gone(str(error))
    if isinstance(error, ImportError):
        return UserError(f"engine: the worker {name} cannot load the newsletter ({error}); install the same there")
    if isinstance(error, NewsletterError):
        return type(error)(*(f"{line} (the worker {name})" for line in error.lines))
    return error


@contextmanager
def crew(job: Job, most: int, cluster: Cluster) -> Iterator[Sequence[Hand]]:
    """The workers that a cluster has, so many at most.

    Raises:
        NewsletterError: there is no scheduler, or no worker.
        UserError: Dask is not installed, or the scheduler's file not there.
    """
    # What Dask has to say is said in our own lines.
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    with _connected(cluster) as client:
        names = sorted(client.scheduler_info()["workers"])[:most]
        if not names:
            raise NewsletterError(f"engine: the Dask scheduler at {cluster} has no worker; start 'dask worker'")
        job.told(f"{len(names)} workers, to be seen at {client.dashboard_link}")
        (shared,) = client.scatter([job.shared], workers=names, broadcast=True, hash=False)
        run = uuid.uuid4().hex
        hands = [
            Worker(client, cluster, name, f"{run}/{which}", (job.make, shared, which, len(names)), job)
            for which, name in enumerate(names)
        ]
        try:
            yield hands
        finally:
            for hand in hands:
                hand.leave()


@contextmanager
def _connected(cluster: Cluster) -> Iterator[Client]:
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
class _Kept:
    """A place that is kept from call to call; ``looks``: in how many nothing was heard."""

    stop: threading.Event = field(default_factory=threading.Event)
    left: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)
    place: Place | None = None
    looks: int = 0


_places: dict[str, _Kept] = {}


def _begin(name: str, make: Make, shared: Any, which: int, of: int) -> None:
    kept = _Kept()
    kept.place = make(shared, which, of, kept.stop.is_set)
    _places[name] = kept
    # No daemon: a worker that is told to end waits for the messages on the wire.
    threading.Thread(target=_keep, args=(name, kept, get_worker()), name="place of a newsletter").start()


def _call(name: str, call: Callable[..., Any], *arguments: Any) -> Any:
    kept = _places.get(name)
    if kept is None:
        raise _NoPlace(f"{name} is left")
    with kept.lock:
        kept.looks = 0
        try:
            return call(kept.place, *arguments)
        finally:
            kept.looks = 0


def _hear(name: str, stop: bool) -> None:
    if kept := _places.get(name):
        kept.looks = 0
        if stop:
            kept.stop.set()


def _leave(name: str) -> None:
    if kept := _places.get(name):
        kept.left.set()


def _keep(name: str, kept: _Kept, worker: Any) -> None:
    """Wait until the place is to be left, and leave it."""
    while not kept.left.wait(_LOOK_SECONDS):
        kept.looks += 1
        if kept.looks > _LOOKS_ALONE or worker.status not in (Status.running, Status.paused):
            break
    kept.stop.set()
    with kept.lock:
        del _places[name]
        if kept.place is not None:
            kept.place.end(stop=True)
