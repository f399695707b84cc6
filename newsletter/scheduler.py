"""The scheduler: APScheduler runs a few jobs on time; a missed job runs once, late.

One tick serves all subscribers who are due. The due times of the jobs are kept in the store.
"""

import asyncio
import math
import signal
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from datetime import time as time_of_day
from functools import partial
from typing import Any, NamedTuple

from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.jobstores.memory import MemoryJobStore
from apscheduler.jobstores.sqlalchemy import SQLAlchemyJobStore
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.interval import IntervalTrigger

from newsletter.errors import NewsletterError, Stopped
from newsletter.services.context import AppContext
from newsletter.services.daily_trigger import DailyTrigger
from newsletter.services.index_updater import IndexUpdater
from newsletter.services.jobs import Log, fetch, housekeeping, read_bounces, sync_libraries, tick
from newsletter.services.reload import Reloader
from newsletter.services.webhooks import WebhookSender
from newsletter.store import scheduled_jobs, subscribers, writing
from newsletter.support.time_zones import get_zone

_HOUSEKEEPING_AT = time_of_day(3, 17)

_OWN_EXECUTORS = ("fetch", "bounces", "libraries", "webhooks")
_WEBHOOKS_SECONDS = 5
_LIBRARIES_MINUTES = 10
"""How often to look for libraries that are due: one that was just named in a file is read soon."""

_POLL_SECONDS = 0.1

_PATIENCE = 20.0
"""Maximum seconds that a tick waits for a fetch that has just begun and for the index, so that digests have the newest
papers. No digest waits longer for a source.
"""


@dataclass(slots=True)
class Services:
    """What the jobs need. APScheduler stores jobs by the names of functions; they cannot carry an open store.

    Attributes:
        webhooks: delivers events to the endpoints of webhooks.
        reported: problems with files that were logged already.
        fetch_began: when the last fetch began, on the monotonic clock. ``fetch_ended``: whether it has ended.
    """

    context: AppContext
    log: Log
    stop: threading.Event
    index: IndexUpdater
    webhooks: WebhookSender
    reported: set[str] = field(default_factory=set)
    fetch_began: float = -math.inf
    fetch_ended: threading.Event = field(default_factory=threading.Event)

    def begin_fetch(self) -> None:
        """Record that a fetch begins."""
        self.fetch_began = time.monotonic()
        self.fetch_ended.clear()

    def wait_for_fetch(self) -> None:
        """Wait for a fetch that has just begun."""
        end = self.fetch_began + _PATIENCE
        while not self.fetch_ended.is_set() and not self.stop.is_set() and time.monotonic() < end:
            time.sleep(_POLL_SECONDS)


_services: ContextVar[Services] = ContextVar("services")
"""Set in each thread that runs jobs."""


def fetch_job() -> None:
    """Fetch new papers from every source."""
    services = _services.get()
    services.begin_fetch()
    try:
        _guarded("fetch", partial(fetch, index=services.index))
    finally:
        services.fetch_ended.set()


def tick_job() -> None:
    """Send to subscribers who are due."""
    services = _services.get()
    end = time.monotonic() + _PATIENCE
    services.wait_for_fetch()
    patience = timedelta(seconds=max(0.0, end - time.monotonic()))
    get_index = partial(services.index.current, patience, services.stop.is_set)
    _guarded("tick", partial(tick, get_index=get_index, reported=services.reported))


def housekeeping_job() -> None:
    """Clean up the store."""
    _guarded("housekeeping", housekeeping)


def bounces_job() -> None:
    """Process the bounce mailbox."""
    _guarded("bounces", read_bounces)


def libraries_job() -> None:
    """Sync the libraries that are due."""
    _guarded("libraries", sync_libraries)


def webhooks_job() -> None:
    """Begin to post the events that are due to the endpoints of webhooks."""
    services = _services.get()

    def start(_context: AppContext, _log: Log, _should_stop: Callable[[], bool]) -> bool:
        services.webhooks.start()
        return True

    _guarded("webhooks", start)


def _guarded(name: str, job: Callable[[AppContext, Log, Callable[[], bool]], bool]) -> None:
    services = _services.get()
    if services.stop.is_set():
        return
    try:
        job(services.context, services.log, services.stop.is_set)
    except Stopped:
        return
    except NewsletterError as error:
        # The job tries again next time; the newsletter keeps running.
        services.log(f"{name}_failed", error=str(error))
    except Exception as error:
        # Bugs must be logged too.
        services.log(f"{name}_failed", error=f"{type(error).__name__}: {error}")
        traceback.print_exc()


def run(reloader: Reloader, log: Log) -> None:
    """Run the jobs until SIGTERM or SIGINT; the message on the wire is finished first.

    A new configuration counts from the next job on.
    """
    asyncio.run(_run(reloader, log))


