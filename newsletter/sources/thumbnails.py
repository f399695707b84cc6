"""Thumbnails: fetches the image that a source has of a paper, and makes a small JPEG of it.

Only pixels of the original are passed on: no metadata, and nothing made to attack the program that shows it.
"""

import warnings
from io import BytesIO
from typing import TYPE_CHECKING

from newsletter.config.sources import Network
from newsletter.sources.errors import SourceError
from newsletter.sources.http import HttpClient
from newsletter.sources.text import excerpt
from newsletter.support.text import to_single_line

if TYPE_CHECKING:
    from PIL.Image import Image

WIDTH, HEIGHT = 320, 320
"""Maximum size of a thumbnail, in pixels."""

MAX_THUMBNAIL_BYTES = 15_000
"""Maximum size of a thumbnail as JPEG."""

MAX_IMAGE_BYTES = 5_000_000
"""Maximum size of the image that a source has."""

MAX_PIXELS = 8_000_000
"""Maximum pixels of that image: a file of a few kilobytes may decompress to gigabytes."""

_STEP_SECONDS = 5.0
_WHOLE_SECONDS = 8.0
_ATTEMPTS = 1
_FORMATS = ("PNG", "JPEG", "WEBP", "GIF")
_QUALITIES = (82, 70, 55, 40, 25)
_WHITE = (255, 255, 255)


def fetch_thumbnail(url: str, network: Network, agent: str) -> bytes:
    """Fetch an image and make a thumbnail of it.

    Args:
        url: http or https; only public addresses are connected to, and those of ``network.allow_private``.
        agent: the User-Agent.

    Returns:
        A JPEG of at most ``WIDTH`` x ``HEIGHT`` pixels and ``MAX_THUMBNAIL_BYTES`` bytes.

    Raises:
        SourceError: it cannot be fetched, is too large, or is not an image.
    """
    quick = network.model_copy(
        update={
            "timeout_seconds": min(network.timeout_seconds, _STEP_SECONDS),
            "attempts": min(network.attempts, _ATTEMPTS),
        }
    )
    with HttpClient(quick, agent, max_bytes=MAX_IMAGE_BYTES, max_seconds=_WHOLE_SECONDS) as http:
        answer = http.get(url)
    if not answer.content_type.lower().startswith("image/"):
        raise SourceError(f"{answer.asked}: not an image, but {excerpt(answer.content_type or 'no type')}")
    try:
        return make_thumbnail(answer.content)
    except ValueError as error:
        raise SourceError(f"{answer.asked}: {error}") from error


def make_thumbnail(content: bytes) -> bytes:
    """Make a thumbnail of an image: a JPEG as described at :func:`fetch_thumbnail`, of the first frame, upright and on
    white.

    Args:
        content: PNG, JPEG, WebP or GIF.

    Raises:
        ValueError: it is none of these, damaged or too large; the message has the reason.
    """
    from PIL import Image  # Slow to import, and most newsletters show no images.

    warnings.simplefilter("error", Image.DecompressionBombWarning)
    try:
        with Image.open(BytesIO(content), formats=_FORMATS) as image:
            if image.width * image.height > MAX_PIXELS:
                raise ValueError(f"an image of {image.width:,} x {image.height:,} pixels; at most {MAX_PIXELS:,} fit")
            return _compressed(_small(image))
    except ValueError:
        raise
    except Exception as error:  # Decoders raise anything on damaged files: OSError, SyntaxError, struct.error...
        why = to_single_line(str(error)).replace("<_io.BytesIO object", "<content") or type(error).__name__
        raise ValueError(f"not an image that can be read: {why}") from error


def _small(image: "Image") -> "Image":
    """Return an image upright, in RGB, on white, and within the maximum size."""
    from PIL import Image, ImageOps

    image.draft("RGB", (2 * WIDTH, 2 * HEIGHT))  # JPEG: decodes at a fraction of the size
    image.load()
    upright = ImageOps.exif_transpose(image)
    small = upright.convert("RGBA" if upright.has_transparency_data else "RGB")
    small.thumbnail((WIDTH, HEIGHT), reducing_gap=3.0)
    if small.mode == "RGB":
        return small
    ground = Image.new("RGB", small.size, _WHITE)
    ground.paste(small, mask=small.getchannel("A"))
    return ground


def _compressed(image: "Image") -> bytes:
    for quality in _QUALITIES:
        out = BytesIO()
        # A new image has no metadata to save.
        image.save(out, "JPEG", quality=quality, optimize=True, exif=b"", icc_profile=None, comment=b"")
        if out.tell() <= MAX_THUMBNAIL_BYTES:
            return out.getvalue()
    raise ValueError(f"its thumbnail does not fit into {MAX_THUMBNAIL_BYTES:,} bytes")
