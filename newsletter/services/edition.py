"""The edition: sources → store → ranking → digest → rendering → delivery → store.

Who is due, and that each is done: this is the coordination; what one process does is in ``road.py``. Data goes down the
road once; nothing behind looks ahead.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from functools import cache, partial
from itertools import chain, islice

from sqlalchemy import Connection, Engine

from newsletter.audience import subscriptions
from newsletter.audience.due import due_edition, local_day, next_due
from newsletter.delivery.sending import claims
from newsletter.delivery.sending.dispatcher import Throttled
from newsletter.errors import NewsletterError, UserError
from newsletter.model import SendState, Subscriber
from newsletter.ranking.index import Index
from newsletter.services import fetch as gathering
from newsletter.services.context import AppContext
from newsletter.services.edition_run import (
    WORKERS_KEEP_DYING,
    BatchQueue,
    EditionReport,
    EditionRun,
    OnProgress,
    Remaining,
    settle_leftovers,
)
from newsletter.services.edition_worker import (
    EditionWorker,
    SubscriberBatch,
    create_edition_worker,
    load_subscribers,
    make_plans,
)
from newsletter.services.fetch import FetchResult
from newsletter.services.fetch import OnProgress as HeardPapers
from newsletter.services.host_check import host_fingerprint
from newsletter.services.index import current_index
from newsletter.services.recommend import RankingSnapshot, build_snapshot, rated_papers, to_payload
from newsletter.sources.base import DateRange
from newsletter.store import pauses, reading, sends, subscribers, worker_stats, writing
from newsletter.store.pauses import SendingPause
from newsletter.store.plans import Plan
from newsletter.store.subscribers import DueSubscriber
from newsletter.support.time_zones import describe, is_known
from newsletter.workers.local import PoolSpec, ShouldStop, worker_pool

BATCH_SIZE = 200
"""Subscribers ranked together: enough for one product to be worth its while, few enough for any memory."""

_FEW_BATCHES = 4
"""Not more than so many are done in this process: others take a while to begin."""

_MAX_POOLS = 3
_DUE_PAGE = 1000
_LOOK_SECONDS = 1.0
_WITHIN_A_DAY = timedelta(hours=20)
"""Two moments of a schedule lie further apart, whatever a clock change does to a day."""


def fetch_papers(
    context: AppContext,
    names: Sequence[str],
    window: DateRange | None = None,
    on_progress: Callable[[str], HeardPapers] | None = None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Iterator[FetchResult]:
    """Ask the sources (all, when none is named) for new papers, or for those of a window, and store them."""
    window = window or DateRange(since=None, until=context.clock().date())
    return gathering.fetch_all(
        context.engine,
        context.config,
        context.clock,
        names,
        window,
        on_progress or (lambda name: lambda count: None),
        should_stop,
    )


def read_files(context: AppContext) -> subscriptions.SyncReport:
    """Bring the store up to date with the subscribers' files."""
    with writing(context.engine) as connection:
        return subscriptions.sync_files(connection, context.config.subscribers_folder, context.clock())


def end_pauses(context: AppContext) -> int:
    """Bring back those whose pause is over; returns how many."""
    back = 0
    while True:
        with reading(context.engine) as connection:
            if not subscribers.pauses_over(connection, context.clock(), 1):
                return back
        with writing(context.engine) as connection:
            back += subscriptions.end_pauses(connection, context.clock(), BATCH_SIZE)


def bring_due_back(context: AppContext) -> None:
    """Have nobody wait longer than until the next moment of their schedule: a file read with ``--now`` in the future,
    or by a clock that was wrong, may have set a later one.
    """
    now = context.clock()
    first = cache(lambda schedule: next_due(schedule, now))  # Many have the same schedule.
    moment, row = now + _WITHIN_A_DAY, 0
    while True:
        with reading(context.engine) as connection:
            page = subscribers.due_after(connection, moment, row, _DUE_PAGE)
        if not page:
            return
        late = {one.row: first(one.schedule) for one in page if one.next_due and first(one.schedule) < one.next_due}
        if late:
            with writing(context.engine) as connection:
                subscribers.set_next_due(connection, late)
        row, moment = page[-1].row, page[-1].next_due or moment


