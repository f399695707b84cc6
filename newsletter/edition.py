"""The edition: sources → store → ranking → digest → rendering → delivery → store.

Who is due, and that each is done: this is the coordination; what one process does is in ``road.py``. Data goes down the
road once; nothing behind looks ahead.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import cache, partial
from itertools import chain, islice

from sqlalchemy import Connection

from newsletter.audience import membership
from newsletter.audience.due import due_edition, local_day, next_due
from newsletter.choosing import Field, judged_by, make_field, pack
from newsletter.delivery import ledger, outbox, pace
from newsletter.delivery.dispatch import Waiting
from newsletter.desk import Desk
from newsletter.engine import Gone, Hand, Job, Stopping, crew
from newsletter.errors import NewsletterError
from newsletter.indexing import current_index
from newsletter.kit import kit_of
from newsletter.model import SendState, Subscriber
from newsletter.ranking.index import Index
from newsletter.road import ALREADY, Block, Road, Step, lay_road, make_plans, people_of
from newsletter.sources import gather as gathering
from newsletter.sources.base import Window
from newsletter.sources.gather import Gathered
from newsletter.sources.gather import Told as HeardPapers
from newsletter.store import reading, sends, subscribers, workers, writing
from newsletter.store.plans import Plan
from newsletter.store.subscribers import Timed

BLOCK = 200
"""Subscribers ranked together: enough for one product to be worth its while, few enough for any memory."""

_FEW_BLOCKS = 4
"""Not more than so many are done in this process: others take a while to begin."""

_MOST_DEATHS = 3
_DUE_PAGE = 1000
_LOOK_SECONDS = 1.0
_WORKERS_KEPT = timedelta(days=7)
_WITHIN_A_DAY = timedelta(hours=20)
"""Two moments of a schedule lie further apart, whatever a clock change does to a day."""

Told = Callable[[str, int], None]
"""Hears of progress: the state that sends came to (or ``ALREADY``), and how many."""


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


def end_pauses(desk: Desk) -> int:
    """Bring back those whose pause is over; returns how many."""
    back = 0
    while True:
        with reading(desk.engine) as connection:
            if not subscribers.pauses_over(connection, desk.clock(), 1):
                return back
        with writing(desk.engine) as connection:
            back += membership.end_pauses(connection, desk.clock(), BLOCK)


def bring_due_back(desk: Desk) -> None:
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


def due_blocks(desk: Desk) -> Iterator[Block]:
    """The subscribers whose time has come, each with the edition of that time."""
    now = desk.clock()
    for page in _pages(desk, lambda connection, after: subscribers.due(connection, now, after, BLOCK)):
        yield Block({one.row: due_edition(one.schedule, one.next_due or now, now) for one in page})


def active_blocks(desk: Desk) -> Iterator[Block]:
    """All subscribers who get mail, each with the edition of their today."""
    for page in _pages(desk, lambda connection, after: subscribers.active(connection, after, BLOCK)):
        now = desk.clock()
        yield Block({one.row: local_day(one.schedule, now) for one in page})


def block_of(desk: Desk, subscriber: Subscriber) -> Block:
    """One subscriber, with the edition of the subscriber's today."""
    return Block({subscriber.row: local_day(subscriber.preferences.schedule, desk.clock())})


def _pages(desk: Desk, page: Callable[[Connection, Timed | None], list[Timed]]) -> Iterator[list[Timed]]:
    after: Timed | None = None
    while True:
        with reading(desk.engine) as connection:
            found = page(connection, after)
        if not found:
            return
        yield found
        after = found[-1]


def dry_run(desk: Desk, blocks: Iterator[Block]) -> Iterator[Plan]:
    """What :func:`run_edition` would plan, without planning it."""
    field: Field | None = None
    for number, block in enumerate(blocks):
        field = make_field(desk) if number == 0 else field
        yield from make_plans(desk, field, block, people_of(desk, block))


@dataclass(slots=True)
class EditionReport:
    """What a run came to: how many sends by state, what a person should look at, and which hand of the engine did how
    many.
    """

    counts: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    by_hand: dict[str, Counter[str]] = field(default_factory=dict)
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
    seen: Callable[[str], None] = lambda line: None,
    index_of_now: Callable[[], Index | None] | None = None,
) -> EditionReport:
    """Make up what is to be sent and send what waits, whether it was planned just now or by a run that was cut short.

    Args:
        blocks: the subscribers to plan for.
        stopping: asked between messages; when it says so the run ends, and the next one goes on.
        only: send to this one alone.
        patience: how long to wait for limits of pace; None: as long as it takes.
        seen: hears where the work of a cluster can be seen.
        index_of_now: gives the index; by default it is brought up to date, and fitted again when its time has come.

    Raises:
        ServerUnusable: the mail server cannot be used; what is planned stays planned.
    """
    report = EditionReport()
    settle_earlier(desk, report)
    few = list(islice(blocks, _FEW_BLOCKS + 1))
    number = desk.config.processes if len(few) > _FEW_BLOCKS else 1
    papers = make_field(desk, index_of_now or partial(current_index, desk, refit=True)) if few else None
    todo = _Todo(chain(few, blocks))
    row = only.row if only else None
    if number == 1:
        job = Job(lambda *_: Road(desk, papers, stopping, row), None, stopping)
    else:
        make = partial(lay_road, desk.config, desk.clock, row, kit_of(desk.config, desk.links.key))
        job = Job(make, pack(papers) if papers is not None else None, stopping, seen)
        todo = _Todo(_with_judged(desk, papers, chain(few, blocks)))
    lost: set[str] = set()
    for _ in range(_MOST_DEATHS):
        with crew(job, number, desk.config.cluster) as hands:
            work = _Work(todo, stopping, told, patience, report)
            work.by(hands)
        if not work.lost:
            break
        # What a process left that was killed is done by new ones.
        lost |= work.lost
        settle_earlier(desk, report, lost)
    else:
        raise NewsletterError("processes of this run were killed again and again; see whether the memory is enough")
    report.stopped = stopping()
    if lost and (held := outbox.held_by(desk.engine, lost)):
        again = f"run it again in {outbox.LEASE.seconds // 60} minutes, which settles them"
        report.notes.append(f"{held:,} were on the wire of workers that cannot be reached any more; {again}")
    if work.waiting is not None:
        until = f"{work.waiting.until:%Y-%m-%d %H:%M} UTC"
        report.notes.append(f"{work.waiting.number:,} wait until {until}: {work.waiting.why}")
    return report


