"""A faulty connection: it forwards bytes to and from a real mail server until the fault that a test injects."""

import select
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from enum import Enum, auto


class Fault(Enum):
    """The fault of a connection. The server has the message only after the final dot."""

    RESET_AT_DATA = auto()
    RESET_IN_MESSAGE = auto()
    RESET_AFTER_DOT = auto()
    SILENCE_AT_ONCE = auto()
    SILENCE_AFTER_SENDER = auto()
    SILENCE_AFTER_DOT = auto()
    DRIP = auto()
    """Each answer is complete, but sent byte by byte."""
    ENDLESS_DRIP_AFTER_SENDER = auto()
    ENDLESS_DRIP_AFTER_DOT = auto()


_SILENCES = {Fault.SILENCE_AT_ONCE, Fault.SILENCE_AFTER_SENDER, Fault.SILENCE_AFTER_DOT}
_AFTER = {
    b"connect": {Fault.DRIP, Fault.SILENCE_AT_ONCE},
    b"MAIL": {Fault.DRIP, Fault.SILENCE_AFTER_SENDER, Fault.ENDLESS_DRIP_AFTER_SENDER},
    b".": {Fault.DRIP, Fault.RESET_AFTER_DOT, Fault.SILENCE_AFTER_DOT, Fault.ENDLESS_DRIP_AFTER_DOT},
}
"""The faults that may affect the answer to a command."""


class Wire:
    """Attributes:
    port: where it begins.
    fault: what strikes the next ``times`` times that it can.
    """

    def __init__(self, target: int) -> None:
        self.fault: Fault | None = None
        self.times = 1
        self._target = target
        self._lock = threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.listener.getsockname()[1]

    def serve(self) -> None:
        """Forward each connection until the listener is closed."""
        with suppress(OSError):
            while True:
                client = self.listener.accept()[0]
                server = socket.create_connection(("127.0.0.1", self._target))
                threading.Thread(target=_Connection(self, client, server).carry, daemon=True).start()

    def strikes(self, faults: set[Fault]) -> Fault | None:
        """Return the fault to inject here, if it is one of these and has not been injected often enough."""
        with self._lock:
            if self.fault not in faults or not self.times:
                return None
            self.times -= 1
            return self.fault


class _Struck(Exception):
    """The connection has ended."""


class _Connection:
    def __init__(self, wire: Wire, client: socket.socket, server: socket.socket) -> None:
        self._wire, self._client, self._server = wire, client, server
        self._command = b"connect"
        self._tail = b""

    def carry(self) -> None:
        with suppress(OSError, _Struck), self._client, self._server:
            while True:
                ready, _, _ = select.select([self._client, self._server], [], [])
                for one in ready:
                    data = one.recv(4096)
                    if not data:
                        return
                    (self._up if one is self._client else self._down)(data)

    def _up(self, data: bytes) -> None:
        if self._command == b"message":
            if self._wire.strikes({Fault.RESET_IN_MESSAGE}):
                self._reset()
            self._tail = (self._tail + data)[-5:]
            if self._tail == b"\r\n.\r\n":
                self._command = b"."
        else:
            self._command = data.split(maxsplit=1)[0].upper()
            if self._command == b"DATA" and self._wire.strikes({Fault.RESET_AT_DATA}):
                self._reset()
        self._server.sendall(data)

    def _down(self, data: bytes) -> None:
        fault = self._wire.strikes(_AFTER.get(self._command, {Fault.DRIP}))
        if self._command == b"DATA" and data.startswith(b"354"):
            self._command = b"message"
        if fault is None:
            self._client.sendall(data)
        elif fault is Fault.RESET_AFTER_DOT:
            self._reset()
        elif fault is Fault.DRIP:
            for place in range(len(data)):
                self._client.sendall(data[place : place + 1])
                time.sleep(0.002)
        elif fault not in _SILENCES:
            while True:
                self._client.sendall(b"2")
                time.sleep(0.05)

    def _reset(self) -> None:
        """End it with a reset (RST), where a program that exits would close it properly (FIN)."""
        self._client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        raise _Struck


@contextmanager
def wire_to(port: int) -> Iterator[Wire]:
    """Put a faulty connection in front of a server on loopback."""
    wire = Wire(port)
    threading.Thread(target=wire.serve, daemon=True).start()
    yield wire
    wire.listener.shutdown(socket.SHUT_RDWR)
    wire.listener.close()