def due_batches(context: AppContext) -> Iterator[SubscriberBatch]:
    """The subscribers whose time has come, each with the edition of that time."""
    now = context.clock()
    for page in _pages(context, lambda connection, after: subscribers.due(connection, now, after, BATCH_SIZE)):
        editions = {one.row: due_edition(one.schedule, one.next_due or now, now) for one in page}
        yield SubscriberBatch(editions, unknown_zones=_unknown_zones(page))


def active_batches(context: AppContext) -> Iterator[SubscriberBatch]:
    """All subscribers who get mail, each with the edition of their today."""
    for page in _pages(context, lambda connection, after: subscribers.active(connection, after, BATCH_SIZE)):
        now = context.clock()
        yield SubscriberBatch(
            {one.row: local_day(one.schedule, now) for one in page}, unknown_zones=_unknown_zones(page)
        )


def _unknown_zones(page: Sequence[DueSubscriber]) -> frozenset[int]:
    return frozenset(one.row for one in page if not is_known(one.schedule.timezone))


def batch_of(context: AppContext, subscriber: Subscriber) -> SubscriberBatch:
    """One subscriber, with the edition of the subscriber's today."""
    schedule, row = subscriber.preferences.schedule, subscriber.row
    unknown = frozenset() if is_known(schedule.timezone) else frozenset((row,))
    return SubscriberBatch({row: local_day(schedule, context.clock())}, unknown_zones=unknown)


def _pages(
    context: AppContext, page: Callable[[Connection, DueSubscriber | None], list[DueSubscriber]]
) -> Iterator[list[DueSubscriber]]:
    after: DueSubscriber | None = None
    while True:
        with reading(context.engine) as connection:
            found = page(connection, after)
        if not found:
            return
        yield found
        after = found[-1]


def dry_run(context: AppContext, batches: Iterator[SubscriberBatch]) -> Iterator[Plan]:
    """What :func:`run_edition` would plan, without planning it."""
    field: RankingSnapshot | None = None
    for number, batch in enumerate(batches):
        field = build_snapshot(context) if number == 0 else field
        yield from make_plans(context, field, batch, load_subscribers(context, batch))


def run_edition(
    context: AppContext,
    batches: Iterator[SubscriberBatch],
    should_stop: Callable[[], bool],
    on_progress: OnProgress,
    only: Subscriber | None = None,
    patience: timedelta | None = None,
    seen: Callable[[str], None] = lambda line: None,
    on_wait: Callable[[str], None] = lambda line: None,
    index_of_now: Callable[[], Index | None] | None = None,
) -> EditionReport:
    """Make up what is to be sent and send what waits, whether it was planned just now or by a run that was cut short.

    Args:
        blocks: the subscribers to plan for.
        stopping: asked between messages; when it says so the run ends, and the next one goes on.
        only: send to this one alone.
        patience: how long to wait for limits of pace in all; None: as long as it takes.
        seen: hears where the work of a cluster can be seen. ``on_wait``: hears what is waited for.
        index_of_now: gives the index; by default it is brought up to date, and fitted again when its time has come.

    Raises:
        SendingPaused: the operator has paused all sending; nothing was planned.
        ServerUnavailable: the mail server cannot be used; what is planned stays planned.
    """
    pause = PauseWatch(context.engine)
    if (found := pause.look()) is not None:
        raise SendingPaused(str(found))
    should_stop = pause.or_when(should_stop)
    report = EditionReport()
    settle_leftovers(context, report)
    batches = _warned_of_zones(context, batches, report.notes)
    few = list(islice(batches, _FEW_BATCHES + 1))
    number = context.config.processes if len(few) > _FEW_BATCHES else 1
    papers = build_snapshot(context, index_of_now or partial(current_index, context, refit=True)) if few else None
    todo = BatchQueue(chain(few, batches))
    row = only.row if only else None
    if number == 1:
        job = PoolSpec(lambda *_: EditionWorker(context, papers, should_stop, row), None, should_stop)
    else:
        make = partial(
            create_edition_worker,
            context.config,
            context.clock,
            row,
            host_fingerprint(context.config, context.links.key),
        )
        job = PoolSpec(make, to_payload(papers) if papers is not None else None, should_stop, seen)
        todo = BatchQueue(_with_rated(context, papers, chain(few, batches)))
    for _ in range(_MAX_POOLS):
        with worker_pool(job, number, context.config.cluster) as pool:
            work = EditionRun(context, todo, should_stop, on_progress, patience, report, on_wait)
            work.by(pool)
        if not work.unfinished:
            break
    else:
        raise NewsletterError(WORKERS_KEEP_DYING)
    _count(context, report)
    lost = work.lost
    report.stopped = should_stop()
    if (found := pause.look()) is not None:
        report.notes.append(str(found))
    if lost and (held := claims.held_by(context.engine, lost)):
        again = f"run it again in {claims.LEASE.seconds // 60} minutes, which settles them"
        report.notes.append(f"{held:,} were on the wire of workers that cannot be reached any more; {again}")
    report.left = _left(context, row, work.waiting)
    return report


