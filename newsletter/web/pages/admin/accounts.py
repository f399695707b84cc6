"""The accounts of operators: an owner adds and changes them, and everyone changes their own password."""

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Request, Response

from newsletter.audience import passwords
from newsletter.services import accounts
from newsletter.services.accounts import AccountError
from newsletter.store import operators, reading
from newsletter.store.operators import LastOwner
from newsletter.web.auth import LoginThrottle, Operator, Role, begin_session, owner, viewer
from newsletter.web.context import PRIVATE, WebContext
from newsletter.web.forms import Posted, SameOrigin, text
from newsletter.web.pages.admin.layout import RowNumber, admin_page, done

_PATH = "/accounts"
_NOTICES = {
    "added": "The operator was added.",
    "role": "The role was changed. The operator must log in again.",
    "password": "The password was changed, and all sessions of the operator have ended.",
    "own": "Your password was changed, and your other sessions have ended.",
    "removed": "The operator was removed.",
    "ended": "All sessions of the operator have ended.",
}
_ROLES = {
    Role.VIEWER: "sees everything but the API tokens, and changes nothing",
    Role.EDITOR: "changes everything but accounts and API tokens",
    Role.OWNER: "also manages accounts and API tokens",
}
_ONLY_OWNER = "This is the only owner. Make someone else owner first."
_NO_ROLE = "Choose a role."
_UNCONFIRMED = "Tick the box to confirm that the operator is to be removed."
_WRONG = "The present password is wrong."
_DIFFERENT = "The two new passwords differ."
_OFTEN = "Too many attempts. Please try again in 15 minutes."


def routes(site: WebContext) -> APIRouter:
    """Create the router of the pages."""
    router = APIRouter(prefix=_PATH)
    _add_own_password(router, site)
    _add_list(router, site)
    _add_changes(router, site)
    return router


def _list_page(site: WebContext, request: Request, operator: Operator, status: int = 200, **values: Any) -> Response:
    with reading(site.context.engine) as connection:
        found = operators.everything(connection) if operator.role is Role.OWNER else []
        sessions = operators.sessions(connection, site.context.clock())
    shared = {"accounts": found, "sessions": sessions, "roles": _ROLES, "shortest": passwords.SHORTEST}
    form = {"own_problem": "", "name": "", "role": Role.VIEWER}
    return admin_page(site, request, operator, "accounts", status, _NOTICES, **{**shared, **form, **values})


def _add_own_password(router: APIRouter, site: WebContext) -> None:
    context, attempts = site.context, LoginThrottle()

    def is_right(request: Request, operator: Operator, password: str) -> bool | None:
        """Return whether a password is the operator's, None after too many attempts."""
        host, right = request.client.host if request.client else "", False
        if not attempts.begin(host, operator.name, context.clock):
            return None
        try:
            right = accounts.check_login(context, operator.name, password) is not None
        finally:
            attempts.end(host, operator.name, right)
        return right

    @router.post("/password", dependencies=[SameOrigin])
    def change_own(request: Request, form: Posted, operator: Annotated[Operator, Depends(viewer(site))]) -> Response:
        right, password = is_right(request, operator, text(form, "present")), text(form, "password")
        if right is None:
            return _list_page(site, request, operator, 429, own_problem=_OFTEN)
        if not right:
            return _list_page(site, request, operator, 422, own_problem=_WRONG)
        if password != text(form, "again"):
            return _list_page(site, request, operator, 422, own_problem=_DIFFERENT)
        try:
            accounts.change_password(context, operator.name, operator.name, password)
        except AccountError as error:
            return _list_page(site, request, operator, 422, own_problem=f"The new password: {error}.")
        answer = done(_PATH, "own")
        # All sessions have ended; this browser gets a new one.
        begin_session(context, request, answer, accounts.find_operator(context, operator.name))
        return answer


