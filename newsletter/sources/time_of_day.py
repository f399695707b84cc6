"""The time of day in a text with a date, and its time zone."""

import re
from datetime import timedelta

_TIME = re.compile(
    r"(?:(?<=\d)T|(?<![\d:]))(\d{1,2}):(\d{1,2})(?::(\d{1,2})(?:[.,:]\d{1,9})?)?\s?([ap]\.?\s?m\b\.?|uhr\b|h\b)?",
    re.IGNORECASE,
)
_ISO_COMPACT = re.compile(r"(?<=\d)T(\d{2})(\d{2})(\d{2})?(?:\.\d{1,9})?(?=Z|[+-]|\s|$)", re.IGNORECASE)
_OFFSET = re.compile(r"\(?\s?(?:GMT|UTC?|Z)?\s?([+\u2212-])(\d{1,2}):?(\d{2})?\b\)?", re.IGNORECASE)
_NAMED = re.compile(r"\(?\s?\b([A-Z]{1,5})\b\)?", re.IGNORECASE)
_HOURS = {
    "Z": 0, "UT": 0, "UTC": 0, "GMT": 0, "WET": 0, "BST": 1, "CET": 1, "MET": 1, "WEST": 1, "CEST": 2, "MEST": 2,
    "MESZ": 2, "MEZ": 1, "EET": 2, "SAST": 2, "EEST": 3, "MSK": 3, "IST": 5.5, "HKT": 8, "SGT": 8, "AWST": 8,
    "JST": 9, "KST": 9, "AEST": 10, "AEDT": 11, "NZST": 12, "NZDT": 13, "AST": -4, "ADT": -3, "BRT": -3, "EST": -5,
    "EDT": -4, "ET": -5, "CST": -6, "CDT": -5, "CT": -6, "MST": -7, "MDT": -6, "PST": -8, "PDT": -7, "PT": -8,
}  # fmt: skip
"""Hours ahead of UTC. Names with several meanings have the one of RFC 822, or of most feeds."""


def split_time(text: str) -> tuple[str, timedelta | None]:
    """Return a text without the time of day and its zone, and what to add to midnight of its date for the time in UTC.

    None stands for a text without a time, or with one that does not say which day it is in UTC: without a zone, with
    an unknown one, or at midnight, which means the day.
    """
    found = _ISO_COMPACT.search(text) or _TIME.search(text)
    if found is None:
        return text, None
    before, after = text[: found.start()], text[found.end() :]
    hours, minutes, seconds = (int(number or 0) for number in found.group(1, 2, 3))
    half = (found[4] or "").lower()[:1] if found.re is _TIME else ""
    if half in ("a", "p"):
        hours = hours % 12 + (12 if half == "p" else 0)
    zone = _OFFSET.match(after.lstrip()) or _NAMED.match(after.lstrip())
    ahead = _ahead(zone)
    if zone and (ahead is not None or zone.re is _OFFSET):
        after = after.lstrip()[zone.end() :]
    if ahead is None or not (hours or minutes or seconds):
        return f"{before} {after}".strip(), None
    return f"{before} {after}".strip(), timedelta(hours=hours, minutes=minutes) - ahead


def _ahead(zone: re.Match[str] | None) -> timedelta | None:
    """Return how far a zone is ahead of UTC; None if it is unknown."""
    if zone is None:
        return None
    if zone.re is _NAMED:
        hours = _HOURS.get(zone[1].upper())
        return None if hours is None else timedelta(hours=hours)
    whole, rest = int(zone[2]), int(zone[3] or 0)
    size = timedelta(hours=whole, minutes=rest)
    if size > timedelta(hours=15):
        return None
    return size if zone[1] == "+" else -size