def _left(context: AppContext, only: int | None, held_up: Throttled | None) -> Remaining:
    """What is left to send, to all or to one subscriber (row) alone."""
    now, claim_filter = context.clock(), sends.ClaimFilter(subscriber=only)
    with reading(context.engine) as connection:
        waiting = sends.waiting(connection, now, claim_filter)
        deferred, again = sends.deferred(connection, now, claim_filter)
    why, until = (held_up.why, held_up.until) if held_up is not None else ("", None)
    return Remaining(waiting, why, until, deferred, again)


def _count(context: AppContext, report: EditionReport) -> None:
    """Count what the run came to from what the store has of it: a process that was killed told nobody all it did."""
    with reading(context.engine) as connection:
        settled = worker_stats.of_owners(connection, report.owners)
    for owner, states in settled.items():
        for state, number in states.items():
            report.add(state.value, number)
            report.by_worker.setdefault(report.owners[owner], Counter())[state.value] += number
    failed = report.counts.pop(SendState.FAILED.value, 0) - report.planned_again
    report.add(SendState.FAILED.value, max(0, failed))


class SendingPaused(UserError):
    """The operator has paused all sending."""


class PauseWatch:
    """Looks now and then whether the operator has paused all sending."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._looked_at = 0.0
        self._is_paused = False

    def look(self) -> SendingPause | None:
        """The pause that is in force now, if there is one."""
        with reading(self._engine) as connection:
            return pauses.find(connection)

    def or_when(self, should_stop: ShouldStop) -> ShouldStop:
        """Whether to stop: when ``stopping`` says so, or while sending is paused. It is asked between messages."""

        def paused_or_stopping() -> bool:
            if should_stop():
                return True
            now = time.monotonic()
            if now - self._looked_at > _LOOK_SECONDS:
                self._looked_at = now
                with suppress(NewsletterError):  # What sends finds out for itself that the store cannot be read.
                    self._is_paused = self.look() is not None
            return self._is_paused

        return paused_or_stopping


def _warned_of_zones(
    context: AppContext, batches: Iterator[SubscriberBatch], notes: list[str]
) -> Iterator[SubscriberBatch]:
    """The same blocks; notes get a line for each subscriber whose time zone is not known here."""
    for batch in batches:
        if batch.unknown_zones:
            with reading(context.engine) as connection:
                people = subscribers.by_rows(connection, batch.unknown_zones)
            for one in people.values():
                name = describe(one.preferences.schedule.timezone)
                fix = f"'newsletter subscribe {one.email} --timezone ZONE' sets another"
                notes.append(f"{one.email}: time zone {name}; {fix}")
        yield batch


def _with_rated(
    context: AppContext, papers: RankingSnapshot | None, batches: Iterator[SubscriberBatch]
) -> Iterator[SubscriberBatch]:
    for batch in batches:
        if papers is None:
            yield batch
            continue
        try:
            yield replace(batch, rated=rated_papers(context, papers.index, batch.editions))
        except NewsletterError:
            raise
        except Exception:
            # Whoever of the block is at fault fails where it is planned, each in a block of their own.
            for row, edition in batch.editions.items():
                alone = SubscriberBatch({row: edition})
                with suppress(Exception):
                    alone = replace(alone, rated=rated_papers(context, papers.index, [row]))
                yield alone
