"""The road: sources → store → ranking → digest → rendering → delivery → store.

Everything an edition does can be read here, from top to bottom. Data goes down the road once; nothing behind looks
ahead.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from functools import cache

from sqlalchemy import Connection

from newsletter.audience import membership
from newsletter.audience.due import due_edition, local_day, next_due
from newsletter.choosing import NO_PAPERS, Field, compose_digest, make_field, ranked_with, score_block, why_nothing
from newsletter.delivery import ledger, outbox
from newsletter.delivery.dispatch import Dispatcher
from newsletter.desk import Desk, Loaded, identify, render_message
from newsletter.model import Digest, Message, Paper, Send, SendState, Subscriber, SubscriberState
from newsletter.returning import take_refusal
from newsletter.sources import gather as gathering
from newsletter.sources.base import Window
from newsletter.sources.gather import Gathered
from newsletter.sources.gather import Told as HeardPapers
from newsletter.store import plans as plan_store
from newsletter.store import reading, send_log, sends, subscribers, writing

BLOCK = 200
"""Subscribers ranked together: enough for one product to be worth its while, few enough for any memory."""

_DUE_PAGE = 1000
_WITHIN_A_DAY = timedelta(hours=20)
"""Two moments of a schedule lie further apart, whatever a clock change does to a day."""

Told = Callable[[str, int], None]
"""Hears of progress: the state that sends came to, and how many."""


def gather(
    desk: Desk,
    names: Sequence[str],
    window: Window | None = None,
    told: Callable[[str], HeardPapers] | None = None,
    stopping: Callable[[], bool] = lambda: False,
) -> Iterator[Gathered]:
    """Ask the sources (all, when none is named) for new papers, or for those of a window, and store them."""
    window = window or Window(since=None, until=desk.clock().date())
    return gathering.gather(
        desk.engine, desk.config, desk.clock, names, window, told or (lambda name: lambda count: None), stopping
    )


def read_files(desk: Desk) -> membership.FilesRead:
    """Bring the store up to date with the subscribers' files."""
    with writing(desk.engine) as connection:
        return membership.read_files(connection, desk.config.subscribers_folder, desk.clock())


def bring_due_back(desk: Desk) -> None:
    """Have nobody wait longer than until the next moment of their schedule: a file read with ``--now`` in the future,
    or by a clock that was wrong, may have set a later one.
    """
    now = desk.clock()
    first = cache(lambda schedule: next_due(schedule, now))  # Many have the same schedule.
    after = 0
    while True:
        with reading(desk.engine) as connection:
            page = subscribers.due_after(connection, now + _WITHIN_A_DAY, after, _DUE_PAGE)
        if not page:
            return
        late = {row: first(schedule) for row, due, schedule in page if first(schedule) < due}
        if late:
            with writing(desk.engine) as connection:
                subscribers.set_next_due(connection, late)
        after = page[-1][0]


@dataclass(frozen=True, slots=True)
class Block:
    """Subscribers who are ranked together, and by row the edition that each of them is to get."""

    people: Sequence[Subscriber]
    editions: Mapping[int, date]


def due_blocks(desk: Desk) -> Iterator[Block]:
    """The subscribers whose time has come, each with the edition of that time."""
    now = desk.clock()
    for people in _pages(desk, lambda connection, after: subscribers.due(connection, now, after, BLOCK)):
        yield Block(people, {one.row: _due_edition(one, now) for one in people})


def _due_edition(subscriber: Subscriber, now: datetime) -> date:
    return due_edition(subscriber.preferences.schedule, subscriber.next_due or now, now)


def active_blocks(desk: Desk) -> Iterator[Block]:
    """All subscribers who get mail, each with the edition of their today."""
    active = SubscriberState.ACTIVE
    for people in _pages(desk, lambda connection, after: subscribers.page(connection, after, BLOCK, active)):
        yield todays_block(desk, people)


def todays_block(desk: Desk, people: Sequence[Subscriber]) -> Block:
    """Some subscribers, each with the edition of their today."""
    now = desk.clock()
    return Block(people, {one.row: local_day(one.preferences.schedule, now) for one in people})


def _pages(desk: Desk, page: Callable[[Connection, int], list[Subscriber]]) -> Iterator[list[Subscriber]]:
    after = 0
    while True:
        with reading(desk.engine) as connection:
            people = page(connection, after)
        if not people:
            return
        yield people
        after = people[-1].row


def plan_block(desk: Desk, field: Field | None, block: Block) -> dict[str, int]:
    """Write down the digests of a block as planned. Each subscriber is due next at the first moment of the schedule
    from now on.

    Returns:
        How many were planned, and how many skipped.
    """
    now = desk.clock()
    plans = make_plans(desk, field, block)
    with writing(desk.engine) as connection:
        planned = plan_store.plan(connection, plans, now)
        due = {subscriber.row: next_due(subscriber.preferences.schedule, now) for subscriber in block.people}
        subscribers.set_next_due(connection, due)
    skipped = sum(plan.skip_reason is not None for plan in plans)
    return {SendState.PLANNED.value: len(planned), SendState.SKIPPED.value: skipped}


