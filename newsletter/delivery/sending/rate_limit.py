"""Rate limits: how many messages may be sent now, through an account or to a domain, by all processes together.

The counts are in the store, so limits hold across processes and restarts. They use the machine's clock whatever
``--now`` says, since they are about a real server.
"""

import math
import re
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta

from sqlalchemy import Engine

from newsletter.config.mail import Limits, WarmUp
from newsletter.store import rate_limit as store
from newsletter.store import reading, writing

HOUR, DAY = 60, 24 * 60
"""In minutes."""

BACKING_OFF = "pause requested by the server"

_AHEAD = timedelta(seconds=5)
"""How far ahead send times are assigned, so that none passes unused while messages are rendered; a process that dies
wastes no more than this.
"""

_SHORTEST_HOLD = timedelta(seconds=30)
_LONGEST_HOLD = timedelta(minutes=15)
_BUSY = re.compile(r"421\b|4\d\d[ -]4\.7\.\d")
_GREYLISTED = re.compile("gr[ae]y.?list", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Permit:
    """Permission to send.

    Attributes:
        number: how many messages may be sent, the first at ``first`` (UTC), each ``step`` after the one before it.
        again: if none, when to ask again (UTC). ``why``: the reason, such as "hourly limit".
        is_test: the single message tests whether the account works again.
    """

    number: int
    first: datetime
    step: timedelta = timedelta()
    again: datetime | None = None
    why: str = ""
    is_test: bool = False


def acquire(engine: Engine, key: str, limits: Limits, want: int, now: datetime) -> Permit:
    """Get permission for the number of messages wanted, or as many as the limits allow; release what is not used.

    A per-second limit spaces messages out. Hourly and daily limits hold for any 60 minutes and any 24 hours, to the
    minute.

    Args:
        key: the account or domain.
        want: 1 or more.
    """
    if limits.unlimited:
        with reading(engine) as connection:
            known = store.state(connection, key)
        until = _hold_of(known, now)
        return Permit(want, now) if until is None else _held(until, now)
    with writing(engine) as connection:
        known = store.state(connection, key) or store.RateState(now)
        if (until := _hold_of(known, now)) is not None:
            return _held(until, now)
        minute = _minute(now)
        store.forget_counts(connection, key, minute - DAY, minute + 1)
        per_day = _least(limits.per_day, warm_up_limit(limits.warm_up, now.date()))
        number = want
        for limit, minutes, name in ((limits.per_hour, HOUR, "hourly limit"), (per_day, DAY, "daily limit")):
            if limit is None:
                continue
            # The minute of an hour ago counts too, since only part of it is further back.
            used = store.counts(connection, key, minute - minutes - 1)
            number = min(number, limit - sum(count for _, count in used))
            if number <= 0:
                again = _moment((used[0][0] if used else minute) + minutes + 1)
                return Permit(0, now, again=again, why=name)
        first, step = now, timedelta()
        if limits.per_second is not None:
            step = timedelta(seconds=1 / limits.per_second)
            # A time further ahead than any process assigns was assigned while the clock was wrong.
            first = known.next_at if now < known.next_at <= now + 2 * _AHEAD + step else now
            number = min(number, math.floor((now + _AHEAD - first) / step) + 1)
            if number <= 0:
                # Before the assigned times run out, so that the next messages are ready for theirs.
                return Permit(0, now, again=first - _AHEAD / 2, why=f"limit of {limits.per_second:g} a second")
            store.keep_state(connection, key, replace(known, next_at=first + number * step))
        store.count(connection, key, minute, number)
    return Permit(number, first, step)


def _hold_of(known: store.RateState | None, now: datetime) -> datetime | None:
    """Return when a server's back-off ends; one longer than any was set while the clock was wrong."""
    if known is None or known.held_until is None:
        return None
    return known.held_until if now < known.held_until <= now + _LONGEST_HOLD else None


def _held(until: datetime, now: datetime) -> Permit:
    return Permit(0, now, again=until, why=BACKING_OFF)


def release(engine: Engine, key: str, limits: Limits, number: int, now: datetime) -> None:
    """Return unused permission."""
    if number and not limits.unlimited:
        with writing(engine) as connection:
            store.count(connection, key, _minute(now), -number)


def is_throttled(reply: str | None) -> bool:
    """Return whether a server's answer is about sending too much: 421, or 4.7.x (RFC 3463, section 3.8).

    Greylisting (RFC 6647) is excepted, since it concerns one message.
    """
    return reply is not None and _BUSY.match(reply) is not None and _GREYLISTED.search(reply) is None


def back_off(engine: Engine, key: str, now: datetime) -> datetime:
    """Stop sending for a while, twice as long each time in a row.

    Returns:
        Until when (UTC).
    """
    with writing(engine) as connection:
        known = store.state(connection, key) or store.RateState(now)
        if (heard := _hold_of(known, now)) is not None:
            return heard  # Another session was throttled too.
        until: datetime = now + min(_LONGEST_HOLD, _SHORTEST_HOLD * 2**known.held_times)
        store.keep_state(connection, key, replace(known, held_until=until, held_times=min(10, known.held_times + 1)))
    return until


def end_back_off(engine: Engine, key: str, now: datetime) -> None:
    """Record that the server accepts messages again."""
    with writing(engine) as connection:
        store.keep_state(connection, key, store.RateState(now))


def warm_up_limit(warm_up: WarmUp | None, today: date) -> int | None:
    """Return how many messages a new sender's warm-up allows on a day; None without one."""
    if warm_up is None:
        return None
    days = max(0, (today - warm_up.begins).days)
    try:
        return int(warm_up.first_day * warm_up.factor**days)
    except OverflowError:
        return None


def _least(first: int | None, second: int | None) -> int | None:
    return min((one for one in (first, second) if one is not None), default=None)


def _minute(moment: datetime) -> int:
    return int(moment.timestamp() // 60)


def _moment(minute: int) -> datetime:
    return datetime.fromtimestamp(minute * 60, UTC)
