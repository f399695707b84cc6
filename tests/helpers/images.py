"""Images of every kind that tests need."""

import struct
import zlib
from io import BytesIO
from random import Random

from PIL import Image


def image(format: str = "PNG", size: tuple[int, int] = (1200, 630), mode: str = "RGB", **options: object) -> bytes:
    """An image of one colour in a frame of another."""
    made = Image.new(mode, size, 1)
    made.paste(0, (size[0] // 4, size[1] // 4, size[0] // 2, size[1] // 2))
    out = BytesIO()
    made.save(out, format, **options)
    return out.getvalue()


def noise(size: tuple[int, int] = (1200, 630), seed: int = 1) -> bytes:
    """A PNG that hardly compresses."""
    out = BytesIO()
    Image.frombytes("RGB", size, Random(seed).randbytes(size[0] * size[1] * 3)).save(out, "PNG")
    return out.getvalue()


def bomb(width: int, height: int) -> bytes:
    """A PNG of a few hundred bytes that says it has so many pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(9_999))) + chunk(b"IEND", b"")
    )
