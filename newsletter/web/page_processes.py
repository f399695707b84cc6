"""Processes that render public pages, so that a site with many visitors uses more than one core.

Python code runs on one core per process. The site's own process keeps the connections, limits, counters, forms and the
cache; it passes on only pages that are the same for everybody and that are not in the cache. The processes start when
many pages are asked for at once, and end after some minutes without; the index is mapped into the memory of all.
Whatever fails there, the site's process makes the page itself.
"""

import asyncio
import logging
import os
import pickle
import socket
import subprocess
import sys
import time
from contextlib import suppress

from starlette.types import Scope

from newsletter.services.context import AppContext
from newsletter.web.middleware.cache import Page
from newsletter.web.page_process import LENGTH, READY, PageRequest, Start

_MOST = 4
_ANSWER_SECONDS = 30.0
_START_SECONDS = 120.0
_PAUSE_SECONDS = 10.0
"""Between two starts: a process that always fails must not be started all the time."""

_IDLE_SECONDS = 300.0

# One thread each: there is a process for each core already.
_THREADS = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}

log = logging.getLogger("uvicorn.error")


def usual_number() -> int:
    """Return how many processes there are by default: one for each core, none where there is only one."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores, _MOST) if cores > 1 else 0


class PageProcesses:
    """The processes of a site, which belong to the event loop that first asks for a page.

    Args:
        number: how many there are at most.
    """

    def __init__(self, context: AppContext, number: int) -> None:
        self._start = pickle.dumps(Start(context.config, context.clock))
        self._number = number
        self._running: list[_Process] = []
        self._starting: asyncio.Task[None] | None = None
        self._idle: asyncio.Task[None] | None = None
        self._may_start = 0.0
        self._asked = 0.0
        self._closed = False

    @property
    def pids(self) -> list[int]:
        """The process ids of those that answer."""
        return [one.pid for one in self._running]

    async def ask(self, scope: Scope, busy: bool) -> Page | None:
        """Have a page rendered.

        Args:
            busy: whether other requests wait for pages; only then are processes started.

        Returns:
            None if there is no process, if it fails, or if the answer is no public page.
        """
        self._asked = time.monotonic()
        if busy and len(self._running) < self._number:
            self._begin()
        if not self._running:
            return None
        process = min(self._running, key=lambda one: one.waiting)
        asked = PageRequest(scope["path"], scope.get("raw_path") or scope["path"].encode(), scope["query_string"])
        try:
            made: Page | None = pickle.loads(await process.ask(pickle.dumps(asked)))  # noqa: S301
        except (OSError, EOFError, TimeoutError, pickle.UnpicklingError) as error:
            self._lose(process, error)
            return None
        except asyncio.CancelledError:
            # Its answer would be taken for that of the next request.
            self._lose(process, None)
            raise
        return made

    def close(self) -> None:
        """End the processes; this may be called from any thread."""
        self._closed = True
        for process in self._running:
            process.end()
        self._running = []

    def _begin(self) -> None:
        starting = self._starting is not None and not self._starting.done()
        if not self._closed and not starting and time.monotonic() >= self._may_start:
            self._starting = asyncio.create_task(self._fill())

    async def _fill(self) -> None:
        """Start processes one after the other, until there are enough."""
        self._may_start = time.monotonic() + _PAUSE_SECONDS
        while len(self._running) < self._number and not self._closed:
            try:
                process = await _Process.start(self._start)
            except (OSError, EOFError, TimeoutError) as error:
                log.warning("a process for pages did not start (%s); pages are made without it", error or "it ended")
                return
            if self._closed:
                process.end()
                return
            self._running.append(process)
        if self._idle is None or self._idle.done():
            self._idle = asyncio.create_task(self._end_when_idle())

    async def _end_when_idle(self) -> None:
        while (left := self._asked + _IDLE_SECONDS - time.monotonic()) > 0:
            await asyncio.sleep(left)
        idle, self._running = self._running, []
        for process in idle:
            await asyncio.to_thread(process.end)

    def _lose(self, process: "_Process", error: BaseException | None) -> None:
        if process in self._running:
            self._running.remove(process)
            if error is not None and not self._closed:
                log.warning("a process for pages failed (%s); its pages are made without it", error or "it ended")
        process.end()


class _Process:
    """A process that renders pages, and the connection to it."""

    def __init__(
        self, process: "subprocess.Popen[bytes]", reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.waiting = 0
        self._process, self._reader, self._writer = process, reader, writer
        self._turn, self._loop = asyncio.Lock(), asyncio.get_running_loop()

    @property
    def pid(self) -> int:
        return self._process.pid

    @classmethod
    async def start(cls, begun: bytes) -> "_Process":
        """Start a process, and wait until it is ready.

        Raises:
            OSError, EOFError, TimeoutError: it did not start.
        """
        ours, its = socket.socketpair()
        command = [sys.executable, "-m", "newsletter.web.page_process", str(its.fileno())]
        with its:
            process = await asyncio.to_thread(
                subprocess.Popen,
                command,
                pass_fds=[its.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                env={**os.environ, **_THREADS},
            )
        started = cls(process, *await asyncio.open_connection(sock=ours))
        try:
            if await started.ask(begun, _START_SECONDS) == READY:
                return started
            raise EOFError
        except BaseException:
            started.end()
            raise

    async def ask(self, content: bytes, seconds: float = _ANSWER_SECONDS) -> bytes:
        """Send a message, and return its answer, when it is this one's turn.

        Raises:
            OSError, EOFError, TimeoutError: the process has ended, or does not answer.
        """
        self.waiting += 1
        try:
            async with self._turn, asyncio.timeout(seconds):
                self._writer.write(LENGTH.pack(len(content)) + content)
                await self._writer.drain()
                (length,) = LENGTH.unpack(await self._reader.readexactly(LENGTH.size))
                return await self._reader.readexactly(length)
        finally:
            self.waiting -= 1

    def end(self) -> None:
        """End the process; whoever waits for its answer gets an error."""
        self._process.kill()  # It only reads the store, so nothing is lost.
        self._process.wait()
        with suppress(RuntimeError):  # The event loop has ended already, and closed all connections.
            self._loop.call_soon_threadsafe(self._writer.close)
