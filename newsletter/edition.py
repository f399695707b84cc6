"""The road: sources → store → ranking → digest → rendering → delivery → store.

Everything an edition does can be read here. Data goes down the road once; nothing behind looks ahead.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta

from sqlalchemy import Connection, Engine

from newsletter.audience import membership
from newsletter.audience.due import local_day, next_due
from newsletter.audience.judgements import followed
from newsletter.audience.links import Links, Purpose
from newsletter.clock import Clock
from newsletter.config import Config
from newsletter.credentials import signing_key
from newsletter.delivery import outbox, transport
from newsletter.digest import compose
from newsletter.errors import NewsletterError
from newsletter.model import Choice, Digest, Message, Paper, Send, SendState, Subscriber, SubscriberState
from newsletter.ranking.profile import make_profile
from newsletter.ranking.rank import Candidates, make_candidates, scores
from newsletter.ranking.space import Space, fit, paper_text
from newsletter.rendering.message import make_message, message_id, render_parts
from newsletter.rendering.template import Templates, load_templates
from newsletter.rendering.view import PersonalLinks
from newsletter.sources import gather as gathering
from newsletter.sources.base import Window
from newsletter.sources.gather import Gathered
from newsletter.sources.gather import Told as HeardPapers
from newsletter.store import open_store, papers, reading, sends, subscribers, writing

BLOCK = 200
"""Subscribers ranked together: enough for one product to be worth its while, few enough for any memory."""

NO_PAPERS = "the store has no papers yet; 'newsletter fetch' brings some"

Told = Callable[[str, int], None]
"""Hears of progress: the state that sends came to, and how many."""


@dataclass(frozen=True, slots=True)
class Desk:
    """What an edition is made with: the configuration, the store, the time and the links."""

    config: Config
    engine: Engine
    clock: Clock
    links: Links


def open_desk(config: Config, clock: Clock) -> Desk:
    """Open the store that a configuration names.

    Raises:
        UserError: it cannot be opened, or the key that signs links not read.
    """
    links = Links(config.site.url, signing_key(config.folder))
    return Desk(config, open_store(config.store_url), clock, links)


def gather(
    desk: Desk, names: Sequence[str], window: Window | None = None, told: Callable[[str], HeardPapers] | None = None
) -> Iterator[Gathered]:
    """Ask the sources (all, when none is named) for new papers, or for those of a window, and store them."""
    window = window or Window(since=None, until=desk.clock().date())
    return gathering.gather(
        desk.engine, desk.config, desk.clock, names, window, told or (lambda name: lambda count: None)
    )


def read_files(desk: Desk) -> membership.FilesRead:
    """Bring the store up to date with the subscribers' files."""
    with writing(desk.engine) as connection:
        return membership.read_files(connection, desk.config.subscribers_folder, desk.clock())


# Ranking


@dataclass(frozen=True, slots=True)
class Field:
    """The papers of the hour: the space of the whole store, and those that are new to somebody.

    Attributes:
        now: when it was made (UTC); what is stored later stands for choice next time.
    """

    space: Space
    candidates: Candidates
    now: datetime

    @property
    def oldest(self) -> datetime:
        """First seen of the oldest candidate (UTC), ``now`` without any."""
        return min((paper.first_seen or self.now for paper in self.candidates.papers), default=self.now)


def make_field(desk: Desk) -> Field | None:
    """Fit the space on the store's papers and take those within ``ranking.max_age_days``; None for an empty store."""
    now = desk.clock()
    with reading(desk.engine) as connection:
        space = fit(paper_text(paper) for paper in papers.texts(connection))
        if space is None:
            return None
        new = papers.first_seen_since(connection, now - timedelta(days=desk.config.ranking.max_age_days))
    half_life = desk.config.digest.trending_half_life_days
    return Field(space, make_candidates(space, new, now.date(), half_life), now)


