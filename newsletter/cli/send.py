"""Commands that send."""

from __future__ import annotations

import logging
import os
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from datetime import timedelta
from json import dumps, loads
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from newsletter.cli.common import (
    Json,
    err,
    event_log,
    format_iso,
    note,
    open_context_for,
    options,
    print_json,
    say,
    stoppable,
    warn,
)
from newsletter.errors import NewsletterError, UserError
from newsletter.model import Digest, SendState, Subscriber, SubscriberState
from newsletter.support.clock import parse_duration, system_clock

if TYPE_CHECKING:
    from newsletter.services import jobs
    from newsletter.services.context import AppContext
    from newsletter.services.edition_run import EditionReport, OnProgress, Remaining
    from newsletter.services.planning import SubscriberBatch
    from newsletter.services.reload import Reloader


_DUE_PATIENCE = timedelta(minutes=1)


def send(
    ctx: typer.Context,
    only: Annotated[str | None, typer.Option(metavar="EMAIL", help="Send only to this subscriber.")] = None,
    due: Annotated[bool, typer.Option("--due", help="Send only to subscribers who are due now.")] = False,
    wait: Annotated[
        str | None,
        typer.Option(
            metavar="DURATION",
            help="Maximum wait for rate limits, like 90s or 10m (default: 1m with --due, otherwise unlimited).",
            show_default=False,
        ),
    ] = None,
    dry: Annotated[bool, typer.Option("--dry-run", help="Show what would be sent; send and log nothing.")] = False,
    json: Json = False,
) -> None:
    """Send today's edition now to every active subscriber who has not received it.

    Sends that an earlier run left waiting are sent too. 'newsletter run' does this automatically, at each subscriber's
    own time.
    """
    patience = parse_duration(wait, "--wait") if wait is not None else _DUE_PATIENCE if due else None
    context = open_context_for(ctx)
    with _alone(context, json) if due and not dry else nullcontext(True) as may_send:
        if may_send:
            _send(context, only, due, dry, patience, json)


def _send(context: AppContext, only: str | None, due: bool, dry: bool, patience: timedelta | None, json: bool) -> None:
    from newsletter.services.due_subscribers import active_batches, batch_of, bring_due_back, due_batches, end_pauses
    from newsletter.services.edition import run_edition

    if not dry:
        end_pauses(context)
    one = _only(context, only) if only is not None else None
    batches = iter([batch_of(context, one)]) if one else due_batches(context) if due else active_batches(context)
    if dry:
        _show_dry_run(context, batches, json)
        return
    _warn_of_doubts(context)
    if due:
        bring_due_back(context)
    tally = _Tally(_number(context, one, due))
    with stoppable() as stopped, _progress(tally, stopped) as on_progress:
        report = run_edition(context, batches, stopped.is_set, on_progress, one, patience, on_info=note, on_wait=note)
    for one_note in report.notes:
        warn(one_note)
    if json:
        workers = {name: _by_state(own) for name, own in _workers(report)}
        print_json([{**_by_state(report.counts), "workers": workers, "left": _left_json(report.left)}])
    else:
        say(_summary(report, tally.total, due))
        for name, own in _workers(report):
            say(f"  {name}: {_in_words(own)}")
    if report.stopped:
        raise NewsletterError(f"interrupted: {tally.left:,} left; run it again to continue")
    if report.failed:
        raise NewsletterError(f"{_what_failed(report)}; see 'newsletter log'")


def _left_json(left: Remaining) -> dict[str, Any]:
    return {
        "waiting": left.waiting,
        "why": left.why or None,
        "until": format_iso(left.until),
        "deferred": left.deferred,
        "again": format_iso(left.again),
    }


def _what_failed(report: EditionReport) -> str:
    failed, unsure = (report.counts.get(state, 0) for state in (SendState.FAILED, SendState.UNSURE))
    parts = [f"{failed:,} {'digest' if failed == 1 else 'digests'} failed"] if failed else []
    if unsure:
        parts.append(f"{unsure:,} of unknown outcome")
    return ", ".join(parts)


