"""The road of one process: digests are planned, made into messages, and carried to the mail server.

Any number of processes may be on it at a time; they meet in the store alone.
"""

import queue
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime

from newsletter.audience.due import next_due
from newsletter.config.settings import Config
from newsletter.delivery.sending.dispatcher import Dispatcher, RenderError, Throttled
from newsletter.delivery.sending.send_recorder import PendingWrites, take_pending, write_pending
from newsletter.errors import NewsletterError, describe
from newsletter.model import Digest, Message, Paper, Send, SendState, Subscriber, SubscriberState
from newsletter.ranking.index import Segment
from newsletter.services.bounces import process_refusal, undo_refusals
from newsletter.services.canary import check_ranking, check_rendering
from newsletter.services.context import AppContext, TemplateCache, new_message_id, open_context, render_message
from newsletter.services.host_check import HostFingerprint, verify_host
from newsletter.services.recommend import (
    NO_PAPERS,
    RankingSnapshot,
    SnapshotPayload,
    compose_digest,
    empty_reason,
    from_payload,
    ranking_inputs,
    score_batch,
)
from newsletter.store import plans as plan_store
from newsletter.store import reading, send_log, sends, subscribers, worker_stats, writing
from newsletter.support.clock import Clock
from newsletter.workers.local import ShouldStop

ALREADY_PLANNED = "already"
"""What subscribers are counted as who have a digest of the edition already, or one that another process planned."""

_NAMED_FAILURES = 20
"""So many failures of a run are named; the log has the rest."""

_STEP_SECONDS = 1.0
"""So long a step may carry messages before it tells how far it came."""


@dataclass(frozen=True, slots=True)
class SubscriberBatch:
    """Subscribers who are ranked together.

    Attributes:
        editions: by row, the edition that each of them is to get.
        judged: the papers that they have judged, for a road that has not the whole index.
        lost: how many workers were lost while they had it.
        unknown_zones: the rows of those whose time zone is not known here.
    """

    editions: Mapping[int, date]
    rated: Segment | None = None
    lost: int = 0
    unknown_zones: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class PlanResult:
    """What planning a block came to: how many were planned, skipped, failed, or had theirs already; and who failed."""

    counts: Counter[str]
    failed: Sequence[plan_store.Plan]


def plan_batch(context: AppContext, field: RankingSnapshot | None, batch: SubscriberBatch, owner: str) -> PlanResult:
    """Write down the digests of a block as planned. Each subscriber is due next at the first moment of the schedule
    from now on. A subscriber whose digest cannot be made fails; the others get theirs.

    Args:
        owner: who plans, for the counts of the run.
    """
    people = load_subscribers(context, batch)
    return _keep_plans(context, batch, people, make_plans(context, field, batch, people), owner)


def fail_batch(context: AppContext, batch: SubscriberBatch, why: str, owner: str) -> PlanResult:
    """Write down that the digests of a block could not be made, instead of planning them."""
    people = load_subscribers(context, batch)
    plans = [_failed_plan(context, one, batch.editions[one.row], why) for one in people]
    return _keep_plans(context, batch, people, plans, owner)


def _keep_plans(
    context: AppContext,
    batch: SubscriberBatch,
    people: Sequence[Subscriber],
    plans: Sequence[plan_store.Plan],
    owner: str,
) -> PlanResult:
    now = context.clock()
    planned, failed = _write_plans(context, plans, owner, now)
    with writing(context.engine) as connection:
        due = {subscriber.row: next_due(subscriber.preferences.schedule, now) for subscriber in people}
        subscribers.set_next_due(connection, due)
    skipped = sum(plan.state is SendState.SKIPPED for plan in plans)
    already = len(batch.editions) - planned - skipped - len(failed)
    counts = {SendState.PLANNED: planned, SendState.SKIPPED: skipped, SendState.FAILED: len(failed)}
    return PlanResult(Counter({state.value: n for state, n in counts.items()} | {ALREADY_PLANNED: already}), failed)


def _write_plans(
    context: AppContext, plans: Sequence[plan_store.Plan], owner: str, now: datetime
) -> tuple[int, list[plan_store.Plan]]:
    """Write plans down; where that fails, one by one, so that only the one at fault fails.

    Returns:
        How many digests are planned, and the plans that failed.
    """
    failed = [plan for plan in plans if plan.state is SendState.FAILED]
    try:
        with writing(context.engine) as connection:
            planned = len(plan_store.plan(connection, plans, now))
            settled = [plan.state for plan in plans if plan.state is not SendState.PLANNED]
            worker_stats.count(connection, owner, settled, now)
            return planned, failed
    except NewsletterError:
        raise
    except Exception as error:
        if len(plans) > 1:
            written = [_write_plans(context, [plan], owner, now) for plan in plans]
            return sum(planned for planned, _ in written), [one for _, failed in written for one in failed]
        if failed:
            raise
        return _write_plans(context, [_failed(plans[0], error)], owner, now)


