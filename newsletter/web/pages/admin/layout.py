"""What all pages of the admin site share: their sections, and who is logged in."""

from collections.abc import Mapping
from typing import Any

from fastapi import Request, Response

from newsletter.store.operators import Operator, Role
from newsletter.web.auth import HOME
from newsletter.web.context import PRIVATE, WebContext

SECTIONS = (
    (HOME, "Overview", Role.VIEWER),
    (f"{HOME}/subscribers", "Subscribers", Role.VIEWER),
    (f"{HOME}/queue", "Queue", Role.VIEWER),
    (f"{HOME}/sources", "Sources", Role.VIEWER),
    (f"{HOME}/templates", "Templates", Role.VIEWER),
    (f"{HOME}/audit", "Audit log", Role.VIEWER),
    (f"{HOME}/accounts", "Accounts", Role.OWNER),
    (f"{HOME}/tokens", "Tokens", Role.OWNER),
)
"""The sections by address, with the role that each needs."""


def admin_page(
    site: WebContext,
    request: Request,
    operator: Operator,
    name: str,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    **values: Any,
) -> Response:
    """Render a page of the admin site from the template ``NAME.html``.

    Args:
        values: for the template; ``notice`` is shown above the page.
    """
    shared = {
        "operator": operator,
        "may_edit": operator.role.allows(Role.EDITOR),
        "is_owner": operator.role.allows(Role.OWNER),
        "sections": [(path, title) for path, title, needed in SECTIONS if operator.role.allows(needed)],
        "notice": "",
    }
    return site.page(request, name, status, {**PRIVATE, **(headers or {})}, **{**shared, **values})
