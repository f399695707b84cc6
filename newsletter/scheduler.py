"""When: a few jobs that APScheduler runs from a store of its own, so that what was missed is run once, and late.

There is one clock tick for all subscribers, not a job for each: the tick takes whoever is due.
"""

import asyncio
import math
import signal
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from datetime import time as time_of_day
from functools import partial
from typing import Any

from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.jobstores.sqlalchemy import SQLAlchemyJobStore
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.interval import IntervalTrigger

from newsletter.errors import NewsletterError, Stopped
from newsletter.ranking.index import Index
from newsletter.services.bounces import BounceResult, process_mailbox
from newsletter.services.context import AppContext
from newsletter.services.daily_trigger import DailyTrigger
from newsletter.services.due_subscribers import bring_due_back, due_batches, end_pauses, read_files
from newsletter.services.edition import SendingPaused, run_edition
from newsletter.services.fetch import fetch_papers
from newsletter.services.index import read_state
from newsletter.services.index_updater import IndexUpdater
from newsletter.services.retention import purge_expired
from newsletter.services.signup_mail import forget_unconfirmed
from newsletter.store import reading, statistics, subscribers, tokens, writing
from newsletter.support.time_zones import get_zone

Log = Callable[..., None]
"""Takes an event's name and its facts as keywords, and writes them as one line."""


_HOUSEKEEPING_AT = time_of_day(3, 17)

_OWN_EXECUTORS = ("fetch", "bounces")
_LOOK_SECONDS = 0.1
_STILL = timedelta(days=7)
"""How many days an edition's sends may change yet."""


_PATIENCE = 20.0
"""Seconds that a tick waits at most for a fetch that has just begun and for the index, so that digests have the papers
of the hour; nobody's digest waits longer for a source.
"""


@dataclass(slots=True)
class _Services:
    """What the jobs work with. APScheduler's stored jobs name a function; they cannot carry an open store.

    Attributes:
        fetch_began: when the last fetch did, by the monotonic clock. ``fetch_ended``: whether it has ended.
    """

    context: AppContext
    log: Log
    stop: threading.Event
    index: IndexUpdater
    fetch_began: float = -math.inf
    fetch_ended: threading.Event = field(default_factory=threading.Event)

    def begin_fetch(self) -> None:
        """A fetch begins."""
        self.fetch_began = time.monotonic()
        self.fetch_ended.clear()

    def wait_for_fetch(self) -> None:
        """Wait for a fetch that began only just now."""
        end = self.fetch_began + _PATIENCE
        while not self.fetch_ended.is_set() and not self.stop.is_set() and time.monotonic() < end:
            time.sleep(_LOOK_SECONDS)


_running: _Services | None = None
_told_problems: set[str] = set()


def fetch_job() -> None:
    """Gather new papers from every source."""
    assert _running is not None  # noqa: S101 - set before the scheduler starts
    _running.begin_fetch()
    try:
        _guarded("fetch", partial(fetch, index=_running.index))
    finally:
        _running.fetch_ended.set()


def tick_job() -> None:
    """Send to whoever is due."""
    assert _running is not None  # noqa: S101
    end = time.monotonic() + _PATIENCE
    _running.wait_for_fetch()
    patience = timedelta(seconds=max(0.0, end - time.monotonic()))
    _guarded("tick", partial(tick, get_index=partial(_running.index.current, patience, _running.stop.is_set)))


def housekeeping_job() -> None:
    """Tidy the store."""
    _guarded("housekeeping", housekeeping)


def bounces_job() -> None:
    """Read the mailbox that reports come to."""
    _guarded("bounces", read_bounces)


def _guarded(name: str, job: Callable[[AppContext, Log, Callable[[], bool]], bool]) -> None:
    assert _running is not None  # noqa: S101 - set before the scheduler starts
    if _running.stop.is_set():
        return
    try:
        job(_running.context, _running.log, _running.stop.is_set)
    except Stopped:
        return
    except NewsletterError as error:
        # The next run of the job tries again; the newsletter goes on.
        _running.log(f"{name}_failed", error=str(error))
    except Exception as error:
        # A mistake of ours must not end in silence either.
        _running.log(f"{name}_failed", error=f"{type(error).__name__}: {error}")
        traceback.print_exc()


