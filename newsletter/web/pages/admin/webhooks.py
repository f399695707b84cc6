"""Webhooks in the admin site: the endpoints in force, the latest deliveries, a test event and a retry."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Request, Response

from newsletter.errors import UserError
from newsletter.services import webhooks
from newsletter.services.webhooks import Answer
from newsletter.store import reading, webhook_deliveries
from newsletter.web.auth import Operator, Role, owner, viewer
from newsletter.web.context import WebContext
from newsletter.web.forms import SameOrigin
from newsletter.web.pages.admin.layout import admin_page, done

_OWN = "/webhooks"
_LINES = 50

_NOTICES = {
    "retried": "What the endpoint did not accept is due now. It is posted within seconds while 'newsletter run' runs.",
}


def routes(site: WebContext) -> APIRouter:
    """Create the router of the page."""
    context = site.context
    router = APIRouter(prefix=_OWN)
    may_view, may_change = Depends(viewer(site)), Depends(owner(site))

    def page(request: Request, operator: Operator, status: int = 200, **said: Any) -> Response:
        with reading(context.engine) as connection:
            endpoints = webhooks.endpoint_statuses(context, connection)
            deliveries = webhook_deliveries.latest(connection, _LINES)
        shown: dict[str, Any] = {"endpoints": endpoints, "deliveries": deliveries, "tested": "", "answer": None}
        is_owner = operator.role.includes(Role.OWNER)
        values = {**shown, "names": [one.name for one in endpoints], "is_owner": is_owner, **said}
        return admin_page(site, request, operator, "webhooks", status, _NOTICES, **values)

    def check(name: str) -> None:
        if name not in context.config.webhooks.endpoints:
            raise HTTPException(404, "config.yaml has no such endpoint.")

    @router.get("")
    def show(request: Request, operator: Annotated[Operator, may_view]) -> Response:
        return page(request, operator)

    @router.post("/{name}/test", dependencies=[SameOrigin])
    def test(request: Request, name: str, operator: Annotated[Operator, may_change]) -> Response:
        check(name)
        try:
            answer = webhooks.post_test(context, name, operator.name)
        except UserError as error:  # Its secret is missing or wrong.
            answer = Answer(None, str(error))
        problem = f"Test of {name}: {answer.error}" if answer.error else ""
        # Not redirected: the answer is not stored.
        return page(request, operator, tested=name, answer=answer, problem=problem)

    @router.post("/{name}/retry", dependencies=[SameOrigin])
    def retry(name: str, operator: Annotated[Operator, may_change]) -> Response:
        check(name)
        webhooks.retry(context, name, operator.name)
        return done(_OWN, "retried")

    return router
