"""Hostile servers for sources: each serves all its connections concurrently, for as long as they stay open."""

import socket
import threading
import time
import zlib
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType

RawHandler = Callable[[socket.socket], None]


class HostileServer:
    """A context manager; yields its URL.

    Attributes:
        requests: what was asked, one entry a connection.
    """

    def __init__(self, talk: RawHandler) -> None:
        self.requests: list[bytes] = []
        self._talk = talk

    def __enter__(self) -> str:
        self._server = socket.create_server(("127.0.0.1", 0), backlog=64)
        threading.Thread(target=self._serve, daemon=True).start()
        return f"http://127.0.0.1:{self._server.getsockname()[1]}"

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._server.accept()
                threading.Thread(target=self._one, args=(connection,), daemon=True).start()

    def _one(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            self.requests.append(connection.recv(65536))
            self._talk(connection)


def head(length: int | None = None, *headers: str) -> bytes:
    """Return the head of a good response."""
    lines = ["HTTP/1.1 200 OK", *([f"Content-Length: {length}"] if length is not None else []), *headers]
    return "\r\n".join([*lines, "", ""]).encode()


def saying(body: bytes, *headers: str) -> RawHandler:
    """Answers with a whole body."""
    return lambda connection: connection.sendall(head(len(body), *headers) + body)


def answering(status: str, *headers: str) -> RawHandler:
    """Answers with a status and headers."""
    lines = [f"HTTP/1.1 {status}", "Content-Length: 0", *headers]
    return lambda connection: connection.sendall("\r\n".join([*lines, "", ""]).encode())


def dribbling(start: bytes, drop: bytes = b"x", seconds: float = 0.05) -> RawHandler:
    """Sends a little again and again."""

    def talk(connection: socket.socket) -> None:
        connection.sendall(start)
        while True:
            connection.sendall(drop)
            time.sleep(seconds)

    return talk


def silent(connection: socket.socket) -> None:
    """Never respond."""
    connection.recv(65536)


def endless(connection: socket.socket) -> None:
    """Send an endless body."""
    connection.sendall(head())
    while True:
        connection.sendall(b"x" * 65536)


def empty_blocks(connection: socket.socket) -> None:
    """Send endless compressed data that decompresses to nothing."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    connection.sendall(head(None, "Content-Encoding: gzip") + packer.compress(b"x") + packer.flush(zlib.Z_FULL_FLUSH))
    while True:
        connection.sendall(b"\x00\x00\x00\xff\xff" * 13_000)


def atom(*entries: str, before: str = "") -> bytes:
    """Return an Atom feed of entries, each given by its content."""
    whole = "".join(f"<entry><id>urn:{number}</id>{entry}</entry>" for number, entry in enumerate(entries))
    feed = f'<feed xmlns="http://www.w3.org/2005/Atom"><title>t</title>{whole}</feed>'
    return f'<?xml version="1.0"?>{before}{feed}'.encode()


NESTED = atom('<title>Nested</title><summary type="html">' + "&lt;div&gt;" * 300_000 + "deep inside</summary>")
"""A summary that takes minutes in a parser that builds a tree."""

SLOW_TO_PARSE = atom(
    "<title>Slow</title>" + "".join(f'<category term="category {number}"/>' for number in range(200_000))
)
"""A feed that takes feedparser a quarter of an hour or longer."""
