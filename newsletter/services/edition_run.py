"""Many hands at one edition: blocks are shared out, a hand that is lost is replaced, and what it held is freed."""

import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from newsletter.delivery.sending import claims, rate_limit, send_recorder
from newsletter.delivery.sending.claims import ClaimOwner
from newsletter.delivery.sending.dispatcher import Throttled
from newsletter.errors import NewsletterError
from newsletter.model import SendState
from newsletter.services.context import AppContext
from newsletter.services.edition_worker import BatchResult, EditionWorker, SubscriberBatch, fail_batch
from newsletter.store import sends, worker_stats, writing
from newsletter.support.clock import format_time
from newsletter.workers.local import ShouldStop, Worker, WorkerLost

_MOST_LOST = 5
"""So many workers may be lost in a row, without any of them getting on."""

_MOST_LOST_WITH_BLOCK = 2
"""Of so many it is thought that what they had in hand is to blame."""

WORKERS_KEEP_DYING = "processes of this run were killed again and again; see whether the memory is enough"
_LOOK_SECONDS = 1.0
_SHORT_WAIT = 5.0
"""Seconds. Limits per second are waited for in pieces as short as this, which no patience is needed for."""

_WORKERS_KEPT = timedelta(days=7)

OnProgress = Callable[[str, int], None]
"""Hears of progress: the state that sends came to (or ``ALREADY``), and how many."""


@dataclass(frozen=True, slots=True)
class Remaining:
    """What is left to send.

    Attributes:
        waiting: sends that could go now. ``why``: what holds them up, in words (empty: nothing), ``until`` when (UTC).
        deferred: sends that are tried again later, the first of them at ``again`` (UTC).
    """

    waiting: int = 0
    why: str = ""
    until: datetime | None = None
    deferred: int = 0
    again: datetime | None = None

    def __bool__(self) -> bool:
        return bool(self.waiting or self.deferred)

    def __str__(self) -> str:
        parts = []
        if self.waiting:
            until = f" until {format_time(self.until, rate_limit.utc_now())}" if self.until is not None else ""
            parts.append(f"{self.waiting:,} waiting: {self.why}{until}" if self.why else f"{self.waiting:,} waiting")
        if self.deferred:
            first = "" if self.deferred == 1 else ", the first"
            again = f"{first} until {format_time(self.again, rate_limit.utc_now())}" if self.again is not None else ""
            parts.append(f"{self.deferred:,} deferred{again}")
        return "; ".join(parts)


@dataclass(slots=True)
class EditionReport:
    """What a run came to: how many sends by state, what a person should look at, and which hand of the engine did how
    many.

    Attributes:
        left: what is left to send, and why.
        owners: in whose names sends were claimed, each with the name of the hand.
        planned_again: how many sends that were counted as failed are planned again.
    """

    counts: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    by_worker: dict[str, Counter[str]] = field(default_factory=dict)
    owners: dict[str, str] = field(default_factory=dict)
    planned_again: int = 0
    left: Remaining = Remaining()
    stopped: bool = False

    @property
    def failed(self) -> bool:
        """Whether a digest failed, or may have."""
        return any(self.counts.get(state) for state in (SendState.FAILED, SendState.UNSURE))

    def add(self, state: str, number: int = 1) -> None:
        """Count sends in a state."""
        if number:
            self.counts[state] = self.counts.get(state, 0) + number


class BatchQueue:
    """The blocks that nobody has taken on yet."""

    def __init__(self, batches: Iterator[SubscriberBatch]) -> None:
        self._batches, self._back = batches, list[SubscriberBatch]()
        self._lock = threading.Lock()

    def take(self) -> SubscriberBatch | None:
        """The next one."""
        with self._lock:
            return self._back.pop() if self._back else next(self._batches, None)

    def put_back(self, batches: Iterable[SubscriberBatch]) -> None:
        """Leave some to other hands."""
        self._back.extend(batches)