def _add_list(router: APIRouter, site: WebContext) -> None:
    @router.get("")
    def show(request: Request, operator: Annotated[Operator, Depends(viewer(site))]) -> Response:
        return _list_page(site, request, operator)

    @router.post("", dependencies=[SameOrigin])
    def add(request: Request, form: Posted, operator: Annotated[Operator, Depends(owner(site))]) -> Response:
        name, role = text(form, "name").strip(), _role(text(form, "role"))
        if role is None:
            return _list_page(site, request, operator, 422, name=name, problem=_NO_ROLE)
        try:
            accounts.add_operator(site.context, operator.name, name, role, text(form, "password"))
        except AccountError as error:
            problem = f"The {error.field}: {error}."
            return _list_page(site, request, operator, 422, name=name, role=role, problem=problem)
        return done(_PATH, "added")


def _add_changes(router: APIRouter, site: WebContext) -> None:
    context = site.context

    def account_page(request: Request, operator: Operator, row: int, status: int = 200, problem: str = "") -> Response:
        with reading(context.engine) as connection:
            account = _find(operators.by_row(connection, row))
            sessions = operators.sessions(connection, context.clock()).get(row, 0)
        return admin_page(
            site,
            request,
            operator,
            "account",
            status,
            _NOTICES,
            problem=problem,
            account=account,
            sessions=sessions,
            roles=_ROLES,
            shortest=passwords.SHORTEST,
        )

    def changed(
        request: Request, operator: Operator, row: int, change: Callable[[str], object], path: str, key: str
    ) -> Response:
        """Change the account of a row by its name, and redirect to a page."""
        with reading(context.engine) as connection:
            name = _find(operators.by_row(connection, row)).name
        try:
            change(name)
        except LastOwner:
            return account_page(request, operator, row, 422, _ONLY_OWNER)
        except AccountError as error:
            return account_page(request, operator, row, 422, f"The {error.field}: {error}.")
        return done(path, key)

    @router.get("/{row}")
    def show(request: Request, row: RowNumber, operator: Annotated[Operator, Depends(owner(site))]) -> Response:
        return account_page(request, operator, row)

    @router.post("/{row}/role", dependencies=[SameOrigin])
    def change_role(
        request: Request, row: RowNumber, form: Posted, operator: Annotated[Operator, Depends(owner(site))]
    ) -> Response:
        role = _role(text(form, "role"))
        if role is None:
            return account_page(request, operator, row, 422, _NO_ROLE)
        change = lambda name: accounts.change_role(context, operator.name, name, role)  # noqa: E731
        return changed(request, operator, row, change, f"{_PATH}/{row}", "role")

    @router.post("/{row}/password", dependencies=[SameOrigin])
    def change_password(
        request: Request, row: RowNumber, form: Posted, operator: Annotated[Operator, Depends(owner(site))]
    ) -> Response:
        if row == operator.row:
            # Whoever finds a browser that is logged in must not be able to take the account over.
            raise HTTPException(403, "Change your own password on the page Accounts.", PRIVATE)
        password = text(form, "password")
        change = lambda name: accounts.change_password(context, operator.name, name, password)  # noqa: E731
        return changed(request, operator, row, change, f"{_PATH}/{row}", "password")

    @router.post("/{row}/sessions", dependencies=[SameOrigin])
    def end_sessions(request: Request, row: RowNumber, operator: Annotated[Operator, Depends(owner(site))]) -> Response:
        change = lambda name: accounts.end_sessions(context, operator.name, name)  # noqa: E731
        return changed(request, operator, row, change, f"{_PATH}/{row}", "ended")

    @router.post("/{row}/remove", dependencies=[SameOrigin])
    def remove(
        request: Request, row: RowNumber, form: Posted, operator: Annotated[Operator, Depends(owner(site))]
    ) -> Response:
        if text(form, "confirmed") != "yes":
            return account_page(request, operator, row, 422, _UNCONFIRMED)
        change = lambda name: accounts.remove_operator(context, operator.name, name)  # noqa: E731
        return changed(request, operator, row, change, _PATH, "removed")


def _find(account: Operator | None) -> Operator:
    if account is None:
        raise HTTPException(404, "This operator does not exist any more.", PRIVATE)
    return account


def _role(value: str) -> Role | None:
    return Role(value) if value in list(Role) else None