def load_subscribers(context: AppContext, batch: SubscriberBatch) -> list[Subscriber]:
    """The subscribers of a block who still get mail."""
    with reading(context.engine) as connection:
        people = subscribers.by_rows(connection, batch.editions)
    return [subscriber for subscriber in people.values() if subscriber.state is SubscriberState.ACTIVE]


def make_plans(
    context: AppContext, field: RankingSnapshot | None, batch: SubscriberBatch, people: Sequence[Subscriber]
) -> list[plan_store.Plan]:
    """Compose the digests of those of a block's people who have none yet in their edition."""
    editions = batch.editions
    with reading(context.engine) as connection:
        served = send_log.in_edition(connection, editions)
    fresh = [subscriber for subscriber in people if subscriber.row not in served]
    if field is None:
        nothing = Digest(edition=context.clock().date(), choices=(), considered=0, since=None, seen_row=0)
        return [_plan(context, one, replace(nothing, edition=editions[one.row]), NO_PAPERS) for one in fresh]
    damaged = [subscriber for subscriber in fresh if subscriber.damage is not None]
    plans = [_failed_plan(context, one, editions[one.row], one.damage or "") for one in damaged]
    return plans + _compose(context, field, batch, [one for one in fresh if one.damage is None])


def _compose(
    context: AppContext, field: RankingSnapshot, batch: SubscriberBatch, people: Sequence[Subscriber]
) -> list[plan_store.Plan]:
    """Compose digests together; where that fails, one by one, so that only the one at fault fails.

    Raises:
        NewsletterError: nobody's digest can be made.
    """
    try:
        return _compose_together(context, field, batch, people) if people else []
    except NewsletterError:
        raise
    except Exception as error:
        if len(people) > 1:
            return [plan for one in people for plan in _compose(context, field, batch, [one])]
        check_ranking(context, field)
        return [_failed_plan(context, people[0], batch.editions[people[0].row], describe(error))]


def _compose_together(
    context: AppContext, field: RankingSnapshot, batch: SubscriberBatch, people: Sequence[Subscriber]
) -> list[plan_store.Plan]:
    plans = []
    for scored in score_batch(context, field, people, rated=batch.rated):
        digest = replace(compose_digest(context, field, scored), edition=batch.editions[scored.subscriber.row])
        reason = None if digest.choices else empty_reason(context, scored)
        basis = plan_store.RankingInputs(
            field.index.version, field.now, scored.subscriber.seen_row, ranking_inputs(context, scored)
        )
        plans.append(_plan(context, scored.subscriber, digest, reason, basis))
    return plans


def _failed_plan(context: AppContext, subscriber: Subscriber, edition: date, why: str) -> plan_store.Plan:
    digest = Digest(edition=edition, choices=(), considered=0, since=None, seen_row=0)
    return replace(_plan(context, subscriber, digest, None), failure=f"the digest could not be made: {why}")


def _failed(plan: plan_store.Plan, error: Exception) -> plan_store.Plan:
    why = f"the digest could not be written down: {describe(error)}"
    return replace(plan, digest=replace(plan.digest, choices=()), basis=None, skip_reason=None, failure=why)


def _plan(
    context: AppContext,
    subscriber: Subscriber,
    digest: Digest,
    skip_reason: str | None,
    basis: plan_store.RankingInputs | None = None,
) -> plan_store.Plan:
    return plan_store.Plan(
        subscriber=subscriber.row,
        email=subscriber.email,
        message_id=new_message_id(context, subscriber, digest.edition),
        digest=digest,
        skip_reason=skip_reason,
        basis=basis,
    )


@dataclass(frozen=True, slots=True)
class BatchResult:
    """How far a road came since the last step.

    Attributes:
        counts: how many sends came to each state. ``done``: nothing is left to carry, here or in the store.
        waiting: what limits of pace hold up, None when nothing. ``notes``: what a person should look at.
        unwritten: what this process knows of sends and the store would not take.
        planned_again: how many sends that were counted as failed are planned again.
    """

    counts: Mapping[str, int]
    done: bool = False
    waiting: Throttled | None = None
    notes: tuple[str, ...] = ()
    unwritten: PendingWrites = field(default_factory=dict)
    planned_again: int = 0


