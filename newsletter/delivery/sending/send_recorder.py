"""The send recorder: records what goes on the wire and its outcome in the store, in one thread for all sessions.

Reports that arrive while a transaction is being written are written together in the next one. Nothing goes on the wire
before the store has recorded it.
"""

import itertools
import queue
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Self

from sqlalchemy import Connection, Engine

from newsletter.config.mail import Delivery
from newsletter.delivery.sending.circuit_breaker import CircuitBreakers, DeliveryResult
from newsletter.delivery.sending.claims import ClaimOwner, to_send_outcome
from newsletter.delivery.sending.pending_writes import PendingWrites
from newsletter.delivery.smtp.transport import Outcome
from newsletter.errors import NewsletterError
from newsletter.model import Send, SendState
from newsletter.store import sends as store
from newsletter.store import writing

PATIENCE = timedelta(minutes=5)
"""How long recording an outcome is retried. Together with the longest message, this is less than the time a claim
holds.
"""

_RETRY_SECONDS = 2.0
_MAX_BATCH = 500
_RENEW_SECONDS = 5 * 60.0

_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True)
class SendResult:
    """The outcome of a send, as recorded."""

    send: Send
    outcome: store.SendOutcome


@dataclass(slots=True)
class _Entry:
    """A report of a session: that a send goes on the wire with an account, or its outcome and the server's response.

    With neither, it was not sent.

    Attributes:
        on_wire: whether this session put it on the wire.
    """

    send: Send
    account: str | None = None
    outcome: store.SendOutcome | None = None
    on_wire: bool = False
    result: DeliveryResult | None = None
    may_go: Future[bool] = field(default_factory=Future)