@contextmanager
def _alone(context: AppContext, json: bool) -> Iterator[bool]:
    """Hold the lock of 'send --due' on this machine; yields whether it was free. The system releases the lock of a
    process that was killed.
    """
    from filelock import FileLock, Timeout

    folder = context.config.index_folder
    folder.mkdir(parents=True, exist_ok=True)
    running = folder / ".send.json"
    try:
        with FileLock(folder / ".send.lock", timeout=0):
            running.write_text(dumps({"process": os.getpid(), "since": system_clock().isoformat(timespec="seconds")}))
            yield True
    except Timeout:
        known = _running(running)
        if json:
            print_json([{"already_running": known}])
        else:
            since = f" (since {known['since']}, process {known['process']})" if known else ""
            say(f"Another 'newsletter send --due' is already running{since}.")
        yield False


def _running(path: Path) -> dict[str, Any]:
    """Read which process is sending and since when; empty if the file cannot be read."""
    with suppress(OSError, ValueError):
        known = loads(path.read_text())
        if isinstance(known, dict) and {"since", "process"} <= known.keys():
            return known
    return {}


def _by_state(counts: Mapping[str, int]) -> dict[str, int]:
    return {state.value: counts.get(state.value, 0) for state in SendState}


def _workers(report: EditionReport) -> list[tuple[str, Mapping[str, int]]]:
    """Return the counts of each worker if there were several."""
    return sorted(report.by_worker.items()) if len(report.by_worker) > 1 else []


