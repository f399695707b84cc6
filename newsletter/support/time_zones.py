"""Time zones: the names that are accepted, and the zone that is used for an unknown one."""

import difflib
from functools import cache, lru_cache
from importlib.resources import files
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from newsletter.support.text import shorten_middle

_NOT_A_PLACE = "Factory"
"""The zone of a machine that was never configured."""


@cache
def names() -> frozenset[str]:
    """Return the names of the IANA database, including older ones such as Asia/Calcutta, which browsers report.

    They come from the package tzdata. The system's folders differ between machines, and include files that are not
    zones (``localtime``, ``posixrules``) and zones that count leap seconds (``right/…``).
    """
    return frozenset(files("tzdata").joinpath("zones").read_text(encoding="ascii").split()) - {_NOT_A_PLACE}


def is_known(name: str) -> bool:
    """Return whether a name, in exactly this spelling, is a usable time zone."""
    return _find(name) is not None


def get_zone(name: str) -> ZoneInfo:
    """Return the time zone of a name; UTC for an unknown one, which another machine may have stored."""
    return _find(name) or ZoneInfo("UTC")


def describe(name: str) -> str:
    """Format a name for display; an unknown one says that UTC is used."""
    return name if is_known(name) else f"{shorten_middle(name, 60)!r} (unknown here, so UTC is used)"


def similar_names(name: str) -> str | None:
    """Return the time zone that a wrong name probably means; None if no name is close."""
    by_folded = {one.casefold(): one for one in names()}
    close = difflib.get_close_matches(name[:80].casefold(), by_folded, n=1, cutoff=0.8)
    return by_folded[close[0]] if close else None


@lru_cache(maxsize=1024)
def _find(name: str) -> ZoneInfo | None:
    if name not in names():
        return None
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):  # The system's own file is damaged, or a folder.
        return None
