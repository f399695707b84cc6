"""When an announcement is sent: a day and a time as an operator writes them, and the same in words."""

import re
from datetime import UTC, date, datetime, time, timedelta

from newsletter.errors import UserError
from newsletter.support import time_zones
from newsletter.support.clock import parse_day
from newsletter.support.time_zones import get_zone

_CLOCK = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)", re.ASCII)
_AHEAD, _BEHIND = timedelta(hours=14), timedelta(hours=12)
"""How far clocks are from UTC: the first are 14 hours ahead of it, the last 12 hours behind."""


def read_time(day: str, clock: str, zone: str, now: datetime) -> datetime:
    """Read the time at which an announcement is sent, in a time zone (UTC is returned).

    A time that occurs twice, when clocks are set back, is the first one.

    Raises:
        UserError: it is no time, does not exist because clocks are set forward, or is over.
    """
    written = _read(day, clock)
    if not time_zones.is_known(zone):
        near = time_zones.probable_name(zone)
        fix = f"did you mean {near}?" if near else "write a name like Europe/London"
        raise UserError(f"Time zone: {zone[:80]!r} is not a time zone; {fix}")
    moment = written.replace(tzinfo=get_zone(zone)).astimezone(UTC)
    there = moment.astimezone(get_zone(zone))
    if there.replace(tzinfo=None) != written:
        raise UserError(
            f"Time: {written:%H:%M} does not exist on {_day(written)} in {zone}, where clocks are set forward; "
            f"choose another time, such as {there:%H:%M}"
        )
    if moment <= now:
        raise UserError(f"Time: {time_in_words(moment, zone)} is over; choose a later time, or send it at once")
    return moment


def read_local_time(day: str, clock: str, now: datetime) -> datetime:
    """Read the time that the clock of each reader shows when an announcement is sent; it is returned as if in UTC.

    Raises:
        UserError: it is no time, or is over for everybody.
    """
    written = _read(day, clock).replace(tzinfo=UTC)
    if written + _BEHIND <= now:
        raise UserError(f"Time: {_moment(written)} is over in every time zone; choose a later time, or send it at once")
    return written


def is_over_for_some(written: datetime, now: datetime) -> bool:
    """Return whether a time by each reader's clock is over in some time zones, but not in all."""
    return written - _AHEAD <= now < written + _BEHIND


def time_in_words(moment: datetime, zone: str, local: bool = False) -> str:
    """Return a time in words, such as ``Tuesday 1 December 2026, 09:00 (Europe/Berlin, UTC+01:00)``.

    Args:
        zone: the time zone to show it in. ``local``: whether it is by each reader's own clock.
    """
    if local:
        return f"{_moment(moment.astimezone(UTC))} in each reader’s own time zone"
    there = moment.astimezone(get_zone(zone))
    offset = there.isoformat()[-6:]
    return f"{_moment(there)} ({'UTC' if zone == 'UTC' else f'{zone}, UTC{offset}'})"


def _read(day: str, clock: str) -> datetime:
    if not day.strip():
        raise UserError("Day: missing; choose a day, or send it at once")
    found = _CLOCK.fullmatch(clock.strip())
    if found is None:
        raise UserError(f"Time: {clock[:40]!r} is not a time of day; write it like 09:00")
    return datetime.combine(_day_of(day), time(int(found[1]), int(found[2])))


def _day_of(text: str) -> date:
    return parse_day(text[:40], "Day")


def _moment(moment: datetime) -> str:
    return f"{moment:%A} {_day(moment)}, {moment:%H:%M}"


def _day(moment: datetime) -> str:
    return f"{moment.day} {moment:%B %Y}"
