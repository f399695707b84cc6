"""A trigger for APScheduler: jobs run at times of day, by the same rules as digests."""

from dataclasses import dataclass
from datetime import datetime, time, timedelta

from apscheduler.triggers.base import BaseTrigger

from newsletter.audience.due import next_due
from newsletter.model import Day, Schedule

_RESOLUTION = timedelta(microseconds=1)


@dataclass(frozen=True)
class DailyTrigger(BaseTrigger):  # type: ignore[misc]
    """Fires every day at each of some times of day.

    A time that a clock change repeats fires the first time only; a time that it skips fires later by as much as the
    clock jumped. APScheduler's own trigger fires twice (agronholm/apscheduler#115).

    The scheduler keeps triggers in the store, pickled: the name of this class and its attributes stay as they are.

    Attributes:
        times: the times of day. ``timezone``: the IANA name of their zone.
    """

    times: tuple[time, ...]
    timezone: str

    def get_next_fire_time(self, previous_fire_time: datetime | None, now: datetime) -> datetime:
        """The first moment (UTC) after the last one; without one, the first from now on.

        Args:
            previous_fire_time, now: in UTC, since comparing two moments of the same zone ignores clock changes.
        """
        # A last one in the future is from a clock that was wrong.
        if previous_fire_time is None or previous_fire_time > now:
            previous_fire_time = now - _RESOLUTION
        return min(next_due(Schedule(tuple(Day), one, self.timezone), previous_fire_time) for one in self.times)
