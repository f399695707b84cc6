"""The admin site: the pages of operators, behind a login.

A page is a module with ``routes(site)``, listed in :data:`_PAGES`, and a line in
:data:`newsletter.web.pages.admin.layout.SECTIONS` for the navigation.
"""

from fastapi import APIRouter

from newsletter.web.auth import HOME
from newsletter.web.context import WebContext
from newsletter.web.pages.admin import (
    accounts,
    announcements,
    audit,
    login,
    overview,
    queue,
    settings,
    sources,
    subscribers,
    templates,
    tokens,
    webhooks,
)

_PAGES = (
    *(login, overview, subscribers, announcements, queue, sources, templates, webhooks, settings),
    *(audit, accounts, tokens),
)


def routes(site: WebContext) -> APIRouter:
    """Create the router of the admin site."""
    router = APIRouter(include_in_schema=False)
    for page in _PAGES:
        router.include_router(page.routes(site), prefix=HOME)
    return router
