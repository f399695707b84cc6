"""The web application: the site's pages and its API, with security headers on every response."""

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from http import HTTPStatus
from typing import Any, cast

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import RedirectResponse
from pydantic_core import ErrorDetails
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.routing import Match

from newsletter.config.messages import describe
from newsletter.errors import NewsletterError
from newsletter.rendering.palette import style_sheet
from newsletter.services.context import AppContext
from newsletter.services.reload import Reloader
from newsletter.support.text import escape_for_terminal
from newsletter.web import metrics
from newsletter.web.api import admin_api, openapi, provider_webhooks, public
from newsletter.web.api import announcements as announcements_api
from newsletter.web.api import messages as messages_api
from newsletter.web.api import subscribers as subscribers_api
from newsletter.web.auth import HOME
from newsletter.web.context import WebContext, as_json, make_context, static
from newsletter.web.forms import LinkError
from newsletter.web.middleware.cache import PageCache
from newsletter.web.middleware.security import guard, log
from newsletter.web.pages import (
    account,
    admin,
    announcements,
    feedback,
    feeds,
    images,
    libraries,
    papers,
    preferences,
    rate,
    ratings,
    saved,
    sent_digests,
    signup,
    unsubscribe,
)
from newsletter.web.rate_limit import with_rate_headers

_STYLE = "site.css"
_STATIC = {
    _STYLE: "text/css",
    "site.js": "text/javascript",
    "challenge.js": "text/javascript",
}
_WORDS = {
    400: "The request is malformed.",
    404: "This page does not exist.",
    405: "This page does not support that method.",
    411: "The request must give its length (Content-Length).",
    413: "The request is too large.",
    422: "Something in the form is missing or wrong.",
    429: "Too many requests in a short time. Please try again later.",
    431: "The request is too large.",
    500: "Something went wrong here. Please try again later.",
}


def make_app(
    context: AppContext,
    warm: bool = False,
    requests: metrics.RequestMetrics | None = None,
    reloader: Reloader | None = None,
) -> FastAPI:
    """Create the site of a newsletter.

    Args:
        warm: load the search index in the background.
        requests: counts the requests; by default, those of this application alone.
        reloader: reads the configuration again when an operator asks for it.

    Raises:
        UserError: ``site.url`` is not set.
    """
    site, requests = make_context(context, reloader), requests or metrics.RequestMetrics()
    if warm:
        site.index.warm()

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await run_in_threadpool(site.mailer.close)

    app = FastAPI(
        title=context.config.site.name,
        lifespan=lifespan,
        version="1",
        docs_url=None,
        redoc_url=None,
        openapi_url="/api/openapi.json",
        # Each page has one path; a redirect from another would repeat a host name sent by a stranger.
        redirect_slashes=False,
        generate_unique_id_function=openapi.operation_id,
    )
    openapi.document_routes(app)
    app.state.url = site.url
    app.state.close = site.mailer.close
    # The last middleware added runs first.
    app.add_middleware(PageCache, seconds=context.config.web.keep_seconds)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=context.config.accepted_hosts)
    app.add_middleware(with_rate_headers)
    app.add_middleware(guard, partial(_error_response, site))
    app.add_middleware(requests.counted)

    @app.get("/static/{name}", include_in_schema=False)
    def asset(name: str) -> Response:
        if name not in _STATIC:
            raise HTTPException(404)
        content = static(name)
        if name == _STYLE:
            content = style_sheet(context.config.brand.accent).encode() + content
        mark = f'"{hashlib.sha256(content).hexdigest()[:16]}"'
        return Response(
            content, media_type=_STATIC[name], headers={"Cache-Control": "public, max-age=300", "ETag": mark}
        )

    # The parts of the site, by name.
    app.include_router(account.routes(site))
    app.include_router(public.routes(site))
    app.include_router(sent_digests.routes(site))
    app.include_router(feedback.routes(site))
    app.include_router(feeds.routes(site))
    app.include_router(images.routes(site))
    app.include_router(metrics.routes(site, requests))
    app.include_router(admin.routes(site))
    app.include_router(announcements.routes(site))

    @app.get("/operator", include_in_schema=False)
    def former_home() -> Response:
        return RedirectResponse(HOME, 303)

    app.include_router(admin_api.routes(site))
    app.include_router(subscribers_api.routes(site))
    app.include_router(announcements_api.routes(site))
    app.include_router(messages_api.routes(site))
    app.include_router(provider_webhooks.routes(site))
    app.include_router(papers.routes(site))
    app.include_router(libraries.routes(site))
    app.include_router(preferences.routes(site))
    app.include_router(rate.routes(site))
    app.include_router(ratings.routes(site))
    app.include_router(saved.routes(site))
    app.include_router(signup.routes(site))
    app.include_router(unsubscribe.routes(site))
    _add_error_handlers(app, site)
    return app


