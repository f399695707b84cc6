"""Read a source in a separate process, which is terminated at its deadline or when the newsletter stops.

Nothing else stops everything a source may cause: a name look-up that hangs, a parser that takes quadratic time and
blocks all other threads, or one that fills the memory.
"""

import os
import pickle
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import islice
from multiprocessing import parent_process
from multiprocessing.connection import Connection
from pathlib import Path
from traceback import extract_tb
from types import TracebackType
from typing import Any, Self

from newsletter.config.settings import Config
from newsletter.config.sources import Network
from newsletter.errors import Stopped, UserError
from newsletter.sources.base import DateRange, Source
from newsletter.sources.bounds import Bounded, all_within_bounds, brief
from newsletter.sources.errors import NoAnswerError, SourceError
from newsletter.sources.http import HttpClient, Validators, user_agent
from newsletter.workers.local import process_context

BLOCK = 200
"""Papers that are stored together."""

_BLOCK_BYTES = 4_000_000
"""Large papers are stored in smaller blocks, since this process holds the blocks of four sources at the same time."""

_LOOK_SECONDS = 0.1
"""Seconds between checks of the deadline, and of whether to stop, while nothing arrives."""

_FLUSH_SECONDS = 1.0
"""After this many seconds without a new paper those received are stored, so that a slow source's papers are kept."""

_MAX_MEMORY = 4 * 1024**3
_OUT_OF_MEMORY_SCORE = "800"
_NICE = 10


@dataclass(frozen=True, slots=True)
class SourceAccess:
    """What is needed to read a source.

    Attributes:
        urls: its URLs in the configuration. ``validators``: those stored by earlier runs, by URL.
        quota: how many requests it may make; None without a limit.
    """

    network: Network
    agent: str
    urls: tuple[str, ...] = ()
    validators: Mapping[str, Validators] = field(default_factory=dict)
    quota: "Quota | None" = None


@dataclass(frozen=True, slots=True)
class Quota:
    """How many requests are left, and what to say once there are none."""

    left: int
    spent: str


def source_access(
    config: Config,
    name: str,
    network: Network | None = None,
    validators: Mapping[str, Validators] | None = None,
    quota: Quota | None = None,
) -> SourceAccess:
    """Return what is needed to read a source of the configuration."""
    values = config.sources[name].model_dump().values()
    urls = tuple(value for value in values if isinstance(value, str) and value.startswith(("http://", "https://")))
    agent = user_agent(config.site.url, config.contact)
    return SourceAccess(network or config.network, agent, urls, validators or {}, quota)


class _Requested:
    """One request was made, of those that a quota allows."""


@dataclass(frozen=True, slots=True)
class _End:
    """The end of a source: its error, None without one."""

    error: str | None = None
    status: int | None = None
    fix: str = ""
    validators: Mapping[str, Validators] = field(default_factory=dict)
    ahead: float | None = None
    requests: tuple[str, ...] = ()


