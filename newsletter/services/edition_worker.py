"""What each worker does for an edition: plan the digests of a batch, dispatch their messages, process the results.

Any number of workers may run at the same time; they coordinate through the store alone.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date

from newsletter.config.settings import Config
from newsletter.delivery.sending.dispatcher import Dispatcher, Throttled
from newsletter.delivery.sending.pending_writes import PendingWrites
from newsletter.delivery.sending.send_recorder import SendResult
from newsletter.errors import describe
from newsletter.model import SendState
from newsletter.services.bounces import process_refusal, undo_refusals
from newsletter.services.context import AppContext, open_context
from newsletter.services.host_check import HostFingerprint, verify_host
from newsletter.services.planning import SubscriberBatch, plan_batch
from newsletter.services.ranking_snapshot import RankingSnapshot, SnapshotPayload, from_payload
from newsletter.services.send_renderer import SendRenderer
from newsletter.support.clock import Clock
from newsletter.workers.base import ShouldStop

_NAMED_FAILURES = 20
"""The number of failures of a run that are named; the log has the rest."""

_DRAIN_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class BatchResult:
    """What a worker did since its last result.

    Attributes:
        counts: the number of sends, by state. ``done``: nothing is left to send, here or in the store.
        throttled: what rate limits hold up, None if nothing. ``notes``: what the operator should look at.
        pending: outcomes that the store did not take.
        planned_again: the number of sends that were counted as failed and are planned again.
    """

    counts: Mapping[str, int]
    done: bool = False
    throttled: Throttled | None = None
    notes: tuple[str, ...] = ()
    pending: PendingWrites = field(default_factory=PendingWrites)
    planned_again: int = 0


class EditionWorker:
    """Plans and sends the digests of batches, in one process.

    Args:
        snapshot: the papers to rank; None for an empty store, or if nothing is planned.
        should_stop: returns whether to stop after the messages on the wire.
        only: the row of the only subscriber to send to; None: all.
    """

    def __init__(
        self, context: AppContext, snapshot: RankingSnapshot | None, should_stop: ShouldStop, only: int | None = None
    ) -> None:
        self._context, self._snapshot, self._should_stop = context, snapshot, should_stop
        self._failures = 0
        self._dispatcher = Dispatcher(
            engine=context.engine,
            accounts=context.config.mail_accounts,
            delivery=context.config.delivery,
            folder=context.config.folder,
            renderer=SendRenderer(context),
            clock=context.clock,
            pending=context.pending,
            should_stop=should_stop,
            subscriber=only,
        )

    def owner(self) -> str:
        """Return the name that sends are claimed under."""
        return self._dispatcher.owner

    def process(self, batch: SubscriberBatch) -> BatchResult:
        """Plan a batch and dispatch what may be sent now.

        Raises:
            ServerUnavailable: no mail server is available; planned sends stay planned.
        """
        planned = plan_batch(self._context, self._snapshot, batch, self.owner(), self._should_stop)
        failed = [self._failure(plan.email, plan.digest.edition, plan.failure) for plan in planned.failed]
        self._dispatcher.dispatch(planned.counts[SendState.PLANNED.value])
        result = self._collect([*planned.notes, *(note for note in failed if note)])
        return replace(result, counts=planned.counts + Counter(result.counts))

    def drain(self) -> BatchResult:
        """Dispatch for a short time what waits in the store, no matter which worker planned it.

        Raises:
            ServerUnavailable: no mail server is available; planned sends stay planned.
        """
        progress = self._dispatcher.drain(_DRAIN_SECONDS)
        return replace(self._collect(), done=progress.done, throttled=progress.throttled)

    def close(self, stop: bool) -> BatchResult:
        """Finish the messages on the wire; unless ``stop`` is set, send the queued messages too."""
        self._dispatcher.close(stop)
        notes = list(self._dispatcher.notes)
        result = self._collect()
        if self._failures > _NAMED_FAILURES:
            more = self._failures - _NAMED_FAILURES
            notes.append(f"{more:,} more failed; 'newsletter log --state failed' names them")
        return replace(result, notes=(*result.notes, *notes), pending=self._context.pending.take())

    def _collect(self, notes: list[str] | None = None) -> BatchResult:
        """Process the results since the last call; undo bounces that turned out to be the account's fault."""
        results = self._dispatcher.take_results()
        found = [self._process(result) for result in results]
        if planned_again := self._dispatcher.take_planned_again():
            undo_refusals(self._context, planned_again)
        return BatchResult(
            counts=Counter(result.outcome.state.value for result in results),
            notes=(*(notes or ()), *(note for note in found if note)),
            planned_again=len(planned_again),
        )

    def _process(self, result: SendResult) -> str:
        """Act on the result of one send; return a note for the operator, or an empty string."""
        send, outcome = result.send, result.outcome
        if outcome.state is not SendState.FAILED:
            return ""
        if outcome.smtp_reply is None:
            return self._failure(send.email, send.edition, outcome.reason)
        try:
            process_refusal(self._context, send, outcome.smtp_reply)
        except Exception as error:
            return f"{send.email}, {send.edition}: the refusal could not be counted: {describe(error)}"
        return ""

    def _failure(self, email: str, edition: date, why: str | None) -> str:
        self._failures += 1
        return f"{email}, {edition}: failed: {why or ''}" if self._failures <= _NAMED_FAILURES else ""


def create_edition_worker(
    config: Config,
    clock: Clock,
    only: int | None,
    fingerprint: HostFingerprint,
    payload: SnapshotPayload | None,
    which: int,
    of: int,
    should_stop: ShouldStop,
) -> EditionWorker:
    """Create worker number ``which`` out of ``of``, in any process.

    It gets its share of each account's sessions and its own connection to the store.

    Args:
        fingerprint: of the host that leads the edition.

    Raises:
        UserError: messages rendered on this host would differ from those of that host.
    """
    verify_host(config, fingerprint)
    context = open_context(config.with_share(which, of), clock)
    snapshot = from_payload(context, payload) if payload is not None else None
    return EditionWorker(context, snapshot, should_stop, only)
