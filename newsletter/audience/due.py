"""When a subscriber's next digest is due: the subscriber's own days and time, in the subscriber's own time zone."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from newsletter.model import Day, Schedule


def next_due(schedule: Schedule, after: datetime) -> datetime:
    """The first moment of a schedule that lies after ``after``.

    A time of day that a clock change leaves out counts as if the clock had run on (02:30 becomes 03:30); one that
    comes twice counts the first time.

    Args:
        after: an aware moment.

    Returns:
        A moment in UTC.
    """
    zone = ZoneInfo(schedule.timezone)
    days = {list(Day).index(day) for day in schedule.days}
    day = after.astimezone(zone).date() - timedelta(days=1)
    while True:
        if day.weekday() in days:
            moment = datetime.combine(day, schedule.time, tzinfo=zone).astimezone(UTC)
            if moment > after:
                return moment
        day += timedelta(days=1)


def local_day(schedule: Schedule, moment: datetime) -> date:
    """The day it is for a subscriber at a moment: the edition that a digest made then belongs to."""
    return moment.astimezone(ZoneInfo(schedule.timezone)).date()