class SourceReader:
    """Reads one source.

    Args:
        most: read up to this many papers and stop; None: the limit is ``network.source_papers``.
        should_stop: polled continuously.

    Attributes:
        validators: those that the servers returned. Store them only after all papers are stored; otherwise papers lost
            on the way would never be requested again.
        ahead: by how many seconds the clock of the last server is ahead of ours.
        requests: the first requests, each as method and URL without secrets; known when it ended.
        requests_made: how many it made so far, if there is a quota.
    """

    def __init__(
        self,
        source: Source,
        window: DateRange,
        access: SourceAccess,
        most: int | None = None,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> None:
        self.validators: Mapping[str, Validators] = {}
        self.ahead: float | None = None
        self.requests: tuple[str, ...] = ()
        self.requests_made = 0
        self._should_stop = should_stop
        self._seconds = access.network.source_seconds
        self._end = time.monotonic() + self._seconds
        context: Any = process_context()
        self._connection, theirs = context.Pipe(duplex=False)
        self._process = context.Process(target=_read, args=(theirs, source, window, access, most), daemon=True)
        try:
            self._process.start()
        except (OSError, EOFError) as error:  # EOFError: the fork server has ended.
            self._connection.close()
            why = getattr(error, "strerror", None) or str(error) or type(error).__name__
            raise SourceError(f"cannot start a process to read it: {why}") from error
        finally:
            theirs.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process.is_alive():
            self._process.kill()
        self._process.join()
        self._connection.close()

    def blocks(self) -> Iterator[list[Bounded]]:
        """Yield the papers, block by block; also those before a failure.

        Raises:
            SourceError: the source failed, or took longer than ``network.source_seconds``.
            Stopped: the newsletter is stopping.
        """
        block: list[Bounded] = []
        size = 0
        since = time.monotonic()
        while True:
            self._look()
            if time.monotonic() > self._end:
                if block:
                    yield block
                raise SourceError(
                    f"took longer than {self._seconds:g} s in total; the papers received so far are kept; "
                    "raise network.source_seconds if it needs longer"
                )
            came, length = self._receive()
            if isinstance(came, _End):
                if block:
                    yield block
                self._finish(came)
                return
            if came is not None:
                block.append(came)
                size += length
                since = time.monotonic()
            is_full = len(block) == BLOCK or size >= _BLOCK_BYTES
            if is_full or (block and time.monotonic() - since > _FLUSH_SECONDS):
                yield block
                block, size = [], 0

    def _look(self) -> None:
        if self._should_stop():
            raise Stopped("stopped before the source was read")

    def _receive(self) -> tuple[Bounded | _End | None, int]:
        """Return what the process sends next, and its size in bytes; None if nothing arrives for a moment."""
        try:
            if not self._connection.poll(_LOOK_SECONDS):
                return None, 0
            sent = self._connection.recv_bytes()
            came = pickle.loads(sent)  # noqa: S301 - our own
            if isinstance(came, _Requested):
                self.requests_made += 1
                return None, 0
            return came, len(sent)
        except (EOFError, OSError):
            self._process.join(1)
            self._look()
            code = self._process.exitcode
            how = f"by signal {-code}" if code is not None and code < 0 else f"with code {code}"
            return _End(f"the process that read it ended {how}; it may have run out of memory"), 0

    def _finish(self, end: _End) -> None:
        self.validators, self.ahead, self.requests = end.validators, end.ahead, end.requests
        if end.error is not None:
            raise SourceError(end.error, end.status, end.fix)


def in_blocks(found: Iterable[Bounded]) -> Iterator[list[Bounded]]:
    """Yield papers that are read in this process, block by block; also those before a failure.

    Raises:
        SourceError: the source failed.
    """
    items, error = iter(found), None
    while error is None:
        block: list[Bounded] = []
        try:
            block.extend(islice(items, BLOCK))
        except SourceError as failed:
            error = failed
        if block:
            yield block
        elif error is None:
            return
    raise error


def _read(connection: Connection, source: Source, window: DateRange, access: SourceAccess, most: int | None) -> None:
    """Read a source, in the separate process."""
    _set_up_process()
    end = _End()
    http: HttpClient | None = None
    made = 0

    def count() -> None:
        nonlocal made
        if access.quota is None:
            return
        if made >= access.quota.left:
            raise NoAnswerError(access.quota.spent)
        made += 1
        connection.send(_Requested())

    try:
        with HttpClient(access.network, access.agent, access.validators, access.urls, on_request=count) as http:
            for item in _bounded(source, window, access, http, most):
                connection.send(item)
    except SourceError as failed:
        end = _End(str(failed), failed.status, failed.fix)
    except UserError as failed:
        end = _End(str(failed))
    except MemoryError:
        end = _End("ran out of memory; the papers received so far are kept")
    except Exception as failed:  # Any other failure concerns this source alone.
        frame = extract_tb(failed.__traceback__)[-1]
        where = f"{Path(frame.filename).name}:{frame.lineno}"
        error = f"cannot be read: {type(failed).__name__}: {brief(str(failed))} ({where})"
        end = _End(error, fix="this is an error of the newsletter; report it with this line")
    if http is not None:
        end = replace(end, validators=http.validators_seen, ahead=http.ahead, requests=tuple(http.requests))
    with suppress(OSError):  # The parent has stopped listening.
        connection.send(end)


def _bounded(
    source: Source, window: DateRange, access: SourceAccess, http: HttpClient, most: int | None
) -> Iterator[Bounded]:
    setting = "raise network.source_papers if that is expected"
    found = all_within_bounds(source.fetch(window, http), access.network.source_papers, setting)
    return islice(found, most)


def _set_up_process() -> None:
    # The signals that stop a command go to all its processes; this one stops at the first.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    with suppress(ImportError, ValueError, OSError):
        import resource  # not on Windows

        resource.setrlimit(resource.RLIMIT_AS, (_MAX_MEMORY, _MAX_MEMORY))
    # Sending and the site have priority.
    with suppress(AttributeError, OSError):  # Not on Windows.
        os.nice(_NICE)
    # If memory runs out anyway, Linux should kill this process rather than one that sends.
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(_OUT_OF_MEMORY_SCORE)


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