def _with_judged(desk: Desk, papers: Field | None, blocks: Iterator[Block]) -> Iterator[Block]:
    for block in blocks:
        yield replace(block, judged=judged_by(desk, papers.index, block.editions)) if papers is not None else block


class _Todo:
    """The blocks that nobody has taken on yet."""

    def __init__(self, blocks: Iterator[Block]) -> None:
        self._blocks, self._back = blocks, list[Block]()
        self._lock = threading.Lock()

    def take(self) -> Block | None:
        """The next one."""
        with self._lock:
            return self._back.pop() if self._back else next(self._blocks, None)

    def put_back(self, block: Block | None) -> None:
        """Leave one to another hand."""
        if block is not None:
            self._back.append(block)


class _Work:
    """What hands do together: each takes the next block, and with none left carries what waits.

    Attributes:
        waiting: what is left waiting for longer than there is patience. ``lost``: those hands that are no more: in
            whose name they claimed what they sent.
    """

    def __init__(
        self, todo: _Todo, stopping: Stopping, told: Told, patience: timedelta | None, report: EditionReport
    ) -> None:
        self.waiting: Waiting | None = None
        self.lost: set[str] = set()
        self._failed = False
        self._busy = 0
        self._todo, self._told, self._patience, self._report = todo, told, patience, report
        self._lock = threading.Lock()
        self._stopping: Stopping = lambda: stopping() or self._failed

    def by(self, hands: Sequence[Hand]) -> None:
        """Have it done.

        Raises:
            NewsletterError: a hand cannot go on.
        """
        if len(hands) == 1:
            self._drive(hands[0])
            return
        with ThreadPoolExecutor(len(hands)) as threads:
            for driven in [threads.submit(self._drive, hand) for hand in hands]:
                driven.result()

    def _drive(self, first: Hand) -> None:
        hand: Hand | None = first
        while hand is not None:
            with self._lock:
                self._busy += 1
            try:
                lost = self._drive_one(hand)
            finally:
                with self._lock:
                    self._busy -= 1
            hand = self._another_for(hand) if lost else None

    def _another_for(self, gone: Hand) -> Hand | None:
        """Another hand, if one comes while the rest are at work."""
        while self._busy and not self._stopping():
            if (another := gone.instead()) is not None:
                return another
            time.sleep(_LOOK_SECONDS)
        return None

    def _drive_one(self, hand: Hand) -> bool:
        """Have a hand do what there is; returns whether it is lost."""
        stop, owner = True, ""
        try:
            owner = hand.ask(Road.owner).result()
            try:
                self._steps(hand)
                stop = self._stopping()
            finally:
                self._heed(hand, hand.ask(Road.end, stop).result())
        except Gone:
            self.lost.add(owner)
            return True
        except BaseException:
            self._failed = True
            raise
        return False

    def _steps(self, hand: Hand) -> None:
        while not self._stopping():
            block = self._todo.take()
            try:
                step: Step = hand.ask(Road.step, block).result()
            except Gone:
                self._todo.put_back(block)
                raise
            self._heed(hand, step)
            if step.done:
                return
            if step.waiting is None:
                continue
            seconds = (step.waiting.until - pace.clock()).total_seconds()
            if self._patience is not None and seconds > self._patience.total_seconds():
                self.waiting = step.waiting
                return
            self._pause(min(seconds, _LOOK_SECONDS))

    def _heed(self, hand: Hand, step: Step) -> None:
        with self._lock:
            for state, count in step.counts.items():
                if state not in (SendState.PLANNED, ALREADY):
                    self._report.add(state, count)
                    self._report.by_hand.setdefault(hand.name, Counter())[state] += count
                self._told(state, count)
            self._report.notes += step.notes
            ledger.remember(step.unwritten)

    def _pause(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while not self._stopping() and (left := end - time.monotonic()) > 0:
            time.sleep(min(left, 0.1))


def settle_earlier(desk: Desk, report: EditionReport, lost: Collection[str] = ()) -> None:
    """Settle what this process could not write down before, and what processes that are gone left behind; what a wrong
    clock put off for longer than any retry takes is tried now.

    Args:
        lost: in whose name sends were claimed by processes that cannot be reached.
    """
    now = desk.clock()
    with writing(desk.engine) as connection:
        sends.bring_back(connection, now + timedelta(hours=desk.config.delivery.retry_hours), now)
        workers.forget(connection, now - _WORKERS_KEPT)
    for late in ledger.settle_unwritten(desk.engine, now):
        report.add(late.value)
    orphans = outbox.settle_orphans(desk.engine, now, lost)
    report.add(SendState.UNSURE.value, len(orphans))
    report.notes += [
        f"{send.email}, {send.edition}: unsure, since a process ended while it was on the wire" for send in orphans
    ]
