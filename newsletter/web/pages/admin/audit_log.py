"""The audit log in the admin site: who did what, newest first."""

from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Query, Request, Response

from newsletter.store import audit, reading
from newsletter.store.operators import Operator
from newsletter.web.auth import HOME, viewer
from newsletter.web.context import WebContext
from newsletter.web.pages.admin.layout import admin_page

_LINES = 100


def routes(site: WebContext) -> APIRouter:
    """Create the router of the page."""
    context = site.context
    router = APIRouter(prefix=f"{HOME}/audit")

    @router.get("")
    def show(
        request: Request,
        operator: Annotated[Operator, Depends(viewer(context))],
        actor: Annotated[str, Query(max_length=100)] = "",
        before: Annotated[int | None, Query(ge=0, le=2**31 - 1)] = None,
    ) -> Response:
        with reading(context.engine) as connection:
            found = audit.page(connection, before, _LINES + 1, actor=actor or None)
        lines = found[:_LINES]
        following = None
        if len(found) > len(lines):
            given = {"actor": actor, "before": str(lines[-1].row)}
            following = f"{HOME}/audit?{urlencode({key: value for key, value in given.items() if value})}"
        return admin_page(site, request, operator, "admin/audit", lines=lines, actor=actor, following=following)

    return router
