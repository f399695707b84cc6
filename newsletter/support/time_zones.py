"""Time zones: the names that are accepted, and the zone that is used for an unknown one."""

import difflib
import re
from collections.abc import Mapping
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


_ABBREVIATIONS: Mapping[str, str] = {
    **dict.fromkeys(("cest", "mez", "mesz"), "Europe/Berlin"),
    **dict.fromkeys(("bst", "uk"), "Europe/London"),
    "eest": "Europe/Athens",
    "west": "Europe/Lisbon",
    "msk": "Europe/Moscow",
    **dict.fromkeys(("edt", "et", "eastern", "est5"), "America/New_York"),
    **dict.fromkeys(("cdt", "ct", "central"), "America/Chicago"),
    **dict.fromkeys(("mdt", "mt", "mountain"), "America/Denver"),
    **dict.fromkeys(("pst", "pdt", "pt", "pacific", "pst8"), "America/Los_Angeles"),
    **dict.fromkeys(("ist", "india"), "Asia/Kolkata"),
    "jst": "Asia/Tokyo",
    "kst": "Asia/Seoul",
    "sgt": "Asia/Singapore",
    "hkt": "Asia/Hong_Kong",
    **dict.fromkeys(("aest", "aedt"), "Australia/Sydney"),
    **dict.fromkeys(("nzst", "nzdt"), "Pacific/Auckland"),
    "z": "UTC",
}
"""Abbreviations that are not IANA names, and the zone that they usually mean."""

_OTHER_CITIES: Mapping[str, str] = {
    **dict.fromkeys(("munich", "hamburg", "frankfurt", "cologne", "germany"), "Europe/Berlin"),
    "wien": "Europe/Vienna",
    **dict.fromkeys(("geneva", "basel", "bern", "lausanne"), "Europe/Zurich"),
    "barcelona": "Europe/Madrid",
    "milan": "Europe/Rome",
    **dict.fromkeys(("edinburgh", "cambridge", "oxford", "england"), "Europe/London"),
    **dict.fromkeys(("boston", "washington", "washingtondc", "philadelphia", "atlanta", "nyc"), "America/New_York"),
    **dict.fromkeys(("montreal", "ottawa"), "America/Toronto"),
    **dict.fromkeys(("austin", "houston", "dallas"), "America/Chicago"),
    **dict.fromkeys(("sanfrancisco", "seattle", "sandiego", "stanford", "berkeley"), "America/Los_Angeles"),
    **dict.fromkeys(("beijing", "shenzhen", "guangzhou", "china"), "Asia/Shanghai"),
    **dict.fromkeys(("bombay", "mumbai", "delhi", "newdelhi", "bangalore", "bengaluru"), "Asia/Kolkata"),
    **dict.fromkeys(("kyoto", "osaka"), "Asia/Tokyo"),
    "telaviv": "Asia/Jerusalem",
    "canberra": "Australia/Sydney",
}
"""Cities whose zone has the name of another one."""


def probable_name(name: str) -> str | None:
    """Return the time zone that a wrong name, like ``Vienna`` or ``CEST``, probably means; None if none is close."""
    # "right/" and "posix/" are folders of some systems, with a copy of each zone.
    wanted = _folded(re.sub("^(right|posix)/", "", name[:80], flags=re.IGNORECASE))
    offset = re.fullmatch(r"(?:utc|gmt)?\s*([+-])0?(\d{1,2})(?::?00)?", name.strip().casefold())
    if offset is not None:
        # Etc/GMT-2 is two hours ahead of UTC: its sign is that of POSIX.
        exact = f"Etc/GMT{'-' if offset[1] == '+' else '+'}{offset[2]}"
        return exact if exact in names() else None
    usual = _ABBREVIATIONS.get(wanted) or _OTHER_CITIES.get(wanted)
    if usual is not None:
        return usual
    whole = {_folded(one): one for one in sorted(names())}
    cities = {_folded(one.rpartition("/")[2]): one for one in sorted(names(), reverse=True) if "/" in one}
    for known, cutoff in ((whole, 0.85), (cities, 0.8)):
        if close := difflib.get_close_matches(wanted, known, n=1, cutoff=cutoff):
            return known[close[0]]
    return None


def _folded(name: str) -> str:
    return re.sub(r"[\W_]", "", name.casefold())


@lru_cache(maxsize=1024)
def _find(name: str) -> ZoneInfo | None:
    if name not in names():
        return None
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):  # The system's own file is damaged, or a folder.
        return None