def fetch(context: AppContext, log: Log, should_stop: Callable[[], bool], index: IndexUpdater | None = None) -> bool:
    """Gather new papers, a line a source; returns whether all of them answered."""
    good = True
    for result in fetch_papers(context, [], should_stop=should_stop):
        if result.error is not None:
            good = False
            log("source_failed", source=result.source, error=result.error)
        else:
            log("fetched", source=result.source, papers=result.papers, new=result.new, bad=len(result.bad))
        if result.cut:
            log("beyond_bounds", source=result.source, cuts=len(result.cut), first=result.cut[0])
    with suppress(Stopped):
        _index(context, log, should_stop, index or IndexUpdater(context))
    return good


def _index(context: AppContext, log: Log, should_stop: Callable[[], bool], index: IndexUpdater) -> None:
    """Index what was fetched, so that the next edition need not; fit the space anew when its time has come."""
    before = read_state(context.config.index_folder)
    index.update(should_stop)
    after = read_state(context.config.index_folder)
    if after is not None and (before is None or before.fitted_at != after.fitted_at):
        next_fit = after.next_fit(context.config.ranking.refit_days).isoformat(timespec="minutes")
        log("fitted", model=after.version, papers=after.papers, next_fit=next_fit)
    elif after is not None and after != before:
        log("indexed", model=after.version, papers=after.held)


def tick(
    context: AppContext,
    log: Log,
    should_stop: Callable[[], bool],
    get_index: Callable[[], Index | None] | None = None,
) -> bool:
    """Read the files that changed, then send to whoever is due, and what was put off until now.

    Args:
        get_index: gives the index; see :func:`newsletter.services.edition.run_edition`.

    Returns:
        Whether all that was tried went well.
    """
    files = read_files(context)
    for name in files.added:
        log("subscriber_added", file=name)
    for name in files.changed:
        log("subscriber_changed", file=name)
    for problem in files.problems:
        # Said once, not at every tick until it is mended.
        if problem not in _told_problems:
            log("file_problem", problem=problem)
    _told_problems.clear()
    _told_problems.update(files.problems)
    back = end_pauses(context)
    if back:
        log("pauses_over", subscribers=back)
    bring_due_back(context)
    # What limits hold up waits for a later tick, so that whoever is due by then is not held up with it.
    patience = timedelta(seconds=context.config.schedule.tick_seconds)

    def seen(line: str) -> None:
        log("cluster", at=line)

    try:
        report = run_edition(
            context,
            due_batches(context),
            should_stop,
            lambda state, count: None,
            patience=patience,
            on_info=seen,
            get_index=get_index,
        )
    except SendingPaused as error:
        log("paused", reason=str(error))
        return not files.problems
    if report.counts:
        log("edition", **report.counts)
    if report.left:
        log("left", what=str(report.left))
    for note in report.notes:
        log("look_at", note=note)
    return not files.problems and not report.failed


def read_bounces(context: AppContext, log: Log, should_stop: Callable[[], bool]) -> bool:
    """Read the mailbox that bounces and complaints come to, a line for each that changed something, or failed.

    Returns:
        Whether it could be read, where there is one, with every message in it.
    """
    if not context.config.bounces.mailbox:
        return True

    def each(taken: BounceResult) -> None:
        if taken.effect is not None:
            log("came_back", kind=taken.report.kind.value, email=taken.email, effect=taken.effect.value)

    def failed(message: str, error: str) -> None:
        log("bounce_failed", message=message, error=error)

    try:
        counts = process_mailbox(context, each, lambda done, of: None, should_stop, failed)
    except NewsletterError as error:
        # No digest waits for it, and the next time reads what this one left.
        log("bounces_failed", error=str(error))
        return False
    if counts:
        log("bounces", **{outcome.replace(" ", "_"): count for outcome, count in sorted(counts.items())})
    return not counts["failed"]


def housekeeping(context: AppContext, log: Log, should_stop: Callable[[], bool]) -> bool:
    """Count the subscribers of the day, and editions that are past; forget what the log is not to keep, who did not
    confirm in time, and sessions of operators that are over.
    """
    with writing(context.engine) as connection:
        statistics.keep_counts(connection, context.clock().date())
        statistics.forget_editions(connection)
        tokens.forget_sessions(connection, context.clock())
    with reading(context.engine) as connection:
        past = statistics.to_be_kept(connection, context.clock().date() - _STILL)
    for day in past:
        if should_stop():
            break
        with writing(context.engine) as connection:
            statistics.keep_edition(connection, day)
    forgotten = purge_expired(context, should_stop)
    unconfirmed = forget_unconfirmed(context, should_stop)
    if unconfirmed:
        log("forgot_unconfirmed", subscribers=unconfirmed)
    if any(forgotten.values()):
        log("forgot", **forgotten)
    return True


