"""The circuit breaker: set aside an account whose server refuses message after message.

A server that refuses everybody says something about us, or about itself, not about the recipients. So the messages it
refused in that burst are planned again, other accounts take over, and the operator learns why. From time to time one
test message is sent through the account; once that is accepted, the account is used again.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import Connection, Engine

from newsletter.config.mail import CircuitBreakerSettings
from newsletter.store import circuit_breakers, reading, send_changes, writing
from newsletter.store.circuit_breakers import CircuitBreaker
from newsletter.support.text import shorten_middle

_LONGEST_PROBE_PAUSE = timedelta(hours=4)
_SAVE_EVERY = timedelta(seconds=2)
_LONGEST_REPLY = 200


@dataclass(frozen=True, slots=True)
class DeliveryResult:
    """The server's response to one message.

    Attributes:
        row: the send's. ``reply``: the server's words, or what happened instead of an answer.
        refused: the server did not accept the message. ``may_be_planned_again``: it certainly has not received it.
    """

    row: int
    account: str
    refused: bool
    may_be_planned_again: bool
    reply: str


class CircuitBreakers:
    """Counts delivery results for one process and knows which accounts are set aside.

    Attributes:
        set_aside: the accounts set aside, each with the reason, as far as this process knows.
    """

    def __init__(self, settings: CircuitBreakerSettings) -> None:
        self.set_aside: dict[str, str] = {}
        self._settings = settings
        self._accepted: Counter[str] = Counter()
        self._saved_at: dict[str, datetime] = {}

    def count(
        self, connection: Connection, results: Sequence[DeliveryResult], now: datetime
    ) -> tuple[set[int], list[int]]:
        """Count results that are about to be recorded.

        Returns:
            The rows of results to plan again instead, and the rows of sends that were recorded as failed before and are
            planned again now.
        """
        put_back: set[int] = set()
        planned_again: list[int] = []
        for account in {result.account for result in results}:
            own = [result for result in results if result.account == account]
            if self._can_wait(account, own, now):
                self._accepted[account] += len(own)
                continue
            known = circuit_breakers.find(connection, account) or CircuitBreaker(account=account, counted_at=now)
            accepted = self._accepted.pop(account, 0)
            known = count_accepted(known, accepted, self._settings, now) if accepted else known
            for place, result in enumerate(own):
                before, known = known, self._count_one(known, result, now)
                if result.refused and before.opened_at is not None:
                    put_back.add(result.row)
                elif before.opened_at is None and known.opened_at is not None:
                    put_back |= {one.row for one in own[: place + 1] if one.refused}
                    planned_again += send_changes.plan_refused_again(
                        connection, account, burst_began(known, self._settings)
                    )
            circuit_breakers.save(connection, known)
            self._saved_at[account] = now
            self.learn(known)
        certain = {result.row for result in results if result.may_be_planned_again}
        return put_back & certain, planned_again

    def learn(self, known: CircuitBreaker) -> None:
        """Update what this process knows of an account from the store."""
        if known.opened_at is None:
            self.set_aside.pop(known.account, None)
        else:
            self.set_aside[known.account] = describe(known)

    def _can_wait(self, account: str, results: Sequence[DeliveryResult], now: datetime) -> bool:
        """Return whether recording these acceptances can wait."""
        saved_at = self._saved_at.get(account)
        if saved_at is None or account in self.set_aside or any(result.refused for result in results):
            return False
        return abs(now - saved_at) < _SAVE_EVERY

    def _count_one(self, known: CircuitBreaker, result: DeliveryResult, now: datetime) -> CircuitBreaker:
        if not result.refused:
            return count_accepted(known, 1, self._settings, now)
        return count_refused(known, result.reply, self._settings, now)


def count_accepted(
    known: CircuitBreaker, number: int, settings: CircuitBreakerSettings, now: datetime
) -> CircuitBreaker:
    """Return an account's state after its server accepted messages: an account that was set aside is used again."""
    if known.opened_at is not None:
        known = CircuitBreaker(account=known.account, counted_at=now)
    known = _faded(known, settings, now)
    return replace(known, refused_in_row=0, since=None, accepted=known.accepted + number)


def count_refused(known: CircuitBreaker, reply: str, settings: CircuitBreakerSettings, now: datetime) -> CircuitBreaker:
    """Return an account's state after its server refused a message: too many refusals set it aside."""
    known = _faded(known, settings, now)
    known = replace(known, refused_in_row=known.refused_in_row + 1, since=known.since or now, refused=known.refused + 1)
    if known.opened_at is not None:
        return known
    total = known.accepted + known.refused
    if known.refused_in_row >= settings.in_a_row:
        why = f"{known.refused_in_row} messages in a row were refused"
    elif known.refused >= settings.least and known.refused / total >= settings.share:
        why = f"{known.refused / total:.0%} of the messages of the last {settings.minutes:g} minutes were refused"
    else:
        return known
    why += f"; the last answer was: {shorten_middle(reply, _LONGEST_REPLY)}"
    return replace(known, opened_at=now, reason=why, probe_at=now + timedelta(minutes=settings.probe_minutes))


def _faded(known: CircuitBreaker, settings: CircuitBreakerSettings, now: datetime) -> CircuitBreaker:
    """Return an account's state with its counts decayed to now; they halve every ``minutes`` of the settings."""
    factor = 0.5 ** (max(now - known.counted_at, timedelta(0)) / timedelta(minutes=settings.minutes))
    return replace(known, accepted=known.accepted * factor, refused=known.refused * factor, counted_at=now)


def burst_began(known: CircuitBreaker, settings: CircuitBreakerSettings) -> datetime:
    """Return when the burst of refusals that set an account aside began (UTC)."""
    opened = known.opened_at or known.counted_at
    if known.refused_in_row >= settings.in_a_row and known.since is not None:
        return known.since
    return min(known.since or opened, opened - timedelta(minutes=settings.minutes))


def describe(known: CircuitBreaker) -> str:
    """Describe why an account is set aside, since when, and what to do."""
    since = f" since {known.opened_at:%Y-%m-%d %H:%M} UTC" if known.opened_at else ""
    return (
        f"account {known.account} is set aside{since}: {known.reason}; refused messages stay planned; "
        "check the account, then run 'newsletter resume'"
    )


def take_probe(engine: Engine, account: str, settings: CircuitBreakerSettings, now: datetime) -> bool:
    """Request permission to send one test message through an account that is set aside.

    Returns:
        Whether it may go now: only one at a time, across all processes, and each time after twice the pause.
    """
    with writing(engine) as connection:
        known = circuit_breakers.find(connection, account)
        if known is None or known.opened_at is None:
            return True
        # A probe further ahead than any pause was scheduled while the clock was wrong.
        if known.probe_at is not None and now < known.probe_at <= now + _LONGEST_PROBE_PAUSE:
            return False
        pause = timedelta(minutes=settings.probe_minutes) * 2 ** min(known.probes + 1, 10)
        again = now + min(_LONGEST_PROBE_PAUSE, pause)
        circuit_breakers.save(connection, replace(known, probe_at=again, probes=known.probes + 1))
    return True


def look(engine: Engine, account: str) -> CircuitBreaker | None:
    """Return the stored state of an account."""
    with reading(engine) as connection:
        return circuit_breakers.find(connection, account)
