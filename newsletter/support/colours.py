"""Colours: hexadecimal notation, contrast and mixing."""

import re

_HEX = re.compile(r"#(?:[0-9a-f]{3}|[0-9a-f]{6})")


ACCENT = "#1a56b0"
"""The colour of links and buttons, unless a newsletter has its own."""


def full_hex(colour: str) -> str:
    """Return a colour like ``#1a5`` or ``#11AA55`` as ``#11aa55``.

    Raises:
        ValueError: it is neither.
    """
    short = colour.strip().lower()
    if not _HEX.fullmatch(short):
        raise ValueError('is not a colour; write one like "#1a56b0"')
    return short if len(short) == 7 else "#" + "".join(2 * digit for digit in short[1:])


def contrast(one: str, other: str) -> float:
    """Return the contrast ratio of two colours, from 1 to 21 (WCAG 2.2, "contrast ratio")."""
    darker, lighter = sorted((_luminance(one), _luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def mix(one: str, other: str, share: float) -> str:
    """Mix two colours; ``share`` (0 to 1) is that of the first."""
    pairs = zip(_channels(one), _channels(other), strict=True)
    return "#" + "".join(f"{round(share * a + (1 - share) * b):02x}" for a, b in pairs)


def _channels(colour: str) -> tuple[int, ...]:
    return tuple(bytes.fromhex(full_hex(colour)[1:]))


def _luminance(colour: str) -> float:
    """Return the relative luminance of a colour (WCAG 2.2, "relative luminance")."""
    linear = [
        value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4
        for value in (channel / 255 for channel in _channels(colour))
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