def make_plans(desk: Desk, field: Field | None, block: Block) -> list[plan_store.Plan]:
    """Compose the digests of those in a block who have none yet in their edition."""
    editions = block.editions
    with reading(desk.engine) as connection:
        served = send_log.in_edition(connection, editions)
    fresh = [subscriber for subscriber in block.people if subscriber.row not in served]
    if field is None:
        nothing = Digest(edition=desk.clock().date(), choices=(), considered=0, since=None, seen_row=0)
        return [_plan(desk, one, replace(nothing, edition=editions[one.row]), NO_PAPERS) for one in fresh]
    plans = []
    for scored in score_block(desk, field, fresh) if fresh else []:
        digest = replace(compose_digest(desk, field, scored), edition=editions[scored.subscriber.row])
        reason = None if digest.choices else why_nothing(desk, scored)
        basis = plan_store.Basis(field.index.version, field.now, scored.subscriber.seen_row, ranked_with(desk, scored))
        plans.append(_plan(desk, scored.subscriber, digest, reason, basis))
    return plans


def _plan(
    desk: Desk, subscriber: Subscriber, digest: Digest, skip_reason: str | None, basis: plan_store.Basis | None = None
) -> plan_store.Plan:
    return plan_store.Plan(
        subscriber=subscriber.row,
        email=subscriber.email,
        message_id=identify(desk, subscriber, digest.edition),
        digest=digest,
        skip_reason=skip_reason,
        basis=basis,
    )


def dry_run(desk: Desk, blocks: Iterator[Block]) -> Iterator[tuple[Subscriber, Digest, str | None]]:
    """What :func:`run_edition` would plan, without planning it: each digest, or the reason why it is empty."""
    field: Field | None = None
    for number, block in enumerate(blocks):
        field = make_field(desk) if number == 0 else field
        people = {subscriber.row: subscriber for subscriber in block.people}
        for plan in make_plans(desk, field, block):
            yield people[plan.subscriber], plan.digest, plan.skip_reason


@dataclass(slots=True)
class EditionReport:
    """What a run came to: how many sends by state, and what a person should look at."""

    counts: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    stopped: bool = False

    @property
    def failed(self) -> bool:
        """Whether a digest failed, or may have."""
        return any(self.counts.get(state) for state in (SendState.FAILED, SendState.UNSURE))

    def add(self, state: str, number: int = 1) -> None:
        """Count sends in a state."""
        if number:
            self.counts[state] = self.counts.get(state, 0) + number


def run_edition(
    desk: Desk,
    blocks: Iterator[Block],
    stopping: Callable[[], bool],
    told: Told,
    only: Subscriber | None = None,
    patience: timedelta | None = None,
) -> EditionReport:
    """Make up what is to be sent and send what waits, whether it was planned just now or by a run that was cut short.

    Args:
        blocks: the subscribers to plan for.
        stopping: asked between messages; when it says so the run ends, and the next one goes on.
        only: send to this one alone.
        patience: how long to wait for limits of pace; None: as long as it takes.

    Raises:
        ServerUnusable: the mail server cannot be used; what is planned stays planned.
    """
    report = EditionReport()
    settle_earlier(desk, report)
    with _dispatcher(desk, report, stopping, told, only) as dispatcher:
        field: Field | None = None
        for number, block in enumerate(blocks):
            if stopping():
                break
            field = make_field(desk, refit=True) if number == 0 else field
            planned = plan_block(desk, field, block)
            report.add(SendState.SKIPPED.value, planned[SendState.SKIPPED.value])
            for state, count in planned.items():
                told(state, count)
            dispatcher.send_ready()
        waiting = dispatcher.send_all(patience)
    report.stopped = stopping()
    report.notes += dispatcher.notes
    if waiting is not None:
        report.notes.append(f"{waiting.number:,} wait until {waiting.until:%Y-%m-%d %H:%M} UTC: {waiting.why}")
    return report


def settle_earlier(desk: Desk, report: EditionReport) -> None:
    """Settle what this process could not write down before, and what processes that are gone left behind."""
    for late in ledger.settle_unwritten(desk.engine, desk.clock()):
        report.add(late.value)
    orphans = outbox.settle_orphans(desk.engine, desk.clock())
    report.add(SendState.UNSURE.value, len(orphans))
    report.notes += [
        f"{send.email}, {send.edition}: unsure, since a process ended while it was on the wire" for send in orphans
    ]


def _dispatcher(
    desk: Desk, report: EditionReport, stopping: Callable[[], bool], told: Told, only: Subscriber | None
) -> Dispatcher:
    loaded: Loaded = {}
    known: dict[int, Paper] = {}

    def render(block: Sequence[Send]) -> Iterator[tuple[Send, Message]]:
        with reading(desk.engine) as connection:
            digests = send_log.digests(connection, block, known)
            people = subscribers.by_rows(connection, [send.subscriber for send in block])
        for send in block:
            # Under the Message-ID that was written down when it was planned, with whatever key.
            person = people[send.subscriber]
            yield send, render_message(desk, loaded, person, digests[send.row], send.message_id)

    def settled(send: Send, settlement: sends.Settlement) -> None:
        report.add(settlement.state.value)
        told(settlement.state.value, 1)
        if settlement.state is SendState.FAILED:
            take_refusal(desk, send, settlement.smtp_reply)

    return Dispatcher(
        engine=desk.engine,
        accounts=desk.config.mail_accounts,
        delivery=desk.config.delivery,
        folder=desk.config.folder,
        render=render,
        clock=desk.clock,
        settled=settled,
        stopping=stopping,
        subscriber=only.row if only else None,
    )
