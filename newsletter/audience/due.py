"""When a subscriber's next digest is due: the subscriber's own days and time, in the subscriber's own time zone."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

from newsletter.model import Day, Schedule
from newsletter.support.time_zones import get_zone


def next_due(schedule: Schedule, after: datetime) -> datetime:
    """The first moment of a schedule that lies after ``after``.

    A time of day that a clock change leaves out counts as if the clock had run on (02:30 becomes 03:30); one that
    comes twice counts the first time.

    Args:
        after: an aware moment.

    Returns:
        A moment in UTC.
    """
    return next(moment for moment in _moments(schedule, after, timedelta(days=1)) if moment > after)


def due_edition(schedule: Schedule, due: datetime, now: datetime) -> date:
    """The edition that somebody gets at ``now`` who has been due since ``due``: the day of the last moment of the
    schedule that has come. So a digest made a little after midnight is still that of the evening before, and days that
    were missed give one digest.
    """
    last = next(moment for moment in _moments(schedule, now, timedelta(days=-1)) if moment <= now)
    return local_day(schedule, max(due, last))


def due_on(schedule: Schedule, day: date) -> datetime | None:
    """The moment of a schedule on one of the subscriber's days (UTC), None when it has none on that."""
    if list(Day)[day.weekday()] not in schedule.days:
        return None
    return datetime.combine(day, schedule.time.replace(fold=0), tzinfo=get_zone(schedule.timezone)).astimezone(UTC)


def local_day(schedule: Schedule, moment: datetime) -> date:
    """The day it is for a subscriber at a moment."""
    return moment.astimezone(get_zone(schedule.timezone)).date()


def _moments(schedule: Schedule, around: datetime, step: timedelta) -> Iterator[datetime]:
    """The moments of a schedule in UTC, day by day forwards or backwards, from a day before ``around`` on."""
    day = local_day(schedule, around) - step
    while True:
        moment = due_on(schedule, day)
        if moment is not None:
            yield moment
        day += step