def score_block(
    desk: Desk, field: Field, block: Sequence[Subscriber], leaving_out: date | None = None
) -> list[compose.Scored]:
    """Score the new papers of a block of subscribers, all their interests in one product.

    Args:
        leaving_out: an edition whose papers do not count as sent.
    """
    with reading(desk.engine) as connection:
        rows = [subscriber.row for subscriber in block]
        held = sends.held_papers(connection, rows, field.oldest - timedelta(microseconds=1), leaving_out)
        half_life = desk.config.ranking.feedback_half_life_days
        follows = followed(connection, block, field.now, half_life)
    profiles = [
        [make_profile(field.space, one.interest, one.liked, one.disliked) for one in follows[subscriber.row]]
        for subscriber in block
    ]
    matrix = scores([profile for own in profiles for profile in own], field.candidates)
    scored, start = [], 0
    for subscriber, own in zip(block, profiles, strict=True):
        # What somebody has judged already is no news to them.
        known = {paper.row for profile in own for paper in profile.judged}
        new = compose.is_new(subscriber, field.candidates, held[subscriber.row] | known)
        scored.append(compose.Scored(subscriber, tuple(own), new, matrix[start : start + len(own)]))
        start += len(own)
    return scored


def compose_digest(desk: Desk, field: Field, scored: compose.Scored) -> Digest:
    """Compose the digest of a subscriber for the edition of the subscriber's today."""
    today = local_day(scored.subscriber.preferences.schedule, field.now)
    config = desk.config
    return compose.compose(
        field.space, scored, field.candidates, config.ranking.min_score, config.digest.trending, today
    )


# Looking ahead


def rank_papers(desk: Desk, subscriber: Subscriber, top: int) -> tuple[list[Choice], str]:
    """The papers new to a subscriber today, best first, each with the interest it fits best and the reason; when there
    are none, why.
    """
    field = make_field(desk)
    if field is None:
        return [], NO_PAPERS
    scored = _scored_today(desk, field, subscriber)
    found = compose.matches(scored, field.candidates, desk.config.ranking.min_score)
    if not scored.profiles:
        found = compose.trending(scored, field.candidates)
    choices = [
        compose.choice(field.space, scored, field.candidates, match, number)
        for number, match in enumerate(found[:top], 1)
    ]
    return choices, "" if choices else why_nothing(desk, scored)


def preview_digest(desk: Desk, subscriber: Subscriber) -> tuple[Digest | None, str]:
    """A subscriber's digest of today, as it would be made now; when it has no papers, why."""
    field = make_field(desk)
    if field is None:
        return None, NO_PAPERS
    scored = _scored_today(desk, field, subscriber)
    digest = compose_digest(desk, field, scored)
    return digest, "" if digest.choices else why_nothing(desk, scored)


def _scored_today(desk: Desk, field: Field, subscriber: Subscriber) -> compose.Scored:
    """The scores as if today's edition had not gone out yet, so that its effect can still be seen and changed."""
    today = local_day(subscriber.preferences.schedule, field.now)
    with reading(desk.engine) as connection:
        last_digest, seen_row = sends.last_sent_before(connection, subscriber.row, today)
    (scored,) = score_block(desk, field, [replace(subscriber, last_digest=last_digest, seen_row=seen_row)], today)
    return scored


def best_interest(desk: Desk, subscriber: Subscriber, paper: Paper) -> str | None:
    """The name of the interest that a paper fits best; None when the subscriber names none."""
    field = make_field(desk)
    if field is None or not subscriber.preferences.interests:
        return None
    alone = replace(field, candidates=make_candidates(field.space, [paper], field.now.date(), 1.0))
    (scored,) = score_block(desk, alone, [subscriber])
    named = len(subscriber.preferences.interests)
    return scored.profiles[int(scored.matrix[:named, 0].argmax())].interest.name


