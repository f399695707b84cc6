"""The audit log: what operators and programs did."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response

from newsletter.store import audit, operators, reading, tokens
from newsletter.web.auth import Operator, viewer
from newsletter.web.context import WebContext
from newsletter.web.pages.admin.layout import admin_page

_ON_PAGE = 50
_HIGHEST = 2**31 - 1
_LONGEST_ACTOR = 200


def routes(site: WebContext) -> APIRouter:
    """Create the router of the page."""
    router = APIRouter()

    @router.get("/audit")
    def show(
        request: Request,
        operator: Annotated[Operator, Depends(viewer(site))],
        actor: Annotated[str, Query(max_length=_LONGEST_ACTOR)] = "",
        before: Annotated[int | None, Query(ge=0, le=_HIGHEST)] = None,
    ) -> Response:
        actor = actor.strip()
        with reading(site.context.engine) as connection:
            found = audit.page(connection, before, _ON_PAGE + 1, actor=actor or None)
            actors = [audit.COMMAND_LINE, *(one.name for one in operators.everything(connection))]
            actors += [one.actor for one in tokens.everything(connection)]
        shown = found[:_ON_PAGE]
        older = shown[-1].row if len(found) > len(shown) else None
        paging = {"older": older, "before": before}
        return admin_page(site, request, operator, "audit", entries=shown, actor=actor, actors=actors, paging=paging)

    return router
