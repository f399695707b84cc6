"""The sources in the admin site: their last success and error, and a test of each."""

from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Request, Response
from starlette.concurrency import run_in_threadpool

from newsletter.services.source_check import SourceCheck, check_latest
from newsletter.services.status import source_statuses
from newsletter.sources.base import DateRange
from newsletter.sources.errors import none_readable
from newsletter.store import audit, reading, writing
from newsletter.web.auth import Operator, editor, viewer
from newsletter.web.context import WebContext
from newsletter.web.forms import SameOrigin
from newsletter.web.pages.admin.layout import admin_page

_OWN = "/sources"
_PAPERS = 5


def routes(site: WebContext) -> APIRouter:
    """Create the router of the page."""
    context = site.context
    router = APIRouter(prefix=_OWN)

    def show(
        request: Request, operator: Operator, tested: str | None = None, check: SourceCheck | None = None
    ) -> Response:
        with reading(context.engine) as connection:
            known = source_statuses(context, connection)
        problem = ""
        if check is not None:
            problem = check.error or (none_readable(check.skipped) if check.unreadable else "")
        return admin_page(
            site,
            request,
            operator,
            "sources",
            sources=known,
            tested=tested,
            check=check,
            problem=problem,
            papers=check.papers[:_PAPERS] if check is not None else [],
        )

    @router.get("")
    def list_sources(request: Request, operator: Annotated[Operator, Depends(viewer(site))]) -> Response:
        return show(request, operator)

    @router.post("/{name}/test", dependencies=[SameOrigin])
    async def test(request: Request, name: str, operator: Annotated[Operator, Depends(editor(site))]) -> Response:
        if name not in context.config.sources:
            raise HTTPException(404, "config.yaml has no such source.")

        def run() -> SourceCheck:
            now = context.clock()
            with writing(context.engine) as connection:
                audit.record(connection, operator.name, "source.test", name, now)
            return check_latest(context.config, name, DateRange(None, now.date()))

        return show(request, operator, name, await run_in_threadpool(run))

    return router
