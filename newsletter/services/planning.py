"""Plan: compose and store the digests of a batch of subscribers before any of them is sent."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime

from newsletter.audience.next_due import next_due
from newsletter.errors import NewsletterError, describe
from newsletter.model import Digest, Layout, Paper, SendState, Subscriber, SubscriberState
from newsletter.ranking.index import Segment
from newsletter.rendering.folding import candidates_in_full
from newsletter.services.alerts import describe_unusable
from newsletter.services.canary import check_ranking
from newsletter.services.context import AppContext
from newsletter.services.messages import new_message_id
from newsletter.services.ranking_snapshot import RankingSnapshot
from newsletter.services.recommend import (
    NO_PAPERS,
    compose_digest,
    digest_rules,
    empty_reason,
    ranking_inputs,
    score_batch,
)
from newsletter.services.thumbnails import fetch_missing_thumbnails
from newsletter.store import plans as plan_store
from newsletter.store import reading, send_log, subscribers, worker_stats, writing

ALREADY_PLANNED = "already"
"""The count of subscribers who already have a digest of the edition, or one that another process planned."""


@dataclass(frozen=True, slots=True)
class SubscriberBatch:
    """Subscribers who are ranked together.

    Attributes:
        editions: the edition each of them is due for, by row.
        rated: the papers they rated, for a worker without the full index.
        lost: the number of workers lost while processing this batch.
        unknown_zones: the rows of subscribers whose time zone this machine does not know.
    """

    editions: Mapping[int, date]
    rated: Segment | None = None
    lost: int = 0
    unknown_zones: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class PlanResult:
    """How many digests were planned, skipped, failed or existed already, the plans that failed, and what else the
    operator should look at.
    """

    counts: Counter[str]
    failed: Sequence[plan_store.Plan]
    notes: Sequence[str] = ()


def plan_batch(
    context: AppContext,
    snapshot: RankingSnapshot | None,
    batch: SubscriberBatch,
    owner: str,
    should_stop: Callable[[], bool] = lambda: False,
) -> PlanResult:
    """Store the digests of a batch as planned, and when each subscriber is due next.

    A subscriber whose digest cannot be composed fails; the others get theirs.

    Args:
        snapshot: what to rank against; None for an empty store.
        owner: the name that the run's counts are stored under.
        should_stop: polled while thumbnails are fetched.
    """
    people = load_subscribers(context, batch)
    plans = make_plans(context, snapshot, batch, people)
    # Before the plans are stored, since any process may send them from then on.
    fetch_missing_thumbnails(context, _papers_with_thumbnails(context, people, plans), should_stop)
    return replace(_keep_plans(context, batch, people, plans, owner), notes=describe_unusable(people))


def _papers_with_thumbnails(
    context: AppContext, people: Sequence[Subscriber], plans: Sequence[plan_store.Plan]
) -> Iterator[Paper]:
    """Yield the papers that a message may show with a thumbnail: those in full."""
    usual = context.config.digest.layout
    in_full = {one.row for one in people if (one.preferences.layout or usual) is Layout.FULL}
    for plan in plans:
        if plan.subscriber in in_full:
            yield from (choice.paper for choice in candidates_in_full(plan.digest.choices))


def fail_batch(context: AppContext, batch: SubscriberBatch, why: str, owner: str) -> PlanResult:
    """Store the digests of a batch as failed instead of planning them."""
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
    """Store plans; if that fails, one by one, so that only the plan at fault fails.

    Returns:
        The number of digests planned, and the plans that failed.
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
    """Load the subscribers of a batch who are still active."""
    with reading(context.engine) as connection:
        people = subscribers.by_rows(connection, batch.editions)
    return [subscriber for subscriber in people.values() if subscriber.state is SubscriberState.ACTIVE]


def make_plans(
    context: AppContext, snapshot: RankingSnapshot | None, batch: SubscriberBatch, people: Sequence[Subscriber]
) -> list[plan_store.Plan]:
    """Compose the digests of the subscribers of a batch who have none in their edition yet."""
    editions = batch.editions
    with reading(context.engine) as connection:
        served = send_log.in_edition(connection, editions)
    fresh = [subscriber for subscriber in people if subscriber.row not in served]
    if snapshot is None:
        nothing = Digest(edition=context.clock().date(), choices=(), considered=0, since=None, seen_row=0)
        return [_plan(context, one, replace(nothing, edition=editions[one.row]), NO_PAPERS) for one in fresh]
    damaged = [subscriber for subscriber in fresh if subscriber.damage is not None]
    plans = [_failed_plan(context, one, editions[one.row], one.damage or "") for one in damaged]
    return plans + _compose(context, snapshot, batch, [one for one in fresh if one.damage is None])


def _compose(
    context: AppContext, snapshot: RankingSnapshot, batch: SubscriberBatch, people: Sequence[Subscriber]
) -> list[plan_store.Plan]:
    """Compose digests together; if that fails, one by one, so that only the subscriber at fault fails.

    Raises:
        NewsletterError: no digest can be composed at all.
    """
    try:
        return _compose_together(context, snapshot, batch, people) if people else []
    except NewsletterError:
        raise
    except Exception as error:
        if len(people) > 1:
            return [plan for one in people for plan in _compose(context, snapshot, batch, [one])]
        check_ranking(context, snapshot)
        return [_failed_plan(context, people[0], batch.editions[people[0].row], describe(error))]


def _compose_together(
    context: AppContext, snapshot: RankingSnapshot, batch: SubscriberBatch, people: Sequence[Subscriber]
) -> list[plan_store.Plan]:
    plans = []
    for scored in score_batch(context, snapshot, people, rated=batch.rated):
        digest = replace(compose_digest(context, snapshot, scored), edition=batch.editions[scored.subscriber.row])
        rules = digest_rules(context, scored.subscriber)
        nothing = None if digest.choices else empty_reason(context, snapshot, scored, rules)
        basis = plan_store.RankingInputs(
            snapshot.index.version, snapshot.now, scored.subscriber.seen_row, ranking_inputs(context, scored)
        )
        plan = _plan(context, scored.subscriber, digest, nothing, basis)
        if nothing and (digest.updates or context.config.digest.when_nothing == "send"):
            plan = replace(plan, skip_reason=None, no_papers=nothing)
        plans.append(plan)
    return plans


def _failed_plan(context: AppContext, subscriber: Subscriber, edition: date, why: str) -> plan_store.Plan:
    digest = Digest(edition=edition, choices=(), considered=0, since=None, seen_row=0)
    return replace(_plan(context, subscriber, digest, None), failure=f"the digest could not be composed: {why}")


def _failed(plan: plan_store.Plan, error: Exception) -> plan_store.Plan:
    why = f"the digest could not be stored: {describe(error)}"
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
