"""A deadline for a talk as a whole: the timeout of a socket is for one step of it, however many there are."""

import socket
import threading
import time
from typing import Self

_LOOK_SECONDS = 0.1


class Deadline:
    """Shuts a connection down when its time is over; whoever waits on it then hears that it ended.

    Args:
        seconds: from entering the ``with`` block on; it may be a little later.

    Attributes:
        over: whether the time ran out.
    """

    def __init__(self, seconds: float) -> None:
        self.over = False
        self._seconds = seconds
        self._socket: socket.socket | None = None

    def __enter__(self) -> Self:
        _watchdog.watch(self, time.monotonic() + self._seconds)
        return self

    def __exit__(self, *_: object) -> None:
        _watchdog.leave(self)

    def watch(self, connection: socket.socket | None) -> None:
        """Take note of the connection to shut down."""
        self._socket = connection
        if self.over:
            self._shut()

    def end(self) -> None:
        """The time is over."""
        self.over = True
        self._shut()

    def _shut(self) -> None:
        if self._socket is not None:
            try:
                # The plain method: that of a TLS socket would take the TLS away under the thread that reads from it.
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)
            except OSError:
                return


class _Watchdog:
    """One thread that looks after all deadlines: a timer each would be a thread for every message."""

    def __init__(self) -> None:
        self._ends: dict[Deadline, float] = {}
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def watch(self, deadline: Deadline, end: float) -> None:
        with self._lock:
            self._ends[deadline] = end
            # In a child made by fork the parent's thread is not there.
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._look, daemon=True)
                self._thread.start()

    def leave(self, deadline: Deadline) -> None:
        with self._lock:
            self._ends.pop(deadline, None)

    def _look(self) -> None:
        while True:
            time.sleep(_LOOK_SECONDS)
            now = time.monotonic()
            with self._lock:
                if not self._ends:
                    self._thread = None
                    return
                over = [deadline for deadline, end in self._ends.items() if end <= now]
                for deadline in over:
                    del self._ends[deadline]
            for deadline in over:
                deadline.end()


_watchdog = _Watchdog()