class EditionRun:
    """What hands do together: each takes the next block, and with none left carries what waits.

    Attributes:
        waiting: what is left waiting for longer than there is patience.
        lost: in whose name those claimed who are no more. ``unfinished``: one of them has no replacement.
    """

    def __init__(
        self,
        context: AppContext,
        todo: BatchQueue,
        should_stop: ShouldStop,
        on_progress: OnProgress,
        patience: timedelta | None,
        report: EditionReport,
        on_wait: Callable[[str], None] = lambda line: None,
    ) -> None:
        self.waiting: Throttled | None = None
        self.lost: set[str] = set()
        self.unfinished = False
        self._failed = False
        self._busy = self._lost_in_row = 0
        self._context, self._todo, self._on_progress, self._patience, self._report = (
            context,
            todo,
            on_progress,
            patience,
            report,
        )
        self._on_wait, self._last_wait = on_wait, ""
        self._lock = threading.Lock()
        self._should_stop: ShouldStop = lambda: should_stop() or self._failed

    def by(self, pool: Sequence[Worker]) -> None:
        """Have it done.

        Raises:
            NewsletterError: a hand cannot go on.
        """
        if len(pool) == 1:
            self._drive(pool[0])
            return
        with ThreadPoolExecutor(len(pool)) as threads:
            for driven in [threads.submit(self._drive, worker) for worker in pool]:
                driven.result()

    def _drive(self, first: Worker) -> None:
        worker: Worker | None = first
        while worker is not None:
            with self._lock:
                self._busy += 1
            try:
                lost = self._drive_one(worker)
            finally:
                with self._lock:
                    self._busy -= 1
            if not lost:
                return
            self._settle_lost()
            worker = self._replacement(worker)

    def _settle_lost(self) -> None:
        """Free what those had claimed who are no more."""
        with self._lock:
            settle_leftovers(self._context, self._report, self.lost)
            self._lost_in_row += 1
            if self._lost_in_row > _MOST_LOST:
                self._failed = True
                raise NewsletterError(WORKERS_KEEP_DYING)

    def _replacement(self, gone: Worker) -> Worker | None:
        """Another hand, if one comes while the rest are at work."""
        while not self._should_stop():
            if (another := gone.instead()) is not None:
                return another
            if not self._busy:
                break
            time.sleep(_LOOK_SECONDS)
        self.unfinished = True
        return None

    def _drive_one(self, worker: Worker) -> bool:
        """Have a hand do what there is; returns whether it is lost."""
        stop, owner = True, ""
        try:
            owner = worker.ask(EditionWorker.owner).result()
            self._report.owners[owner] = worker.name
            try:
                self._steps(worker)
                stop = self._should_stop()
            finally:
                self._heed(worker.ask(EditionWorker.end, stop).result())
        except WorkerLost:
            self.lost.add(owner)
            return True
        except BaseException:
            self._failed = True
            raise
        return False

    def _steps(self, worker: Worker) -> None:
        waited = 0.0
        while not self._should_stop():
            batch = self._todo.take()
            try:
                step: BatchResult = worker.ask(EditionWorker.step, batch).result()
            except WorkerLost:
                if batch is not None:
                    self._todo.put_back(self._again(batch))
                raise
            self._lost_in_row = 0
            self._heed(step)
            if step.done:
                return
            if step.waiting is None:
                continue
            seconds = (step.waiting.until - rate_limit.utc_now()).total_seconds()
            if seconds > _SHORT_WAIT:
                # In all: a limit that moves on a little each time would else hold up for hours.
                if self._patience is not None and waited + seconds > self._patience.total_seconds():
                    self.waiting = step.waiting
                    return
                waited += self._wait_for(step.waiting, min(seconds, _LOOK_SECONDS))
            else:
                self._pause(min(seconds, _LOOK_SECONDS))

    def _wait_for(self, waiting: Throttled, seconds: float) -> float:
        """Wait for a limit, and say so once; returns for how long, in seconds."""
        with self._lock:
            if waiting.why != self._last_wait:
                self._last_wait = waiting.why
                self._on_wait(f"waiting until {format_time(waiting.until, rate_limit.utc_now())}: {waiting.why}")
        began = time.monotonic()
        self._pause(seconds)
        return time.monotonic() - began

    def _again(self, batch: SubscriberBatch) -> list[SubscriberBatch]:
        """A block that a worker was lost with, as it is tried again: after two of them one by one, so that whoever is
        to blame is found out, and fails.
        """
        lost = batch.lost + 1
        if lost < _MOST_LOST_WITH_BLOCK:
            return [replace(batch, lost=lost)]
        if len(batch.editions) > 1:
            return [replace(batch, editions={row: day}, lost=lost - 1) for row, day in batch.editions.items()]
        owner = f"{ClaimOwner.here()}/{uuid.uuid4().hex[:8]}"
        planned = fail_batch(self._context, batch, "the process that made it ended, more than once", owner)
        with self._lock:
            self._report.owners.setdefault(owner, "here")
            self._report.notes += [
                f"{plan.email}, {plan.digest.edition}: failed: {plan.failure}" for plan in planned.failed
            ]
        return []

    def _heed(self, step: BatchResult) -> None:
        with self._lock:
            for state, count in step.counts.items():
                self._on_progress(state, count)
            self._report.planned_again += step.planned_again
            self._report.notes += step.notes
            send_recorder.add_pending(step.unwritten)

    def _pause(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while not self._should_stop() and (left := end - time.monotonic()) > 0:
            time.sleep(min(left, 0.1))


def settle_leftovers(context: AppContext, report: EditionReport, lost: Collection[str] = ()) -> None:
    """Settle what this process could not write down before, and what processes that are gone left behind; what a wrong
    clock put off for longer than any retry takes is tried now.

    Args:
        lost: in whose name sends were claimed by processes that cannot be reached.
    """
    now = context.clock()
    with writing(context.engine) as connection:
        sends.requeue_stuck(connection, now + timedelta(hours=context.config.delivery.retry_hours), now)
        worker_stats.forget(connection, now - _WORKERS_KEPT)
    for owner, state in send_recorder.write_pending(context.engine, now):
        if owner not in report.owners:  # whose sends are counted at the end
            report.add(state.value)
    orphans = claims.release_orphans(context.engine, now, lost)
    report.add(SendState.UNSURE.value, len(orphans))
    report.notes += [
        f"{send.email}, {send.edition}: unsure, since a process ended while it was on the wire" for send in orphans
    ]