def dry_run(desk: Desk, blocks: Iterator[list[Subscriber]]) -> Iterator[tuple[Subscriber, Digest, str | None]]:
    """What :func:`run_edition` would plan, without planning it: each digest, or the reason why it is empty."""
    field: Field | None = None
    for number, block in enumerate(blocks):
        field = make_field(desk) if number == 0 else field
        people = {subscriber.row: subscriber for subscriber in block}
        for plan in make_plans(desk, field, block):
            yield people[plan.subscriber], plan.digest, plan.skip_reason


# Rendering


def templates(desk: Desk) -> Templates:
    """Load the templates, the newsletter's own before the program's.

    Raises:
        UserError: one is missing or wrong.
    """
    return load_templates(desk.config.folder / desk.config.templates)


def render_message(desk: Desk, filled: Templates, subscriber: Subscriber, digest: Digest) -> Message:
    """Render a digest into the message that is sent."""
    identity = identify(desk, subscriber, digest.edition)
    links = personal_links(desk, subscriber)
    return make_message(desk.config.site, filled, subscriber, digest, links, identity, desk.clock())


def render_pages(desk: Desk, filled: Templates, subscriber: Subscriber, digest: Digest) -> tuple[str, str]:
    """The HTML part and the text part of that message."""
    return render_parts(desk.config.site, filled, subscriber, digest, personal_links(desk, subscriber))


def identify(desk: Desk, subscriber: Subscriber, edition: date) -> str:
    """The Message-ID of a subscriber's digest in an edition."""
    return message_id(desk.config.site, desk.links.key, edition, subscriber.row)


def personal_links(desk: Desk, subscriber: Subscriber) -> PersonalLinks:
    """The signed links of a subscriber."""
    return PersonalLinks(
        preferences=desk.links.url(Purpose.PREFERENCES, subscriber.row),
        unsubscribe=desk.links.url(Purpose.UNSUBSCRIBE, subscriber.row),
    )


# Planning


def due_blocks(desk: Desk) -> Iterator[list[Subscriber]]:
    """The subscribers whose time has come, in blocks."""
    now = desk.clock()
    return _blocks(desk, lambda connection, after: subscribers.due(connection, now, after, BLOCK))


def active_blocks(desk: Desk) -> Iterator[list[Subscriber]]:
    """All subscribers who get mail, in blocks."""
    active = SubscriberState.ACTIVE
    return _blocks(desk, lambda connection, after: subscribers.page(connection, after, BLOCK, active))


def _blocks(desk: Desk, page: Callable[[Connection, int], list[Subscriber]]) -> Iterator[list[Subscriber]]:
    after = 0
    while True:
        with reading(desk.engine) as connection:
            block = page(connection, after)
        if not block:
            return
        yield block
        after = block[-1].row


def plan_block(desk: Desk, field: Field | None, block: Sequence[Subscriber]) -> dict[str, int]:
    """Write down the digests of a block as planned. Each subscriber is due next at the first moment of the schedule
    from now on.

    Returns:
        How many were planned, and how many skipped.
    """
    now = desk.clock()
    plans = make_plans(desk, field, block)
    with writing(desk.engine) as connection:
        planned = sends.plan(connection, plans, now)
        due = {subscriber.row: next_due(subscriber.preferences.schedule, now) for subscriber in block}
        subscribers.set_next_due(connection, due)
    skipped = sum(plan.skip_reason is not None for plan in plans)
    return {SendState.PLANNED.value: len(planned), SendState.SKIPPED.value: skipped}


def make_plans(desk: Desk, field: Field | None, block: Sequence[Subscriber]) -> list[sends.Plan]:
    """Compose the digests of those in a block who have none yet in the edition of their today."""
    now = desk.clock()
    editions = {subscriber.row: local_day(subscriber.preferences.schedule, now) for subscriber in block}
    with reading(desk.engine) as connection:
        served = sends.in_edition(connection, editions)
    fresh = [subscriber for subscriber in block if subscriber.row not in served]
    if field is None:
        nothing = Digest(edition=now.date(), choices=(), considered=0, since=None, seen_row=0)
        return [_plan(desk, one, replace(nothing, edition=editions[one.row]), NO_PAPERS) for one in fresh]
    plans = []
    for scored in score_block(desk, field, fresh) if fresh else []:
        digest = compose_digest(desk, field, scored)
        reason = None if digest.choices else why_nothing(desk, scored)
        plans.append(_plan(desk, scored.subscriber, digest, reason))
    return plans


