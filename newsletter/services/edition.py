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
    desk: AppContext,
    names: Sequence[str],
    window: DateRange | None = None,
    told: Callable[[str], HeardPapers] | None = None,
    stopping: Callable[[], bool] = lambda: False,
) -> Iterator[FetchResult]:
    """Ask the sources (all, when none is named) for new papers, or for those of a window, and store them."""
    window = window or DateRange(since=None, until=desk.clock().date())
    return gathering.fetch_all(
        desk.engine, desk.config, desk.clock, names, window, told or (lambda name: lambda count: None), stopping
    )


def read_files(desk: AppContext) -> subscriptions.SyncReport:
    """Bring the store up to date with the subscribers' files."""
    with writing(desk.engine) as connection:
        return subscriptions.sync_files(connection, desk.config.subscribers_folder, desk.clock())


def end_pauses(desk: AppContext) -> int:
    """Bring back those whose pause is over; returns how many."""
    back = 0
    while True:
        with reading(desk.engine) as connection:
            if not subscribers.pauses_over(connection, desk.clock(), 1):
                return back
        with writing(desk.engine) as connection:
            back += subscriptions.end_pauses(connection, desk.clock(), BATCH_SIZE)


def bring_due_back(desk: AppContext) -> None:
    """Have nobody wait longer than until the next moment of their schedule: a file read with ``--now`` in the future,
    or by a clock that was wrong, may have set a later one.
    """
    now = desk.clock()
    first = cache(lambda schedule: next_due(schedule, now))  # Many have the same schedule.
    moment, row = now + _WITHIN_A_DAY, 0
    while True:
        with reading(desk.engine) as connection:
            page = subscribers.due_after(connection, moment, row, _DUE_PAGE)
        if not page:
            return
        late = {one.row: first(one.schedule) for one in page if one.next_due and first(one.schedule) < one.next_due}
        if late:
            with writing(desk.engine) as connection:
                subscribers.set_next_due(connection, late)
        row, moment = page[-1].row, page[-1].next_due or moment


def due_batches(desk: AppContext) -> Iterator[SubscriberBatch]:
    """The subscribers whose time has come, each with the edition of that time."""
    now = desk.clock()
    for page in _pages(desk, lambda connection, after: subscribers.due(connection, now, after, BATCH_SIZE)):
        editions = {one.row: due_edition(one.schedule, one.next_due or now, now) for one in page}
        yield SubscriberBatch(editions, unknown_zones=_unknown_zones(page))


def active_batches(desk: AppContext) -> Iterator[SubscriberBatch]:
    """All subscribers who get mail, each with the edition of their today."""
    for page in _pages(desk, lambda connection, after: subscribers.active(connection, after, BATCH_SIZE)):
        now = desk.clock()
        yield SubscriberBatch(
            {one.row: local_day(one.schedule, now) for one in page}, unknown_zones=_unknown_zones(page)
        )


def _unknown_zones(page: Sequence[DueSubscriber]) -> frozenset[int]:
    return frozenset(one.row for one in page if not is_known(one.schedule.timezone))


def batch_of(desk: AppContext, subscriber: Subscriber) -> SubscriberBatch:
    """One subscriber, with the edition of the subscriber's today."""
    schedule, row = subscriber.preferences.schedule, subscriber.row
    unknown = frozenset() if is_known(schedule.timezone) else frozenset((row,))
    return SubscriberBatch({row: local_day(schedule, desk.clock())}, unknown_zones=unknown)


def _pages(
    desk: AppContext, page: Callable[[Connection, DueSubscriber | None], list[DueSubscriber]]
) -> Iterator[list[DueSubscriber]]:
    after: DueSubscriber | None = None
    while True:
        with reading(desk.engine) as connection:
            found = page(connection, after)
        if not found:
            return
        yield found
        after = found[-1]


def dry_run(desk: AppContext, blocks: Iterator[SubscriberBatch]) -> Iterator[Plan]:
    """What :func:`run_edition` would plan, without planning it."""
    field: RankingSnapshot | None = None
    for number, block in enumerate(blocks):
        field = build_snapshot(desk) if number == 0 else field
        yield from make_plans(desk, field, block, load_subscribers(desk, block))


