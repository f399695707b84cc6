"""A run of an edition: distribute batches to workers, replace lost workers, and release their claims."""

import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from newsletter.delivery.sending import claims
from newsletter.delivery.sending.claims import ClaimOwner
from newsletter.delivery.sending.dispatcher import Throttled
from newsletter.errors import NewsletterError
from newsletter.model import SendState
from newsletter.services.context import AppContext
from newsletter.services.edition_worker import BatchResult
from newsletter.services.planning import SubscriberBatch, fail_batch
from newsletter.store import sends, worker_stats, writing
from newsletter.support.clock import format_time, utc_now
from newsletter.workers.base import ShouldStop, Worker, WorkerLost

_MAX_LOST = 5
"""Number of workers that may be lost in a row without any progress."""

_MAX_LOST_WITH_BATCH = 2
"""Number of workers lost with the same batch before that batch is suspected."""

WORKERS_KEEP_DYING = "worker processes of this run kept being killed; check whether there is enough memory"
_POLL_SECONDS = 1.0
_SHORT_WAIT = 5.0
"""In seconds. Waits for per-second limits are shorter than this and do not count against the patience."""

_STATS_KEPT = timedelta(days=7)

OnProgress = Callable[[str, int], None]
"""Called with a state that sends were moved to (or ``ALREADY_PLANNED``), and how many."""


@dataclass(frozen=True, slots=True)
class Remaining:
    """What is left to send.

    Attributes:
        waiting: sends that could go now. ``why``: what holds them up (empty: nothing). ``until``: when it ends (UTC).
        deferred: sends that will be retried, the first of them at ``again`` (UTC).
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
            until = f" until {format_time(self.until, utc_now())}" if self.until is not None else ""
            parts.append(f"{self.waiting:,} waiting: {self.why}{until}" if self.why else f"{self.waiting:,} waiting")
        if self.deferred:
            first = "" if self.deferred == 1 else ", the first"
            again = f"{first} until {format_time(self.again, utc_now())}" if self.again is not None else ""
            parts.append(f"{self.deferred:,} deferred{again}")
        return "; ".join(parts)


@dataclass(slots=True)
class EditionReport:
    """The results of a run.

    Attributes:
        counts: the number of sends, by state. ``notes``: what the operator should look at.
        by_worker: the same counts for each worker.
        owners: the names that sends were claimed under, each with its worker's name.
        planned_again: the number of sends that were counted as failed and are planned again.
        left: what is left to send, and why.
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
        """Whether a digest failed or has an unknown outcome."""
        return any(self.counts.get(state) for state in (SendState.FAILED, SendState.UNSURE))

    def add(self, state: str, number: int = 1) -> None:
        """Count sends in a state."""
        if number:
            self.counts[state] = self.counts.get(state, 0) + number


class BatchQueue:
    """The batches that no worker has taken yet."""

    def __init__(self, batches: Iterator[SubscriberBatch]) -> None:
        self._batches, self._returned = batches, list[SubscriberBatch]()
        self._lock = threading.Lock()

    def take(self) -> SubscriberBatch | None:
        """Return the next batch, None if the queue is empty."""
        with self._lock:
            return self._returned.pop() if self._returned else next(self._batches, None)

    def put_back(self, batches: Iterable[SubscriberBatch]) -> None:
        """Return batches to the queue, for other workers."""
        self._returned.extend(batches)


EditionWorkerHandle = Worker[SubscriberBatch, BatchResult]


