"""MIME: a message's bytes from its headers and its two parts.

The parts are put together here, since the standard library's generator writes a message line by line, which takes
longer than all the rest.
"""

import binascii
from collections.abc import Iterable
from functools import lru_cache


def alternative(headers: Iterable[bytes], text: str, html: str, boundary: str) -> bytes:
    """A multipart/alternative message (RFC 2046, section 5.1.4), its parts in quoted-printable.

    Args:
        headers: whole lines, each with its end.
        boundary: one with ``=_`` in it, which quoted-printable never has.
    """
    kind = f'MIME-Version: 1.0\r\nContent-Type: multipart/alternative;\r\n boundary="{boundary}"\r\n\r\n'
    parts = (_part(boundary, "plain", text), _part(boundary, "html", html))
    return b"".join((*headers, kind.encode(), *parts, f"--{boundary}--\r\n".encode()))


def _part(boundary: str, kind: str, body: str) -> bytes:
    head = (
        f'--{boundary}\r\nContent-Type: text/{kind}; charset="utf-8"\r\n'
        "Content-Transfer-Encoding: quoted-printable\r\n\r\n"
    )
    # Only what ends a line in mail counts as an end: other separators of Unicode are text.
    if "\r" in body:
        body = body.replace("\r\n", "\n").replace("\r", "\n")
    lines = body.removesuffix("\n").split("\n")
    return b"".join((head.encode(), *map(_encoded, lines), b"\r\n"))


@lru_cache(maxsize=2**16)
def _encoded(line: str) -> bytes:
    """A line in quoted-printable, with its end. Kept, since most lines stand in many messages: those of all papers of a
    day fit in. Half a surrogate pair, which cannot be encoded, becomes a question mark.
    """
    return binascii.b2a_qp(line.encode(errors="replace") + b"\r\n", istext=True)
