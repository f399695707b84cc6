"""The application: the site's pages and its API behind one door, each answer with the headers that keep it safe."""

import hashlib
from http import HTTPStatus

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from newsletter.desk import Desk
from newsletter.errors import NewsletterError
from newsletter.web import browse, feedback, feeds, papers, preferences, signup, unsubscribe
from newsletter.web.kept import Kept
from newsletter.web.site import Site, as_json, make_site, static

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
_STATIC = {"site.css": "text/css", "site.js": "text/javascript"}
_WORDS = {
    404: "There is no such page.",
    405: "This page cannot be used in that way.",
    413: "That is too much at once.",
    422: "Something in the form is missing or wrong.",
    429: "That was often in a short time. Please try again later.",
}


def make_app(desk: Desk) -> FastAPI:
    """The site of a newsletter, ready to be served."""
    site = make_site(desk)
    app = FastAPI(title=desk.config.site.name, docs_url=None, redoc_url=None, openapi_url="/api/openapi.json")
    # The last one that is added stands before the others.
    app.add_middleware(Kept, seconds=desk.config.web.keep_seconds)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=[*desk.config.web.hosts(desk.config.site)])
    app.add_middleware(_Guarded)

    @app.get("/static/{name}", include_in_schema=False)
    def asset(name: str) -> Response:
        if name not in _STATIC:
            raise HTTPException(404)
        content = static(name)
        mark = f'"{hashlib.sha256(content).hexdigest()[:16]}"'
        return Response(
            content, media_type=_STATIC[name], headers={"Cache-Control": "public, max-age=300", "ETag": mark}
        )

    # The parts of the site, by name.
    app.include_router(browse.routes(site))
    app.include_router(feedback.routes(site))
    app.include_router(feeds.routes(site))
    app.include_router(papers.routes(site))
    app.include_router(preferences.routes(site))
    app.include_router(signup.routes(site))
    app.include_router(unsubscribe.routes(site))
    _tell_errors(app, site)
    return app


class _Guarded:
    """Middleware that gives each answer the headers that keep it safe, unless it has its own."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        added = {**_HEADERS, **(_TLS_ONLY if scope.get("scheme") == "https" else {})}

        async def tell(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in added.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, tell)


def _tell_errors(app: FastAPI, site: Site) -> None:
    def told(request: Request, status: int, words: str) -> Response:
        if request.url.path.startswith("/api"):
            return as_json({"error": words}, status)
        return site.page(request, "error", status, title=HTTPStatus(status).phrase, words=words)

    @app.exception_handler(HTTPException)
    def http(request: Request, error: HTTPException) -> Response:
        said = error.detail if error.detail != HTTPStatus(error.status_code).phrase else ""
        answer = told(request, error.status_code, said or _WORDS.get(error.status_code, "That did not work."))
        for name, value in (error.headers or {}).items():
            answer.headers[name] = value
        return answer

    @app.exception_handler(RequestValidationError)
    def invalid(request: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"][1:])
        return told(request, 422, f"{where}: {first['msg']}" if where else _WORDS[422])

    @app.exception_handler(NewsletterError)
    def failed(request: Request, error: NewsletterError) -> Response:
        # What went wrong here is the operator's to know; the reader is told that it was not theirs.
        return told(request, 503, "The newsletter cannot do that at present. Please try again later.")
