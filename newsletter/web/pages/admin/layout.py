"""What all admin pages share: the navigation, and the answers to a form."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Path, Request, Response
from fastapi.responses import RedirectResponse

from newsletter.web.auth import HOME, Operator, Role
from newsletter.web.context import PRIVATE, WebContext


@dataclass(frozen=True, slots=True)
class Section:
    """An entry of the navigation.

    Attributes:
        path: below :data:`HOME`, with its slash; the pages below it belong to the section.
        role: the lowest role that may see it.
    """

    path: str
    title: str
    role: Role = Role.VIEWER


SECTIONS = (
    Section("", "Overview"),
    Section("/subscribers", "Subscribers"),
    Section("/announcements", "Announcements"),
    Section("/queue", "Queue"),
    Section("/sources", "Sources"),
    Section("/templates", "Templates"),
    Section("/webhooks", "Webhooks"),
    Section("/settings", "Settings"),
    Section("/audit", "Audit log"),
    Section("/accounts", "Accounts"),
    Section("/tokens", "Tokens", Role.OWNER),
)
"""The navigation, in its order."""

RowNumber = Annotated[int, Path(ge=0, le=2**31 - 1)]
"""The number of something in a path: of what databases take, since people may write anything there."""

_NO_NOTICES: Mapping[str, str] = {}


def admin_page(
    site: WebContext,
    request: Request,
    operator: Operator,
    name: str,
    /,
    status: int = 200,
    notices: Mapping[str, str] = _NO_NOTICES,
    headers: Mapping[str, str] = PRIVATE,
    **values: Any,
) -> Response:
    """Render an admin page from the template ``admin/NAME.html``, which extends ``admin/base.html``.

    Args:
        notices: what the page says after a form, by the key that was given to :func:`done`.
        headers: in addition to those of a page for one reader.
        values: what the template shows; ``problem`` is what is wrong with a form.
    """
    own = request.url.path.removeprefix(HOME)
    shown = [one for one in SECTIONS if operator.role.includes(one.role)]
    # The overview has the empty path, with which all begin.
    current = [one for one in shown if own == one.path or (one.path and own.startswith(f"{one.path}/"))]
    links = [(f"{HOME}{one.path}", one.title, one in current) for one in shown]
    notice = notices.get(request.query_params.get("done", ""), "")
    shared = {
        "home": HOME,
        "operator": operator,
        "may_edit": operator.role.includes(Role.EDITOR),
        "sections": links,
        "notice": notice,
        "problem": "",
    }
    return site.page(request, f"admin/{name}", status, {**PRIVATE, **headers}, **{**shared, **values})


def done(path: str, key: str) -> Response:
    """Redirect after a form to an admin page, which shows the notice of a key.

    Args:
        path: below :data:`HOME`, with its slash.
    """
    return RedirectResponse(f"{HOME}{path}?done={key}", 303, PRIVATE)
