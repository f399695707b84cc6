"""When a digest is due, across clock changes."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.audience.next_due import due_edition, local_day, local_moment, next_due
from newsletter.model import Day, Schedule

EVERY_DAY = tuple(Day)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("zone", "asked", "after", "expected"),
    [
        # Berlin goes to summer time on 30 March 2025, at 01:00 UTC.
        ("Europe/Berlin", time(7, 30), "2025-03-29T12:00", "2025-03-30T05:30"),
        ("Europe/Berlin", time(7, 30), "2025-03-28T12:00", "2025-03-29T06:30"),
        # 02:30 does not exist that night: the clock shows 03:30 when it would have come.
        ("Europe/Berlin", time(2, 30), "2025-03-29T12:00", "2025-03-30T01:30"),
        # 02:30 comes twice on 26 October: the first one counts, and only that.
        ("Europe/Berlin", time(2, 30), "2025-10-25T12:00", "2025-10-26T00:30"),
        ("Europe/Berlin", time(2, 30), "2025-10-26T00:30", "2025-10-27T01:30"),
        # New York goes to summer time on 9 March 2025.
        ("America/New_York", time(8, 0), "2025-03-08T13:00", "2025-03-09T12:00"),
        ("Asia/Kathmandu", time(0, 0), "2025-03-08T13:00", "2025-03-08T18:15"),
        # Samoa had no 30 December 2011 at all.
        ("Pacific/Apia", time(9, 0), "2011-12-29T20:00", "2011-12-30T19:00"),
    ],
)
def test_local_time_is_kept(zone: str, asked: time, after: str, expected: str) -> None:
    assert next_due(Schedule(EVERY_DAY, asked, zone), at(after)) == at(expected)


def test_only_the_days_asked_for() -> None:
    schedule = Schedule((Day.MON, Day.THU), time(9, 0), "UTC")
    assert next_due(schedule, at("2025-11-24T09:00")) == at("2025-11-27T09:00")
    assert next_due(schedule, at("2025-11-24T08:59")) == at("2025-11-24T09:00")


@pytest.mark.parametrize(
    ("due", "now", "edition"),
    [
        ("2025-11-24T23:55", "2025-11-24T23:56", "2025-11-24"),
        # Late, but still the digest of that evening.
        ("2025-11-24T23:55", "2025-11-25T00:03", "2025-11-24"),
        ("2025-11-24T23:55", "2025-11-25T23:54", "2025-11-24"),
        # Of many that were missed the last counts, and there is none at the weekend.
        ("2025-11-17T23:55", "2025-11-25T23:55", "2025-11-25"),
        ("2025-11-17T23:55", "2025-11-23T12:00", "2025-11-21"),
        # Due at a time that the schedule does not have.
        ("2025-11-22T12:00", "2025-11-23T12:00", "2025-11-22"),
    ],
)
def test_the_edition_of_who_is_due(due: str, now: str, edition: str) -> None:
    assert due_edition(Schedule(time=time(23, 55)), at(due), at(now)).isoformat() == edition


def test_the_edition_of_who_is_due_is_of_their_own_day() -> None:
    schedule = Schedule(EVERY_DAY, time(23, 55), "Pacific/Auckland")  # 10:55 UTC in November
    assert due_edition(schedule, at("2025-11-24T10:55"), at("2025-11-24T11:03")).isoformat() == "2025-11-24"


def test_a_day_is_the_subscribers_own() -> None:
    assert local_day(Schedule(timezone="Pacific/Auckland"), at("2025-11-24T12:00")).isoformat() == "2025-11-25"
    assert local_day(Schedule(timezone="Pacific/Honolulu"), at("2025-11-24T09:00")).isoformat() == "2025-11-23"


zones = st.sampled_from(
    ["UTC", "Europe/London", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "Pacific/Apia", "Africa/Cairo"]
)


@given(
    st.sets(st.sampled_from(list(Day)), min_size=1),
    st.times().map(lambda one: one.replace(second=0, microsecond=0)),
    zones,
    st.datetimes(datetime(2000, 1, 1), datetime(2035, 1, 1)),
)
def test_due_is_later_and_within_days(days: set[Day], asked: time, zone: str, after: datetime) -> None:
    moment = after.replace(tzinfo=UTC)
    schedule = Schedule(tuple(days), asked, zone)
    due = next_due(schedule, moment)
    assert due > moment
    assert (due - moment).days <= 8
    local = due.astimezone(ZoneInfo(zone))
    # Only a clock change may move the hour, by two hours at most (or a day, in Samoa).
    minutes = abs((local.hour * 60 + local.minute) - (asked.hour * 60 + asked.minute))
    assert minutes == 0 or min(minutes, 1440 - minutes) <= 120
    assert next_due(schedule, due) > due
    # Until the next one comes, it is the edition of this one.
    assert due_edition(schedule, due, due) == local.date()
    assert due_edition(schedule, due, next_due(schedule, due) - timedelta(seconds=1)) == local.date()


@pytest.mark.parametrize(
    ("zone", "shown", "expected"),
    [
        ("Pacific/Kiritimati", "2025-12-03T09:00", "2025-12-02T19:00"),
        ("Pacific/Pago_Pago", "2025-12-03T09:00", "2025-12-03T20:00"),
        ("Asia/Kathmandu", "2025-12-03T09:00", "2025-12-03T03:15"),
        ("Europe/Berlin", "2026-03-29T02:30", "2026-03-29T01:30"),  # skipped: the clock shows 03:30
        ("Europe/Berlin", "2025-10-26T02:30", "2025-10-26T00:30"),  # twice: the first
        ("Nowhere/Unknown", "2025-12-03T09:00", "2025-12-03T09:00"),
    ],
)
def test_the_moment_at_which_a_clock_shows_a_time(zone: str, shown: str, expected: str) -> None:
    wanted = at(shown)
    assert local_moment(wanted.date(), wanted.time(), zone) == at(expected)