async def _run(reloader: Reloader, log: Log) -> None:
    context, stopped = reloader.context, threading.Event()
    sender = WebhookSender(context, log, stopped.is_set)
    services = Services(context, log, stopped, IndexUpdater(context), sender)
    jobs = SQLAlchemyJobStore(engine=context.engine, tablename="scheduled_jobs")
    with writing(context.engine) as connection:
        # APScheduler checks and creates its table in one deferred transaction, which SQLite refuses if another process
        # writes in between ("database is locked").
        jobs.jobs_t.create(connection, checkfirst=True)
        stored = scheduled_jobs.take_all(connection)
    in_thread = {"initializer": _services.set, "initargs": (services,)}
    # The event loop, not a thread, waits for the next job: its waits adapt if the clock is set from outside.
    scheduler = AsyncIOScheduler(
        timezone=UTC,
        # What runs every few seconds is not worth a write each time.
        jobstores={"default": jobs, "memory": MemoryJobStore()},
        # Digests do not wait for the sources, the mailbox or Zotero.
        executors={name: ThreadPoolExecutor(1, in_thread) for name in ("default", *_OWN_EXECUTORS)},
        job_defaults={"coalesce": True, "misfire_grace_time": None, "max_instances": 1},
    )
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()

    def stop() -> None:
        services.stop.set()
        ended.set()
        # A second signal stops right away, without waiting for the message on the wire.
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    scheduler.start(paused=True)
    _add_jobs(scheduler, context, stored)
    log("started", **_facts(context, scheduler))
    reloader.add_part(partial(_prepare, services, scheduler, loop))
    if scheduler.get_job("fetch").next_run_time <= datetime.now(scheduler.timezone):
        services.begin_fetch()  # So that the first tick knows of it, whichever job runs first.
    scheduler.resume()
    await ended.wait()
    log("stopping")
    await asyncio.to_thread(scheduler.shutdown, wait=True)
    await asyncio.to_thread(services.webhooks.wait)
    log("stopped")


def _prepare(
    services: Services, scheduler: Any, loop: asyncio.AbstractEventLoop, context: AppContext
) -> Callable[[], None]:
    """Prepare the jobs for a new configuration."""
    before, index = services.context, IndexUpdater(context)
    sender = WebhookSender(context, services.log, services.stop.is_set)

    def apply() -> None:
        services.context, services.index, services.webhooks = context, index, sender
        loop.call_soon_threadsafe(_reschedule, scheduler, before, context)

    return apply


def _reschedule(scheduler: Any, before: AppContext, context: AppContext) -> None:
    """Change the jobs whose times changed; the others keep the times when they are due."""
    now = datetime.now(UTC)
    present = {job.name: str(job.trigger) for job in _jobs(before, now)}
    wanted = {job.name: job for job in _jobs(context, now)}
    for name in present.keys() - wanted.keys():
        scheduler.remove_job(name)
    for name, job in wanted.items():
        if name not in present:
            _add_job(scheduler, job, job.first or now)
        elif str(job.trigger) != present[name]:
            scheduler.reschedule_job(name, trigger=job.trigger)


class _Job(NamedTuple):
    """A job: when it runs, and when it first does if it was never stored (None: at its next usual time); and where its
    times are kept.
    """

    name: str
    run: Callable[[], None]
    trigger: Any
    first: datetime | None
    jobstore: str = "default"


def _jobs(context: AppContext, now: datetime) -> list[_Job]:
    """Return the jobs according to the configuration."""
    settings = context.config.schedule
    fetch_at = DailyTrigger(tuple(settings.fetch_at), settings.timezone)
    jobs = [
        _Job("fetch", fetch_job, fetch_at, now),
        _Job("tick", tick_job, IntervalTrigger(seconds=settings.tick_seconds, timezone=UTC), now),
        _Job("libraries", libraries_job, IntervalTrigger(minutes=_LIBRARIES_MINUTES, timezone=UTC), now),
        _Job("housekeeping", housekeeping_job, DailyTrigger((_HOUSEKEEPING_AT,), settings.timezone), None),
    ]
    if context.config.command_address is not None:
        read_every = IntervalTrigger(minutes=context.config.bounces.read_minutes, timezone=UTC)
        jobs.append(_Job("bounces", bounces_job, read_every, now))
    if context.config.webhooks.endpoints:
        every = IntervalTrigger(seconds=_WEBHOOKS_SECONDS, timezone=UTC)
        jobs.append(_Job("webhooks", webhooks_job, every, now, "memory"))
    return jobs


def _add_jobs(scheduler: Any, context: AppContext, stored: Mapping[str, datetime]) -> None:
    """Add the jobs according to the configuration.

    Args:
        stored: when stored jobs are due (UTC). A job keeps that time, so that a missed run is caught up on, unless it
            is later than the next time of its schedule, as after the clock was wrong.
    """
    now = datetime.now(UTC)
    for job in _jobs(context, now):
        usual = job.trigger.get_next_fire_time(None, now)
        _add_job(scheduler, job, min(stored[job.name], usual) if job.name in stored else job.first or usual)


def _add_job(scheduler: Any, job: _Job, when: datetime) -> None:
    executor = job.name if job.name in _OWN_EXECUTORS else "default"
    scheduler.add_job(job.run, job.trigger, id=job.name, executor=executor, jobstore=job.jobstore, next_run_time=when)


def _facts(context: AppContext, scheduler: Any) -> dict[str, object]:
    with writing(context.engine) as connection:
        counts = subscribers.counts(connection)
    next_fetch = scheduler.get_job("fetch").next_run_time.astimezone(get_zone(context.config.schedule.timezone))
    return {
        "active": counts.get("active", 0),
        "next_fetch": next_fetch.isoformat(timespec="seconds"),
        "store": context.config.store_url.rpartition("/")[2],
    }
