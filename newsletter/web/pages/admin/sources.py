"""The sources in the admin site: their last success and error, and a test of each."""

from threading import Lock
from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Request, Response

from newsletter.services.source_check import SourceCheck, check_latest
from newsletter.services.status import source_statuses
from newsletter.sources.base import DateRange
from newsletter.sources.errors import none_readable
from newsletter.store import audit, reading, writing
from newsletter.web.auth import Operator, editor, viewer
from newsletter.web.context import PRIVATE, WebContext
from newsletter.web.forms import SameOrigin
from newsletter.web.pages.admin.layout import admin_page

_OWN = "/sources"
_PAPERS = 5
_SECONDS = 30.0
"""The time after which a test is given up; it takes a thread of the site."""

_BUSY = "Another test is running. Wait until it has ended, then test again."


def routes(site: WebContext) -> APIRouter:
    """Create the router of the page."""
    context = site.context
    router = APIRouter(prefix=_OWN)
    testing = Lock()

    def show(
        request: Request,
        operator: Operator,
        tested: str | None = None,
        check: SourceCheck | None = None,
        status: int = 200,
        problem: str = "",
    ) -> Response:
        with reading(context.engine) as connection:
            known = source_statuses(context, connection)
        if check is not None:
            problem = check.error or (none_readable(check.skipped) if check.unreadable else "")
        return admin_page(
            site,
            request,
            operator,
            "sources",
            status,
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
    def test(request: Request, name: str, operator: Annotated[Operator, Depends(editor(site))]) -> Response:
        if name not in context.config.sources:
            raise HTTPException(404, "config.yaml has no such source.", PRIVATE)
        # One at a time: each takes a process, and repeated clicks would take all threads of the site.
        if not testing.acquire(blocking=False):
            return show(request, operator, status=409, problem=_BUSY)
        try:
            now = context.clock()
            with writing(context.engine) as connection:
                audit.record(connection, operator.name, "source.test", name, now)
            check = check_latest(context.config, name, DateRange(None, now.date()), _SECONDS)
        finally:
            testing.release()
        return show(request, operator, name, check)

    return router
