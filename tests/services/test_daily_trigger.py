"""Jobs with times of day: each fires once on each day of its time zone, whatever the clock does."""

import pickle
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from newsletter.services.daily_trigger import DailyTrigger
from newsletter.support import time_zones


def fired(trigger: DailyTrigger, since: datetime, until: datetime) -> list[datetime]:
    """The moments that the scheduler would run a job at."""
    moments: list[datetime] = []
    moment = trigger.get_next_fire_time(None, since)
    while moment < until:
        moments.append(moment)
        moment = trigger.get_next_fire_time(moment, moment)
    return moments


ZONES = st.sampled_from(
    ("Europe/Berlin", "Australia/Lord_Howe", "Africa/Cairo", "America/Havana", *sorted(time_zones.names()))
)


@given(ZONES, st.times().map(lambda one: one.replace(second=0, microsecond=0)), st.integers(2015, 2030))
@example("Europe/Berlin", time(2, 30), 2025)
@example("Europe/London", time(1, 30), 2025)
@example("America/New_York", time(1, 0), 2025)
@example("Australia/Lord_Howe", time(1, 45), 2025)
@example("America/Santiago", time(23, 30), 2025)
@example("America/Sao_Paulo", time(0, 0), 2018)
@example("Africa/Cairo", time(0, 30), 2025)
@example("America/Nuuk", time(23, 0), 2024)
def test_a_job_fires_once_on_each_local_day_of_a_year(zone: str, at: time, year: int) -> None:
    here = time_zones.get_zone(zone)
    start, end = (datetime(one, 1, 1, tzinfo=here).astimezone(UTC) for one in (year, year + 1))
    days = [moment.astimezone(here).date() for moment in fired(DailyTrigger((at,), zone), start, end)]
    assert days == [date(year, 1, 1) + timedelta(days=number) for number in range(len(days))]
    assert len(days) == (date(year + 1, 1, 1) - date(year, 1, 1)).days


@given(ZONES, st.lists(st.times().map(lambda one: one.replace(second=0, microsecond=0)), min_size=1, max_size=4))
def test_several_times_come_in_order_and_none_twice(zone: str, times: list[time]) -> None:
    moments = fired(DailyTrigger(tuple(times), zone), *(datetime(2025, 3, day, tzinfo=UTC) for day in (8, 11)))
    assert all(one < other for one, other in pairwise(moments))
    here = time_zones.get_zone(zone)
    inside = {(date(2025, 3, 9), one) for one in times}
    by_clock = {(moment.astimezone(here).date(), moment.astimezone(here).time()) for moment in moments}
    if here.utcoffset(datetime(2025, 3, 9)) == here.utcoffset(datetime(2025, 3, 10)):
        assert inside <= by_clock


@pytest.mark.parametrize(
    ("previous", "now", "expected"),
    [
        (None, "2025-10-25T12:00", "2025-10-26T00:30"),
        (None, "2025-10-26T00:30", "2025-10-26T00:30"),  # Due this very moment.
        ("2025-10-26T00:30", "2025-10-26T00:30", "2025-10-27T01:30"),
        ("2025-10-26T00:30", "2025-10-26T01:30", "2025-10-27T01:30"),  # 02:30 comes again, and is not taken.
        ("2025-10-23T00:30", "2025-10-26T12:00", "2025-10-24T00:30"),  # One that was missed is made up for.
        ("2035-10-23T00:30", "2025-10-24T00:00", "2025-10-24T00:30"),  # The clock was wrong.
        (None, "2025-03-30T00:00", "2025-03-30T01:30"),  # There is no 02:30 that day.
    ],
)
def test_the_next_moment(previous: str | None, now: str, expected: str) -> None:
    at = [datetime.fromisoformat(one).replace(tzinfo=UTC) if one else None for one in (previous, now, expected)]
    trigger = DailyTrigger((time(2, 30),), "Europe/Berlin")
    assert at[1] is not None
    assert trigger.get_next_fire_time(at[0], at[1]) == at[2]


def test_a_trigger_can_be_kept_in_the_store() -> None:
    trigger = DailyTrigger((time(2, 30), time(14, 0)), "Europe/Berlin")
    assert pickle.loads(pickle.dumps(trigger)) == trigger
