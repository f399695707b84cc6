"""Attempts of HTTP requests: which responses are failures, and whether a retry may succeed."""

import email.utils
import socket
import time
from collections.abc import Callable
from datetime import UTC, datetime

import httpx

from newsletter.sources.text import excerpt
from newsletter.support.text import to_single_line

LONGEST_WAIT = 60.0
"""The longest wait before a retry, in seconds. A server that asks for more is not tried again."""

_UNBOUNDED_ENCODINGS = ("br", "zstd")
"""One received piece of these may decompress to any size."""


class FailedAttempt(Exception):
    """A failed attempt. ``passing``: whether a retry may succeed. ``wait``: after how many seconds, if known."""

    def __init__(self, text: str, *, passing: bool, wait: float | None = None, status: int | None = None) -> None:
        self.passing, self.wait, self.status = passing, wait, status
        super().__init__(text)


def may_try_again(shortest_wait: float) -> Callable[[Exception], bool | float]:
    """Return a callback that says whether a retry may succeed, and after how many seconds if a server said so."""

    def decide(error: Exception) -> bool | float:
        if not isinstance(error, FailedAttempt) or not error.passing:
            return False
        return True if error.wait is None else max(error.wait, shortest_wait)

    return decide


def check_encoding(response: httpx.Response) -> None:
    """Raise :class:`FailedAttempt` if a response cannot be decompressed within limits."""
    encoding = response.headers.get("Content-Encoding", "").strip().lower()
    # Each layer may grow a thousandfold, so a second one would exhaust the memory before a limit is checked.
    if "," in encoding:
        raise FailedAttempt("the response is compressed more than once", passing=False)
    if encoding in _UNBOUNDED_ENCODINGS:
        raise FailedAttempt(
            f"the response is compressed with {excerpt(encoding)}, which was not requested", passing=False
        )


def check_status(response: httpx.Response) -> None:
    """Raise :class:`FailedAttempt` unless the status is one of success."""
    status = response.status_code
    if 200 <= status < 300:
        return
    if status == 304:
        raise FailedAttempt("status 304 to an unconditional request", passing=False, status=status)
    if response.has_redirect_location:
        raise FailedAttempt(
            f"status {status}: a redirect, which this request does not follow", passing=False, status=status
        )
    passing = status == 429 or status >= 500
    wait = _retry_after(response) if passing else None
    if wait is not None and wait > LONGEST_WAIT:
        raise FailedAttempt(f"status {status}, retry after {wait:.0f} s", passing=False, status=status)
    raise FailedAttempt(f"status {status}", passing=passing, wait=wait, status=status)


def _retry_after(response: httpx.Response) -> float | None:
    """Return the seconds to wait, which the server gives in seconds or as a date; None if missing or unreadable."""
    text = response.headers.get("Retry-After", "").strip()
    if text.isascii() and text.isdecimal():
        return float(text[:9])
    try:
        moment = email.utils.parsedate_to_datetime(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())


def clock_skew(response: httpx.Response) -> float | None:
    """Return by how many seconds a server's clock is ahead of ours (RFC 9110, section 6.6.1; a cache adds Age)."""
    try:
        moment = email.utils.parsedate_to_datetime(response.headers.get("Date", ""))
    except ValueError:
        return None
    age = response.headers.get("Age", "").strip()
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return moment.timestamp() + (int(age[:9]) if age.isascii() and age.isdecimal() else 0) - time.time()


def receive(response: httpx.Response, content: bytearray, most: int) -> None:
    for chunk in response.iter_bytes():
        content += chunk
        if len(content) > most:
            raise too_large(most)


def too_large(most: int) -> FailedAttempt:
    return FailedAttempt(f"the response is larger than {most // 1_000_000} MB", passing=False)


def to_failure(error: Exception, received: int, timeout: float) -> FailedAttempt:
    """Describe an httpx error."""
    match error:
        case httpx.TimeoutException():
            return FailedAttempt(f"no response within {timeout:g} s", passing=True)
        case httpx.ConnectError():
            return FailedAttempt(_connect_words(error), passing=True)
        case httpx.RemoteProtocolError() | httpx.ReadError():
            return FailedAttempt(f"the response ended after {received} bytes", passing=True)
        case httpx.DecodingError():
            return FailedAttempt("the response could not be decompressed", passing=True)
        case httpx.NetworkError():
            return FailedAttempt(f"the connection failed: {to_single_line(str(error))}", passing=True)
        case httpx.UnsupportedProtocol():
            return FailedAttempt("redirected to a URL that is not http or https", passing=False)
        case httpx.TooManyRedirects():
            return FailedAttempt("too many redirects", passing=False)
        case _:
            return FailedAttempt(to_single_line(str(error)) or type(error).__name__, passing=False)


def _connect_words(error: BaseException) -> str:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ConnectionRefusedError):
            return "connection refused"
        if isinstance(cause, socket.gaierror):
            return "host not found"
        cause = cause.__cause__ or cause.__context__
    return f"no connection: {to_single_line(str(error))}"
