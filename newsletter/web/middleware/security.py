"""Security middleware for the whole site: headers on every response, limits for requests, and no details of internal
errors.
"""

import logging
from collections import Counter
from collections.abc import Callable, Iterator

from fastapi import Request, Response
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from newsletter.audience.form_limits import network_of

LARGEST_BODY = 100_000
"""In bytes. No form without a file, and no API request, comes near it."""

LARGEST_UPLOAD = {
    "/subscribe": 1_000_000,
    "/preferences/": 5_000_000,
    "/webhooks/": 1_000_000,
    "/admin/subscribers/": 1_000_000,
    "/admin/announcements/new": 1_000_000,
    "/api/subscribers": 5_000_000,
    "/api/announcements": 5_000_000,
}
"""In bytes, of the forms with a file, the batches of mail providers, and the preferences and announcements that
operators and programs write, by what their paths begin with. Strangers may send less than subscribers.
"""

_MOST_UPLOADS = 8
"""Bodies larger than :data:`LARGEST_BODY` that are held at once: what they may take in memory is bounded."""

_MOST_UPLOADS_OF_NETWORK = 2
"""So that one network cannot keep all others from uploading."""

LARGEST_HEADER = 16_384
"""In bytes, of a request before its body. Browsers send about a thousand."""

_DIGITS = 9

POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    # Other sites must not learn a link that acts for its reader. With "no-referrer" browsers would send "Origin: null"
    # with our own forms (Fetch, "append a request Origin header"), and the check of Origin would be useless.
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
_TLS_ONLY = {"Strict-Transport-Security": "max-age=31536000; includeSubDomains"}

log = logging.getLogger("uvicorn.error")

Refusal = Callable[[Request, int], Response]
"""Creates the response for a status, as a page or as JSON."""


def guard(app: ASGIApp, refusal: Refusal) -> ASGIApp:
    """Wrap an application in the security middleware."""
    uploads = _Uploads()

    async def guarded(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        answer = _Answer(scope, send)
        status, most = _status_for(scope), _largest_body(scope)
        upload = uploads.of(scope)
        try:
            # Read the whole body first: until then a slow client costs no more than its connection.
            body = await _read(receive, most, upload) if status is None else status
            if isinstance(body, bytes):
                await app(scope, _replayed(body, receive), answer.send)
            else:
                status = body
        except ClientDisconnect:
            return  # The client has gone, or was too slow.
        except Exception:
            # Error details belong only in the operator's log, and personal data not even there.
            log.exception("error in %s", getattr(scope.get("route"), "path_format", "the site"))
            if answer.begun:
                raise
            status = 500
        finally:
            upload.end()
        if status is not None:
            await _refused(refusal, scope, status)(scope, receive, answer.send)

    return guarded


class _Uploads:
    """The number of large bodies that are held now, of each network."""

    def __init__(self) -> None:
        self._held = Counter[str]()

    def of(self, scope: Scope) -> "_Upload":
        """Return the upload that a request may become."""
        return _Upload(self._held, network_of(scope["client"][0] if scope.get("client") else None))


class _Upload:
    """The large body of a request. It counts from when it is large, so that a client that sends little takes no place
    of another.
    """

    def __init__(self, held: Counter[str], network: str) -> None:
        self._held, self._network, self._begun = held, network, False

    def begin(self) -> bool:
        """Count the upload; return false if there are too many."""
        if not self._begun:
            full = self._held.total() >= _MOST_UPLOADS or self._held[self._network] >= _MOST_UPLOADS_OF_NETWORK
            self._begun = not full
            self._held[self._network] += self._begun
        return self._begun

    def end(self) -> None:
        """Count the upload no longer."""
        if self._begun:
            self._held[self._network] -= 1
            if not self._held[self._network]:
                del self._held[self._network]
            self._begun = False


def _refused(refusal: Refusal, scope: Scope, status: int) -> Response:
    try:
        answer = refusal(Request(scope), status)
    except Exception:
        log.exception("the error page failed")
        answer = Response("That did not work.", status, media_type="text/plain")
    if status in (400, 411, 431):
        answer.headers["Connection"] = "close"
    return answer


class _Answer:
    """A response in progress, whose headers are added when it starts."""

    def __init__(self, scope: Scope, send: Send) -> None:
        self.begun = False
        self._send = send
        self._added = {**_HEADERS, **(_TLS_ONLY if scope["scheme"] == "https" else {})}

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.begun = True
            headers = MutableHeaders(scope=message)
            for name, value in self._added.items():
                headers.setdefault(name, value)
        await self._send(message)


def _status_for(scope: Scope) -> int | None:
    """Return the status to reject a request with before reading it, None to accept it."""
    headers = Headers(scope=scope)
    length = (
        len(scope["path"]) + len(scope["query_string"]) + sum(len(name) + len(value) for name, value in headers.raw)
    )
    if length > LARGEST_HEADER:
        return 431
    # Request smuggling: the end is ambiguous, and a proxy may see it elsewhere (RFC 9112, sections 6.1 and 6.3).
    if "transfer-encoding" in headers and ("content-length" in headers or scope["http_version"] == "1.0"):
        return 400
    # No browser sends a body in chunks. Each chunk costs as much as a request, though it may contain only one byte.
    if "transfer-encoding" in headers:
        return 411
    if _promised(scope) > _largest_body(scope):
        return 413
    # No text of ours contains NUL, and databases reject it.
    if "\0" in scope["path"] or b"%00" in scope["query_string"]:
        return 400
    return None


def _promised(scope: Scope) -> int:
    """Return the size of a request's body in bytes, as its header says."""
    promised = Headers(scope=scope).get("content-length", "0")
    return int(promised[: _DIGITS + 1])


def _largest_body(scope: Scope) -> int:
    """Return the limit of a request's body in bytes."""
    files = [most for path, most in LARGEST_UPLOAD.items() if scope["path"].startswith(path)]
    return files[0] if files and scope["method"] in ("POST", "PUT", "PATCH") else LARGEST_BODY


async def _read(receive: Receive, most: int, upload: _Upload) -> bytes | int:
    """Read the body of a request; return a status instead if it is larger than the limit, or there are too many large
    ones.

    Raises:
        ClientDisconnect: the client disconnected before the end.
    """
    body, more = bytearray(), True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        body += message.get("body", b"")
        if len(body) > most:
            return 413
        if len(body) > LARGEST_BODY and not upload.begin():
            return 503
        more = message.get("more_body", False)
    return bytes(body)


def _replayed(body: bytes, receive: Receive) -> Receive:
    """Return a ``receive`` that returns a body that was read before, then whatever follows it."""
    parts: Iterator[Message] = iter([{"type": "http.request", "body": body, "more_body": False}])

    async def replayed() -> Message:
        return next(parts, None) or await receive()

    return replayed
