"""The settings in force in the admin site, where each comes from, and a reload of config.yaml."""

from itertools import groupby
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from newsletter.services.settings_in_force import settings_in_force
from newsletter.store import reading, reloads
from newsletter.web.auth import Operator, Role, owner, viewer
from newsletter.web.context import WebContext
from newsletter.web.forms import SameOrigin
from newsletter.web.pages.admin.layout import admin_page, done

_OWN = "/settings"

_NOTICES = {
    "reloaded": "config.yaml was read again, and its settings are in force.",
    "restart": "config.yaml was read again. Settings marked below count only after a restart.",
}
_FIXED = "This process reads config.yaml only at its start. Restart it to use a changed file."


def routes(site: WebContext) -> APIRouter:
    """Create the router of the page."""
    context, reloader = site.context, site.reloader
    router = APIRouter(prefix=_OWN)

    def page(request: Request, operator: Operator, problem: str = "", status: int = 200) -> Response:
        with reading(context.engine) as connection:
            processes = reloads.last_of_each(connection)
        file, given = (reloader.path.name, reloader.given) if reloader is not None else ("config.yaml", {})
        found = settings_in_force(context.config, file, given)
        secrets = [one for one in found if one.is_secret]
        plain = [one for one in found if not one.is_secret]
        groups = [(name, list(them)) for name, them in groupby(plain, lambda one: one.section)]
        return admin_page(
            site,
            request,
            operator,
            "settings",
            status,
            _NOTICES,
            problem=problem,
            file=file,
            groups=[*groups, ("secrets", secrets)],
            processes=processes,
            waiting=reloader.needs_restart if reloader is not None else (),
            may_reload=reloader is not None and operator.role.includes(Role.OWNER),
        )

    @router.get("")
    def show(request: Request, operator: Annotated[Operator, Depends(viewer(site))]) -> Response:
        return page(request, operator)

    @router.post("/reload", dependencies=[SameOrigin])
    def reload(request: Request, operator: Annotated[Operator, Depends(owner(site))]) -> Response:
        if reloader is None:
            return page(request, operator, _FIXED, 409)
        result = reloader.reload(operator.name)
        if result.problems:
            said = ["Nothing was changed; the settings below stay in force. Correct the file and reload it again."]
            return page(request, operator, "\n".join([*said, *result.problems]), 422)
        return done(_OWN, "restart" if result.needs_restart else "reloaded")

    return router
