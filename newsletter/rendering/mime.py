"""MIME: build a message's bytes from its headers and its two parts.

The standard library's generator is not used, since it writes a message line by line, which takes longer than all the
rest.
"""

import binascii
from collections.abc import Iterable
from functools import lru_cache


def alternative(headers: Iterable[bytes], text: str, html: str, boundary: str) -> bytes:
    """Build a multipart/alternative message (RFC 2046, section 5.1.4) with parts in quoted-printable.

    Args:
        headers: complete lines, with line ends.
        boundary: must contain ``=_``, which never occurs in quoted-printable.
    """
    kind = f'MIME-Version: 1.0\r\nContent-Type: multipart/alternative;\r\n boundary="{boundary}"\r\n\r\n'
    parts = (_part(boundary, "plain", text), _part(boundary, "html", html))
    return b"".join((*headers, kind.encode(), *parts, f"--{boundary}--\r\n".encode()))


def _part(boundary: str, kind: str, body: str) -> bytes:
    head = (
        f'--{boundary}\r\nContent-Type: text/{kind}; charset="utf-8"\r\n'
        "Content-Transfer-Encoding: quoted-printable\r\n\r\n"
    )
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
