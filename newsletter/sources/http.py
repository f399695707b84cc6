"""HTTP for sources: limits on time and size, retries with waits in between, and conditional requests."""

import hashlib
import json
import ssl
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
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
from newsletter.sources.errors import NEW_FORMAT, NoAnswerError, SourceError
from newsletter.sources.http_attempts import (
    LONGEST_WAIT,
    FailedAttempt,
    check_encoding,
    check_status,
    clock_skew,
    may_try_again,
    no_response,
    receive,
    to_failure,
    too_large,
)
from newsletter.sources.text import excerpt
from newsletter.support.deadline import Deadline

# A failed source is reported once, after all attempts; stamina would log each of them.
stamina.instrumentation.set_on_retry_hooks([])

Validators = tuple[str | None, str | None]
"""The ETag and Last-Modified of a server's response for one URL."""

_MOST_RECORDED = 100
"""Requests that a client keeps to show what it asked."""

_WHOLE_ANSWER = 10
"""Time limit of a complete response, redirects included, as a multiple of the timeout of one step."""

_LONGEST_VALIDATOR = 1_000

_ENCODINGS = ("gzip", "deflate")

_SECRETS = ("key", "token", "secret", "password", "signature")

Params = Mapping[str, str | int]

BodyCheck = Callable[[bytes], FailedAttempt | None]
"""Returns why the body of a response with a status of success is a failure; None if it is none."""


def user_agent(site_url: str | None, contact: str) -> str:
    """Build the User-Agent: the program and its version, the newsletter's public URL if any, and a contact address."""
    site = f"+{quote(site_url, safe=':/?=&%~')}; " if site_url else ""
    return f"newsletter/{__version__} ({site}mailto:{quote(contact, safe='@+')})"


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """A server's response.

    Attributes:
        asked: the method and the URL without secrets, for errors.
        content: the body, decompressed.
        content_type: the header of that name, empty if missing.
        headers: all headers; their names are not case-sensitive.
    """

    asked: str
    content: bytes
    content_type: str
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=httpx.Headers)

    def json(self) -> Any:
        """Parse the body as JSON.

        Raises:
            SourceError: it is not JSON.
        """
        try:
            return json.loads(self.content, strict=False)  # with tabs and line breaks in texts
        except (ValueError, RecursionError):
            began = excerpt(self.content[:200].decode("utf-8", "replace"))
            raise SourceError(
                f"{self.asked}: the response is not JSON; it begins with {began}", fix=NEW_FORMAT
            ) from None


@dataclass(frozen=True, slots=True)
class _Request:
    """A request.

    Attributes:
        accepted: the statuses that are answers too, besides those of success.
        follow: whether to follow redirects.
        check: returns why the body of an answer is a failure; None if it is none.
        shown: the method and the URL without secrets.
    """

    url: httpx.URL
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict)
    content: bytes | None = None
    accepted: Collection[int] = ()
    follow: bool = True
    check: BodyCheck | None = None

    @property
    def shown(self) -> str:
        return f"{self.method} {_shown(self.url)}"