def run_edition(
    desk: AppContext,
    blocks: Iterator[SubscriberBatch],
    stopping: Callable[[], bool],
    told: OnProgress,
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
    pause = PauseWatch(desk.engine)
    if (found := pause.look()) is not None:
        raise SendingPaused(str(found))
    stopping = pause.or_when(stopping)
    report = EditionReport()
    settle_leftovers(desk, report)
    blocks = _warned_of_zones(desk, blocks, report.notes)
    few = list(islice(blocks, _FEW_BATCHES + 1))
    number = desk.config.processes if len(few) > _FEW_BATCHES else 1
    papers = build_snapshot(desk, index_of_now or partial(current_index, desk, refit=True)) if few else None
    todo = BatchQueue(chain(few, blocks))
    row = only.row if only else None
    if number == 1:
        job = PoolSpec(lambda *_: EditionWorker(desk, papers, stopping, row), None, stopping)
    else:
        make = partial(
            create_edition_worker, desk.config, desk.clock, row, host_fingerprint(desk.config, desk.links.key)
        )
        job = PoolSpec(make, to_payload(papers) if papers is not None else None, stopping, seen)
        todo = BatchQueue(_with_judged(desk, papers, chain(few, blocks)))
    for _ in range(_MAX_POOLS):
        with worker_pool(job, number, desk.config.cluster) as hands:
            work = EditionRun(desk, todo, stopping, told, patience, report, on_wait)
            work.by(hands)
        if not work.unfinished:
            break
    else:
        raise NewsletterError(WORKERS_KEEP_DYING)
    _count(desk, report)
    lost = work.lost
    report.stopped = stopping()
    if (found := pause.look()) is not None:
        report.notes.append(str(found))
    if lost and (held := claims.held_by(desk.engine, lost)):
        again = f"run it again in {claims.LEASE.seconds // 60} minutes, which settles them"
        report.notes.append(f"{held:,} were on the wire of workers that cannot be reached any more; {again}")
    report.left = _left(desk, row, work.waiting)
    return report


def _left(desk: AppContext, only: int | None, held_up: Throttled | None) -> Remaining:
    """What is left to send, to all or to one subscriber (row) alone."""
    now, lane = desk.clock(), sends.ClaimFilter(subscriber=only)
    with reading(desk.engine) as connection:
        waiting = sends.waiting(connection, now, lane)
        deferred, again = sends.deferred(connection, now, lane)
    why, until = (held_up.why, held_up.until) if held_up is not None else ("", None)
    return Remaining(waiting, why, until, deferred, again)


def _count(desk: AppContext, report: EditionReport) -> None:
    """Count what the run came to from what the store has of it: a process that was killed told nobody all it did."""
    with reading(desk.engine) as connection:
        settled = worker_stats.of_owners(connection, report.owners)
    for owner, states in settled.items():
        for state, number in states.items():
            report.add(state.value, number)
            report.by_hand.setdefault(report.owners[owner], Counter())[state.value] += number
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

    def or_when(self, stopping: ShouldStop) -> ShouldStop:
        """Whether to stop: when ``stopping`` says so, or while sending is paused. It is asked between messages."""

        def paused_or_stopping() -> bool:
            if stopping():
                return True
            now = time.monotonic()
            if now - self._looked_at > _LOOK_SECONDS:
                self._looked_at = now
                with suppress(NewsletterError):  # What sends finds out for itself that the store cannot be read.
                    self._is_paused = self.look() is not None
            return self._is_paused

        return paused_or_stopping


def _warned_of_zones(
    desk: AppContext, blocks: Iterator[SubscriberBatch], notes: list[str]
) -> Iterator[SubscriberBatch]:
    """The same blocks; notes get a line for each subscriber whose time zone is not known here."""
    for block in blocks:
        if block.unknown_zones:
            with reading(desk.engine) as connection:
                people = subscribers.by_rows(connection, block.unknown_zones)
            for one in people.values():
                name = describe(one.preferences.schedule.timezone)
                fix = f"'newsletter subscribe {one.email} --timezone ZONE' sets another"
                notes.append(f"{one.email}: time zone {name}; {fix}")
        yield block


def _with_judged(
    desk: AppContext, papers: RankingSnapshot | None, blocks: Iterator[SubscriberBatch]
) -> Iterator[SubscriberBatch]:
    for block in blocks:
        if papers is None:
            yield block
            continue
        try:
            yield replace(block, judged=rated_papers(desk, papers.index, block.editions))
        except NewsletterError:
            raise
        except Exception:
            # Whoever of the block is at fault fails where it is planned, each in a block of their own.
            for row, edition in block.editions.items():
                alone = SubscriberBatch({row: edition})
                with suppress(Exception):
                    alone = replace(alone, judged=rated_papers(desk, papers.index, [row]))
                yield alone