def _in_words(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{counts[state]} {state.value}" for state in SendState if counts.get(state))


def _warn_of_doubts(context: AppContext) -> None:
    from newsletter.services.email_images import logo_warning
    from newsletter.services.messages import sender_warnings

    if lost := logo_warning(context.config):
        warn(lost)
    for doubt in sender_warnings(context.config):
        warn(doubt)


def _only(context: AppContext, email: str) -> Subscriber:
    from newsletter.audience import subscriptions
    from newsletter.store import reading

    with reading(context.engine) as connection:
        subscriber = subscriptions.get_subscriber(connection, email)
    if subscriber.state is not SubscriberState.ACTIVE:
        bounced = subscriber.state is SubscriberState.BOUNCED
        command = f"newsletter {'bounces forgive' if bounced else 'subscribe --again'} {subscriber.email}"
        fix = f"run '{command}' if {'the mailbox works again' if bounced else 'that person asks to come back'}"
        raise UserError(f"{subscriber.email} is {subscriber.state} and gets no mail; {fix}")
    return subscriber


def _summary(report: EditionReport, readers: int, due: bool) -> str:
    counts = dict(report.counts)
    if report.left.deferred:
        counts.pop(SendState.DEFERRED, None)  # Counted in report.left.
    done = _in_words(counts)
    if report.left:
        return "; ".join(part for part in (done, str(report.left)) if part)
    if not done and not readers:
        return "Nobody is due." if due else "No active subscribers; add one with 'newsletter subscribe EMAIL'."
    if not done:
        return "Everyone already has today's digest (see 'newsletter log')."
    skipped = "" if not report.counts.get(SendState.SKIPPED) else " (see 'newsletter log' for the reasons)"
    return done + skipped


def _show_dry_run(context: AppContext, batches: Iterator[SubscriberBatch], json: bool) -> None:
    from newsletter.services.edition import dry_run
    from newsletter.services.paper_json import update_json

    for plan in dry_run(context, batches):
        digest, reason = plan.digest, plan.skip_reason
        if json:
            papers = [
                {"id": one.paper.id, "rank": one.rank, "score": round(one.score, 6), "section": one.section}
                for one in digest.choices
            ]
            row = {
                "edition": digest.edition.isoformat(),
                "email": plan.email,
                "papers": papers,
                "updates": [update_json(one) for one in digest.updates],
                "reason": plan.failure or reason or plan.no_papers,
            }
            print_json([row])
        elif plan.failure:
            say(f"{plan.email}: {plan.failure}")
        elif reason:
            say(f"{plan.email}: nothing: {reason}")
        else:
            _show_digest(plan.email, digest, plan.no_papers)


def _show_digest(email: str, digest: Digest, no_papers: str | None) -> None:
    from newsletter.rendering.updates import by_paper, update_title

    if no_papers and not digest.updates:
        say(f"{email}: an email that there is nothing new: {no_papers}")
        return
    updates = f", {len(digest.updates)} update{'' if len(digest.updates) == 1 else 's'}" if digest.updates else ""
    say(f"{email}: {len(digest.choices)} papers{updates}")
    for own in by_paper(digest.updates):
        say(f"  [Updates] {update_title(own)}")
    for choice in digest.choices:
        say(f"  {choice.rank:>2}. [{choice.section}] {choice.paper.title}")


class _Tally:
    """Counts the outcomes of a run, for the progress bar."""

    def __init__(self, total: int) -> None:
        self.total, self.counts = total, Counter[str]()

    def on_progress(self, state: str, count: int) -> None:
        """Add to the count of a state."""
        self.counts[state] += count

    @property
    def done(self) -> int:
        """The number of subscribers with an outcome."""
        return self.counts.total() - self.counts[SendState.PLANNED]

    @property
    def left(self) -> int:
        """The number of subscribers without an outcome."""
        return max(0, self.total - self.done)

    def in_words(self) -> str:
        """Describe the outcomes other than sent."""
        states = (SendState.SKIPPED, SendState.DEFERRED, SendState.FAILED, SendState.UNSURE)
        return ", ".join(f"{self.counts[state]:,} {state.value}" for state in states if self.counts[state])


def _number(context: AppContext, only: Subscriber | None, due: bool) -> int:
    from newsletter.store import reading, subscribers

    if only is not None:
        return 1
    with reading(context.engine) as connection:
        if due:
            return subscribers.number_due(connection, context.clock())
        return subscribers.counts(connection).get(SubscriberState.ACTIVE.value, 0)


@contextmanager
def _progress(tally: _Tally, stopped: threading.Event) -> Iterator[OnProgress]:
    """Show a progress bar with the rate, the time left and the number of digests not sent."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    bar_and_number = (TextColumn("{task.description}"), BarColumn(16), MofNCompleteColumn())
    rest = (TextColumn("{task.fields[rate]}"), TimeRemainingColumn(), TextColumn("{task.fields[words]}"))
    with Progress(*bar_and_number, *rest, console=err, transient=True, disable=not err.is_terminal) as bar:
        task = bar.add_task("sending", total=tally.total, rate="", words="")

        def on_progress(state: str, count: int) -> None:
            tally.on_progress(state, count)
            speed = bar.tasks[0].speed
            bar.update(
                task,
                completed=tally.done,
                total=max(tally.total, tally.done),
                rate=f"{speed:,.0f}/s" if speed else "",
                words=tally.in_words(),
                description="stopping" if stopped.is_set() else "sending",
            )

        yield on_progress


def run(
    ctx: typer.Context,
    once: Annotated[
        bool, typer.Option("--once", help="Fetch, send what is due and exit (for cron or a timer).")
    ] = False,
    web: Annotated[bool, typer.Option("--web", help="Serve the site too, like 'newsletter serve'.")] = False,
) -> None:
    """Run the newsletter: fetch papers and send each digest at the subscriber's own time.

    Runs until SIGTERM or Ctrl-C and writes one line per event. SIGHUP reloads the configuration.
    """
    from newsletter import scheduler
    from newsletter.services import jobs
    from newsletter.services.reload import FIXED, FIXED_FOR_SITE, Reloader

    if once and web:
        raise UserError("--web and --once are mutually exclusive; pass one of them")
    context = open_context_for(ctx, running=not once, files=False)
    _warn_of_doubts(context)
    # Our own event log reports what the scheduler does.
    logging.getLogger("apscheduler").setLevel(logging.CRITICAL)
    log_line = event_log()
    if once:
        with stoppable() as stopped:
            good = jobs.run_once(context, log_line, stopped.is_set)
        if not good:
            raise typer.Exit(1)
    else:
        process, fixed = ("run --web", FIXED_FOR_SITE) if web else ("run", FIXED)
        reloader = Reloader(context, options(ctx).config, process, log_line, fixed)
        with _site(reloader, log_line) if web else nullcontext(), reloader.watching():
            scheduler.run(reloader, log_line)


@contextmanager
def _site(reloader: Reloader, log_line: jobs.Log) -> Iterator[None]:
    """Serve the site while the jobs run."""
    from newsletter.web.live_app import LiveApp
    from newsletter.web.server import listen, serving

    config = reloader.context.config
    settings = config.web
    with listen(settings) as listener, serving(LiveApp(reloader), listener, settings, config.sessions):
        log_line("serving", host=settings.host, port=settings.port)
        yield