class HttpClient:
    """An HTTP client for one source in one run.

    Args:
        network: limits and retries.
        agent: the User-Agent, see :func:`user_agent`.
        validators: those stored by earlier runs, by URL.
        urls: the source's URLs in the configuration; see :class:`newsletter.sources.address_policy.AddressPolicy`.
        max_bytes: maximum size of a response, both as transferred and decompressed.
        max_seconds: time limit of a complete response, redirects included; by default ten times that of one step.
        on_request: called before each request (not before each attempt); what it raises ends the request.

    Attributes:
        validators_seen: those that servers returned in this run. Store them only after all papers of the run are
            stored; otherwise papers lost on the way would never be requested again.
        ahead: by how many seconds the clock of the last server is ahead of ours; None if it did not send the time.
        requests: the first requests, each as method and URL without secrets.
    """

    def __init__(
        self,
        network: Network,
        agent: str,
        validators: Mapping[str, Validators] | None = None,
        urls: Iterable[str] = (),
        max_bytes: int = MAX_RESPONSE_BYTES,
        max_seconds: float | None = None,
        on_request: Callable[[], None] = lambda: None,
    ) -> None:
        self._on_request = on_request
        self._max_bytes = max_bytes
        self._max_seconds = network.timeout_seconds * _WHOLE_ANSWER if max_seconds is None else max_seconds
        self.validators_seen: dict[str, Validators] = {}
        self.ahead: float | None = None
        self.requests: list[str] = []
        self._network = network
        self._validators = validators or {}
        self._last_call = -float("inf")
        # Without keep-alive each response has its own socket, which its deadline can shut down.
        limits = httpx.Limits(max_keepalive_connections=0)
        transport = httpx.HTTPTransport(verify=_tls(), limits=limits, proxy=network.proxy, trust_env=False)
        self._client = httpx.Client(
            headers={"User-Agent": agent, "Accept-Encoding": ", ".join(_ENCODINGS)},
            timeout=network.timeout_seconds,
            follow_redirects=True,
            transport=CheckedTransport(
                transport,
                AddressPolicy(urls, network.allow_private),
                proxied=network.proxy is not None,
                max_bytes=max_bytes,
            ),
            # Neither proxies nor passwords of a .netrc file come from the environment.
            trust_env=False,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections."""
        self._client.close()

    def get(
        self,
        url: str,
        params: Params | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        accepted: Collection[int] = (),
        check: BodyCheck | None = None,
        pause_seconds: float = 0.0,
    ) -> HttpResponse:
        """Request a URL.

        Args:
            params: its query.
            headers: sent to this URL only: they may be secret, so a redirect is then an error.
            accepted: the statuses that are returned too, besides those of success.
            check: for servers that report failures with a status of success, to be tried again if they may pass.
            pause_seconds: the minimum time since the previous request.

        Raises:
            SourceError: all attempts failed.
        """
        request = _Request(
            _full(url, params), headers=headers or {}, accepted=accepted, follow=not headers, check=check
        )
        return self._tried(request, pause_seconds)

    def post_json(
        self,
        url: str,
        value: Any,
        *,
        headers: Mapping[str, str] | None = None,
        accepted: Collection[int] = (),
        pause_seconds: float = 0.0,
    ) -> HttpResponse:
        """Send a value as JSON, as :meth:`get` requests a URL. An attempt whose answer is lost is repeated, so it must
        be possible to receive the same request twice.
        """
        content = json.dumps(value).encode()
        return self.post(url, content, headers=headers, accepted=accepted, pause_seconds=pause_seconds)

    def post(
        self,
        url: str,
        content: bytes,
        *,
        headers: Mapping[str, str] | None = None,
        accepted: Collection[int] = (),
        pause_seconds: float = 0.0,
    ) -> HttpResponse:
        """Send JSON that is serialised already, as :meth:`post_json` sends a value."""
        sent = {**(headers or {}), "Content-Type": "application/json"}
        return self._tried(_Request(_full(url, None), "POST", sent, content, accepted, False), pause_seconds)

    def get_if_changed(
        self,
        url: str,
        params: Params | None = None,
        *,
        secrets: Params | None = None,
        headers: Mapping[str, str] | None = None,
        accepted: Collection[int] = (),
        check: BodyCheck | None = None,
        pause_seconds: float = 0.0,
    ) -> HttpResponse | None:
        """Do the same as :meth:`get`, but return None if the server says that nothing changed since an earlier run.

        Args:
            secrets: more of the query, such as a key; left out of what is stored about the URL.
        """
        full = _full(url, params)
        etag, last_modified = self._validators.get(_key(full), (None, None))
        conditions = {"If-None-Match": etag, "If-Modified-Since": last_modified}
        known = {name: value for name, value in conditions.items() if value}
        request = _Request(
            _full(str(full), secrets),
            headers={**(headers or {}), **known},
            accepted=(*accepted, *([304] if known else [])),
            follow=not headers,
            check=check,
        )
        answer = self._tried(request, pause_seconds)
        if answer.status not in accepted:
            self._remember(full, answer.headers)
        return None if answer.status == 304 else answer

    def was_asked(self, url: str, params: Params | None = None) -> bool:
        """Return whether an earlier run got a response with validators for this URL."""
        return _key(_full(url, params)) in self._validators

    def _tried(self, request: _Request, pause_seconds: float) -> HttpResponse:
        self._on_request()
        tries = 0
        if len(self.requests) < _MOST_RECORDED:
            self.requests.append(request.shown)
        try:
            for attempt in stamina.retry_context(
                on=may_try_again(self._network.wait_seconds),
                attempts=self._network.attempts,
                timeout=None,
                wait_initial=self._network.wait_seconds,
                wait_jitter=self._network.wait_seconds / 4,
                wait_max=LONGEST_WAIT,
            ):
                with attempt:
                    tries = attempt.num
                    return self._once(request, pause_seconds)
        except FailedAttempt as failed:
            often = "tried once" if tries == 1 else f"tried {tries} times"
            silent = failed.passing or failed.status == 429
            kind = NoAnswerError if silent else SourceError
            raise kind(f"{request.shown}: {failed} ({often})", failed.status, failed.fix) from failed.__cause__
        raise AssertionError("stamina made no attempt")

    def _once(self, request: _Request, pause_seconds: float) -> HttpResponse:
        time.sleep(max(0.0, self._last_call + pause_seconds - time.monotonic()))
        content = bytearray()
        limit = self._max_seconds
        deadline = Deadline(limit)
        try:
            with deadline, closing(self._sent(request, deadline)) as response:
                self.ahead = clock_skew(response)
                if response.status_code not in request.accepted:
                    check_status(response)
                check_encoding(response)
                receive(response, content, self._max_bytes)
        except PrivateAddressError as error:
            raise FailedAttempt(str(error), passing=False) from error
        except ResponseTooLarge as error:
            raise too_large(self._max_bytes) from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            if deadline.over:
                raise no_response(limit, complete=True) from error
            raise to_failure(error, len(content), self._network.timeout_seconds) from error
        finally:
            self._last_call = time.monotonic()
        if deadline.over:
            raise no_response(limit, complete=True)
        if request.check is not None and response.is_success and (failure := request.check(bytes(content))) is not None:
            raise failure
        kind = response.headers.get("Content-Type", "")
        return HttpResponse(request.shown, bytes(content), kind, response.status_code, response.headers)

    def _sent(self, request: _Request, deadline: Deadline) -> httpx.Response:
        built = self._client.build_request(
            request.method,
            request.url,
            headers=request.headers,
            content=request.content,
            extensions={"trace": _watched_by(deadline)},
        )
        return self._client.send(built, stream=True, follow_redirects=request.follow)

    def _remember(self, url: httpx.URL, headers: Mapping[str, str]) -> None:
        etag, last_modified = headers.get("ETag"), headers.get("Last-Modified")
        # Headers are sent as ASCII only, so other values could never be sent back.
        first_problem = f"{etag}{last_modified}"
        if (etag or last_modified) and first_problem.isascii() and len(first_problem) <= _LONGEST_VALIDATOR:
            self.validators_seen[_key(url)] = (etag, last_modified)


@cache
def _tls() -> ssl.SSLContext:
    return httpx.create_ssl_context()  # reads all certificates, which takes longer than many a request


def _watched_by(deadline: Deadline) -> Callable[[str, Mapping[str, Any]], None]:
    """Return a callback for httpx's ``trace`` extension that passes each new connection to a deadline."""

    def trace(_event: str, info: Mapping[str, Any]) -> None:
        stream: Any = info.get("return_value")
        if hasattr(stream, "get_extra_info"):
            deadline.watch(stream.get_extra_info("socket"))

    return trace


def _full(url: str, params: Params | None) -> httpx.URL:
    full = httpx.URL(url)
    return full.copy_merge_params({name: str(value) for name, value in params.items()}) if params else full


def _key(url: httpx.URL) -> str:
    """Return the URL that validators are stored under; of a secret in it, only a digest."""
    for name in _secret_names(url):
        digest = hashlib.sha256(url.params[name].encode()).hexdigest()[:16]
        url = url.copy_set_param(name, digest)
    return str(url.copy_with(userinfo=b""))


def _shown(url: httpx.URL) -> str:
    """Return the URL for display, without secrets."""
    for name in _secret_names(url):
        url = url.copy_set_param(name, "...")
    return str(url.copy_with(userinfo=b""))


def _secret_names(url: httpx.URL) -> list[str]:
    return [name for name in url.params if any(secret in name.lower() for secret in _SECRETS)]
