"""A deadline for a whole conversation; the timeout of a socket applies to each step only."""

import socket
import threading
import time
from typing import Self

_LOOK_SECONDS = 0.1


class Deadline:
    """Shuts down a connection at a deadline; a thread waiting on it then sees that it ended.

    Args:
        seconds: counted from entering the ``with`` block; it may be slightly later.

    Attributes:
        over: whether the time has run out.
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
        """Set the connection to shut down."""
        self._socket = connection
        if self.over:
            self._shut()

    def end(self) -> None:
        """End the time and shut down the connection."""
        self.over = True
        self._shut()

    def _shut(self) -> None:
        if self._socket is not None:
            try:
                # The plain socket's method: that of a TLS socket would remove TLS while another thread reads from it.
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)
            except OSError:
                return


class _Watchdog:
    """One thread that watches all deadlines; a timer each would need a thread for every message."""

    def __init__(self) -> None:
        self._ends: dict[Deadline, float] = {}
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def watch(self, deadline: Deadline, end: float) -> None:
        with self._lock:
            self._ends[deadline] = end
            # In a forked child the parent's thread does not exist.
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
