"""HTTP as sources need it: limits on time and size, tries again with waits between, asks only for what has changed."""

import email.utils
import json
import socket
import ssl
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import httpx
import stamina

from newsletter import __version__
from newsletter.config.sources import Network
from newsletter.sources.address_policy import AddressPolicy, CheckedTransport, PrivateAddressError, ResponseTooLarge
from newsletter.sources.bounds import MAX_RESPONSE_BYTES
from newsletter.sources.errors import SourceError
from newsletter.sources.text import excerpt
from newsletter.support.deadline import Deadline
from newsletter.support.text import to_single_line

# A source that fails is told of once, when all tries are spent; stamina would print each of them.
stamina.instrumentation.set_on_retry_hooks([])

Validators = tuple[str | None, str | None]
"""ETag and Last-Modified, as a server gave them for one URL."""

LONGEST_WAIT = 60.0
"""Seconds: the longest wait before another try. A server that asks for a longer one is not asked again."""

_WHOLE_ANSWER = 10
"""How many times the timeout of one step a whole answer may take, redirects included."""

_LONGEST_VALIDATOR = 1_000

_ENCODINGS = ("gzip", "deflate")
_UNBOUNDED_ENCODINGS = ("br", "zstd")
"""One piece of them, as it is received, may decompress to any size."""

_SECRETS = ("key", "token", "secret", "password", "signature")

Params = Mapping[str, str | int]


def user_agent(site_url: str, contact: str) -> str:
    """Who asks: the program with its version, the newsletter's public URL and an address to write to."""
    return f"newsletter/{__version__} (+{quote(site_url, safe=':/?=&%~')}; mailto:{quote(contact, safe='@+')})"


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """What a server answered.

    Attributes:
        asked: the method and the URL without secrets, for errors.
        content: the body, decompressed.
        content_type: the header of that name, empty without one.
    """

    asked: str
    content: bytes
    content_type: str

    def json(self) -> Any:
        """The body as JSON.

        Raises:
            SourceError: it is none.
        """
        try:
            return json.loads(self.content)
        except (ValueError, RecursionError):
            began = excerpt(self.content[:200].decode("utf-8", "replace"))
            raise SourceError(f"{self.asked}: the answer is not JSON, it begins {began}") from None


