"""Attempts of HTTP requests: which responses are failures, and whether a retry may succeed."""

import email.utils
import socket
import ssl
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta

import httpx

from newsletter.sources.errors import TRIED_AGAIN
from newsletter.sources.text import excerpt
from newsletter.support.text import to_single_line

LONGEST_WAIT = 60.0
"""The longest wait before a retry, in seconds. A server that asks for more is not tried again."""

_LONGEST_SHOWN = 366 * 24 * 3600.0

_UNBOUNDED_ENCODINGS = ("br", "zstd")
"""One received piece of these may decompress to any size."""


class FailedAttempt(Exception):
    """A failed attempt.

    Attributes:
        passing: whether a retry may succeed. ``wait``: after how many seconds, if known.
        fix: as in :class:`newsletter.sources.errors.SourceError`.
    """

    def __init__(
        self, text: str, *, passing: bool, wait: float | None = None, status: int | None = None, fix: str = ""
    ) -> None:
        self.passing, self.wait, self.status, self.fix = passing, wait, status, fix
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
    wait = retry_after(response.headers) if passing else None
    fix = _fix_of_status(status)
    if wait is not None and wait > LONGEST_WAIT:
        until = datetime.now(UTC) + timedelta(seconds=min(wait, _LONGEST_SHOWN))
        fix = f"the server asks to wait until {until:%Y-%m-%d %H:%M} UTC; fetch again after that"
        raise FailedAttempt(f"status {status}, retry after {wait:.0f} s", passing=False, status=status, fix=fix)
    raise FailedAttempt(f"status {status}", passing=passing, wait=wait, status=status, fix=fix)


def _fix_of_status(status: int) -> str:
    """Return what the status of a failed request means, and what to do."""
    match status:
        case 429:
            often = "if it happens often, ask for less, or raise pause_seconds if it has that"
            return f"too many requests; {TRIED_AGAIN}; {often}"
        case 401 | 403 | 407:
            return "the server refuses access; check the URL, the settings, and the key if it needs one"
        case 404 | 410:
            return "nothing is at this URL; check the source's settings in config.yaml"
        case _ if status >= 500:
            return f"the server has a problem; {TRIED_AGAIN}"
        case _:
            return "the server rejects the request; check the source's settings in config.yaml"


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds to wait, which the server gives in seconds or as a date; None if missing or unreadable."""
    text = headers.get("Retry-After", "").strip()
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
    fix = "check the URL, or ask for less"
    return FailedAttempt(f"the response is larger than {most // 1_000_000} MB", passing=False, fix=fix)


def to_failure(error: Exception, received: int, timeout: float) -> FailedAttempt:
    """Describe an httpx error."""
    match error:
        case httpx.TimeoutException():
            return no_response(timeout)
        case httpx.ConnectError():
            text, fix = _connect_words(error)
            return FailedAttempt(text, passing=True, fix=fix)
        case httpx.RemoteProtocolError() | httpx.ReadError():
            fix = f"the connection was cut; {TRIED_AGAIN}"
            return FailedAttempt(f"the response ended after {received} bytes", passing=True, fix=fix)
        case httpx.DecodingError():
            return FailedAttempt("the response could not be decompressed", passing=True, fix=TRIED_AGAIN)
        case httpx.NetworkError():
            return FailedAttempt(f"the connection failed: {to_single_line(str(error))}", passing=True, fix=TRIED_AGAIN)
        case httpx.UnsupportedProtocol():
            return FailedAttempt("redirected to a URL that is not http or https", passing=False)
        case httpx.TooManyRedirects():
            return FailedAttempt("too many redirects", passing=False)
        case _:
            return FailedAttempt(to_single_line(str(error)) or type(error).__name__, passing=False)


def no_response(limit: float, complete: bool = False) -> FailedAttempt:
    """Describe a response that did not come within ``limit`` seconds, at all or completely."""
    fix = f"the server is slow or down; {TRIED_AGAIN}; if it is always slow, raise network.timeout_seconds"
    return FailedAttempt(f"no {'complete ' if complete else ''}response within {limit:g} s", passing=True, fix=fix)


def _connect_words(error: BaseException) -> tuple[str, str]:
    """Describe why there is no connection, and what to do."""
    cause: BaseException | None = error
    while cause is not None:
        match cause:
            case ConnectionRefusedError():
                return "connection refused", f"nothing listens there; check host and port; {TRIED_AGAIN}"
            case socket.gaierror():
                return "host not found", f"check its name in config.yaml and the DNS of this machine; {TRIED_AGAIN}"
            case ssl.SSLCertVerificationError():
                fix = "check the host's name and this machine's clock and CA certificates, or tell its operator"
                return f"its TLS certificate is not valid: {to_single_line(cause.verify_message)}", fix
            case ssl.SSLError():
                fix = "check that the URL's host and port speak TLS (https), or write http"
                return f"no TLS connection: {to_single_line(str(cause))}", fix
        cause = cause.__cause__ or cause.__context__
    return f"no connection: {to_single_line(str(error))}", f"check the network of this machine; {TRIED_AGAIN}"
