"""A trigger for APScheduler: run jobs at times of day, by the same rules as digests."""

from dataclasses import dataclass
from datetime import datetime, time, timedelta

from apscheduler.triggers.base import BaseTrigger

from newsletter.audience.next_due import next_due
from newsletter.model import Day, Schedule

_RESOLUTION = timedelta(microseconds=1)


@dataclass(frozen=True)
class DailyTrigger(BaseTrigger):  # type: ignore[misc]
    """Fires every day at each of the given times.

    A time that a clock change repeats fires only the first time; a time that it skips fires later, by the length of the
    jump, or earlier if that would be the next day. APScheduler's own trigger fires twice (agronholm/apscheduler#115).

    The scheduler stores its triggers pickled, so the name of this class and its attributes must not change.

    Attributes:
        times: the times of day. ``timezone``: the IANA name of their time zone.
    """

    times: tuple[time, ...]
    timezone: str

    def get_next_fire_time(self, previous_fire_time: datetime | None, now: datetime) -> datetime:
        """Return the first time (UTC) after the previous one; without one, the first from now on.

        Args:
            previous_fire_time, now: in UTC, since comparing two times in the same zone ignores clock changes.
        """
        # A previous time in the future was stored while the clock was wrong.
        if previous_fire_time is None or previous_fire_time > now:
            previous_fire_time = now - _RESOLUTION
        return min(next_due(Schedule(tuple(Day), one, self.timezone), previous_fire_time) for one in self.times)
