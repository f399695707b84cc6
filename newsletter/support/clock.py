"""Clocks: a function passed to whatever needs the time, so that ``--now`` applies to every command."""

import re
import time
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from functools import partial
from zoneinfo import ZoneInfoNotFoundError

from tzlocal import get_localzone_name

from newsletter.errors import UserError
from newsletter.support.time_zones import is_known

_UTC_NAMES = {f"{folder}{name}" for folder in ("", "Etc/") for name in ("UTC", "UCT", "Universal", "Zulu")}
_FIRST_YEAR, _LAST_YEAR = 1970, 2999
_LONGEST_DURATION = 10_000_000

Clock = Callable[[], datetime]
"""Returns the current time, aware and in UTC."""


def utc_now() -> datetime:
    """Return the machine's time (UTC) even if ``--now`` sets the newsletter's clock: rate limits depend on it."""
    return datetime.now(UTC)


def system_clock() -> datetime:
    """Return the machine's time, in UTC."""
    return datetime.now(UTC)


def frozen_clock(moment: datetime) -> Clock:
    """Create a clock that always shows ``moment`` (aware), for commands with ``--now``."""
    return partial(_same, moment.astimezone(UTC))


def shifted_clock(moment: datetime) -> Clock:
    """Create a clock that shows ``moment`` (aware) when created and runs on from there, for ``--now`` on long runs."""
    return partial(_shifted, moment.timestamp() - time.time())


# At module level, so that a clock can be pickled for another process.
def _same(moment: datetime) -> datetime:
    return moment


def _shifted(seconds: float) -> datetime:
    return datetime.fromtimestamp(time.time() + seconds, UTC)


def own_timezone() -> str:
    """Return the machine's time zone as an IANA name; UTC under its plain name, and if the zone is unknown."""
    try:
        name = get_localzone_name()
    except (ZoneInfoNotFoundError, ValueError):  # contradictory settings
        name = None
    return "UTC" if name is None or name in _UTC_NAMES or not is_known(name) else str(name)


def parse_moment(text: str, option: str = "--now") -> datetime:
    """Parse an ISO 8601 date or date-time; without an offset it is UTC, without a time it is midnight.

    Raises:
        UserError: it is neither; the error names ``option``.
    """
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        raise UserError(
            f"{option}: {text!r} is not an ISO date-time; write it like 2025-11-25T07:30 or 2025-11-25T07:30+01:00"
        ) from None
    _check_year(moment.year, text, option)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def format_time(moment: datetime, now: datetime) -> str:
    """Format a time (aware) in UTC; without the day if within 24 hours of ``now``."""
    near = abs(moment - now) < timedelta(hours=24)
    return f"{moment.astimezone(UTC):{'%H:%M' if near else '%Y-%m-%d %H:%M'}} UTC"


def parse_duration(text: str, option: str) -> timedelta:
    """Parse a duration: seconds, or a number followed by s, m or h, like 90s, 10m or 1.5h.

    Raises:
        UserError: it is not a duration; the error names ``option``.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smh]?)", text.strip())
    if found is None or float(found[1]) > _LONGEST_DURATION:
        raise UserError(f"{option}: {text!r} is not a duration; write it like 90, 90s, 10m or 1.5h")
    return timedelta(seconds=float(found[1]) * {"": 1, "s": 1, "m": 60, "h": 3600}[found[2]])


def parse_day(text: str, option: str) -> date:
    """Parse an ISO 8601 date.

    Raises:
        UserError: it is not a date; the error names ``option``.
    """
    try:
        day = date.fromisoformat(text.strip())
    except ValueError:
        raise UserError(f"{option}: {text!r} is not a date; write it like 2025-11-25") from None
    _check_year(day.year, text, option)
    return day


def _check_year(year: int, text: str, option: str) -> None:
    # Far enough from the limits of the calendar that no date arithmetic overflows.
    if not _FIRST_YEAR <= year <= _LAST_YEAR:
        raise UserError(f"{option}: {text!r} is not in the years {_FIRST_YEAR} to {_LAST_YEAR}")
