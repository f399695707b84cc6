"""The road of one process: digests are planned, made into messages, and carried to the mail server.

Any number of processes may be on it at a time; they meet in the store alone.
"""

import queue
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date

from newsletter.audience.due import next_due
from newsletter.choosing import (
    NO_PAPERS,
    Field,
    Packed,
    compose_digest,
    ranked_with,
    score_block,
    unpack,
    why_nothing,
)
from newsletter.clock import Clock
from newsletter.config import Config
from newsletter.delivery.dispatch import Dispatcher, Waiting
from newsletter.delivery.ledger import Unwritten, settle_unwritten, take_unwritten
from newsletter.desk import Desk, Loaded, identify, open_desk, render_message
from newsletter.engine import Stopping
from newsletter.kit import Kit, check_kit
from newsletter.model import Digest, Message, Paper, Send, SendState, Subscriber, SubscriberState
from newsletter.ranking.index import Part
from newsletter.returning import take_refusal
from newsletter.store import plans as plan_store
from newsletter.store import reading, send_log, sends, subscribers, writing

ALREADY = "already"
"""What subscribers are counted as who have a digest of the edition already, or one that another process planned."""

_STEP_SECONDS = 1.0
"""So long a step may carry messages before it tells how far it came."""


@dataclass(frozen=True, slots=True)
class Block:
    """Subscribers who are ranked together.

    Attributes:
        editions: by row, the edition that each of them is to get.
        judged: the papers that they have judged, for a road that has not the whole index.
        unknown_zones: the rows of those whose time zone is not known here.
    """

    editions: Mapping[int, date]
    judged: Part | None = None
    unknown_zones: frozenset[int] = frozenset()


def plan_block(desk: Desk, field: Field | None, block: Block) -> Counter[str]:
    """Write down the digests of a block as planned. Each subscriber is due next at the first moment of the schedule
    from now on.

    Returns:
        How many were planned, how many skipped, and how many had theirs already.
    """
    now = desk.clock()
    people = people_of(desk, block)
    plans = make_plans(desk, field, block, people)
    with writing(desk.engine) as connection:
        planned = plan_store.plan(connection, plans, now)
        due = {subscriber.row: next_due(subscriber.preferences.schedule, now) for subscriber in people}
        subscribers.set_next_due(connection, due)
    skipped = sum(plan.skip_reason is not None for plan in plans)
    already = len(block.editions) - len(planned) - skipped
    return Counter({SendState.PLANNED.value: len(planned), SendState.SKIPPED.value: skipped, ALREADY: already})


def people_of(desk: Desk, block: Block) -> list[Subscriber]:
    """The subscribers of a block who still get mail."""
    with reading(desk.engine) as connection:
        people = subscribers.by_rows(connection, block.editions)
    return [subscriber for subscriber in people.values() if subscriber.state is SubscriberState.ACTIVE]


def make_plans(desk: Desk, field: Field | None, block: Block, people: Sequence[Subscriber]) -> list[plan_store.Plan]:
    """Compose the digests of those of a block's people who have none yet in their edition."""
    editions = block.editions
    with reading(desk.engine) as connection:
        served = send_log.in_edition(connection, editions)
    fresh = [subscriber for subscriber in people if subscriber.row not in served]
    if field is None:
        nothing = Digest(edition=desk.clock().date(), choices=(), considered=0, since=None, seen_row=0)
        return [_plan(desk, one, replace(nothing, edition=editions[one.row]), NO_PAPERS) for one in fresh]
    plans = []
    for scored in score_block(desk, field, fresh, judged=block.judged) if fresh else []:
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


@dataclass(frozen=True, slots=True)
class Step:
    """How far a road came since the last step.

    Attributes:
        counts: how many sends came to each state. ``done``: nothing is left to carry, here or in the store.
        waiting: what limits of pace hold up, None when nothing. ``notes``: what a person should look at.
        unwritten: what this process knows of sends and the store would not take.
    """

    counts: Mapping[str, int]
    done: bool = False
    waiting: Waiting | None = None
    notes: tuple[str, ...] = ()
    unwritten: Unwritten = field(default_factory=dict)


class Road:
    """What one process does for an edition; a place for a hand of the engine.

    Args:
        field: the papers of the hour; None for an empty store, or where nothing is planned.
        stopping: whether to end after the messages on the wire.
        only: the row of the subscriber to send to alone; None: to all.
    """

    def __init__(self, desk: Desk, field: Field | None, stopping: Stopping, only: int | None = None) -> None:
        self._desk, self._field = desk, field
        # What the ledger tells in a thread of its own.
        self._told: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._loaded: Loaded = {}
        self._known: dict[int, Paper] = {}
        self._dispatcher = Dispatcher(
            engine=desk.engine,
            accounts=desk.config.mail_accounts,
            delivery=desk.config.delivery,
            folder=desk.config.folder,
            render=self._render,
            clock=desk.clock,
            settled=self._settled,
            stopping=stopping,
            subscriber=only,
        )

    def owner(self) -> str:
        """In whose name it claims what it sends."""
        return self._dispatcher.owner

    def step(self, block: Block | None) -> Step:
        """Plan a block and hand over what may go now; without one, carry for a while what waits.

        Raises:
            ServerUnusable: the mail server cannot be used; what is planned stays planned.
        """
        if block is None:
            progress = self._dispatcher.carry(_STEP_SECONDS)
            return Step(self._take_counts(), progress.done, progress.waiting)
        planned = plan_block(self._desk, self._field, block)
        self._dispatcher.hand_over(planned[SendState.PLANNED.value])
        return Step(planned + self._take_counts())

    def end(self, stop: bool) -> Step:
        """Let the messages on the wire come to theirs; what waits still goes too, unless it is to ``stop``."""
        self._dispatcher.close(stop)
        return Step(self._take_counts(), notes=tuple(self._dispatcher.notes), unwritten=take_unwritten())

    def _take_counts(self) -> Counter[str]:
        counts: Counter[str] = Counter()
        while not self._told.empty():
            counts[self._told.get()] += 1
        return counts

    def _render(self, block: Sequence[Send]) -> Iterator[tuple[Send, Message]]:
        with reading(self._desk.engine) as connection:
            digests = send_log.digests(connection, block, self._known)
            people = subscribers.by_rows(connection, [send.subscriber for send in block])
        for send in block:
            # Under the Message-ID that was written down when it was planned, with whatever key.
            person = people[send.subscriber]
            yield send, render_message(self._desk, self._loaded, person, digests[send.row], send.message_id)

    def _settled(self, send: Send, settlement: sends.Settlement) -> None:
        self._told.put(settlement.state.value)
        if settlement.state is SendState.FAILED:
            take_refusal(self._desk, send, settlement.smtp_reply)


def lay_road(
    config: Config,
    clock: Clock,
    only: int | None,
    kit: Kit,
    packed: Packed | None,
    which: int,
    of: int,
    stopping: Stopping,
) -> Road:
    """The road of one hand of so many, anywhere: it has its share of each account's sessions, and a store of its own.

    Args:
        kit: what the one who leads works with.

    Raises:
        UserError: where the hand is, messages would not be what they are there.
    """
    check_kit(config, kit)
    desk = open_desk(config.with_share(which, of), clock)
    # What an earlier run in this process could not write down, and nobody else knows.
    settle_unwritten(desk.engine, desk.clock())
    return Road(desk, unpack(desk, packed) if packed is not None else None, stopping, only)
