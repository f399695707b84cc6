"""Workers: they process an edition's batches in this process, in other processes, or on a Dask cluster."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

ShouldStop = Callable[[], bool]

Batch = TypeVar("Batch")
Result = TypeVar("Result")
BatchIn = TypeVar("BatchIn", contravariant=True)
ResultOut = TypeVar("ResultOut", covariant=True)


class WorkerLost(Exception):
    """The worker's process ended or cannot be reached."""


class WorkerState(Protocol[BatchIn, ResultOut]):
    """The state a worker works with. It lives in the worker's process and is used by one call at a time."""

    def owner(self) -> str:
        """Return the name that claims are made under."""

    def process(self, batch: BatchIn) -> ResultOut:
        """Process one batch."""

    def drain(self) -> ResultOut:
        """Work for a short time on what earlier batches, or other workers, left behind."""

    def close(self, stop: bool) -> ResultOut:
        """Finish the work in progress; with ``stop``, drop what has not started yet. Closing twice does nothing."""


StateFactory = Callable[[Any, int, int, ShouldStop], WorkerState[Any, Any]]
"""Creates the state of one worker from the shared data, its number, the number of workers, and a callable that says
whether to stop.
"""


@dataclass(frozen=True, slots=True)
class PoolSpec:
    """The specification of a pool of workers.

    Attributes:
        create_state: creates each worker's state. ``shared``: data that each worker gets, once.
        should_stop: says whether to stop. ``on_info``: called with a line on where the work can be watched.
    """

    create_state: StateFactory
    shared: Any
    should_stop: ShouldStop
    on_info: Callable[[str], None] = lambda line: None


@dataclass(frozen=True, slots=True)
class DaskAddress:
    """Where to find a Dask scheduler: an address (``host:port``), or the file the scheduler writes."""

    address: str | None = None
    file: Path | None = None

    def __str__(self) -> str:
        return self.address or str(self.file)


class Worker(ABC, Generic[Batch, Result]):
    """Calls the methods of a :class:`WorkerState`, wherever that lives, and waits for their results.

    Each method raises what the state raises, or :class:`WorkerLost`.

    Attributes:
        name: identifies the worker.
    """

    name: str

    def owner(self) -> str:
        """Return the name that this worker's claims are made under."""
        return str(self._call("owner"))

    def process(self, batch: Batch) -> Result:
        """Process one batch."""
        result: Result = self._call("process", batch)
        return result

    def drain(self) -> Result:
        """Work for a short time on what is left."""
        result: Result = self._call("drain")
        return result

    def close(self, stop: bool) -> Result:
        """Finish; with ``stop``, drop what has not started yet."""
        result: Result = self._call("close", stop)
        return result

    def replacement(self) -> "Worker[Batch, Result] | None":
        """Return a worker to replace this one, which was lost; None if none is available now."""
        return None

    @abstractmethod
    def _call(self, method: str, *arguments: Any) -> Any: ...
