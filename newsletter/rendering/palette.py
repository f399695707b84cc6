"""The colours of emails and pages, in light and in dark mode."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from newsletter.support.colours import ACCENT, contrast, mix

_WELL_READABLE = 7.0
"""The contrast of text and background in level AAA (WCAG 2.2, success criterion 1.4.6)."""

_LIGHT = {
    "page": "#f4f5f7",
    "card": "#ffffff",
    "ink": "#1b2430",
    "sub": "#566273",
    "line": "#dfe4ea",
    "field": "#8793a3",
    "good": "#0b6b4f",
    "bad": "#fdecea",
    "bad_ink": "#8c1d18",
}
_DARK = {
    "page": "#0e1116",
    "card": "#171c23",
    "ink": "#e4e9f0",
    "sub": "#9eabbc",
    "line": "#2c3440",
    "field": "#6b7889",
    "good": "#7ad7b4",
    "bad": "#3a1b1a",
    "bad_ink": "#ffb4ab",
}


@dataclass(frozen=True, slots=True)
class Palette:
    """Colours by name, as ``#rrggbb``, for light and dark mode.

    The names: ``page`` and ``card`` (backgrounds), ``note`` (that of what is set apart), ``ink`` and ``sub`` (text and
    secondary text), ``line`` and ``field`` (borders), ``link``, ``act`` and ``act_ink`` (a button and its text),
    ``good``, and ``bad`` and ``bad_ink`` (an error and its text).
    """

    light: Mapping[str, str]
    dark: Mapping[str, str]


@lru_cache(maxsize=16)
def palette(accent: str = ACCENT) -> Palette:
    """Return the colours for an accent colour, which links and buttons have."""
    light, dark = _LIGHT["card"], _readable_on(_DARK["card"], accent)
    return Palette(
        {**_LIGHT, "note": mix(accent, light, 0.1), "link": accent, "act": accent, "act_ink": light},
        {**_DARK, "note": mix(dark, _DARK["card"], 0.1), "link": dark, "act": dark, "act_ink": _DARK["page"]},
    )


def style_sheet(accent: str = ACCENT) -> str:
    """Return the colours as CSS variables for the pages: ``--ink`` and so on."""
    colours = palette(accent)
    light, dark = (
        "; ".join(f"--{name.replace('_', '-')}: {value}" for name, value in one.items())
        for one in (colours.light, colours.dark)
    )
    return f":root {{ {light}; }}\n@media (prefers-color-scheme: dark) {{ :root {{ {dark}; }} }}\n"


def _readable_on(background: str, colour: str) -> str:
    """Lighten a colour as far as text of it needs to be well readable on a dark background."""
    steps = (mix(colour, "#ffffff", 1 - step / 20) for step in range(21))
    return next(one for one in steps if contrast(one, background) >= _WELL_READABLE)
