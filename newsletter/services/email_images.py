"""The images that messages and pages show: the newsletter's logo and the thumbnails of papers.

An image is never linked to where it came from: the site serves it, or it is attached.
"""

import logging
from enum import Enum, auto

from newsletter.config.settings import Config
from newsletter.errors import UserError
from newsletter.model import Paper
from newsletter.rendering.images import NO_IMAGES, ImageFile, Images, Picture, attached, embedded, linked, read_image
from newsletter.rendering.paper_card import quoted_id
from newsletter.services.thumbnails import read_thumbnail
from newsletter.support.files import read_bytes

_log = logging.getLogger(__name__)

MAX_LOGO_BYTES = 100_000
_LOGO_HEIGHT = 48
_THUMBNAIL_HEIGHT = 120
"""At most, in CSS pixels. A file twice as high looks sharp on every screen."""


class ShownIn(Enum):
    """Where HTML is shown, which decides how it refers to images: a message, a page of the site, or a file."""

    MESSAGE = auto()
    PAGE = auto()
    FILE = auto()


def images_for(config: Config, shown_in: ShownIn = ShownIn.MESSAGE) -> Images:
    """Return the images that messages or pages may show. A logo that cannot be used is left out, with a warning."""
    logo, shows_thumbnails = _usable_logo(config), config.digest.thumbnails != "off"
    if logo is None and not shows_thumbnails:
        return NO_IMAGES

    def thumbnail(paper: Paper) -> Picture | None:
        content = read_thumbnail(config, paper.id) if paper.thumbnail_url and paper.id else None
        if content is None:
            return None
        inline = config.digest.thumbnails == "inline"
        try:
            return _placed(config, read_image(content), thumbnail_path(paper.id), shown_in, inline, _THUMBNAIL_HEIGHT)
        except ValueError:  # The file is damaged.
            return None

    return Images(
        logo=_placed(config, logo, f"/brand/logo?v={logo.mark}", shown_in, False, _LOGO_HEIGHT) if logo else None,
        thumbnail=thumbnail if shows_thumbnails else None,
    )


def thumbnail_path(paper: str) -> str:
    """Return the path of a paper's thumbnail on the site; ``paper`` is its id."""
    return f"/thumbnails/{quoted_id(paper)}.jpg"


def _placed(
    config: Config, image: ImageFile, path: str, shown_in: ShownIn, inline: bool, max_height: int | None = None
) -> Picture:
    if shown_in is ShownIn.FILE:
        return embedded(image, max_height)
    if config.site.url is None or (inline and shown_in is ShownIn.MESSAGE):
        return attached(image, config.site.ascii_domain, max_height)
    return linked(image, config.site.url + path, max_height)


def _usable_logo(config: Config) -> ImageFile | None:
    if lost := logo_warning(config):
        _log.warning("%s", lost)
        return None
    return read_logo(config)


def logo_warning(config: Config) -> str | None:
    """Return why the logo cannot be used; None if it can, or if there is none."""
    try:
        read_logo(config)
    except UserError as error:
        return f"the name is shown instead of the logo: {error}"
    return None


def read_logo(config: Config) -> ImageFile | None:
    """Return the newsletter's logo; None if the configuration names none.

    Raises:
        UserError: the file cannot be read, is too large, or not an image that mail programs show.
    """
    path = config.logo_file
    if path is None:
        return None
    where = f"brand.logo: {path}"
    content = read_bytes(path, where)
    if len(content) > MAX_LOGO_BYTES:
        size = f"{len(content) / 1000:,.0f} kB; at most {MAX_LOGO_BYTES // 1000} kB"
        raise UserError(f"{where}: {size} fit into an email; make it smaller, {2 * _LOGO_HEIGHT} pixels high")
    try:
        return read_image(content)
    except ValueError as error:
        raise UserError(f"{where}: {error}; save the logo in one of these formats") from None
