"""API tokens: an owner creates and revokes them."""

from datetime import timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response

from newsletter.services import accounts
from newsletter.services.accounts import AccountError
from newsletter.store import reading, tokens
from newsletter.web.auth import Operator, Scope, owner
from newsletter.web.context import WebContext
from newsletter.web.forms import Posted, SameOrigin, text, texts
from newsletter.web.pages.admin.layout import admin_page, done

_PATH = "/tokens"
_NOTICES = {"revoked": "The token was revoked.", "gone": "The token did not exist any more."}
_SCOPES = {
    Scope.READ: "read subscribers, editions, sends and figures",
    Scope.METRICS: "read /metrics",
    Scope.SUBSCRIBERS_WRITE: "add, change and remove subscribers",
    Scope.ANNOUNCEMENTS_WRITE: "create announcements, and pause or cancel them",
    Scope.MESSAGES_WRITE: "send single messages",
}
_MOST_DAYS = 3650
_DEFAULT_DAYS = "90"
_WRONG_DAYS = f"The days: write a number from 1 to {_MOST_DAYS}, or nothing for a token that never expires."


def routes(site: WebContext) -> APIRouter:
    """Create the router of the page."""
    router, context = APIRouter(prefix=_PATH), site.context

    def page(request: Request, operator: Operator, status: int = 200, **values: Any) -> Response:
        with reading(context.engine) as connection:
            found = tokens.everything(connection)
        shared = {"tokens": found, "now": context.clock(), "scopes": _SCOPES, "new": "", "new_name": ""}
        form = {"name": "", "chosen": [Scope.READ.value], "days": _DEFAULT_DAYS}
        return admin_page(site, request, operator, "tokens", status, _NOTICES, **{**shared, **form, **values})

    @router.get("")
    def show(request: Request, operator: Annotated[Operator, Depends(owner(site))]) -> Response:
        return page(request, operator)

    @router.post("", dependencies=[SameOrigin])
    def create(request: Request, form: Posted, operator: Annotated[Operator, Depends(owner(site))]) -> Response:
        name, chosen, days = text(form, "name").strip(), texts(form, "scope"), text(form, "days").strip()
        written = {"name": name, "chosen": chosen, "days": days}
        if days and not (days.isascii() and days.isdigit() and 1 <= int(days[:9]) <= _MOST_DAYS):
            return page(request, operator, 422, problem=_WRONG_DAYS, **written)
        expires_at = context.clock() + timedelta(days=int(days)) if days else None
        scopes = [scope for scope in Scope if scope.value in chosen]
        try:
            token = accounts.create_token(context, operator.name, name, scopes, expires_at)
        except AccountError as error:
            return page(request, operator, 422, problem=f"The {error.field}: {error}.", **written)
        # Not redirected: the token is shown only here, and must not be part of an address.
        return page(request, operator, new=token, new_name=name)

    @router.post("/revoke", dependencies=[SameOrigin])
    def revoke(form: Posted, operator: Annotated[Operator, Depends(owner(site))]) -> Response:
        gone = accounts.revoke_token(context, operator.name, text(form, "name"))
        return done(_PATH, "revoked" if gone else "gone")

    return router
