"""A flood of connections that keep a server waiting: one process, many connections, each with a byte now and then.

It goes to loopback alone, and ends by itself after so many seconds: ``python -m tests.helpers.flood PORT``.
"""

import argparse
import json
import resource
import selectors
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

KINDS = {
    "silent": (b"", b""),
    "head": (b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Slow: ", b"a"),
    "body": (
        b"POST /admin/login HTTP/1.1\r\nHost: localhost\r\n"
        b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 50000\r\n\r\nname=",
        b"a",
    ),
    "idle": (b"GET /static/site.css HTTP/1.1\r\nHost: localhost\r\n\r\n", b""),
    "unread": (b"GET /static/site.css HTTP/1.1\r\nHost: localhost\r\n\r\n" * 100, b""),
    "garbage": (b"\x16\x03\x01\x02\x00\x01\r\n\r\n", b""),
}
"""What each kind of connection sends first, and then every second."""


class Flood:
    """A number of concurrent connections; one that the server closes is replaced."""

    def __init__(self, port: int, number: int, sources: list[str], kind: str) -> None:
        self.opened = self.closed = self.most = 0
        self._first, self._then = KINDS[kind]
        self._reads = kind != "unread"
        self._port, self._number, self._sources = port, number, sources
        self._held: set[socket.socket] = set()
        self._selector = selectors.DefaultSelector()

    def run(self, seconds: float) -> None:
        """Hold them for a number of seconds."""
        now = time.monotonic()
        end, next_byte = now + seconds, now
        while (now := time.monotonic()) < end:
            # A few hundred new ones at a time, so that those already open get their bytes.
            for _ in range(min(300, self._number - len(self._held))):
                self._open()
            for key, events in self._selector.select(timeout=0.05):
                self._heard(key.fileobj, events)  # type: ignore[arg-type]
            if now >= next_byte:
                next_byte = now + 1
                for one in list(self._held):
                    if self._then:
                        self._send(one, self._then)
            self.most = max(self.most, len(self._held))
        for one in list(self._held):
            self._drop(one)

    def _open(self) -> None:
        one = socket.socket()
        one.setblocking(False)
        if not self._reads:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        with suppress(OSError):
            one.bind((self._sources[self.opened % len(self._sources)], 0))
        one.connect_ex(("127.0.0.1", self._port))
        self.opened += 1
        self._held.add(one)
        self._selector.register(one, selectors.EVENT_WRITE)

    def _heard(self, one: socket.socket, events: int) -> None:
        if events & selectors.EVENT_WRITE:
            self._selector.unregister(one)
            if self._reads:
                self._selector.register(one, selectors.EVENT_READ)
            if self._first:
                self._send(one, self._first)
            return
        try:
            closed = not one.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            closed = True
        if closed:
            self.closed += 1
            self._drop(one)

    def _send(self, one: socket.socket, what: bytes) -> None:
        try:
            one.send(what)
        except BlockingIOError:
            pass
        except OSError:
            self.closed += 1
            self._drop(one)

    def _drop(self, one: socket.socket) -> None:
        self._held.discard(one)
        with suppress(KeyError, ValueError):
            self._selector.unregister(one)
        one.close()


def addresses(number: int) -> list[str]:
    """Return a number of loopback addresses; the usual one if it is 1."""
    return ["127.0.0.1"] if number == 1 else [f"127.0.1.{last}" for last in range(1, number + 1)]


@contextmanager
def flood(port: int, kind: str, number: int = 1200, sources: int = 1, seconds: float = 20) -> Iterator[None]:
    """A flood beside what the block does, in a process of its own, which ends with the block at the latest."""
    command = [sys.executable, "-m", "tests.helpers.flood", str(port), "--kind", kind, "--number", str(number)]
    command += ["--sources", str(sources), "--seconds", str(seconds)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "begun\n"
            yield
        finally:
            process.terminate()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("port", type=int)
    parser.add_argument("--kind", choices=KINDS, default="head")
    parser.add_argument("--number", type=int, default=1200)
    parser.add_argument("--sources", type=int, default=1, help="from so many addresses of loopback, 250 at most")
    parser.add_argument("--seconds", type=float, default=20)
    given = parser.parse_args()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, given.number + 100)), hard))
    made = Flood(given.port, given.number, addresses(given.sources), given.kind)
    print("begun", flush=True)
    made.run(given.seconds)
    print(json.dumps({"opened": made.opened, "closed": made.closed, "most": made.most}), flush=True)


if __name__ == "__main__":
    main()
