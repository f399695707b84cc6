"""The jobs of a running newsletter: fetch papers, send what is due, process bounces, sync libraries, clean up.

Each takes a log and returns whether it succeeded; ``scheduler.py`` runs them on time.
"""

from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from itertools import chain

from newsletter.errors import NewsletterError, Stopped
from newsletter.ranking.index import Index
from newsletter.services.bounces import BounceResult, process_mailbox
from newsletter.services.context import AppContext
from newsletter.services.due_subscribers import bring_due_back, due_batches, end_pauses
from newsletter.services.edition import SendingPaused, run_edition
from newsletter.services.fetch import fetch_papers
from newsletter.services.first_libraries import add_waiting
from newsletter.services.index import read_state
from newsletter.services.index_updater import IndexUpdater
from newsletter.services.libraries import sync_due
from newsletter.services.retention import purge_expired
from newsletter.services.save_to_zotero import export_due
from newsletter.services.signup_mail import forget_unconfirmed, send_next
from newsletter.services.subscriber_files import read_files
from newsletter.services.thumbnails import forget_thumbnails
from newsletter.services.webhooks import WebhookSender
from newsletter.store import idempotency, operators, provider_notices, reading, statistics, writing

Log = Callable[..., None]
"""Logs an event by name, with keyword arguments, as one line."""

_EDITION_CHANGES = timedelta(days=7)
"""How long the sends of an edition may still change."""

_NOTICES_KEPT = timedelta(days=30)
"""Providers try for three days at most to hand over a notice."""


def fetch(context: AppContext, log: Log, should_stop: Callable[[], bool], index: IndexUpdater | None = None) -> bool:
    """Fetch new papers, one log line per source. Returns whether every source succeeded."""
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
    """Index what was fetched, so that the next edition need not, and refit the TF-IDF model if that is due."""
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
    reported: set[str] | None = None,
) -> bool:
    """Read the subscriber files that changed, then send to subscribers who are due, and retry what was deferred until
    now.

    Args:
        get_index: returns the index; see :func:`newsletter.services.edition.run_edition`.
        reported: problems that were logged before and are not logged again; updated in place.

    Returns:
        Whether everything succeeded.
    """
    reported = set() if reported is None else reported
    files = read_files(context)
    for name in files.added:
        log("subscriber_added", file=name)
    for name in files.changed:
        log("subscriber_changed", file=name)
    for problem in files.problems:
        # Logged once, not at every tick until it is fixed.
        if problem not in reported:
            log("file_problem", problem=problem)
    reported.clear()
    reported.update(files.problems)
    back = end_pauses(context)
    if back:
        log("pauses_over", subscribers=back)
    bring_due_back(context)
    # What rate limits hold up waits for a later tick, so that it does not delay subscribers who are due by then.
    patience = timedelta(seconds=context.config.schedule.tick_seconds)

    try:
        report = run_edition(
            context,
            due_batches(context),
            should_stop,
            lambda state, count: None,
            patience=patience,
            on_info=lambda line: log("cluster", at=line),
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
    """Process the bounce mailbox, one log line for each message that changed something or failed, and send the answers
    to emails that subscribers sent there.

    Returns:
        Whether the mailbox, if there is one, and every message in it could be read.
    """
    went_well = not context.config.bounces.mailbox or _read_mailbox(context, log, should_stop)
    while context.config.command_address is not None and not should_stop() and send_next(context):
        pass
    return went_well


def _read_mailbox(context: AppContext, log: Log, should_stop: Callable[[], bool]) -> bool:
    def each(taken: BounceResult) -> None:
        kind = taken.report.kind
        if taken.effect is not None:
            log("came_back", kind=kind.value, email=taken.email, effect=taken.effect.value)
        elif taken.report.signed_tokens and taken.email is None:
            log("command_refused", kind=kind.value, reason="no valid token")
        elif taken.done and not taken.again:
            log("command", kind=kind.value, email=taken.email, done=taken.done)

    def failed(message: str, error: str) -> None:
        log("bounce_failed", message=message, error=error)

    try:
        counts = process_mailbox(context, each, lambda done, of: None, should_stop, failed)
    except NewsletterError as error:
        # No digest waits for this; the next run reads what this one left.
        log("bounces_failed", error=str(error))
        return False
    if counts:
        log("bounces", **{outcome.replace(" ", "_"): count for outcome, count in sorted(counts.items())})
    return not counts["failed"]


def sync_libraries(context: AppContext, log: Log, should_stop: Callable[[], bool]) -> bool:
    """Write saved papers into Zotero libraries that did not take them before, add uploads that are not stored yet, and
    sync the libraries that are due: one log line for each that changed or failed. A lasting error is logged once.

    Returns:
        Whether no library failed that had not failed before.
    """
    good = True
    read_files(context)  # A new file may name a library. What is wrong in files is reported when digests are sent.
    with suppress(Stopped):
        # First, since readers wait for it, and it takes less time.
        exported = export_due(context, should_stop)
        if any(exported.values()):
            log("exported", **exported)
        for result in chain(add_waiting(context, should_stop), sync_due(context, should_stop)):
            facts = {"email": result.email, "library": result.address}
            if result.error is not None and result.new_error:
                good = False
                log("library_failed", **facts, error=result.error)
            elif result.added or result.changed or result.removed:
                counts = {"added": result.added, "changed": result.changed, "removed": result.removed}
                log("library_synced", **facts, **counts, papers=result.total)
    return good


def deliver_webhooks(context: AppContext, log: Log, should_stop: Callable[[], bool]) -> bool:
    """Post the events that are due to the endpoints of webhooks. Returns whether all of them were accepted."""
    sender = WebhookSender(context, log, should_stop)
    sender.start()
    return sender.wait()


def housekeeping(context: AppContext, log: Log, should_stop: Callable[[], bool]) -> bool:
    """Count today's subscribers and past editions; delete old log entries, thumbnails, unconfirmed sign-ups, ended
    operator sessions, old notices of mail providers and answers to requests of the API.
    """
    with writing(context.engine) as connection:
        statistics.keep_counts(connection, context.clock().date())
        statistics.forget_editions(connection)
        operators.forget_sessions(connection, context.clock())
        provider_notices.forget(connection, context.clock() - _NOTICES_KEPT)
        idempotency.forget(connection, context.clock())
    with reading(context.engine) as connection:
        past = statistics.to_be_kept(connection, context.clock().date() - _EDITION_CHANGES)
    for day in past:
        if should_stop():
            break
        with writing(context.engine) as connection:
            statistics.keep_edition(connection, day)
    forgotten = purge_expired(context, should_stop)
    forget_thumbnails(context)
    unconfirmed = forget_unconfirmed(context, should_stop)
    if unconfirmed:
        log("forgot_unconfirmed", subscribers=unconfirmed)
    if any(forgotten.values()):
        log("forgot", **forgotten)
    return True


def run_once(context: AppContext, log: Log, should_stop: Callable[[], bool]) -> bool:
    """Fetch papers, process bounces, sync libraries, send what is due, post events to endpoints and clean up once.

    Returns:
        Whether everything succeeded. An event that an endpoint did not accept is tried again by the next run.

    Raises:
        NewsletterError: no mail server is available; planned sends stay planned.
    """
    # A list, so that a job that fails does not keep the others from running.
    jobs = (fetch, read_bounces, sync_libraries, tick, deliver_webhooks, housekeeping)
    went_well = [job(context, log, should_stop) for job in jobs]
    return all(went_well)
