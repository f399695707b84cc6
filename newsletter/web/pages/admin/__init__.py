"""The admin site: pages for operators, who log in with an account."""

from fastapi import APIRouter
from fastapi.responses import RedirectResponse

from newsletter.web.auth import HOME
from newsletter.web.context import WebContext
from newsletter.web.pages.admin import (
    accounts,
    audit_log,
    login,
    overview,
    queue,
    sources,
    subscribers,
    templates,
    tokens,
)

_FORMER = "/operator"


def routes(site: WebContext) -> APIRouter:
    """Create the router of all pages."""
    router = APIRouter(include_in_schema=False)
    for section in (login, overview, subscribers, queue, sources, templates, audit_log, accounts, tokens):
        router.include_router(section.routes(site))

    @router.get(_FORMER)
    def moved() -> RedirectResponse:
        return RedirectResponse(HOME, 308)

    return router
