"""Images in messages: the newsletter's logo and thumbnails of papers, linked to the site or attached (``cid:``)."""

import hashlib
from base64 import b64encode
from binascii import b2a_base64
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from io import BytesIO

from newsletter.model import Paper

_BASE64_BYTES = 57
"""Bytes of content in a line of 76 characters (RFC 2045, section 6.8)."""


@dataclass(frozen=True)
class ImageFile:
    """An image: its content, its format (``jpeg``, ``png`` or ``gif``), and its size in pixels."""

    content: bytes
    format: str
    width: int
    height: int

    @property
    def media_type(self) -> str:
        """The media type, such as ``image/png``."""
        return f"image/{self.format}"

    @cached_property
    def mark(self) -> str:
        """A hash of the content."""
        return hashlib.sha256(self.content).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class Picture:
    """An image as templates use it: ``src``, and the size to show it in, in CSS pixels.

    Attributes:
        part: the MIME part that ``src`` refers to, with headers and without boundary; None if it is not attached.
    """

    src: str
    width: int
    height: int
    part: bytes | None = None


@dataclass(frozen=True, slots=True)
class Images:
    """The images that templates may show.

    Attributes:
        logo: the newsletter's logo, None without one.
        thumbnail: returns the thumbnail of a paper, None if there is none; None if no thumbnails are shown.
    """

    logo: Picture | None = None
    thumbnail: Callable[[Paper], Picture | None] | None = None


NO_IMAGES = Images()

_MAX_PIXELS = 8_000_000
_MAX_WIDTH = 300
"""In CSS pixels: as wide as a card on a phone."""


class _TooLargeError(ValueError):
    """An image has too many pixels."""


def read_image(content: bytes) -> ImageFile:
    """Read the format and size of an image.

    Raises:
        ValueError: it is not a PNG, JPEG or GIF file, is damaged or has too many pixels.
    """
    from PIL import Image  # Slow to import, and most newsletters show no images.

    try:
        with Image.open(BytesIO(content), formats=("PNG", "JPEG", "GIF")) as image:
            if image.width * image.height > _MAX_PIXELS:
                raise _TooLargeError(f"has {image.width:,} x {image.height:,} pixels, more than {_MAX_PIXELS:,}")
            image.load()  # Reads it to its end.
            return ImageFile(content, (image.format or "").lower(), image.width, image.height)
    except _TooLargeError:
        raise
    except Exception as error:  # Decoders raise anything on damaged files.
        raise ValueError("not a PNG, JPEG or GIF file, or damaged") from error


def linked(image: ImageFile, url: str, max_height: int | None = None) -> Picture:
    """Return an image that the site serves at ``url``, shown at most ``max_height`` high and 300 pixels wide."""
    return Picture(url, *_shown_size(image, max_height))


def attached(image: ImageFile, domain: str, max_height: int | None = None) -> Picture:
    """Return an image that is attached to the message.

    Its Content-ID (RFC 2392) is derived from its content, so that it is the same in each message.

    Args:
        domain: the right side of the Content-ID, in ASCII.
    """
    identity, width_and_height = f"{image.mark}@{domain}", _shown_size(image, max_height)
    head = (
        f"Content-Type: {image.media_type}\r\nContent-Transfer-Encoding: base64\r\nContent-ID: <{identity}>\r\n"
        f'Content-Disposition: inline; filename="{image.mark[:12]}.{image.format}"\r\n\r\n'
    )
    pieces = range(0, len(image.content), _BASE64_BYTES)
    lines = (b2a_base64(image.content[start : start + _BASE64_BYTES], newline=False) for start in pieces)
    return Picture(f"cid:{identity}", *width_and_height, head.encode() + b"\r\n".join(lines) + b"\r\n")


def embedded(image: ImageFile, max_height: int | None = None) -> Picture:
    """Return an image whose content is in the HTML itself (``data:``), for HTML that is saved as a file."""
    return Picture(
        f"data:{image.media_type};base64,{b64encode(image.content).decode()}", *_shown_size(image, max_height)
    )


def _shown_size(image: ImageFile, max_height: int | None) -> tuple[int, int]:
    shrunk = min(1, _MAX_WIDTH / image.width, (max_height or image.height) / image.height)
    return max(1, round(image.width * shrunk)), max(1, round(image.height * shrunk))


def parts_used(html: str, pictures: Iterable[Picture | None]) -> Sequence[bytes]:
    """Return the MIME parts of the attached pictures that the HTML of a message shows, each once."""
    parts = {one.src: one.part for one in pictures if one is not None and one.part is not None}
    return [part for src, part in parts.items() if src in html]
