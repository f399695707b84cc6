"""The tokens of programs in the admin site, for owners."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import RedirectResponse

from newsletter.errors import ReaderError
from newsletter.services import accounts
from newsletter.store import reading
from newsletter.store import tokens as store
from newsletter.store.operators import Operator
from newsletter.store.tokens import USUAL_SCOPES, Scope
from newsletter.web.auth import HOME, owner
from newsletter.web.context import PRIVATE, WebContext
from newsletter.web.forms import Posted, SameOrigin, text, texts
from newsletter.web.pages.admin.layout import admin_page

_PATH = f"{HOME}/tokens"
_MOST_DAYS = 3650


def routes(site: WebContext) -> APIRouter:
    """Create the router of the page."""
    context = site.context
    router = APIRouter(prefix=_PATH)
    may_manage = Depends(owner(context))

    def show(
        request: Request, operator: Operator, status: int = 200, problem: str = "", name: str = "", created: str = ""
    ) -> Response:
        with reading(context.engine) as connection:
            known = store.everything(connection)
        return admin_page(
            site,
            request,
            operator,
            "admin/tokens",
            status,
            tokens=known,
            now=context.clock(),
            scopes=list(Scope),
            usual=USUAL_SCOPES,
            problem=problem,
            typed=name,
            created=created,
            notice="The token was revoked." if request.query_params.get("done") == "revoked" else "",
        )

    @router.get("")
    def list_tokens(request: Request, operator: Annotated[Operator, may_manage]) -> Response:
        return show(request, operator)

    @router.post("", dependencies=[SameOrigin])
    def create(request: Request, operator: Annotated[Operator, may_manage], form: Posted) -> Response:
        name = text(form, "name").strip()
        try:
            scopes = [scope for scope in Scope if scope.value in texts(form, "scope")]
            token = accounts.create_token(context, name, scopes, _days(text(form, "days").strip()), operator.name)
        except ReaderError as error:
            return show(request, operator, 422, "\n".join(error.lines), name)
        # Not by a redirect: the token is shown only now.
        return show(request, operator, name=name, created=token)

    @router.post("/{name}/revoke", dependencies=[SameOrigin])
    def revoke(name: str, operator: Annotated[Operator, may_manage]) -> Response:
        accounts.revoke_token(context, name, operator.name)
        return RedirectResponse(f"{_PATH}?done=revoked", 303, PRIVATE)

    return router


def _days(typed: str) -> int | None:
    if not typed:
        return None
    if not (typed.isascii() and typed.isdigit()) or not 1 <= int(typed) <= _MOST_DAYS:
        raise ReaderError(f"Days: use a number from 1 to {_MOST_DAYS:,}, or leave it empty for a token without an end.")
    return int(typed)
