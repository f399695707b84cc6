"""The live preview: a page in the browser that shows a message and reloads when its files change.

The server listens on loopback, under a secret path, since a message has personal links. It only answers GET. Foreign
content is shown as text, or in a sandboxed frame without scripts.
"""

import hashlib
import hmac
import signal
import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import APIRouter, FastAPI, Response
from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.middleware.trustedhost import TrustedHostMiddleware

from newsletter.config.loader import load_config
from newsletter.digest.composer import EARLIER, WITHOUT_MATCH
from newsletter.errors import NewsletterError, UserError
from newsletter.model import DigestItem, Layout, Subscriber
from newsletter.ranking.explain import Explanation
from newsletter.rendering.message import CLIPPED_FROM
from newsletter.rendering.palette import style_sheet
from newsletter.rendering.paper_card import display_title, labelled_title
from newsletter.rendering.plain_text import latex_to_text
from newsletter.rendering.template_context import format_day, percent
from newsletter.rendering.updates import by_paper, update_title
from newsletter.support.clock import Clock
from newsletter.web.preview.snapshot import MessageParts, Snapshot, WatchedFiles, make_snapshot, watched_files

USUAL_PORT = 8100
HOST = "127.0.0.1"

_HIDDEN_SHOWN = 20
_SAFE = {
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_PAGE_POLICY = (
    "default-src 'none'; img-src data:; style-src 'self'; script-src 'self'; connect-src 'self'; frame-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_MESSAGE_POLICY = (
    # The page reads the scroll position of its frames; without scripts, this is safe.
    "sandbox allow-same-origin allow-popups allow-popups-to-escape-sandbox; default-src 'none'; "
    "style-src 'unsafe-inline'; img-src https: data:; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)
_PAGE = Environment(
    loader=PackageLoader("newsletter.web"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
).get_template("preview.html")


@dataclass(slots=True)
class LivePreview:
    """One subscriber's message, rendered again for each request of the page.

    Attributes:
        path: of the configuration. ``scratch``: a folder for sample papers, if the store is empty.
        watched: the source files of the message.
        layout: of the message; None for the subscriber's own.
    """

    path: Path
    clock: Clock
    subscriber: Subscriber
    scratch: Path
    watched: WatchedFiles
    layout: Layout | None = None
    _last: Snapshot | None = field(init=False, default=None)
    _lock: threading.Lock = field(init=False, default_factory=threading.Lock)

    def mark(self) -> str:
        """Return a hash that changes with the source files."""
        return self.watched.mark()

    def page(self) -> bytes:
        """Render the page: the message with its details, or the errors."""
        # Before reading the files, so that later changes are noticed.
        mark = self.mark()
        try:
            snapshot = self.snapshot()
        except NewsletterError as error:
            return _render(email=self.subscriber.email, mark=mark, problems=error.lines, snapshot=None)
        return _render(email=snapshot.subscriber.email, mark=mark, **_values(snapshot))

    def snapshot(self) -> Snapshot:
        """Render the message; the frames of the page then show the same one.

        Raises:
            NewsletterError: a file has an error.
        """
        with self._lock:
            config = load_config(self.path)
            # Also on errors, so that the fix is noticed.
            self.watched = watched_files(self.path, config, self.subscriber)
            self._last = made = make_snapshot(config, self.clock, self.subscriber.email, self.scratch, self.layout)
            self.subscriber = made.subscriber
            self.watched = watched_files(self.path, config, made.subscriber)
            return made

    def last(self) -> Snapshot:
        """Return the last message that was rendered."""
        return self._last or self.snapshot()


def make_app(preview: LivePreview, secret: str) -> FastAPI:
    """Create the app with its pages under a secret path."""
    app = FastAPI(openapi_url=None)
    # Only by address: another host name could expose the page to other sites (DNS rebinding).
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=[HOST, "localhost"], www_redirect=False)
    pages = APIRouter(prefix=f"/{secret}")

    @pages.get("/")
    def page() -> Response:
        return _answer(preview.page(), "text/html", _PAGE_POLICY)

    @pages.get("/version")
    def version() -> Response:
        return _answer(preview.mark().encode(), "text/plain")

    @pages.get("/message.html")
    def html() -> Response:
        return _part(preview, "text/html", lambda message: message.shown_html.encode())

    @pages.get("/message.eml")
    def eml() -> Response:
        return _part(preview, "message/rfc822", lambda message: message.content)

    @pages.get("/preview.css")
    def style() -> Response:
        return _answer(style_sheet().encode() + _file("preview.css"), "text/css")

    @pages.get("/preview.js")
    def script() -> Response:
        return _answer(_file("preview.js"), "text/javascript")

    app.include_router(pages)
    return app


def secret_path(key: str, email: str) -> str:
    """Return the secret path of a subscriber's preview. It is stable, so that an open page reconnects."""
    return hmac.new(key.encode(), f"workshop|{email}".encode(), hashlib.sha256).hexdigest()[:16]


def listen(port: int | None) -> socket.socket:
    """Open a socket on loopback; without a port, the default one or any free one.

    Raises:
        UserError: the port is not available.
    """
    for wanted in (USUAL_PORT, 0) if port is None else (port,):
        try:
            return socket.create_server((HOST, wanted))
        except OSError as error:
            why = error.strerror
    raise UserError(f"--port: {port}: {why}; choose another port, or remove --port")


def serve(app: FastAPI, listener: socket.socket) -> None:
    """Answer until Ctrl-C or SIGTERM."""
    settings = uvicorn.Config(
        app, lifespan="off", log_level="warning", access_log=False, server_header=False, timeout_graceful_shutdown=1
    )
    # The server shuts down cleanly, then raises the signal again.
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with suppress(KeyboardInterrupt):
            uvicorn.Server(settings).run(sockets=[listener])
    finally:
        signal.signal(signal.SIGTERM, before)


def _answer(content: bytes, kind: str, content_policy: str = "default-src 'none'") -> Response:
    return Response(content, media_type=kind, headers={**_SAFE, "Content-Security-Policy": content_policy})


def _part(preview: LivePreview, kind: str, part: Callable[[MessageParts], bytes]) -> Response:
    try:
        message = preview.last().message
    except NewsletterError as error:
        return Response(str(error), 500, _SAFE, "text/plain")
    if message is None:
        return Response("nothing would be sent", 404, _SAFE, "text/plain")
    return _answer(part(message), kind, _MESSAGE_POLICY)


def _file(name: str) -> bytes:
    return (files("newsletter.web") / "static" / name).read_bytes()


def _render(**values: Any) -> bytes:
    return _PAGE.render(values).encode()


def _values(snapshot: Snapshot) -> dict[str, Any]:
    """Build the values of the page."""
    preview, message = snapshot.preview, snapshot.message
    digest = preview.digest
    hidden = [(display_title(paper), word) for paper, word in preview.hidden]
    size = len(message.html.encode()) if message else 0
    return {
        "problems": snapshot.problems,
        "snapshot": snapshot,
        "message": message,
        "subject": next((value for name, value in message.headers if name == "Subject"), "") if message else "",
        "edition": format_day(digest.edition) if digest else "",
        "considered": digest.considered if digest else 0,
        "papers": _rows(digest.choices if digest else (), preview.explanation),
        "updates": [update_title(own) for own in by_paper(digest.updates)] if digest else [],
        "hidden": hidden[:_HIDDEN_SHOWN],
        "more_hidden": max(0, len(hidden) - _HIDDEN_SHOWN),
        "nothing": preview.nothing,
        "size": size,
        "whole_size": len(message.content) if message else 0,
        "clipped_from": CLIPPED_FROM,
        "share": 100 * size / CLIPPED_FROM,
    }


def _rows(choices: Sequence[DigestItem], explanation: Mapping[int, Explanation]) -> list[dict[str, Any]]:
    return [
        {
            "rank": choice.rank,
            "title": labelled_title(choice.paper),
            "id": choice.paper.id,
            "section": choice.section,
            "earlier": EARLIER if choice.earlier else "",
            "match": None if choice.section in WITHOUT_MATCH else percent(choice.score),
            "because": latex_to_text(choice.because),
            "explanation": explanation.get(choice.paper.row, Explanation()),
        }
        for choice in choices
    ]
