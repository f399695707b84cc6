"""The guard before all parts of the site: headers on every answer, a limit to what a request may bring, and no word of
what went wrong inside.
"""

import logging
from collections.abc import Callable

from fastapi import Request, Response
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LARGEST_BODY = 100_000
"""Bytes. No form of the site, and nothing that the API takes, comes near it."""

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
    # A link that acts for its reader must not be told to other sites.
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
_TLS_ONLY = {"Strict-Transport-Security": "max-age=31536000; includeSubDomains"}

log = logging.getLogger("uvicorn.error")

Refusal = Callable[[Request, int], Response]
"""Gives the answer for a status, as a page or as JSON."""


def guard(app: ASGIApp, refusal: Refusal) -> ASGIApp:
    """An application with the guard before it."""

    async def guarded(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        answer = _Answer(scope, send)
        status = _status_for(scope)
        try:
            if status is None:
                await app(scope, _limited(receive), answer.send)
        except Exception:
            # What went wrong is for the operator's log alone; whom it was about is not even for that.
            log.exception("a mistake in %s", getattr(scope.get("route"), "path_format", "the site"))
            if answer.begun:
                raise
            status = 500
        if status is not None:
            await _refused(refusal, scope, status)(scope, receive, answer.send)

    return guarded


def _refused(refusal: Refusal, scope: Scope, status: int) -> Response:
    try:
        return refusal(Request(scope), status)
    except Exception:
        log.exception("no page for an error")
        return Response("That did not work.", status, media_type="text/plain")


class _Answer:
    """An answer on its way, which gets its headers as it begins."""

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
    """The status with which a request is turned away before anybody reads it."""
    length = Headers(scope=scope).get("content-length", "0")
    if len(length) > _DIGITS or int(length) > LARGEST_BODY:
        return 413
    # No text of ours has one, and databases trip over it.
    if "\0" in scope["path"] or b"%00" in scope["query_string"]:
        return 400
    return None


def _limited(receive: Receive) -> Receive:
    """What a request brings, up to the limit: who sends without saying how much is stopped there."""
    taken = 0

    async def limited() -> Message:
        nonlocal taken
        message = await receive()
        taken += len(message.get("body", b""))
        if taken > LARGEST_BODY:
            raise HTTPException(413)
        return message

    return limited
