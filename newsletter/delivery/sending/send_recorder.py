"""The ledger: what this process has on the wire, told to the store by one thread for all sessions.

What sessions have to say while a transaction is written goes into the next one together. Nothing goes on the wire
before the store knows of it.
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

from newsletter.config.settings import Delivery
from newsletter.delivery.sending.circuit_breaker import CircuitBreakers, DeliveryResult
from newsletter.delivery.sending.claims import ClaimOwner, to_send_outcome
from newsletter.delivery.smtp.transport import Outcome
from newsletter.errors import NewsletterError
from newsletter.model import Send, SendState
from newsletter.store import sends as store
from newsletter.store import writing

PATIENCE = timedelta(minutes=5)
"""For how long the store is asked again to take what became of a message: with the longest message, less than a claim
holds.
"""

_PAUSE = 2.0
_MOST = 500
_RENEW = 5 * 60.0

OnSettled = Callable[[Send, store.SendOutcome], None]
"""Hears of each send that was settled."""

PendingWrites = dict[tuple[str, int, bool], tuple[str, store.SendOutcome | None]]

_numbers = itertools.count(1)

_pending: PendingWrites = {}
"""What this process knows of a send (by store, row, and whether it was on the wire) and the store would not take: by
whose claim, and what became of it, None when it was not sent. Nobody else knows it.
"""


@dataclass(slots=True)
class _Entry:
    """What a session has to say of a send: that it goes by an account, or what became of it, and how its server treated
    it. Neither: it was not sent.

    Attributes:
        on_wire: whether this session had started it.
    """

    send: Send
    account: str | None = None
    settled: store.SendOutcome | None = None
    on_wire: bool = False
    result: DeliveryResult | None = None
    heard: Future[bool] = field(default_factory=Future)


class SendRecorder:
    """Used as a context manager; its end waits until all is written.

    Args:
        told: called by the ledger's own thread.
        stopping: whether to stop asking a store that does not take it.

    Attributes:
        owner: in whose name sends are claimed; each ledger has its own, so that one that ends late gives back nothing
            of its successor's. ``error``: why something could not be written down.
        breakers: which accounts are set aside. ``planned_again``: rows of sends that had failed and are planned again,
            since their account was set aside.
    """

    def __init__(
        self,
        engine: Engine,
        retry: Delivery,
        clock: Callable[[], datetime],
        told: OnSettled,
        should_stop: Callable[[], bool],
    ) -> None:
        self.error: Exception | None = None
        self.breakers = CircuitBreakers(retry.circuit_breaker)
        self.planned_again: queue.SimpleQueue[int] = queue.SimpleQueue()
        self.owner = f"{ClaimOwner.here()}/{next(_numbers)}"
        self._engine, self._retry, self._clock, self._told, self._should_stop = engine, retry, clock, told, should_stop
        self._entries: queue.SimpleQueue[_Entry | threading.Event | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="ledger", daemon=True)
        self._renewed = time.monotonic()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._entries.put(None)
        self._thread.join()

    def start(self, send: Send, account: str) -> bool:
        """Note that a claimed send goes on the wire; waits until the store knows.

        Returns:
            Whether it may go: False when it is not ours any more, its subscriber gets no mail any more, all sending is
            paused, or the account is set aside.

        Raises:
            NewsletterError: the store does not take it.
        """
        entry = _Entry(send, account=account)
        self._entries.put(entry)
        return entry.heard.result()

    def settle(self, send: Send, outcome: Outcome, account: str | None = None) -> None:
        """Note what became of a send.

        Args:
            account: by which it was on the wire; None when it never was.
        """
        result = _result(send, outcome, account) if account is not None else None
        settled = to_send_outcome(send, outcome, self._retry, self._clock())
        self._entries.put(_Entry(send, settled=settled, on_wire=account is not None, result=result))

    def give_back(self, send: Send, on_wire: bool = False) -> None:
        """Note that a claimed send was not sent.

        Args:
            on_wire: whether :meth:`mark_on_wire` had let it go.
        """
        self._entries.put(_Entry(send, on_wire=on_wire))

    def flush(self) -> None:
        """Wait until all that was noted so far is written."""
        written = threading.Event()
        self._entries.put(written)
        written.wait()

    def _work(self) -> None:
        ended = False
        while not ended:
            try:
                batch = [self._entries.get(timeout=_RENEW)]
            except queue.Empty:
                batch = []
            while len(batch) < _MOST and not self._entries.empty():
                batch.append(self._entries.get())
            ended = None in batch
            self._write([entry for entry in batch if isinstance(entry, _Entry)])
            for entry in batch:
                if isinstance(entry, threading.Event):
                    entry.set()

    def _write(self, batch: Sequence[_Entry]) -> None:
        """Write a batch, with patience: what is not written down now, the log can only call unsure later."""
        end = time.monotonic() + PATIENCE.total_seconds()
        while True:
            try:
                with writing(self._engine) as connection:
                    gone, held, planned_again = self._write_all(connection, batch)
                break
            except NewsletterError as error:
                if self._should_stop() or time.monotonic() > end:
                    self._give_up(batch, error)
                    return
            except Exception as error:  # A mistake of ours must not leave the sessions waiting for an answer.
                self._give_up(batch, error)
                return
            time.sleep(_PAUSE)
        for row in planned_again:
            self.planned_again.put(row)
        for entry in batch:
            if entry.account is not None:
                entry.heard.set_result(entry.send.row in gone)
                gone.discard(entry.send.row)  # It may be there twice, and goes once.
            elif entry.settled is not None and entry.send.row in held:
                self._tell(entry.send, entry.settled)

    def _tell(self, send: Send, settled: store.SendOutcome) -> None:
        try:
            self._told(send, settled)
        except Exception as error:  # What is written is written, and the sessions wait for the rest.
            self.error = self.error or error

    def _write_all(self, connection: Connection, batch: Sequence[_Entry]) -> tuple[set[int], set[int], Sequence[int]]:
        now, held = self._clock(), set[int]()
        starting: dict[int, str] = {}
        settled: dict[bool, dict[int, store.SendOutcome]] = {True: {}, False: {}}
        back: dict[bool, list[int]] = {True: [], False: []}
        results = [entry.result for entry in batch if entry.result is not None]
        put_back, planned_again = self.breakers.count(connection, results, now) if results else (set(), [])
        for entry in batch:
            if entry.account is not None and entry.account not in self.breakers.set_aside:
                starting[entry.send.row] = entry.account
            elif entry.settled is not None and entry.send.row not in put_back:
                settled[entry.on_wire][entry.send.row] = entry.settled
            else:
                back[entry.on_wire].append(entry.send.row)
        for on_wire in (True, False):
            if settled[on_wire]:
                held |= store.record_outcomes(connection, settled[on_wire], self.owner, now, on_wire)
            if back[on_wire]:
                store.release_claims(connection, back[on_wire], self.owner, on_wire)
        gone = store.mark_on_wire(connection, starting, self.owner, now) if starting else set()
        if time.monotonic() > self._renewed + _RENEW:
            store.renew(connection, self.owner, now)
            self._renewed = time.monotonic()
        return gone, held, planned_again

    def _give_up(self, batch: Iterable[_Entry], error: Exception) -> None:
        why = str(error).partition(";")[0]
        lost = []
        for entry in batch:
            if entry.account is not None:
                entry.heard.set_exception(error)
                continue
            _pending[str(self._engine.url), entry.send.row, entry.on_wire] = (self.owner, entry.settled)
            lost.append(
                f"{entry.send.email}, {entry.send.edition}: {_in_words(entry.settled)}, but that could not be written "
                f"down: {why}; note it, since the log will call it unsure if this process ends"
            )
        if lost:
            # Each is named, also when several sessions had something to say.
            before = self.error.lines if isinstance(self.error, NewsletterError) else ()
            self.error = NewsletterError(*before, *lost)
        self.error = self.error or error


def _result(send: Send, outcome: Outcome, account: str) -> DeliveryResult:
    return DeliveryResult(
        row=send.row,
        account=account,
        refused=outcome.refused,
        may_be_planned_again=outcome.state is SendState.FAILED,
        reply=outcome.smtp_reply or outcome.reason or "",
    )


def _in_words(settled: store.SendOutcome | None) -> str:
    if settled is None:
        return "not sent"
    said = settled.smtp_reply or settled.reason
    return f"{settled.state} ({said})" if said else settled.state.value


def take_pending() -> PendingWrites:
    """What the store would not take, for a process that lives on to :func:`add_pending`."""
    taken = dict(_pending)
    _pending.clear()
    return taken


def add_pending(unwritten: PendingWrites) -> None:
    """Keep what a process knows that ends, until the store takes it."""
    _pending.update(unwritten)


def write_pending(engine: Engine, now: datetime) -> list[tuple[str, SendState]]:
    """Write down what this process knows of sends and the store did not take at the time.

    Returns:
        Of those that were settled, in whose name they were claimed, and the state.
    """
    mine = {key: known for key, known in _pending.items() if key[0] == str(engine.url)}
    states: list[tuple[str, SendState]] = []
    for key, (owner, settled) in mine.items():
        _, row, on_wire = key
        with writing(engine) as connection:
            if settled is None:
                store.release_claims(connection, [row], owner, on_wire)
            elif store.record_outcomes(connection, {row: settled}, owner, now, on_wire):
                states.append((owner, settled.state))
        del _pending[key]
    return states