def _plan(desk: Desk, subscriber: Subscriber, digest: Digest, skip_reason: str | None) -> sends.Plan:
    return sends.Plan(
        subscriber=subscriber.row,
        email=subscriber.email,
        message_id=identify(desk, subscriber, digest.edition),
        digest=digest,
        skip_reason=skip_reason,
    )


def why_nothing(desk: Desk, scored: compose.Scored) -> str:
    """Why a subscriber has nothing to get, in words."""
    new = int(scored.new.sum())
    last = scored.subscriber.last_digest
    since = f" since {last:%Y-%m-%d}" if last else f" in the last {desk.config.ranking.max_age_days} days"
    if new == 0:
        return f"no new papers{since}"
    best, least = compose.best_score(scored), desk.config.ranking.min_score
    return f"none of {new} new papers{since} reached a score of {least:.2f}; the best had {best:.2f}"


# Delivery


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
    blocks: Iterator[list[Subscriber]],
    stopping: Callable[[], bool],
    told: Told,
    only: Subscriber | None = None,
) -> EditionReport:
    """Make up what is to be sent and send what waits, whether it was planned just now or by a run that was cut short.

    Args:
        blocks: the subscribers to plan for.
        stopping: asked between messages; when it says so the run ends, and the next one goes on.
        only: send to this one alone.

    Raises:
        ServerUnusable: the mail server cannot be used; what is planned stays planned.
    """
    report = EditionReport()
    orphans = outbox.settle_orphans(desk.engine, desk.clock())
    report.add(SendState.UNSURE.value, len(orphans))
    report.notes += [
        f"{send.email}, {send.edition}: unsure, since a process ended while it was on the wire" for send in orphans
    ]
    field: Field | None = None
    for number, block in enumerate(blocks):
        if stopping():
            report.stopped = True
            return report
        field = make_field(desk) if number == 0 else field
        planned = plan_block(desk, field, block)
        report.add(SendState.SKIPPED.value, planned[SendState.SKIPPED.value])
        for state, count in planned.items():
            told(state, count)
    with transport.Transport(desk.config.smtp, desk.config.folder) as wire:
        _deliver(desk, wire, report, stopping, told, only)
    return report


def _deliver(
    desk: Desk,
    wire: transport.Transport,
    report: EditionReport,
    stopping: Callable[[], bool],
    told: Told,
    only: Subscriber | None,
) -> None:
    owner = outbox.Owner.here()
    filled: Templates | None = None
    for block in outbox.waiting(desk.engine, desk.clock(), only.row if only else None):
        filled = filled or templates(desk)
        with reading(desk.engine) as connection:
            digests = sends.digests(connection, block)
            people = subscribers.by_rows(connection, [send.subscriber for send in block])
        for send in block:
            if stopping():
                report.stopped = True
                return
            # Rendered before it is claimed: a template that fails leaves the send as it was.
            message = render_message(desk, filled, people[send.subscriber], digests[send.row])
            state = _deliver_one(desk, wire, owner, send, message)
            if state is not None:
                report.add(state.value)
                told(state.value, 1)


def _deliver_one(
    desk: Desk, wire: transport.Transport, owner: outbox.Owner, send: Send, message: Message
) -> SendState | None:
    wire.open()
    if not outbox.claim(desk.engine, send, owner, desk.clock()):
        return None
    try:
        outcome = wire.send(message)
    except NewsletterError:
        outbox.give_back(desk.engine, send, owner)
        raise
    return outbox.settle(desk.engine, send, owner, outcome, desk.clock())
