"""The queue in the admin site: what waits, what failed, what is of unknown outcome, and a pause of all sending."""

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Request, Response

from newsletter.model import SendState
from newsletter.services import sending_admin
from newsletter.services.status import queue_status
from newsletter.store import reading, send_log, sends, statistics
from newsletter.store.send_changes import Retry
from newsletter.web.auth import Operator, editor, viewer
from newsletter.web.context import WebContext
from newsletter.web.forms import Posted, SameOrigin, text
from newsletter.web.pages.admin.layout import RowNumber, admin_page, done

_OWN = "/queue"
_LINES = 100
_EDITIONS = 5

_NOTICES = {
    "paused": "All sending is paused.",
    "resumed": "Sending goes on.",
    "nothing": "Nothing had to be resumed.",
    "all": "All that can be sent again are planned; the next run sends them.",
    "none": "Nothing had to be retried.",
    Retry.PLANNED.value: "The send is planned again; the next run sends it.",
    Retry.MADE_AGAIN.value: "The digest will be composed and sent by the next run.",
    Retry.INACTIVE.value: "The send was not retried: its subscriber gets no mail now.",
    Retry.NOTHING_LEFT.value: "The send was not retried: all its papers were sent in other digests.",
    Retry.CANCELLED.value: "The send was not retried: its announcement was cancelled.",
    "arrived": "The send counts as sent.",
    "again": "The send is planned again; the next run sends it.",
    "gone": "Nothing was changed: the send was retried or settled meanwhile.",
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
        counts = sending_admin.retry_recent(context, [SendState(states)], operator.name)
        return back("all" if counts[Retry.PLANNED] or counts[Retry.MADE_AGAIN] else "none")

    @router.post("/{row}/retry", dependencies=[SameOrigin])
    def retry(row: RowNumber, operator: Annotated[Operator, may_change]) -> Response:
        outcome = sending_admin.retry_one(context, row, operator.name)
        return back(outcome.value if outcome is not None else "gone")

    @router.post("/{row}/{outcome}", dependencies=[SameOrigin])
    def resolve(
        row: RowNumber, outcome: Literal["arrived", "again"], operator: Annotated[Operator, may_change]
    ) -> Response:
        found = sending_admin.resolve(context, row, outcome == "arrived", operator.name)
        return back(outcome if found is not None else "gone")

    return router
