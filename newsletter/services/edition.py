"""The edition: one run over the subscribers who are due.

sources → store → ranking → digest → rendering → delivery → store. :func:`run_edition` distributes batches of
subscribers to workers; ``edition_worker.py`` is what each worker does.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from functools import partial
from itertools import chain, islice

from sqlalchemy import Engine

from newsletter.delivery.sending import claims
from newsletter.delivery.sending.dispatcher import Throttled
from newsletter.errors import NewsletterError, UserError
from newsletter.model import SendState, Subscriber
from newsletter.ranking.index import Index
from newsletter.services import announcements
from newsletter.services.context import AppContext
from newsletter.services.due_subscribers import with_zone_warnings
from newsletter.services.edition_run import (
    WORKERS_KEEP_DYING,
    BatchQueue,
    EditionReport,
    EditionRun,
    OnProgress,
    Remaining,
    settle_leftovers,
)
from newsletter.services.edition_worker import EditionWorker, create_edition_worker
from newsletter.services.host_check import host_fingerprint
from newsletter.services.index import current_index
from newsletter.services.planning import SubscriberBatch, load_subscribers, make_plans
from newsletter.services.ranking_snapshot import RankingSnapshot, build_snapshot, rated_papers, to_payload
from newsletter.store import pauses, reading, sends, worker_stats
from newsletter.store.pauses import SendingPause
from newsletter.store.plans import Plan
from newsletter.workers.base import PoolSpec, ShouldStop
from newsletter.workers.local import start_fork_server
from newsletter.workers.pool import worker_pool

_FEW_BATCHES = 6
"""Up to this many batches are processed in this process, since starting others takes a while."""

_WORKERS_NEED = ("newsletter.services.edition_worker", "sklearn.feature_extraction.text", "mjml")
_MAX_POOLS = 3
_POLL_SECONDS = 1.0


def run_edition(
    context: AppContext,
    batches: Iterator[SubscriberBatch],
    should_stop: Callable[[], bool],
    on_progress: OnProgress,
    only: Subscriber | None = None,
    patience: timedelta | None = None,
    on_info: Callable[[str], None] = lambda line: None,
    on_wait: Callable[[str], None] = lambda line: None,
    get_index: Callable[[], Index | None] | None = None,
) -> EditionReport:
    """Plan and send the digests of batches of subscribers and the announcements that are due, and send what an earlier
    run left waiting.

    Args:
        batches: the subscribers to plan for.
        should_stop: polled between messages; once it is true the run ends, and the next run continues.
        on_progress: called when sends change state.
        only: send to this subscriber only.
        patience: maximum total time to wait for rate limits; None: unlimited.
        on_info: called with a line on where to watch the work of a cluster. ``on_wait``: called with the reason for a
            wait.
        get_index: returns the index; by default it is brought up to date, and refitted if due.

    Raises:
        SendingPaused: the operator has paused all sending; nothing was planned.
        ServerUnavailable: no mail server is available; planned sends stay planned.
    """
    pause = PauseWatch(context.engine)
    if (found := pause.look()) is not None:
        raise SendingPaused(str(found))
    should_stop = pause.or_when(should_stop)
    report = EditionReport()
    settle_leftovers(context, report)
    report.notes += announcements.plan_due(context, should_stop)
    batches = with_zone_warnings(context, batches, report.notes)
    first = list(islice(batches, _FEW_BATCHES + 1))
    number = context.config.processes if len(first) > _FEW_BATCHES else 1
    if number > 1 and context.config.cluster is None:
        start_fork_server(_WORKERS_NEED)
    snapshot = build_snapshot(context, get_index or partial(current_index, context, refit=True)) if first else None
    batches = chain(first, batches)
    row = only.row if only else None
    if number == 1:
        spec = PoolSpec(lambda *_: EditionWorker(context, snapshot, should_stop, row), None, should_stop)
    else:
        fingerprint = host_fingerprint(context.config, context.links.key)
        create = partial(create_edition_worker, context.config, context.clock, row, fingerprint)
        spec = PoolSpec(create, to_payload(snapshot) if snapshot is not None else None, should_stop, on_info)
        batches = _with_rated(context, snapshot, batches)
    run = EditionRun(context, BatchQueue(batches), should_stop, on_progress, patience, report, on_wait)
    for _ in range(_MAX_POOLS):
        with worker_pool(spec, number, context.config.cluster) as workers:
            run.with_workers(workers)
        if not run.unfinished:
            break
    else:
        raise NewsletterError(WORKERS_KEEP_DYING)
    _finish(context, report, run, row)
    announcements.settle(context)
    report.stopped = should_stop()
    if (found := pause.look()) is not None:
        report.notes.append(str(found))
    return report


def _finish(context: AppContext, report: EditionReport, run: EditionRun, only: int | None) -> None:
    """Complete a report from the store: a process that was killed did not report everything it did."""
    with reading(context.engine) as connection:
        settled = worker_stats.of_owners(connection, report.owners)
    for owner, states in settled.items():
        for state, number in states.items():
            report.add(state.value, number)
            report.by_worker.setdefault(report.owners[owner], Counter())[state.value] += number
    failed = report.counts.pop(SendState.FAILED.value, 0) - report.planned_again
    report.add(SendState.FAILED.value, max(0, failed))
    if run.lost and (held := claims.held_by(context.engine, run.lost)):
        again = f"run it again in {claims.LEASE.seconds // 60} minutes, which settles them"
        report.notes.append(f"{held:,} were being sent by workers that can no longer be reached; {again}")
    report.left = _remaining(context, only, run.throttled)


def _remaining(context: AppContext, only: int | None, throttled: Throttled | None) -> Remaining:
    """Return what is left to send, to everybody or to one subscriber (by row)."""
    now, claim_filter = context.clock(), sends.ClaimFilter(subscriber=only)
    with reading(context.engine) as connection:
        waiting = sends.waiting(connection, now, claim_filter)
        deferred, again = sends.deferred(connection, now, claim_filter)
    why, until = (throttled.why, throttled.until) if throttled is not None else ("", None)
    return Remaining(waiting, why, until, deferred, again)


def _with_rated(
    context: AppContext, snapshot: RankingSnapshot | None, batches: Iterator[SubscriberBatch]
) -> Iterator[SubscriberBatch]:
    for batch in batches:
        if snapshot is None:
            yield batch
            continue
        try:
            yield replace(batch, rated=rated_papers(context, snapshot.index, batch.editions))
        except NewsletterError:
            raise
        except Exception:
            # The subscriber at fault then fails in planning, in a batch of one.
            for row, edition in batch.editions.items():
                alone = SubscriberBatch({row: edition})
                with suppress(Exception):
                    alone = replace(alone, rated=rated_papers(context, snapshot.index, [row]))
                yield alone


def dry_run(context: AppContext, batches: Iterator[SubscriberBatch]) -> Iterator[Plan]:
    """Yield what :func:`run_edition` would plan, without storing it."""
    snapshot: RankingSnapshot | None = None
    for number, batch in enumerate(batches):
        snapshot = build_snapshot(context) if number == 0 else snapshot
        yield from make_plans(context, snapshot, batch, load_subscribers(context, batch))


class SendingPaused(UserError):
    """The operator has paused all sending."""


class PauseWatch:
    """Checks from time to time whether the operator has paused all sending."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._looked_at = 0.0
        self._is_paused = False

    def look(self) -> SendingPause | None:
        """Return the pause in force, if any."""
        with reading(self._engine) as connection:
            return pauses.find(connection)

    def or_when(self, should_stop: ShouldStop) -> ShouldStop:
        """Return a callback that is true once ``should_stop`` is, or while sending is paused."""

        def paused_or_stopping() -> bool:
            if should_stop():
                return True
            now = time.monotonic()
            if now - self._looked_at > _POLL_SECONDS:
                self._looked_at = now
                with suppress(NewsletterError):  # The sender itself notices that the store is unreadable.
                    self._is_paused = self.look() is not None
            return self._is_paused

        return paused_or_stopping
