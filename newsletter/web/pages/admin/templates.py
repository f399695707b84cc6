"""The templates in the admin site: which are in force, their text, and a digest as they render it. Files stay their
home: nothing is changed here.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Query, Request, Response

from newsletter.audience import subscriptions
from newsletter.errors import NewsletterError
from newsletter.model import Layout, SubscriberState
from newsletter.rendering.template import BUNDLED
from newsletter.services.messages import render_without_rights, with_layout
from newsletter.services.recommend import preview_digest
from newsletter.store import reading, subscribers
from newsletter.support.files import read_text
from newsletter.web.auth import Operator, viewer
from newsletter.web.context import PRIVATE, WebContext
from newsletter.web.middleware.security import POLICY
from newsletter.web.pages.admin.layout import admin_page

_OWN = "/templates"
_ENDINGS = (".mjml", ".txt", ".html", ".md")
_WITH_FRAME = {"Content-Security-Policy": f"{POLICY}; frame-src 'self'"}
_FRAMED = {
    **PRIVATE,
    "Content-Security-Policy": (
        "sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'; style-src 'unsafe-inline'; "
        "img-src 'self' https: data:; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
    ),
    "X-Frame-Options": "SAMEORIGIN",
}

LayoutName = Annotated[Layout | None, Query()]
Address = Annotated[str, Query(max_length=320)]


@dataclass(frozen=True, slots=True)
class TemplateFile:
    """A template by name, such as ``partials/footer.mjml``; ``own`` is whether the newsletter has replaced it."""

    name: str
    path: Path
    own: bool


def template_files(own: Path) -> list[TemplateFile]:
    """Return the templates in force, by name.

    Args:
        own: the folder of the newsletter's own templates.
    """
    found: dict[str, TemplateFile] = {}
    for folder, is_own in ((BUNDLED, False), (own, True)):
        paths = sorted(path for path in folder.rglob("*") if path.suffix in _ENDINGS and path.is_file())
        for path in paths:
            name = path.relative_to(folder).as_posix()
            found[name] = TemplateFile(name, path, is_own and folder.resolve() != BUNDLED.resolve())
    return sorted(found.values(), key=lambda one: one.name)


def routes(site: WebContext) -> APIRouter:
    """Create the router of the pages."""
    context = site.context
    router = APIRouter(prefix=_OWN, dependencies=[Depends(viewer(site))])
    own = context.config.folder / context.config.templates
    may_view = Depends(viewer(site))

    def any_subscriber() -> str:
        with reading(context.engine) as connection:
            found = subscribers.page(connection, 0, 1, SubscriberState.ACTIVE)
        return found[0].email if found else ""

    @router.get("")
    def show(
        request: Request,
        operator: Annotated[Operator, may_view],
        email: Address = "",
        layout: LayoutName = None,
    ) -> Response:
        return admin_page(
            site,
            request,
            operator,
            "templates",
            headers=_WITH_FRAME,
            files=template_files(own),
            email=email.strip() or any_subscriber(),
            layout=layout,
            layouts=list(Layout),
            usual=context.config.digest.layout,
        )

    @router.get("/message")
    def message(email: Address, layout: LayoutName = None) -> Response:
        try:
            with reading(context.engine) as connection:
                reader = subscriptions.get_subscriber(connection, email)
            digest = preview_digest(context, reader).digest
            if digest is None:
                return _text("The store has no papers, so there is no digest to show.")
            shown = with_layout(reader, layout) if layout is not None else reader
            html = render_without_rights(context, shown, digest)
        except NewsletterError as error:
            return _text("\n".join(error.lines), 422)
        return Response(html, media_type="text/html", headers=_FRAMED)

    @router.get("/source/{name:path}")
    def source(request: Request, name: str, operator: Annotated[Operator, may_view]) -> Response:
        found = next((one for one in template_files(own) if one.name == name), None)
        if found is None:
            raise HTTPException(404, "There is no such template.")
        return admin_page(site, request, operator, "template", file=found, text=read_text(found.path, found.name))

    return router


def _text(words: str, status: int = 200) -> Response:
    return Response(words, status, media_type="text/plain", headers=_FRAMED)
