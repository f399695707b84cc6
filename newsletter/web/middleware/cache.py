"""Cache public pages for some seconds, so that many requests for one cost as much as a single one."""

import asyncio
import hashlib
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import NamedTuple

from starlette.types import ASGIApp, Message, Receive, Scope, Send

PUBLIC = {"Cache-Control": "public, max-age=60"}
"""The header of a page that is the same for everybody: only such pages are cached here, and in proxies and browsers."""

WITHIN = ("/papers", "/feeds/")
"""The prefixes of the paths whose public pages are cached."""

_METHODS = ("GET", "HEAD")
_MOST_BYTES = 32 * 1024 * 1024
_LONGEST_KEY = 2_000
_MADE_AT_ONCE = 4
"""More threads than this would only slow each other down."""


class Page(NamedTuple):
    """A public page that was made elsewhere: its headers and body, and the template of its route."""

    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes
    route: str


Elsewhere = Callable[[Scope, bool], Awaitable[Page | None]]
"""Has another process make a public page; None if it is to be made here. The second argument is whether others wait."""


class _Route(NamedTuple):
    path_format: str


@dataclass(frozen=True, slots=True)
class _Answer:
    """A response, ready to send.

    Attributes:
        until: when it expires, by the monotonic clock (seconds). ``mark``: its ETag (RFC 9110, section 8.8.3).
    """

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes
    until: float
    mark: bytes = b""


class PageCache:
    """Middleware that caches public responses to GET and HEAD for some paths, by path and query.

    Requests for a page that is being rendered wait for it, rather than render it again.

    Args:
        seconds: how long a page is kept.
        elsewhere: makes pages in other processes.
    """

    def __init__(self, app: ASGIApp, seconds: float, elsewhere: Elsewhere | None = None) -> None:
        self._app, self._seconds, self._elsewhere = app, seconds, elsewhere
        self._kept: OrderedDict[bytes, _Answer] = OrderedDict()
        self._bytes = 0
        self._making: dict[bytes, asyncio.Event] = {}
        self._turns = asyncio.Semaphore(_MADE_AT_ONCE)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Respond to a request."""
        if not (scope["type"] == "http" and scope["method"] in _METHODS and scope["path"].startswith(WITHIN)):
            await self._app(scope, receive, send)
            return
        key = (scope.get("raw_path") or scope["path"].encode()) + b"?" + scope["query_string"]
        if (answer := self._found(key)) is None and (made := self._making.get(key)) is not None:
            await made.wait()
            answer = self._found(key)
        if answer is None:
            answer = await self._make(key, scope, receive, send)
        if answer is not None:
            await _tell(answer, scope, send)

    def _found(self, key: bytes) -> _Answer | None:
        answer = self._kept.get(key)
        return answer if answer is not None and answer.until > time.monotonic() else None

    async def _make(self, key: bytes, scope: Scope, receive: Receive, send: Send) -> _Answer | None:
        """Have the application respond: a public response is returned, any other is sent once it is complete.

        The slot is released before anything is sent, so nobody waits for a client that does not read.
        """
        event = self._making.setdefault(key, asyncio.Event())
        said: list[Message] = []

        async def hear(message: Message) -> None:
            said.append(message)

        try:
            busy = self._turns.locked()
            async with self._turns:
                page = await self._elsewhere(scope, busy) if self._elsewhere is not None else None
                if page is None:
                    await self._app(scope, receive, hear)
            if page is not None:
                scope["route"] = _Route(page.route)  # For the counters of requests.
                return self._answer(key, page.headers, page.body)
            if said and is_public(said[0]):
                whole = b"".join(message.get("body", b"") for message in said[1:])
                return self._answer(key, tuple((name, value) for name, value in said[0]["headers"]), whole)
        finally:
            event.set()
            self._making.pop(key, None)
        for message in said:
            await send(message)
        return None

    def _answer(self, key: bytes, headers: tuple[tuple[bytes, bytes], ...], body: bytes) -> _Answer:
        mark = b'"%s"' % hashlib.sha256(body).hexdigest()[:20].encode()
        answer = _Answer(200, (*headers, (b"etag", mark)), body, time.monotonic() + self._seconds, mark)
        self._keep(key, answer)
        return answer

    def _keep(self, key: bytes, answer: _Answer) -> None:
        if self._seconds <= 0 or len(key) > _LONGEST_KEY:
            return
        if (old := self._kept.pop(key, None)) is not None:
            self._bytes -= len(old.body)
        self._kept[key] = answer
        self._bytes += len(answer.body)
        while self._bytes > _MOST_BYTES:
            _, oldest = self._kept.popitem(last=False)
            self._bytes -= len(oldest.body)


def is_public(message: Message) -> bool:
    """Return whether the beginning of a response is that of a page which is the same for everybody."""
    public = PUBLIC["Cache-Control"].encode()
    return message["status"] == 200 and (b"cache-control", public) in [(*pair,) for pair in message["headers"]]


async def _tell(answer: _Answer, scope: Scope, send: Send) -> None:
    status, headers, body = answer.status, answer.headers, answer.body
    if answer.mark and _has(scope, answer.mark):
        # RFC 9110, section 15.4.5: without the headers that describe the content.
        status, body = 304, b""
        headers = tuple(pair for pair in headers if pair[0] not in (b"content-length", b"content-type"))
    await send({"type": "http.response.start", "status": status, "headers": [*headers]})
    await send({"type": "http.response.body", "body": body})


def _has(scope: Scope, mark: bytes) -> bool:
    """Return whether the client has the page already (RFC 9110, section 13.1.2)."""
    for name, value in scope["headers"]:
        if name == b"if-none-match":
            return any(one.strip().removeprefix(b"W/") in (mark, b"*") for one in value.split(b","))
    return False