def _methods(app: FastAPI, request: Request) -> set[str]:
    """Return the methods of a path, of all routes: the framework names those of the first one only."""
    fitting = (route for route in app.routes if route.matches(request.scope)[0] is not Match.NONE)
    return {method for route in fitting for method in getattr(route, "methods", None) or ()}


def _error_response(
    site: WebContext, request: Request, status: int, words: str = "", offers_link: bool = False
) -> Response:
    """Create an error response: JSON for the API and webhooks, otherwise a page."""
    words = escape_for_terminal(words or _WORDS.get(status, "That did not work."))
    if request.url.path.startswith(("/api/", "/webhooks/")):
        return as_json({"error": words}, status)
    title = "This link does not work" if offers_link else HTTPStatus(status).phrase.capitalize()
    return site.page(request, "error", status, title=title, words=words, offers_link=offers_link)


def _place(error: ErrorDetails, body: Any) -> str:
    """Return where in a request an error is, with entries of lists counted from 1."""
    place, *path = error["loc"]
    if place != "body":
        return ".".join(map(str, path))
    parts: list[str] = []
    for part in path:
        if (isinstance(body, dict) and part in body) or (isinstance(body, list) and isinstance(part, int)):
            body = body[part]  # type: ignore[index]
        elif error["type"] != "missing":
            continue  # What the framework calls an alternative, such as "constrained-str".
        parts.append(str(part + 1) if isinstance(part, int) else part)
    return ".".join(parts)


def _add_error_handlers(app: FastAPI, site: WebContext) -> None:
    @app.exception_handler(HTTPException)
    def http(request: Request, error: HTTPException) -> Response:
        if error.status_code == HTTPStatus.SEE_OTHER:
            return Response(status_code=error.status_code, headers=error.headers)
        said = error.detail if error.detail != HTTPStatus(error.status_code).phrase else ""
        answer = _error_response(site, request, error.status_code, said, isinstance(error, LinkError))
        for name, value in (error.headers or {}).items():
            answer.headers[name] = value
        if error.status_code == 405:
            answer.headers["Allow"] = ", ".join(sorted(_methods(app, request)))
        return answer

    @app.exception_handler(RequestValidationError)
    def invalid(request: Request, error: RequestValidationError) -> Response:
        first = cast(ErrorDetails, error.errors()[0])
        place, *path = first["loc"]
        if first["type"] == "json_invalid":
            return _error_response(site, request, 400, "The body is not valid JSON.")
        if not path:
            words = describe(first) if first["type"] == "value_error" else "The body must be a JSON object."
            return _error_response(site, request, 422, words)
        where, words = _place(first, error.body), describe(first)
        # What programs write in a header is no content that could be corrected (RFC 9110, section 15.5.21).
        status = 400 if place == "header" else 422
        return _error_response(site, request, status, f"{where}: {words}")

    @app.exception_handler(NewsletterError)
    def failed(request: Request, error: NewsletterError) -> Response:
        # The details are for the operator; the reader only learns that it was not their fault.
        log.warning("%s", error)
        return _error_response(site, request, 503, "The newsletter is temporarily unavailable. Please try again later.")
