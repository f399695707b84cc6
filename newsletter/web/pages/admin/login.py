"""The login to the admin site, and the logout."""

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from newsletter.services import accounts
from newsletter.web.auth import HOME, LOGIN, LoginThrottle, begin_session, end_session, session
from newsletter.web.context import PRIVATE, WebContext
from newsletter.web.forms import Posted, SameOrigin, text

_BAD = "The name or the password is wrong."
_OFTEN = "Too many attempts. Please try again in 15 minutes."


def routes(site: WebContext) -> APIRouter:
    """Create the router of the login."""
    router, context = APIRouter(), site.context
    attempts = LoginThrottle()

    def login_page(request: Request, status: int = 200, name: str = "", problem: str = "") -> Response:
        headers = {**PRIVATE, "Retry-After": "900"} if status == 429 else PRIVATE
        return site.page(request, "admin/login", status, headers, name=name, problem=problem)

    @router.get("/login")
    def ask(request: Request) -> Response:
        if session(context, request) is not None:
            return RedirectResponse(HOME, 303, PRIVATE)
        return login_page(request)

    @router.post("/login", dependencies=[SameOrigin])
    def login(request: Request, form: Posted) -> Response:
        host, name = request.client.host if request.client else "", text(form, "name").strip()[: accounts.LONGEST_NAME]
        if not attempts.begin(host, name, context.clock):
            return login_page(request, 429, name, _OFTEN)
        answer = RedirectResponse(HOME, 303, PRIVATE)
        logged_in = False
        try:
            operator = accounts.check_login(context, name, text(form, "password"))
            logged_in = operator is not None and begin_session(context, request, answer, operator)
        finally:
            attempts.end(host, name, logged_in)
        return answer if logged_in else login_page(request, 403, name, _BAD)

    @router.post("/logout", dependencies=[SameOrigin])
    def logout(request: Request) -> Response:
        answer = RedirectResponse(LOGIN, 303, PRIVATE)
        end_session(context, request, answer)
        return answer

    return router
