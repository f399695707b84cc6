"""The dispatcher: claim waiting sends as fast as limits allow, render their messages, and queue them for an account."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol

from sqlalchemy import Engine

from newsletter.config.mail import Delivery, Smtp
from newsletter.delivery.sending import circuit_breaker, rate_limit
from newsletter.delivery.sending.account_pool import AccountPool, OutgoingMessage
from newsletter.delivery.sending.pending_writes import PendingWrites
from newsletter.delivery.sending.send_recorder import SendRecorder, SendResult
from newsletter.delivery.smtp.session import AccountUnavailable
from newsletter.delivery.smtp.transport import Outcome
from newsletter.errors import NewsletterError, UserError, describe
from newsletter.model import Message, Send, SendState
from newsletter.store import reading, writing
from newsletter.store import sends as store
from newsletter.store.circuit_breakers import CircuitBreaker
from newsletter.support.clock import utc_now


@dataclass(frozen=True, slots=True)
class RenderError:
    """Why one message could not be rendered."""

    reason: str


class Renderer(Protocol):
    """Renders the messages of sends."""

    def render(self, block: Sequence[Send]) -> Iterable[tuple[Send, Message | RenderError]]:
        """Render the messages of claimed sends, lazily.

        Raises:
            NewsletterError: no message can be rendered.
        """


_BLOCK = 64
_LOOK_SECONDS = 0.2
_ROOM_SECONDS = 1.0
_TEST_WAIT = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Throttled:
    """A limit that holds sends up: how many, until when (UTC), and why."""

    number: int
    until: datetime
    why: str


@dataclass(frozen=True, slots=True)
class Progress:
    """The progress of a dispatcher: whether nothing is left, and what limits hold up."""

    done: bool
    throttled: Throttled | None = None


@dataclass(frozen=True, slots=True)
class DispatchResult:
    """The number of messages queued, and what limits hold up."""

    number: int
    throttled: Throttled | None = None


class Dispatcher:
    """Claims, renders and sends messages; must be closed in the end.

    Args:
        accounts: the mail servers by name. ``folder``: the base of relative paths in them.
        renderer: renders messages. ``clock``: the newsletter's clock.
        should_stop: whether to end after the messages on the wire.
        subscriber: send to this subscriber only (by row).
    """

    def __init__(
        self,
        engine: Engine,
        accounts: Mapping[str, Smtp],
        delivery: Delivery,
        folder: Path,
        renderer: Renderer,
        clock: Callable[[], datetime],
        pending: PendingWrites,
        should_stop: Callable[[], bool],
        subscriber: int | None = None,
    ) -> None:
        self._engine, self._renderer, self._clock, self._should_stop = engine, renderer, clock, should_stop
        self._breaker = delivery.circuit_breaker
        self._open = ExitStack()
        self._recorder = self._open.enter_context(SendRecorder(engine, delivery, clock, pending, should_stop))
        self._accounts = [AccountPool(name, one, folder, engine, self._recorder) for name, one in accounts.items()]
        self._limits = {one.name: one.settings.limits for one in self._accounts}
        self._domains = delivery.domains
        rest = store.ClaimFilter(without=tuple(delivery.domains), subscriber=subscriber)
        self._claim_filters = [
            rest,
            *(store.ClaimFilter(only=domain, subscriber=subscriber) for domain in delivery.domains),
        ]

    def close(self, stop: bool) -> None:
        """Finish the messages on the wire and those waiting for a session; with ``stop``, or for a server that
        throttles us, only those on the wire.

        Raises:
            Exception: what went wrong since the last call.
        """
        for account in self._accounts:
            account.close(stop=stop or account.held_until is not None)
        self._open.close()
        if not stop:
            self._check()

    @property
    def owner(self) -> str:
        """Return the name it claims sends under."""
        return self._recorder.owner

    @property
    def notes(self) -> list[str]:
        """Return what the operator should know: accounts that were unavailable while others worked, and messages whose
        outcome could not be stored.
        """
        notes = [_note(one.name, one.error) for one in self._accounts if one.error is not None]
        return notes if self._recorder.error is None else [*notes, *str(self._recorder.error).splitlines()]

    def take_results(self) -> list[SendResult]:
        """Return the results since the last call."""
        results = []
        while not self._recorder.results.empty():
            results.append(self._recorder.results.get())
        return results

    def take_planned_again(self) -> list[int]:
        """Return the rows of failed sends that are planned again, since their account was set aside; each only once."""
        rows = []
        while not self._recorder.planned_again.empty():
            rows.append(self._recorder.planned_again.get())
        return rows

    def dispatch(self, most: int) -> DispatchResult:
        """Queue what may be sent now, up to about ``most`` of each lane; waits only, and briefly, for room in a queue.

        Raises:
            ServerUnavailable, UserError: no account is available; planned sends stay planned.
        """
        handed = [self._dispatch(claim_filter, most) for claim_filter in self._claim_filters]
        self._check()
        held = [one.throttled for one in handed if one.throttled is not None]
        held += [
            Throttled(one.number, one.held_until, _why(rate_limit.BACKING_OFF, f"account {one.name}"))
            for one in self._accounts
            if one.number and one.held_until is not None
        ]
        return DispatchResult(sum(one.number for one in handed), min(held, key=lambda one: one.until, default=None))

    def drain(self, seconds: float) -> Progress:
        """Send what is waiting, for about ``seconds``, or until all that is left waits for limits.

        Raises:
            ServerUnavailable, UserError: no account is available; planned sends stay planned.
        """
        end = time.monotonic() + seconds
        while not self._should_stop():
            handed = self.dispatch(_BLOCK)
            if handed.throttled is not None:
                return Progress(done=False, throttled=handed.throttled)
            if time.monotonic() >= end:
                break
            if not handed.number:
                if not self._anything_left():
                    return Progress(done=True)
                self._accounts[0].wait(_LOOK_SECONDS)
        return Progress(done=False)

    def _dispatch(self, claim_filter: store.ClaimFilter, most: int) -> DispatchResult:
        number = 0
        while number < most and not self._should_stop():
            account, grant = self._next_account(claim_filter)
            if account is None:
                waiting = self._number(claim_filter) if grant.again is not None else 0
                return DispatchResult(
                    number, Throttled(waiting, grant.again, grant.why) if grant.again and waiting else None
                )
            fed = self._feed(account, claim_filter, grant)
            if not fed:
                break
            number += fed
        return DispatchResult(number)

    def _next_account(self, claim_filter: store.ClaimFilter) -> tuple[AccountPool | None, rate_limit.Permit]:
        """Return an account that may take messages of a lane, and a permit for them; without one, the reason."""
        refused = nothing = rate_limit.Permit(0, utc_now())
        end = time.monotonic() + _ROOM_SECONDS
        while True:
            usable = [one for one in self._accounts if one.error is None]
            usable = [one for one in usable if one.settings.weight > 0] or usable
            if not usable:
                return None, nothing
            available = [one for one in usable if one.capacity]
            if not available:
                if self._should_stop() or time.monotonic() > end:
                    return None, nothing
                self._accounts[0].wait(_LOOK_SECONDS)
                self._check()
                continue
            for account in sorted(available, key=lambda one: one.fed / (one.settings.weight or 1)):
                grant = self._leave(account, claim_filter)
                if grant.number:
                    return account, grant
                grant = replace(grant, why=_why(grant.why, f"account {account.name}"))
                if refused.again is None or (grant.again is not None and grant.again < refused.again):
                    refused = grant
            return None, refused

    def _leave(self, account: AccountPool, claim_filter: store.ClaimFilter) -> rate_limit.Permit:
        """Request a permit within the limits of the account and of the domain."""
        now, limits = utc_now(), self._limits[account.name]
        known = circuit_breaker.look(self._engine, account.name)
        is_set_aside = known is not None and known.opened_at is not None
        if is_set_aside and account.number:
            return rate_limit.Permit(0, now, again=now + _TEST_WAIT, why="a test message is on its way")
        if is_set_aside and not self._number(claim_filter):
            return rate_limit.Permit(0, now)
        grant = rate_limit.acquire(
            self._engine, account.name, limits, 1 if is_set_aside else min(_BLOCK, account.capacity), now
        )
        if known is not None and is_set_aside and grant.number:
            if not self._may_test(account, known):
                rate_limit.release(self._engine, account.name, limits, grant.number, now)
                return rate_limit.Permit(0, now)
            grant = replace(grant, is_test=True)
        if claim_filter.only is None or not grant.number:
            return grant
        domain = rate_limit.acquire(
            self._engine, _key(claim_filter.only), self._domains[claim_filter.only], grant.number, now
        )
        rate_limit.release(self._engine, account.name, limits, grant.number - domain.number, now)
        if not domain.number:
            return rate_limit.Permit(0, now, again=domain.again, why=f"{domain.why} of {claim_filter.only}")
        first, step = max(grant.first, domain.first), max(grant.step, domain.step)
        return replace(grant, number=domain.number, first=first, step=step)

    def _may_test(self, account: AccountPool, known: CircuitBreaker) -> bool:
        """Return whether to test an account that is set aside with a message now; if not, stop using the account."""
        if circuit_breaker.take_probe(self._engine, account.name, self._breaker, self._clock()):
            self._recorder.breakers.set_aside.pop(account.name, None)
            return True
        self._recorder.breakers.learn(known)
        account.set_aside(AccountUnavailable(circuit_breaker.describe(known)))
        return False

    def _feed(self, account: AccountPool, claim_filter: store.ClaimFilter, grant: rate_limit.Permit) -> int:
        """Claim sends and queue them for an account; return how many."""
        with writing(self._engine) as connection:
            claimed = store.claim(
                connection, claim_filter, self._recorder.owner, self._clock(), grant.number, grant.is_test
            )
        self._return_leave(account, claim_filter, grant.number - len(claimed))
        left = {send.row: send for send in claimed}
        limits = {"": self._limits[account.name]} | (
            {claim_filter.only: self._domains[claim_filter.only]} if claim_filter.only else {}
        )
        first = time.monotonic() + (grant.first - utc_now()).total_seconds()
        spacing = {key: 1 / one.per_second for key, one in limits.items() if one.per_second is not None}
        try:
            for place, (send, made) in enumerate(self._renderer.render(claimed)):
                if isinstance(made, RenderError):
                    self._recorder.record(send, Outcome(SendState.FAILED, reason=made.reason))
                else:
                    account.put([OutgoingMessage(send, made, first + place * grant.step.total_seconds(), spacing)])
                del left[send.row]
        finally:
            # If a template fails, the sends go back to waiting.
            for send in left.values():
                self._recorder.release(send)
        return len(claimed)

    def _return_leave(self, account: AccountPool, claim_filter: store.ClaimFilter, number: int) -> None:
        now = utc_now()
        rate_limit.release(self._engine, account.name, self._limits[account.name], number, now)
        if claim_filter.only is not None:
            rate_limit.release(self._engine, _key(claim_filter.only), self._domains[claim_filter.only], number, now)

    def _number(self, claim_filter: store.ClaimFilter) -> int:
        with reading(self._engine) as connection:
            return store.waiting(connection, self._clock(), claim_filter)

    def _anything_left(self) -> bool:
        if any(one.number for one in self._accounts):
            return True
        # Messages that a broken session released wait again once the store has recorded that.
        self._recorder.flush()
        return any(self._number(claim_filter) for claim_filter in self._claim_filters)

    def _check(self) -> None:
        """Raise an error that keeps everything from going on."""
        if self._recorder.error is not None:
            raise self._recorder.error
        errors = [one.error for one in self._accounts if one.error is not None]
        if len(errors) == len(self._accounts):
            raise next((error for error in errors if isinstance(error, UserError)), errors[0])


def _note(name: str, error: NewsletterError) -> str:
    words = describe(error)
    return words if words.startswith(f"account {name}") else f"account {name}: {words}"


def _why(what: str, who: str) -> str:
    """Return a reason with what it applies to, unless it names that already."""
    return what if " of " in what and "a second" not in what else f"{what} of {who}"


def _key(domain: str) -> str:
    """Return the name of a domain among the accounts."""
    return f"@{domain}"
