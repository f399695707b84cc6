"""A process that renders public pages for the site: ``python -m newsletter.web.page_process FD``.

It is started by :mod:`newsletter.web.page_processes` with the number of a socket, and ends when that is closed, so it
never outlives the site. It answers one request after the other.
"""

import asyncio
import pickle
import signal
import socket
import struct
import sys
from typing import BinaryIO, NamedTuple

from fastapi import FastAPI
from starlette.types import Message, Scope

from newsletter.config.settings import Config
from newsletter.services.context import open_context
from newsletter.support.clock import Clock
from newsletter.web.context import make_context
from newsletter.web.middleware.cache import Page, is_public
from newsletter.web.pages import feeds, papers

LENGTH = struct.Struct("!I")
"""What a message begins with: the length of the rest in bytes."""

READY = b"ready"


class PageRequest(NamedTuple):
    """The page that is asked for."""

    path: str
    raw_path: bytes
    query: bytes


class Start(NamedTuple):
    """What the process begins with."""

    config: Config
    clock: Clock


def make_pages(start: Start) -> FastAPI:
    """Create an application with the public pages alone; the site is responsible for everything around them."""
    site = make_context(open_context(start.config, start.clock))
    app = FastAPI(openapi_url=None, redirect_slashes=False)
    app.include_router(papers.routes(site))
    app.include_router(feeds.routes(site))
    site.index()
    return app


async def render(app: FastAPI, asked: PageRequest) -> Page | None:
    """Render a page; None if the answer is not a public page: the site then makes it itself."""
    scope: Scope = {
        "type": "http",
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": asked.path,
        "raw_path": asked.raw_path,
        "query_string": asked.query,
        "root_path": "",
        "headers": [],
        "client": None,
        "server": None,
    }
    said: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        said.append(message)

    await app(scope, receive, send)
    if not said or not is_public(said[0]):
        return None
    body = b"".join(message.get("body", b"") for message in said[1:])
    headers = tuple((name, value) for name, value in said[0]["headers"])
    return Page(headers, body, getattr(scope.get("route"), "path_format", "none"))


def _read(stream: BinaryIO) -> bytes | None:
    head = stream.read(LENGTH.size)
    return stream.read(LENGTH.unpack(head)[0]) if len(head) == LENGTH.size else None


def _write(stream: BinaryIO, content: bytes) -> None:
    stream.write(LENGTH.pack(len(content)) + content)
    stream.flush()


def main(number: int) -> None:
    """Answer the requests that come by a socket, until it is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the site, which then closes the socket.
    # Both ends are the same program of the same user, so pickle is safe.
    with (
        socket.socket(fileno=number) as connection,
        connection.makefile("rb") as asking,
        connection.makefile("wb") as answers,
        asyncio.Runner() as runner,
    ):
        if (begun := _read(asking)) is None:
            return
        app = make_pages(pickle.loads(begun))  # noqa: S301
        _write(answers, READY)
        while (asked := _read(asking)) is not None:
            try:
                made = runner.run(render(app, pickle.loads(asked)))  # noqa: S301
            except Exception:
                made = None  # The site makes the page itself, and reports the error.
            _write(answers, pickle.dumps(made))


if __name__ == "__main__":
    main(int(sys.argv[1]))