def run_once(context: AppContext, log: Log, should_stop: Callable[[], bool]) -> bool:
    """Fetch, read what came back, send what is due, tidy up, and end.

    Returns:
        Whether all went well.

    Raises:
        NewsletterError: the mail server cannot be used; what is planned stays planned.
    """
    # A list, so that one that does not go well keeps no other from its turn.
    went_well = [job(context, log, should_stop) for job in (fetch, read_bounces, tick, housekeeping)]
    return all(went_well)


def run(context: AppContext, log: Log) -> None:
    """Run the jobs until SIGTERM or SIGINT; the message on the wire is finished first."""
    asyncio.run(_run(context, log))


async def _run(context: AppContext, log: Log) -> None:
    global _running
    _running = _Services(context, log, threading.Event(), IndexUpdater(context))
    jobs = SQLAlchemyJobStore(engine=context.engine, tablename="scheduled_jobs")
    with writing(context.engine) as connection:
        # APScheduler checks and creates in one deferred transaction, which SQLite refuses if another process writes in
        # between ("database is locked").
        jobs.jobs_t.create(connection, checkfirst=True)
    # The loop, not a thread, waits for the next job: its waits go by the clock even when that is set from outside.
    scheduler = AsyncIOScheduler(
        timezone=UTC,
        jobstores={"default": jobs},
        # Nobody is to wait for the sources, nor for the mailbox.
        executors={name: ThreadPoolExecutor(1) for name in ("default", *_OWN_EXECUTORS)},
        job_defaults={"coalesce": True, "misfire_grace_time": None, "max_instances": 1},
    )
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()

    def stop() -> None:
        assert _running is not None  # noqa: S101
        _running.stop.set()
        ended.set()
        # Who asks twice does not want to wait for the message on the wire.
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    scheduler.start(paused=True)
    _keep_jobs(scheduler, context)
    log("started", **_facts(context, scheduler))
    if scheduler.get_job("fetch").next_run_time <= datetime.now(scheduler.timezone):
        _running.begin_fetch()  # So that the first tick knows of it, whichever comes first.
    scheduler.resume()
    await ended.wait()
    log("stopping")
    await asyncio.to_thread(scheduler.shutdown, wait=True)
    log("stopped")


def _keep_jobs(scheduler: Any, context: AppContext) -> None:
    """Add the jobs as the configuration has them. One that was there keeps its next time, so that a missed run is made
    up for, unless that lies further off than it should, as after a clock that was wrong.
    """
    schedule, now = context.config.schedule, datetime.now(UTC)
    fetch_at = DailyTrigger(tuple(schedule.fetch_at), schedule.timezone)
    jobs: tuple[tuple[str, Callable[[], None], Any, datetime | None], ...] = (
        ("fetch", fetch_job, fetch_at, now),
        ("tick", tick_job, IntervalTrigger(seconds=schedule.tick_seconds, timezone=UTC), now),
        ("housekeeping", housekeeping_job, DailyTrigger((_HOUSEKEEPING_AT,), schedule.timezone), None),
    )
    if context.config.bounces.mailbox:
        jobs = (
            *jobs,
            ("bounces", bounces_job, IntervalTrigger(minutes=context.config.bounces.read_minutes, timezone=UTC), now),
        )
    elif scheduler.get_job("bounces") is not None:
        scheduler.remove_job("bounces")
    for name, job, trigger, first in jobs:
        present, usual = scheduler.get_job(name), trigger.get_next_fire_time(None, now)
        when = min(present.next_run_time, usual) if present is not None else first or usual
        executor = name if name in _OWN_EXECUTORS else "default"
        scheduler.add_job(job, trigger, id=name, executor=executor, replace_existing=True, next_run_time=when)


def _facts(context: AppContext, scheduler: Any) -> dict[str, object]:
    with writing(context.engine) as connection:
        counts = subscribers.counts(connection)
    next_fetch = scheduler.get_job("fetch").next_run_time.astimezone(get_zone(context.config.schedule.timezone))
    return {
        "active": counts.get("active", 0),
        "next_fetch": next_fetch.isoformat(timespec="seconds"),
        "store": context.config.store_url.rpartition("/")[2],
    }
