"""Limits of pace: in any window, over processes and restarts, and with a clock that is set back."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine

from newsletter.config.mail import Limits, WarmUp
from newsletter.delivery.sending import rate_limit
from newsletter.store import open_store
from tests.helpers.newsletter import create_store

NOW = datetime(2026, 3, 2, 7, 30, tzinfo=UTC)


pytestmark = pytest.mark.both_stores


@pytest.fixture
def engine(store_url: str) -> Iterator[Engine]:
    engine = open_store(store_url)
    yield engine
    engine.dispose()


def moments(grant: rate_limit.Permit) -> list[datetime]:
    return [grant.first + place * grant.step for place in range(grant.number)]


def test_without_limits_all_may_go_and_nothing_is_counted(engine: Engine) -> None:
    assert rate_limit.acquire(engine, "smtp", Limits(), 500, NOW) == rate_limit.Permit(500, NOW)


def test_a_seconds_limit_spaces_messages_out_over_processes(store_url: str, engine: Engine) -> None:
    other = open_store(store_url)
    limits = Limits(per_second=4)
    first = rate_limit.acquire(engine, "smtp", limits, 3, NOW)
    second = rate_limit.acquire(other, "smtp", limits, 64, NOW)
    assert moments(first) + moments(second) == [NOW + timedelta(seconds=0.25 * place) for place in range(21)]
    refused = rate_limit.acquire(engine, "smtp", limits, 1, NOW)
    assert (refused.number, refused.again) == (0, NOW + timedelta(seconds=2.75))
    # Another account has a pace of its own.
    assert rate_limit.acquire(engine, "other", limits, 2, NOW).number == 2
    other.dispose()


@given(
    asked=st.lists(st.tuples(st.integers(0, 3_000), st.integers(1, 9), st.integers(0, 3)), min_size=5, max_size=40),
    limit=st.integers(1, 12),
)
def test_no_hour_has_more_than_its_limit(
    tmp_path_factory: pytest.TempPathFactory, asked: list[tuple[int, int, int]], limit: int
) -> None:
    engine = open_store(create_store(tmp_path_factory.mktemp("pace") / "store.db"))
    now, gone = NOW, []
    for seconds, want, unused in asked:
        now += timedelta(seconds=seconds)
        grant = rate_limit.acquire(engine, "smtp", Limits(per_hour=limit), want, now)
        assert grant.number <= want
        if not grant.number:
            assert grant.again is not None
            assert now < grant.again <= now + timedelta(minutes=61)
            # Then at least one may go.
            continue
        back = min(unused, grant.number)
        rate_limit.release(engine, "smtp", Limits(per_hour=limit), back, now)
        gone += [now] * (grant.number - back)
    for start in gone:
        assert sum(start <= one < start + timedelta(hours=1) for one in gone) <= limit
    engine.dispose()


def test_when_an_hours_limit_is_reached_it_says_when_it_ends(engine: Engine) -> None:
    limits = Limits(per_hour=100)
    assert rate_limit.acquire(engine, "smtp", limits, 60, NOW).number == 60
    assert rate_limit.acquire(engine, "smtp", limits, 60, NOW + timedelta(minutes=20)).number == 40
    refused = rate_limit.acquire(engine, "smtp", limits, 60, NOW + timedelta(minutes=30))
    assert (refused.number, refused.why) == (0, "hourly limit")
    assert refused.again is not None
    assert rate_limit.acquire(engine, "smtp", limits, 60, refused.again - timedelta(minutes=1)).number == 0
    assert rate_limit.acquire(engine, "smtp", limits, 99, refused.again).number == 60


def test_a_new_sender_is_warmed_up(engine: Engine) -> None:
    warm_up = WarmUp(begins=date(2026, 3, 2), first_day=50, factor=2)
    assert [rate_limit.warm_up_limit(warm_up, date(2026, 3, day)) for day in (1, 2, 3, 4)] == [50, 50, 100, 200]
    limits = Limits(per_day=150, warm_up=warm_up)
    counts = [
        rate_limit.acquire(engine, "smtp", limits, 1_000, NOW + timedelta(days=1, hours=1) * day).number
        for day in range(3)
    ]
    assert counts == [50, 100, 150]
    assert rate_limit.warm_up_limit(WarmUp(begins=date(1000, 1, 1), factor=10), date(2026, 1, 1)) is None


def test_a_clock_set_back_does_not_stop_mail(engine: Engine) -> None:
    limits = Limits(per_second=1, per_hour=10, per_day=20)
    assert rate_limit.acquire(engine, "smtp", limits, 2, NOW + timedelta(days=400)).number == 2
    again = rate_limit.acquire(engine, "smtp", limits, 2, NOW)
    assert (again.number, again.first) == (2, NOW)


@pytest.mark.parametrize("limits", [Limits(), Limits(per_hour=100)], ids=["unlimited", "limited"])
def test_a_clock_set_back_ends_a_servers_patience(engine: Engine, limits: Limits) -> None:
    rate_limit.back_off(engine, "smtp", NOW + timedelta(days=1))
    assert rate_limit.acquire(engine, "smtp", limits, 5, NOW) == rate_limit.Permit(5, NOW)
    # Asked anew, it is left alone from now on.
    until = rate_limit.back_off(engine, "smtp", NOW)
    assert until - NOW <= timedelta(minutes=15)
    assert rate_limit.acquire(engine, "smtp", limits, 5, NOW).again == until


def test_a_server_that_asks_for_patience_gets_more_each_time(engine: Engine) -> None:
    now, waits = NOW, []
    for _ in range(8):
        until = rate_limit.back_off(engine, "smtp", now)
        # Another session hears the same, and makes it no longer.
        assert rate_limit.back_off(engine, "smtp", now + timedelta(seconds=1)) == until
        assert rate_limit.acquire(engine, "smtp", Limits(), 5, now).again == until
        waits.append(int((until - now).total_seconds()))
        now = until + timedelta(seconds=1)
    assert waits == [30, 60, 120, 240, 480, 900, 900, 900]
    assert rate_limit.acquire(engine, "smtp", Limits(), 5, now).number == 5
    rate_limit.end_back_off(engine, "smtp", now)
    assert rate_limit.back_off(engine, "smtp", now) == now + timedelta(seconds=30)


@pytest.mark.parametrize(
    ("reply", "asks"),
    [
        ("421 4.3.2 closing", True),
        ("450 4.7.1 too many messages", True),
        ("451 4.7.651 the rate of your IP is limited", True),
        ("451 4.7.1 Greylisted, come back later", False),
        ("450 4.2.1 the mailbox gets too much", False),
        ("550 5.7.1 no", False),
        (None, False),
    ],
)
def test_which_answers_ask_for_patience(reply: str | None, asks: bool) -> None:
    assert rate_limit.is_throttled(reply) is asks
