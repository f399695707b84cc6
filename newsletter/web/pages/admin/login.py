"""Log in to the admin site, and out; and change one's own password."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import RedirectResponse

from newsletter.audience import passwords
from newsletter.audience.form_limits import network_of
from newsletter.errors import ReaderError
from newsletter.services import accounts
from newsletter.store.operators import Operator, name_key
from newsletter.web.auth import HOME, LOGIN, LoginThrottle, end_session, log_in, viewer
from newsletter.web.context import PRIVATE, WebContext
from newsletter.web.forms import Posted, SameOrigin, text
from newsletter.web.pages.admin.layout import admin_page

_WRONG = "Name or password is wrong."
_OFTEN = "Too many attempts. Please try again in 15 minutes."
_LONGEST_NAME = 100


def routes(site: WebContext) -> APIRouter:
    """Create the router of the pages."""
    context = site.context
    router = APIRouter(prefix=HOME)
    networks, names = LoginThrottle(), LoginThrottle()
    may_view = Depends(viewer(context))

    def ask_again(request: Request, status: int, problem: str, name: str = "") -> Response:
        headers = {**PRIVATE, "Retry-After": "900"} if status == 429 else PRIVATE
        return site.page(request, "admin/login", status, headers, problem=problem, typed=name)

    @router.get("/login")
    def ask(request: Request) -> Response:
        return ask_again(request, 200, "")

    @router.post("/login", dependencies=[SameOrigin])
    def enter(request: Request, form: Posted) -> Response:
        name, network = text(form, "name")[:_LONGEST_NAME], network_of(request.client.host if request.client else None)
        if not networks.allow(network, context.clock) or not names.allow(name_key(name), context.clock):
            return ask_again(request, 429, _OFTEN, name)
        answer = RedirectResponse(HOME, 303, PRIVATE)
        if not log_in(context, request, answer, name, text(form, "password")[: passwords.LONGEST + 1]):
            return ask_again(request, 403, _WRONG, name)
        return answer

    @router.post("/logout", dependencies=[SameOrigin])
    def leave(request: Request) -> Response:
        answer = RedirectResponse(LOGIN, 303, PRIVATE)
        end_session(context, request, answer)
        return answer

    @router.get("/password")
    def ask_password(request: Request, operator: Annotated[Operator, may_view]) -> Response:
        return admin_page(site, request, operator, "admin/password", problem="")

    @router.post("/password", dependencies=[SameOrigin])
    def change_password(request: Request, operator: Annotated[Operator, may_view], form: Posted) -> Response:
        try:
            accounts.change_own_password(context, operator, text(form, "present"), text(form, "password"))
        except ReaderError as error:
            return admin_page(site, request, operator, "admin/password", 422, problem="\n".join(error.lines))
        return RedirectResponse(LOGIN, 303, PRIVATE)  # All sessions ended, this one too.

    return router
