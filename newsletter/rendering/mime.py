"""MIME: build a message's bytes from its headers, its two parts and its images.

The standard library's generator is not used, since it writes a message line by line, which takes longer than all the
rest.
"""

import binascii
import hashlib
from collections.abc import Iterable, Sequence
from functools import lru_cache


def alternative(headers: Iterable[bytes], text: str, html: str, boundary: str, images: Sequence[bytes] = ()) -> bytes:
    """Build a multipart/alternative message (RFC 2046, section 5.1.4) with parts in quoted-printable.

    With images, the second part is multipart/related (RFC 2387): the HTML and the images it shows.

    Args:
        headers: complete lines, with line ends.
        boundary: must contain ``=_``, which never occurs in quoted-printable or base64.
        images: complete MIME parts, with their headers.
    """
    kind = f'MIME-Version: 1.0\r\nContent-Type: multipart/alternative;\r\n boundary="{boundary}"\r\n\r\n'
    shown = _related(html, boundary, images) if images else (_part("html", html),)
    between = f"--{boundary}\r\n".encode()
    return b"".join(
        (*headers, kind.encode(), between, _part("plain", text), between, *shown, f"--{boundary}--\r\n".encode())
    )


def _related(html: str, around: str, images: Sequence[bytes]) -> Iterable[bytes]:
    # Neither boundary may be the beginning of the other.
    boundary = "=_" + hashlib.sha256(f"related {around}".encode()).hexdigest()[:32]
    between = f"--{boundary}\r\n".encode()
    yield f'Content-Type: multipart/related; type="text/html";\r\n boundary="{boundary}"\r\n\r\n'.encode()
    for part in (_part("html", html), *images):
        yield between
        yield part
    yield f"--{boundary}--\r\n".encode()


def _part(kind: str, body: str) -> bytes:
    head = f'Content-Type: text/{kind}; charset="utf-8"\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n'
    # Only the line ends of mail end a line: other Unicode separators are text.
    if "\r" in body:
        body = body.replace("\r\n", "\n").replace("\r", "\n")
    lines = body.removesuffix("\n").split("\n")
    return b"".join((head.encode(), *map(_encoded, lines), b"\r\n"))


@lru_cache(maxsize=2**16)
def _encoded(line: str) -> bytes:
    """Encode a line in quoted-printable, with its end.

    Cached, since most lines occur in many messages; the cache holds those of all papers of a day. Lone surrogates,
    which cannot be encoded, become question marks.
    """
    return binascii.b2a_qp(line.encode(errors="replace") + b"\r\n", istext=True)
