"""A deadline for a talk as a whole: the timeout of a socket is for one step of it, however many there are."""

import socket
import threading
from typing import Self


class Deadline:
    """Shuts a connection down when its time is over; whoever waits on it then hears that it ended.

    Args:
        seconds: from entering the ``with`` block on.

    Attributes:
        over: whether the time ran out.
    """

    def __init__(self, seconds: float) -> None:
        self.over = False
        self._socket: socket.socket | None = None
        self._timer = threading.Timer(seconds, self._end)
        self._timer.daemon = True

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()

    def watch(self, connection: socket.socket | None) -> None:
        """Take note of the connection to shut down."""
        self._socket = connection
        if self.over:
            self._shut()

    def _end(self) -> None:
        self.over = True
        self._shut()

    def _shut(self) -> None:
        if self._socket is not None:
            try:
                # The plain method: that of a TLS socket would take the TLS away under the thread that reads from it.
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)
            except OSError:
                return