class SendRecorder:
    """Records sends; use it as a context manager, which on exit waits until everything is written.

    Args:
        pending: receives what the store cannot record.
        should_stop: whether to stop retrying.

    Attributes:
        owner: the name that sends are claimed under. Each recorder has its own, so that one that ends late does not
            release its successor's claims.
        error: why something could not be recorded.
        results: the recorded outcomes of sends.
        breakers: which accounts are set aside. ``planned_again``: rows of failed sends that are planned again, since
            their account was set aside.
    """

    def __init__(
        self,
        engine: Engine,
        retry: Delivery,
        clock: Callable[[], datetime],
        pending: PendingWrites,
        should_stop: Callable[[], bool],
    ) -> None:
        self.error: Exception | None = None
        self.breakers = CircuitBreakers(retry.circuit_breaker)
        self.results: queue.SimpleQueue[SendResult] = queue.SimpleQueue()
        self.planned_again: queue.SimpleQueue[int] = queue.SimpleQueue()
        self.owner = f"{ClaimOwner.here()}/{next(_numbers)}"
        self._engine, self._retry, self._clock = engine, retry, clock
        self._pending, self._should_stop = pending, should_stop
        self._entries: queue.SimpleQueue[_Entry | threading.Event | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="send-recorder", daemon=True)
        self._renewed = time.monotonic()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._entries.put(None)
        self._thread.join()

    def start(self, send: Send, account: str) -> bool:
        """Record that a claimed send goes on the wire, and wait until that is stored.

        Returns:
            Whether it may go. It may not if the claim is no longer ours, the subscriber no longer gets mail, all
            sending is paused, or the account is set aside.

        Raises:
            NewsletterError: the store cannot record it.
        """
        entry = _Entry(send, account=account)
        self._entries.put(entry)
        return entry.may_go.result()

    def record(self, send: Send, outcome: Outcome, account: str | None = None) -> None:
        """Record the outcome of a send.

        Args:
            account: the account it was on the wire with; None if it never was.
        """
        result = _delivery_result(send, outcome, account) if account is not None else None
        recorded = to_send_outcome(send, outcome, self._retry, self._clock())
        self._entries.put(_Entry(send, outcome=recorded, on_wire=account is not None, result=result))

    def release(self, send: Send, on_wire: bool = False) -> None:
        """Record that a claimed send was not sent.

        Args:
            on_wire: whether :meth:`start` had allowed it to go.
        """
        self._entries.put(_Entry(send, on_wire=on_wire))

    def flush(self) -> None:
        """Wait until everything reported so far is written."""
        written = threading.Event()
        self._entries.put(written)
        written.wait()

    def _run(self) -> None:
        ended = False
        while not ended:
            try:
                batch = [self._entries.get(timeout=_RENEW_SECONDS)]
            except queue.Empty:
                batch = []
            while len(batch) < _MAX_BATCH and not self._entries.empty():
                batch.append(self._entries.get())
            ended = None in batch
            self._write([entry for entry in batch if isinstance(entry, _Entry)])
            for entry in batch:
                if isinstance(entry, threading.Event):
                    entry.set()

    def _write(self, batch: Sequence[_Entry]) -> None:
        """Write a batch, with retries: without its record an outcome can only be called unsure."""
        end = time.monotonic() + PATIENCE.total_seconds()
        while True:
            try:
                with writing(self._engine) as connection:
                    may_go, held, planned_again = self._write_all(connection, batch)
                break
            except NewsletterError as error:
                if self._should_stop() or time.monotonic() > end:
                    self._give_up(batch, error)
                    return
            except Exception as error:  # A bug must not leave the sessions waiting.
                self._give_up(batch, error)
                return
            time.sleep(_RETRY_SECONDS)
        for row in planned_again:
            self.planned_again.put(row)
        for entry in batch:
            if entry.account is not None:
                entry.may_go.set_result(entry.send.row in may_go)
                may_go.discard(entry.send.row)  # It may be in the batch twice, but goes only once.
            elif entry.outcome is not None and entry.send.row in held:
                self.results.put(SendResult(entry.send, entry.outcome))

    def _write_all(self, connection: Connection, batch: Sequence[_Entry]) -> tuple[set[int], set[int], Sequence[int]]:
        now, held = self._clock(), set[int]()
        starting: dict[int, str] = {}
        outcomes: dict[bool, dict[int, store.SendOutcome]] = {True: {}, False: {}}
        released: dict[bool, list[int]] = {True: [], False: []}
        results = [entry.result for entry in batch if entry.result is not None]
        put_back, planned_again = self.breakers.count(connection, results, now) if results else (set(), [])
        for entry in batch:
            if entry.account is not None and entry.account not in self.breakers.set_aside:
                starting[entry.send.row] = entry.account
            elif entry.outcome is not None and entry.send.row not in put_back:
                outcomes[entry.on_wire][entry.send.row] = entry.outcome
            else:
                released[entry.on_wire].append(entry.send.row)
        for on_wire in (True, False):
            if outcomes[on_wire]:
                held |= store.record_outcomes(connection, outcomes[on_wire], self.owner, now, on_wire)
            if released[on_wire]:
                store.release_claims(connection, released[on_wire], self.owner, on_wire)
        may_go = store.mark_on_wire(connection, starting, self.owner, now) if starting else set()
        if time.monotonic() > self._renewed + _RENEW_SECONDS:
            store.renew(connection, self.owner, now)
            self._renewed = time.monotonic()
        return may_go, held, planned_again

    def _give_up(self, batch: Iterable[_Entry], error: Exception) -> None:
        why = str(error).partition(";")[0]
        lost = []
        for entry in batch:
            if entry.account is not None:
                entry.may_go.set_exception(error)
                continue
            self._pending.known[entry.send.row, entry.on_wire] = (self.owner, entry.outcome)
            lost.append(
                f"{entry.send.email}, {entry.send.edition}: {_describe(entry.outcome)}, but this could not be "
                f"recorded: {why}; note it, since the log will call it unsure if this process ends"
            )
        if lost:
            # Each is named, even if several sessions had reports.
            before = self.error.lines if isinstance(self.error, NewsletterError) else ()
            self.error = NewsletterError(*before, *lost)
        self.error = self.error or error


def _delivery_result(send: Send, outcome: Outcome, account: str) -> DeliveryResult:
    return DeliveryResult(
        row=send.row,
        account=account,
        refused=outcome.refused,
        may_be_planned_again=outcome.state is SendState.FAILED,
        reply=outcome.smtp_reply or outcome.reason or "",
    )


def _describe(outcome: store.SendOutcome | None) -> str:
    if outcome is None:
        return "not sent"
    words = outcome.smtp_reply or outcome.reason
    return f"{outcome.state} ({words})" if words else outcome.state.value