class HttpClient:
    """The calls of one source in one run.

    Args:
        network: limits and tries.
        agent: the User-Agent, see :func:`user_agent`.
        validators: what is known by URL from earlier runs.
        urls: the source's URLs in the configuration; see :class:`newsletter.sources.address_policy.AddressPolicy`.

    Attributes:
        validators_seen: what servers gave in this run. To be kept only after all papers of the run are stored, else a
            paper that was lost on the way would never be asked for again.
        ahead: by how many seconds the clock of the server that answered last is ahead of ours; None when it told no
            time.
    """

    def __init__(
        self,
        network: Network,
        agent: str,
        validators: Mapping[str, Validators] | None = None,
        urls: Iterable[str] = (),
    ) -> None:
        self.validators_seen: dict[str, Validators] = {}
        self.ahead: float | None = None
        self._network = network
        self._validators = validators or {}
        self._last_call = -float("inf")
        # Without connections kept open each response has a socket of its own, which its deadline can shut.
        limits = httpx.Limits(max_keepalive_connections=0)
        transport = httpx.HTTPTransport(verify=_tls(), limits=limits, proxy=network.proxy, trust_env=False)
        self._client = httpx.Client(
            headers={"User-Agent": agent, "Accept-Encoding": ", ".join(_ENCODINGS)},
            timeout=network.timeout_seconds,
            follow_redirects=True,
            transport=CheckedTransport(
                transport, AddressPolicy(urls, network.allow_private), proxied=network.proxy is not None
            ),
            # Neither proxies nor the passwords of a .netrc come from the environment.
            trust_env=False,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close what is open."""
        self._client.close()

    def get(self, url: str, params: Params | None = None, *, pause_seconds: float = 0.0) -> HttpResponse:
        """Ask for a URL, with ``params`` as its query; ``pause_seconds`` is the least time since the call before.

        Raises:
            SourceError: no good answer came, however often it was tried.
        """
        answer = self._tried(_full(url, params), None, pause_seconds)
        assert answer is not None  # noqa: S101 - there are no conditions that it could be unchanged by
        return answer

    def get_if_changed(
        self, url: str, params: Params | None = None, *, pause_seconds: float = 0.0
    ) -> HttpResponse | None:
        """Like :meth:`get`, but None when the server says that the answer is the one of an earlier run."""
        full = _full(url, params)
        etag, last_modified = self._validators.get(_key(full), (None, None))
        conditions = {"If-None-Match": etag, "If-Modified-Since": last_modified}
        return self._tried(full, {name: value for name, value in conditions.items() if value}, pause_seconds)

    def was_asked(self, url: str, params: Params | None = None) -> bool:
        """Whether an earlier run got an answer for this URL that said how to ask for changes."""
        return _key(_full(url, params)) in self._validators

    def _tried(self, url: httpx.URL, conditions: dict[str, str] | None, pause_seconds: float) -> HttpResponse | None:
        tries = 0
        try:
            for attempt in stamina.retry_context(
                on=_may_try_again(self._network.wait_seconds),
                attempts=self._network.attempts,
                timeout=None,
                wait_initial=self._network.wait_seconds,
                wait_jitter=self._network.wait_seconds / 4,
                wait_max=LONGEST_WAIT,
            ):
                with attempt:
                    tries = attempt.num
                    return self._once(url, conditions, pause_seconds)
        except _Failed as failed:
            often = "tried once" if tries == 1 else f"tried {tries} times"
            raise SourceError(f"GET {_shown(url)}: {failed} ({often})", failed.status) from failed.__cause__
        raise AssertionError("stamina gave no try")

    def _once(self, url: httpx.URL, conditions: dict[str, str] | None, pause_seconds: float) -> HttpResponse | None:
        time.sleep(max(0.0, self._last_call + pause_seconds - time.monotonic()))
        content = bytearray()
        limit = self._network.timeout_seconds * _WHOLE_ANSWER
        deadline = Deadline(limit)
        try:
            with deadline:
                request = self._client.build_request(
                    "GET", url, headers=conditions, extensions={"trace": _watched_by(deadline)}
                )
                with closing(self._client.send(request, stream=True)) as response:
                    self.ahead = clock_skew(response)
                    if response.status_code != 304:
                        _check_status(response)
                        _check_encoding(response)
                    elif not conditions:
                        raise _Failed("status 304, though it was not asked what has changed", passing=False, status=304)
                    _receive(response, content)
        except PrivateAddressError as error:
            raise _Failed(str(error), passing=False) from error
        except ResponseTooLarge as error:
            raise _too_large() from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            if deadline.over:
                raise _Failed(f"no whole answer within {limit:g} s", passing=True) from error
            raise _failed(error, len(content), self._network.timeout_seconds) from error
        finally:
            self._last_call = time.monotonic()
        if deadline.over:
            raise _Failed(f"no whole answer within {limit:g} s", passing=True)
        if conditions is not None:
            self._remember(url, response)
        if response.status_code == 304:
            return None
        return HttpResponse(f"GET {_shown(url)}", bytes(content), response.headers.get("Content-Type", ""))

    def _remember(self, url: httpx.URL, response: httpx.Response) -> None:
        etag, last_modified = response.headers.get("ETag"), response.headers.get("Last-Modified")
        # A header goes out as ASCII only, so what is none could never be sent back.
        first_problem = f"{etag}{last_modified}"
        if (etag or last_modified) and first_problem.isascii() and len(first_problem) <= _LONGEST_VALIDATOR:
            self.validators_seen[_key(url)] = (etag, last_modified)


@cache
def _tls() -> ssl.SSLContext:
    return httpx.create_ssl_context()  # reads all certificates, which takes longer than many an answer


class _Failed(Exception):
    """One try failed. ``passing`` says whether another may fare better, ``wait`` after how many seconds if told."""

    def __init__(self, text: str, *, passing: bool, wait: float | None = None, status: int | None = None) -> None:
        self.passing, self.wait, self.status = passing, wait, status
        super().__init__(text)


def _may_try_again(shortest_wait: float) -> Callable[[Exception], bool | float]:
    """Says whether another try may fare better, and after how many seconds where a server said so."""

    def decide(error: Exception) -> bool | float:
        if not isinstance(error, _Failed) or not error.passing:
            return False
        return True if error.wait is None else max(error.wait, shortest_wait)

    return decide


def _watched_by(deadline: Deadline) -> Callable[[str, Mapping[str, Any]], None]:
    """What httpx tells of each connection it makes (its ``trace`` extension), told to a deadline."""

    def trace(_event: str, info: Mapping[str, Any]) -> None:
        stream: Any = info.get("return_value")
        if hasattr(stream, "get_extra_info"):
            deadline.watch(stream.get_extra_info("socket"))

    return trace


def _check_encoding(response: httpx.Response) -> None:
    encoding = response.headers.get("Content-Encoding", "").strip().lower()
    # Each layer may grow a thousandfold, so that a second one would fill any memory before a limit is looked at.
    if "," in encoding:
        raise _Failed("the answer is compressed more than once", passing=False)
    if encoding in _UNBOUNDED_ENCODINGS:
        raise _Failed(f"the answer is compressed by {excerpt(encoding)}, which was not asked for", passing=False)


def _check_status(response: httpx.Response) -> None:
    status = response.status_code
    if 200 <= status < 300:
        return
    passing = status == 429 or status >= 500
    wait = _retry_after(response) if passing else None
    if wait is not None and wait > LONGEST_WAIT:
        raise _Failed(f"status {status}, come back in {wait:.0f} s", passing=False, status=status)
    raise _Failed(f"status {status}", passing=passing, wait=wait, status=status)


def _retry_after(response: httpx.Response) -> float | None:
    """Seconds to wait, as the server says in seconds or by a date; None when it says nothing that can be read."""
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
    """By how many seconds a server's clock is ahead of ours (RFC 9110, section 6.6.1; a cache adds Age)."""
    try:
        moment = email.utils.parsedate_to_datetime(response.headers.get("Date", ""))
    except ValueError:
        return None
    age = response.headers.get("Age", "").strip()
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return moment.timestamp() + (int(age[:9]) if age.isascii() and age.isdecimal() else 0) - time.time()


def _receive(response: httpx.Response, content: bytearray) -> None:
    for chunk in response.iter_bytes():
        content += chunk
        if len(content) > MAX_RESPONSE_BYTES:
            raise _too_large()


def _too_large() -> _Failed:
    return _Failed(f"the answer is larger than {MAX_RESPONSE_BYTES // 1_000_000} MB", passing=False)


def _failed(error: Exception, received: int, timeout: float) -> _Failed:
    """What httpx says, in our words."""
    match error:
        case httpx.TimeoutException():
            return _Failed(f"no answer within {timeout:g} s", passing=True)
        case httpx.ConnectError():
            return _Failed(_connect_words(error), passing=True)
        case httpx.RemoteProtocolError() | httpx.ReadError():
            return _Failed(f"the answer broke off after {received} bytes", passing=True)
        case httpx.DecodingError():
            return _Failed("the answer could not be decompressed", passing=True)
        case httpx.NetworkError():
            return _Failed(f"the connection failed: {to_single_line(str(error))}", passing=True)
        case httpx.UnsupportedProtocol():
            return _Failed("redirected to what is not http or https", passing=False)
        case httpx.TooManyRedirects():
            return _Failed("redirected too often", passing=False)
        case _:
            return _Failed(to_single_line(str(error)) or type(error).__name__, passing=False)


def _connect_words(error: BaseException) -> str:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ConnectionRefusedError):
            return "connection refused"
        if isinstance(cause, socket.gaierror):
            return "host not found"
        cause = cause.__cause__ or cause.__context__
    return f"no connection: {to_single_line(str(error))}"


def _full(url: str, params: Params | None) -> httpx.URL:
    full = httpx.URL(url)
    return full.copy_merge_params({name: str(value) for name, value in params.items()}) if params else full


def _key(url: httpx.URL) -> str:
    """The URL under which validators are kept."""
    return str(url.copy_with(userinfo=b""))


def _shown(url: httpx.URL) -> str:
    """The URL for people to read, without what only its owner should know."""
    for name in url.params:
        if any(secret in name.lower() for secret in _SECRETS):
            url = url.copy_set_param(name, "...")
    return _key(url)
