"""The accounts of operators in the admin site, for owners."""

from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import RedirectResponse

from newsletter.errors import ReaderError
from newsletter.services import accounts
from newsletter.store import operators, reading
from newsletter.store.operators import Operator, Role
from newsletter.web.auth import HOME, owner
from newsletter.web.context import PRIVATE, WebContext
from newsletter.web.forms import Posted, SameOrigin, text
from newsletter.web.pages.admin.layout import admin_page

_PATH = f"{HOME}/accounts"
_NOTICES = {
    "added": "The account was added.",
    "role": "The role was changed; that account has to log in again.",
    "password": "The password was set; that account has to log in again.",
    "sessions": "All sessions of the account have ended.",
    "removed": "The account was deleted.",
}


def routes(site: WebContext) -> APIRouter:
    """Create the router of the page."""
    context = site.context
    router = APIRouter(prefix=_PATH)
    may_manage = Depends(owner(context))

    def show(request: Request, operator: Operator, status: int = 200, problem: str = "", typed: str = "") -> Response:
        with reading(context.engine) as connection:
            everybody = operators.everything(connection)
            sessions = operators.sessions(connection, context.clock())
        return admin_page(
            site,
            request,
            operator,
            "admin/accounts",
            status,
            accounts=everybody,
            sessions=sessions,
            roles=list(Role),
            problem=problem,
            typed=typed,
            notice=_NOTICES.get(request.query_params.get("done", ""), ""),
        )

    def act(request: Request, operator: Operator, done: str, change: Callable[[], object], typed: str = "") -> Response:
        try:
            change()
        except ReaderError as error:
            return show(request, operator, 422, "\n".join(error.lines), typed)
        return RedirectResponse(f"{_PATH}?done={done}", 303, PRIVATE)

    @router.get("")
    def list_accounts(request: Request, operator: Annotated[Operator, may_manage]) -> Response:
        return show(request, operator)

    @router.post("", dependencies=[SameOrigin])
    def add(request: Request, operator: Annotated[Operator, may_manage], form: Posted) -> Response:
        name = text(form, "name").strip()

        def save() -> None:
            accounts.add(context, name, _role(text(form, "role")), text(form, "password"), operator.name)

        return act(request, operator, "added", save, name)

    @router.post("/{name}/role", dependencies=[SameOrigin])
    def set_role(request: Request, name: str, operator: Annotated[Operator, may_manage], form: Posted) -> Response:
        def save() -> None:
            accounts.set_role(context, accounts.find(context, name), _role(text(form, "role")), operator.name)

        return act(request, operator, "role", save)

    @router.post("/{name}/password", dependencies=[SameOrigin])
    def set_password(request: Request, name: str, operator: Annotated[Operator, may_manage], form: Posted) -> Response:
        def save() -> None:
            accounts.set_password(context, accounts.find(context, name), text(form, "password"), operator.name)

        return act(request, operator, "password", save)

    @router.post("/{name}/logout", dependencies=[SameOrigin])
    def end_sessions(request: Request, name: str, operator: Annotated[Operator, may_manage]) -> Response:
        def save() -> None:
            accounts.end_sessions(context, accounts.find(context, name), operator.name)

        return act(request, operator, "sessions", save)

    @router.post("/{name}/remove", dependencies=[SameOrigin])
    def remove(request: Request, name: str, operator: Annotated[Operator, may_manage]) -> Response:
        def save() -> None:
            accounts.remove(context, accounts.find(context, name), operator.name)

        return act(request, operator, "removed", save)

    return router


def _role(value: str) -> Role:
    try:
        return Role(value)
    except ValueError:
        raise ReaderError("Please choose a role.") from None
