"""When a subscriber's next digest is due, in the subscriber's time zone."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta

from newsletter.model import Day, Schedule
from newsletter.support.time_zones import get_zone


def next_due(schedule: Schedule, after: datetime) -> datetime:
    """Return the first moment of a schedule after ``after``.

    A time skipped by a clock change is moved forward (02:30 becomes 03:30), or back if that would be the next day
    (23:00 becomes 22:00); a time that occurs twice counts the first time.

    Args:
        after: an aware moment.

    Returns:
        A moment in UTC.
    """
    return next(moment for moment in _moments(schedule, after, timedelta(days=1)) if moment > after)


def due_edition(schedule: Schedule, due: datetime, now: datetime) -> date:
    """Return the edition of a subscriber due since ``due``: the day of the last scheduled moment before ``now``.

    A digest composed after midnight thus belongs to the evening before, and missed days give one digest.
    """
    last = next(moment for moment in _moments(schedule, now, timedelta(days=-1)) if moment <= now)
    return local_day(schedule, max(due, last))


def due_on(schedule: Schedule, day: date) -> datetime | None:
    """Return the scheduled moment on a day (UTC); None if the schedule skips it."""
    if list(Day)[day.weekday()] not in schedule.days:
        return None
    return local_moment(day, schedule.time, schedule.timezone)


def local_moment(day: date, at: time, timezone: str) -> datetime:
    """Return the moment (UTC) at which the clock of a time zone shows a time on a day; see :func:`next_due` for times
    that a clock change skips or repeats.
    """
    zone = get_zone(timezone)
    # In a gap, fold 0 is the time by the clock before the change, thus later, and fold 1 by the clock after it.
    moments = [datetime.combine(day, at.replace(fold=fold), zone).astimezone(UTC) for fold in (0, 1)]
    return next((one for one in moments if one.astimezone(zone).date() == day), moments[0])


def local_day(schedule: Schedule, moment: datetime) -> date:
    """Return the subscriber's local day at a moment."""
    return moment.astimezone(get_zone(schedule.timezone)).date()


def _moments(schedule: Schedule, around: datetime, step: timedelta) -> Iterator[datetime]:
    """Yield the moments of a schedule in UTC, forwards or backwards, starting one step before ``around``."""
    day = local_day(schedule, around) - step
    while True:
        moment = due_on(schedule, day)
        if moment is not None:
            yield moment
        day += step
