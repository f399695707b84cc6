"""The login to the admin site, and the logout."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import RedirectResponse

from newsletter.services import accounts
from newsletter.web.auth import HOME, LOGIN, LoginThrottle, begin_session, end_session, page_after_login, session
from newsletter.web.context import PRIVATE, WebContext
from newsletter.web.forms import Posted, SameOrigin, text

_BAD = "The name or the password is wrong."
_OFTEN = "Too many attempts. Please try again in 15 minutes."


def routes(site: WebContext) -> APIRouter:
    """Create the router of the login."""
    router, context = APIRouter(), site.context
    attempts = LoginThrottle()

    def login_page(
        request: Request, status: int = 200, name: str = "", problem: str = "", asked: str = HOME
    ) -> Response:
        headers = {**PRIVATE, "Retry-After": "900"} if status == 429 else PRIVATE
        return site.page(request, "admin/login", status, headers, name=name, problem=problem, asked=asked)

    @router.get("/login")
    def ask(request: Request, asked: Annotated[str, Query(alias="next")] = HOME) -> Response:
        page = page_after_login(asked)
        if session(context, request) is not None:
            return RedirectResponse(page, 303, PRIVATE)
        return login_page(request, asked=page)

    @router.post("/login", dependencies=[SameOrigin])
    def login(request: Request, form: Posted) -> Response:
        asked = page_after_login(text(form, "next"))
        host, name = request.client.host if request.client else "", text(form, "name").strip()[: accounts.LONGEST_NAME]
        if not attempts.begin(host, name, context.clock):
            return login_page(request, 429, name, _OFTEN, asked)
        answer = RedirectResponse(asked, 303, PRIVATE)
        logged_in = False
        try:
            operator = accounts.check_login(context, name, text(form, "password"))
            logged_in = operator is not None and begin_session(context, request, answer, operator)
        finally:
            attempts.end(host, name, logged_in)
        return answer if logged_in else login_page(request, 403, name, _BAD, asked)

    @router.post("/logout", dependencies=[SameOrigin])
    def logout(request: Request) -> Response:
        answer = RedirectResponse(LOGIN, 303, PRIVATE)
        end_session(context, request, answer)
        return answer

    return router
