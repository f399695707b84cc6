"""The queue in the admin site: what waits, what failed, what is of unknown outcome, and a pause of all sending."""

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Request, Response

from newsletter.model import SendState
from newsletter.services import sending_admin
from newsletter.services.status import queue_status
from newsletter.store import reading, send_log, sends, statistics
from newsletter.web.auth import Operator, editor, viewer
from newsletter.web.context import WebContext
from newsletter.web.forms import Posted, SameOrigin, text
from newsletter.web.pages.admin.layout import admin_page, done

_OWN = "/queue"
_LINES = 100
_EDITIONS = 5

_NOTICES = {
    "paused": "All sending is paused.",
    "resumed": "Sending goes on.",
    "nothing": "Nothing had to be resumed.",
    "retried": "The send is planned again; the next run sends it.",
    "all": "What can be sent is planned again; the next run sends it.",
    "not-retried": "This send cannot be retried: its subscriber gets no mail, or its papers were sent already.",
    "resolved": "The send is settled.",
    "gone": "This send was settled meanwhile.",
}


def routes(site: WebContext) -> APIRouter:
    """Create the router of the page."""
    context = site.context
    router = APIRouter(prefix=_OWN)
    may_view, may_change = Depends(viewer(site)), Depends(editor(site))

    def back(key: str) -> Response:
        return done(_OWN, key)

    @router.get("")
    def show(request: Request, operator: Annotated[Operator, may_view]) -> Response:
        now = context.clock()
        with reading(context.engine) as connection:
            queue = queue_status(context, connection)
            unsure = sends.unsure(connection, _LINES)
            failed = send_log.failed_since(connection, (now - sending_admin.RECENT).date(), _LINES)
            editions = statistics.editions(connection, _EDITIONS)
        all_unsure = queue.waiting.get(SendState.UNSURE)
        return admin_page(
            site,
            request,
            operator,
            "queue",
            queue=queue,
            unsure=unsure,
            unsure_number=all_unsure.count if all_unsure is not None else 0,
            failed=failed,
            editions=editions,
            notices=_NOTICES,
        )

    @router.post("/pause", dependencies=[SameOrigin])
    def pause(operator: Annotated[Operator, may_change], form: Posted) -> Response:
        sending_admin.pause_sending(context, text(form, "reason").strip()[:300], operator.name)
        return back("paused")

    @router.post("/resume", dependencies=[SameOrigin])
    def resume(operator: Annotated[Operator, may_change]) -> Response:
        was_paused, accounts = sending_admin.resume_sending(context, operator.name)
        return back("resumed" if was_paused or accounts else "nothing")

    @router.post("/retry/{states}", dependencies=[SameOrigin])
    def retry_all(states: Literal["failed", "deferred"], operator: Annotated[Operator, may_change]) -> Response:
        sending_admin.retry_recent(context, [SendState(states)], operator.name)
        return back("all")

    @router.post("/{row}/retry", dependencies=[SameOrigin])
    def retry(row: int, operator: Annotated[Operator, may_change]) -> Response:
        outcome = sending_admin.retry_one(context, row, operator.name)
        if outcome is None:
            return back("gone")
        return back("retried" if outcome.value in ("planned", "made_again") else "not-retried")

    @router.post("/{row}/{outcome}", dependencies=[SameOrigin])
    def resolve(row: int, outcome: Literal["arrived", "again"], operator: Annotated[Operator, may_change]) -> Response:
        found = sending_admin.resolve(context, row, outcome == "arrived", operator.name)
        return back("resolved" if found is not None else "gone")

    return router
