"""The templates in the admin site: which are in force, their text, and a digest as they render it. Files stay their
home: nothing is changed here.
"""

from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, HTTPException, Query, Request, Response

from newsletter.audience import subscriptions
from newsletter.errors import NewsletterError, UserError
from newsletter.model import Digest, Layout, Subscriber
from newsletter.rendering.template import BUNDLED
from newsletter.services.messages import render_without_rights, with_layout
from newsletter.services.recommend import preview_digest
from newsletter.services.sample_data import sample_digest, sample_reader
from newsletter.store import reading
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

_SAMPLE = "reader@example.org"
_INTEREST = "Sample papers"
_BODY = "margin: 12px; background: canvas; color: canvastext"
_PRE = "white-space: pre-wrap; overflow-wrap: anywhere"

Part = Literal["html", "text"]
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


def own_folder(site: WebContext) -> Path:
    """Return the folder of the newsletter's own templates."""
    return site.context.config.folder / site.context.config.templates


def routes(site: WebContext) -> APIRouter:
    """Create the router of the pages."""
    context = site.context
    router = APIRouter(prefix=_OWN, dependencies=[Depends(viewer(site))])
    may_view = Depends(viewer(site))

    def reader_of(email: str) -> Subscriber:
        if not email:
            return sample_reader(_SAMPLE, _INTEREST)
        with reading(context.engine) as connection:
            return subscriptions.get_subscriber(connection, email)

    def digest_of(email: str, reader: Subscriber) -> Digest:
        if not email:
            return sample_digest(context.clock().date(), _INTEREST)
        found = preview_digest(context, reader)
        if found.digest is None or not found.is_sent:
            raise UserError(f"Nothing would be sent to {reader.email} now: {found.nothing}")
        return found.digest

    @router.get("")
    def show(
        request: Request,
        operator: Annotated[Operator, may_view],
        email: Address = "",
        layout: str = "",
        part: Part = "html",
    ) -> Response:
        email, problem = email.strip(), ""
        try:
            reader_of(email)
        except UserError as error:
            problem = "\n".join(error.lines)
        return admin_page(
            site,
            request,
            operator,
            "templates",
            422 if problem else 200,
            headers=_WITH_FRAME,
            files=template_files(own_folder(site)),
            email=email,
            layout=layout,
            layouts=list(Layout),
            part=part,
            problem=problem,
        )

    @router.get("/message")
    def message(email: Address = "", layout: str = "", part: Part = "html") -> Response:
        email = email.strip()
        try:
            reader = reader_of(email)
            digest = digest_of(email, reader)
            shown = with_layout(reader, Layout(layout)) if layout in list(Layout) else reader
            html, text = render_without_rights(context, shown, digest)
        except NewsletterError as error:
            return _text("\n".join(error.lines), 422)
        return Response(html, media_type="text/html", headers=_FRAMED) if part == "html" else _text(text)

    @router.get("/source/{name:path}")
    def source(request: Request, name: str, operator: Annotated[Operator, may_view]) -> Response:
        found = next((one for one in template_files(own_folder(site)) if one.name == name), None)
        if found is None:
            raise HTTPException(404, "There is no such template.", PRIVATE)
        try:
            text, problem = read_text(found.path, found.name), ""
        except UserError as error:
            text, problem = "", "\n".join(error.lines)
        return admin_page(
            site, request, operator, "template", 422 if problem else 200, file=found, text=text, problem=problem
        )

    return router


def _text(words: str, status: int = 200) -> Response:
    """Return a page for the frame with a text, in the colours that the reader prefers."""
    page = f'<!doctype html><meta name="color-scheme" content="light dark"><body style="{_BODY}"><pre style="{_PRE}">'
    return Response(f"{page}{escape(words)}</pre>", status, media_type="text/html", headers=_FRAMED)
