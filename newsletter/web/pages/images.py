"""Images for emails: thumbnails of papers, from files that are here already, and the newsletter's logo."""

from fastapi import APIRouter, HTTPException, Request, Response

from newsletter.errors import UserError
from newsletter.rendering.images import ImageFile, read_image
from newsletter.services.email_images import read_logo
from newsletter.services.thumbnails import read_thumbnail
from newsletter.web.context import WebContext
from newsletter.web.forms import PAGE

_FOR_EVER = "public, max-age=31536000, immutable"
_FOR_MINUTES = "public, max-age=300"


def routes(site: WebContext) -> APIRouter:
    """Create the router of the images."""
    router = APIRouter(include_in_schema=False)
    config = site.context.config

    @router.api_route("/thumbnails/{paper:path}.jpg", methods=PAGE)
    def thumbnail(request: Request, paper: str) -> Response:
        content = read_thumbnail(config, paper)
        if content is None:
            raise HTTPException(404)
        try:
            return _answer(request, read_image(content), _FOR_EVER)
        except ValueError:  # The file is damaged.
            raise HTTPException(404) from None

    @router.api_route("/brand/logo", methods=PAGE)
    def logo(request: Request, v: str = "") -> Response:
        try:
            image = read_logo(config)
        except UserError:  # The doctor says what is wrong with it.
            image = None
        if image is None:
            raise HTTPException(404)
        return _answer(request, image, _FOR_EVER if v == image.mark else _FOR_MINUTES)

    return router


def _answer(request: Request, image: ImageFile, cache: str) -> Response:
    mark = f'"{image.mark}"'
    # Mail programs in the browser are other sites.
    headers = {"Cache-Control": cache, "ETag": mark, "Cross-Origin-Resource-Policy": "cross-origin"}
    known = [one.strip().removeprefix("W/") for one in request.headers.get("If-None-Match", "").split(",")]
    if mark in known or "*" in known:
        return Response(None, 304, headers)
    return Response(image.content, media_type=image.media_type, headers=headers)