class EditionRun:
    """Has workers process a queue of batches, then drain the sends waiting in the store.

    Attributes:
        throttled: limits that last longer than the patience allows.
        lost: the names that lost workers claimed under. ``unfinished``: a lost worker was not replaced.
    """

    def __init__(
        self,
        context: AppContext,
        queue: BatchQueue,
        should_stop: ShouldStop,
        on_progress: OnProgress,
        patience: timedelta | None,
        report: EditionReport,
        on_wait: Callable[[str], None] = lambda line: None,
    ) -> None:
        self.throttled: Throttled | None = None
        self.lost: set[str] = set()
        self.unfinished = False
        self._failed = False
        self._busy = self._lost_in_row = 0
        self._context, self._queue, self._patience, self._report = context, queue, patience, report
        self._on_progress, self._on_wait, self._last_wait = on_progress, on_wait, ""
        self._lock = threading.Lock()
        self._should_stop: ShouldStop = lambda: should_stop() or self._failed

    def with_workers(self, workers: Sequence[EditionWorkerHandle]) -> None:
        """Process the queue with these workers, each driven by its own thread.

        Raises:
            NewsletterError: a worker cannot go on.
        """
        self.unfinished = False
        if len(workers) == 1:
            self._drive(workers[0])
            return
        with ThreadPoolExecutor(len(workers)) as threads:
            for driven in [threads.submit(self._drive, worker) for worker in workers]:
                driven.result()

    def _drive(self, first: EditionWorkerHandle) -> None:
        worker: EditionWorkerHandle | None = first
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

    def _drive_one(self, worker: EditionWorkerHandle) -> bool:
        """Drive a worker until everything is done. Returns whether it was lost."""
        stop, owner = True, ""
        try:
            owner = worker.owner()
            self._report.owners[owner] = worker.name
            try:
                self._work(worker)
                stop = self._should_stop()
            finally:
                self._add(worker.close(stop))
        except WorkerLost:
            self.lost.add(owner)
            return True
        except BaseException:
            self._failed = True
            raise
        return False

    def _work(self, worker: EditionWorkerHandle) -> None:
        waited = 0.0
        while not self._should_stop():
            result = self._next_result(worker)
            self._lost_in_row = 0
            self._add(result)
            if result.done:
                return
            if result.throttled is None:
                continue
            seconds = (result.throttled.until - utc_now()).total_seconds()
            if seconds > _SHORT_WAIT:
                # The total counts: a limit that moves on a little each time would otherwise hold the run up for hours.
                if self._patience is not None and waited + seconds > self._patience.total_seconds():
                    self.throttled = result.throttled
                    return
                waited += self._wait_for(result.throttled, min(seconds, _POLL_SECONDS))
            else:
                self._pause(min(seconds, _POLL_SECONDS))

    def _next_result(self, worker: EditionWorkerHandle) -> BatchResult:
        batch = self._queue.take()
        if batch is None:
            return worker.drain()
        try:
            return worker.process(batch)
        except WorkerLost:
            self._queue.put_back(self._retry(batch))
            raise

    def _retry(self, batch: SubscriberBatch) -> list[SubscriberBatch]:
        """Split a batch that a worker was lost with for another try.

        After two lost workers it is tried one by one, so that the subscriber at fault is found and fails alone.
        """
        lost = batch.lost + 1
        if lost < _MAX_LOST_WITH_BATCH:
            return [replace(batch, lost=lost)]
        if len(batch.editions) > 1:
            return [replace(batch, editions={row: day}, lost=lost - 1) for row, day in batch.editions.items()]
        owner = f"{ClaimOwner.here()}/{uuid.uuid4().hex[:8]}"
        planned = fail_batch(self._context, batch, "the process that composed it ended, more than once", owner)
        with self._lock:
            self._report.owners.setdefault(owner, "here")
            self._report.notes += [
                f"{plan.email}, {plan.digest.edition}: failed: {plan.failure}" for plan in planned.failed
            ]
        return []

    def _settle_lost(self) -> None:
        """Release the claims of lost workers."""
        with self._lock:
            settle_leftovers(self._context, self._report, self.lost)
            self._lost_in_row += 1
            if self._lost_in_row > _MAX_LOST:
                self._failed = True
                raise NewsletterError(WORKERS_KEEP_DYING)

    def _replacement(self, lost: EditionWorkerHandle) -> EditionWorkerHandle | None:
        """Return a replacement, if one is available while the other workers are busy."""
        while not self._should_stop():
            if (another := lost.replacement()) is not None:
                return another
            if not self._busy:
                break
            time.sleep(_POLL_SECONDS)
        self.unfinished = True
        return None

    def _add(self, result: BatchResult) -> None:
        with self._lock:
            for state, count in result.counts.items():
                self._on_progress(state, count)
            self._report.planned_again += result.planned_again
            self._report.notes += result.notes
            self._context.pending.add(result.pending)

    def _wait_for(self, throttled: Throttled, seconds: float) -> float:
        """Wait for a limit, reporting it once. Returns the seconds waited."""
        with self._lock:
            if throttled.why != self._last_wait:
                self._last_wait = throttled.why
                self._on_wait(f"waiting until {format_time(throttled.until, utc_now())}: {throttled.why}")
        started = time.monotonic()
        self._pause(seconds)
        return time.monotonic() - started

    def _pause(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while not self._should_stop() and (left := end - time.monotonic()) > 0:
            time.sleep(min(left, 0.1))


def settle_leftovers(context: AppContext, report: EditionReport, lost: Collection[str] = ()) -> None:
    """Record outcomes that the store did not take before, and settle what ended processes left behind.

    Sends that a wrong clock deferred beyond any retry are tried now.

    Args:
        lost: the claim names of processes that cannot be reached.
    """
    now = context.clock()
    with writing(context.engine) as connection:
        sends.requeue_stuck(connection, now + timedelta(hours=context.config.delivery.retry_hours), now)
        worker_stats.forget(connection, now - _STATS_KEPT)
    for owner, state in context.pending.write(context.engine, now):
        if owner not in report.owners:  # whose sends are counted at the end
            report.add(state.value)
    orphans = claims.release_orphans(context.engine, now, lost)
    report.add(SendState.UNSURE.value, len(orphans))
    report.notes += [f"{send.email}, {send.edition}: unsure: a process ended while sending it" for send in orphans]
