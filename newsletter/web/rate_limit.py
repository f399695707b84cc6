"""Rate limits of the API for each token, with the headers that clients know
(draft-ietf-httpapi-ratelimit-headers-07).
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock

from fastapi import Request
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_SECONDS = 60.0


@dataclass(slots=True)
class _Window:
    ends: float
    left: int


@dataclass(frozen=True, slots=True)
class RateStatus:
    """What is left of a limit: requests, and seconds until it is full again."""

    limit: int
    left: int
    reset: int

    @property
    def headers(self) -> dict[str, str]:
        """The headers that say so."""
        return {
            "RateLimit-Limit": str(self.limit),
            "RateLimit-Remaining": str(self.left),
            "RateLimit-Reset": str(self.reset),
        }


class RateLimiter:
    """Counts the requests of each token in windows of a minute."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._lock = clock, Lock()
        self._windows: dict[int, _Window] = {}

    def take(self, token: int, limit: int) -> RateStatus:
        """Count a request of a token (by row).

        Args:
            limit: requests a minute.

        Raises:
            HTTPException: 429, if none is left.
        """
        now = self._clock()
        with self._lock:
            window = self._windows.get(token)
            if window is None or window.ends <= now:
                self._windows = {row: one for row, one in self._windows.items() if one.ends > now}
                window = self._windows[token] = _Window(now + _SECONDS, limit)
            window.left -= 1
            status = RateStatus(limit, max(0, window.left), max(1, round(window.ends - now)))
        if window.left < 0:
            raise HTTPException(429, headers={**status.headers, "Retry-After": str(status.reset)})
        return status


def show_rate(request: Request, status: RateStatus) -> None:
    """Have the response to a request say what is left, whether the request succeeds or not."""
    request.state.rate = status


def with_rate_headers(app: ASGIApp) -> ASGIApp:
    """Wrap an application in middleware that adds the headers of :func:`show_rate` to responses."""

    async def wrapped(scope: Scope, receive: Receive, send: Send) -> None:
        async def tell(message: Message) -> None:
            status = scope.get("state", {}).get("rate")
            if message["type"] == "http.response.start" and status is not None:
                MutableHeaders(scope=message).update(status.headers)
            await send(message)

        await app(scope, receive, tell)

    return wrapped