class EditionWorker:
    """What one process does for an edition; a place for a hand of the engine.

    Args:
        field: the papers of the hour; None for an empty store, or where nothing is planned.
        stopping: whether to end after the messages on the wire.
        only: the row of the subscriber to send to alone; None: to all.
    """

    def __init__(
        self, context: AppContext, field: RankingSnapshot | None, should_stop: ShouldStop, only: int | None = None
    ) -> None:
        self._context, self._field = context, field
        # What the ledger tells in a thread of its own.
        self._told: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._notes: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._failures = 0
        self._loaded: TemplateCache = {}
        self._known: dict[int, Paper] = {}
        self._dispatcher = Dispatcher(
            engine=context.engine,
            accounts=context.config.mail_accounts,
            delivery=context.config.delivery,
            folder=context.config.folder,
            render=self._render,
            clock=context.clock,
            settled=self._settled,
            should_stop=should_stop,
            subscriber=only,
        )

    def owner(self) -> str:
        """In whose name it claims what it sends."""
        return self._dispatcher.owner

    def step(self, batch: SubscriberBatch | None) -> BatchResult:
        """Plan a block and hand over what may go now; without one, carry for a while what waits.

        Raises:
            ServerUnavailable: the mail server cannot be used; what is planned stays planned.
        """
        if batch is None:
            progress = self._dispatcher.carry(_STEP_SECONDS)
            return replace(self._so_far(), done=progress.done, waiting=progress.waiting)
        planned = plan_batch(self._context, self._field, batch, self.owner())
        for plan in planned.failed:
            self._note_failure(plan.email, plan.digest.edition, plan.failure or "")
        self._dispatcher.hand_over(planned.counts[SendState.PLANNED.value])
        step = self._so_far()
        return replace(step, counts=planned.counts + Counter(step.counts))

    def end(self, stop: bool) -> BatchResult:
        """Let the messages on the wire come to theirs; what waits still goes too, unless it is to ``stop``."""
        self._dispatcher.close(stop)
        step = self._so_far()
        notes = (*step.notes, *self._dispatcher.notes)
        if self._failures > _NAMED_FAILURES:
            more = self._failures - _NAMED_FAILURES
            notes = (*notes, f"{more:,} more failed; 'newsletter log --state failed' names them")
        return replace(step, notes=notes, unwritten=take_pending())

    def _so_far(self) -> BatchResult:
        """What there is to tell since the last step. Bounces that turned out to be the account's fault are undone."""
        if planned_again := self._dispatcher.take_planned_again():
            undo_refusals(self._context, planned_again)
        counts = Counter(_drain(self._told))
        return BatchResult(counts, notes=tuple(_drain(self._notes)), planned_again=len(planned_again))

    def _note_failure(self, email: str, edition: date, why: str) -> None:
        self._failures += 1
        if self._failures <= _NAMED_FAILURES:
            self._notes.put(f"{email}, {edition}: failed: {why}")

    def _render(self, batch: Sequence[Send]) -> Iterator[tuple[Send, Message | RenderError]]:
        try:
            made = self._render_together(batch)
        except NewsletterError:
            raise
        except Exception as error:
            if len(batch) > 1:
                for send in batch:
                    yield from self._render([send])
                return
            made = iter([(batch[0], RenderError(f"the message could not be made: {describe(error)}"))])
        yield from made

    def _render_together(self, batch: Sequence[Send]) -> Iterator[tuple[Send, Message | RenderError]]:
        with reading(self._context.engine) as connection:
            digests = send_log.digests(connection, batch, self._known)
            people = subscribers.by_rows(connection, [send.subscriber for send in batch])
        return ((send, self._render_one(send, people.get(send.subscriber), digests[send.row])) for send in batch)

    def _render_one(self, send: Send, person: Subscriber | None, digest: Digest) -> Message | RenderError:
        """Make one message.

        Raises:
            NewsletterError: nobody's message can be made.
        """
        if person is None:
            return RenderError("the subscriber was deleted")
        try:
            # Under the Message-ID that was written down when it was planned, with whatever key.
            return render_message(self._context, self._loaded, person, digest, send.message_id)
        except Exception as error:
            check_rendering(self._context, self._loaded, person)
            return RenderError(f"the message could not be made: {describe(error)}")

    def _settled(self, send: Send, settlement: sends.SendOutcome) -> None:
        """Hear, in the ledger's thread, what became of a send; whatever goes wrong here is this send's alone."""
        self._told.put(settlement.state.value)
        if settlement.state is not SendState.FAILED:
            return
        if settlement.smtp_reply is None:
            self._note_failure(send.email, send.edition, settlement.reason or "")
            return
        try:
            process_refusal(self._context, send, settlement.smtp_reply)
        except Exception as error:
            self._notes.put(f"{send.email}, {send.edition}: the refusal could not be counted: {describe(error)}")


def _drain(waiting: "queue.SimpleQueue[str]") -> Iterator[str]:
    while not waiting.empty():
        yield waiting.get()


def create_edition_worker(
    config: Config,
    clock: Clock,
    only: int | None,
    kit: HostFingerprint,
    payload: SnapshotPayload | None,
    which: int,
    of: int,
    should_stop: ShouldStop,
) -> EditionWorker:
    """The road of one hand of so many, anywhere: it has its share of each account's sessions, and a store of its own.

    Args:
        kit: what the one who leads works with.

    Raises:
        UserError: where the hand is, messages would not be what they are there.
    """
    verify_host(config, kit)
    context = open_context(config.with_share(which, of), clock)
    # What an earlier run in this process could not write down, and nobody else knows.
    write_pending(context.engine, context.clock())
    return EditionWorker(context, from_payload(context, payload) if payload is not None else None, should_stop, only)
