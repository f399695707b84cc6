"""Choosing: the papers of the hour against what some subscribers follow."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from newsletter.audience.due import local_day
from newsletter.audience.judgements import followed
from newsletter.desk import Desk
from newsletter.digest import compose
from newsletter.model import Choice, Digest, Paper, Subscriber
from newsletter.ranking.profile import make_profile
from newsletter.ranking.rank import Candidates, make_candidates, scores
from newsletter.ranking.space import Space, fit, paper_text
from newsletter.store import papers, reading, sends

NO_PAPERS = "the store has no papers yet; 'newsletter fetch' brings some"


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


def why_nothing(desk: Desk, scored: compose.Scored) -> str:
    """Why a subscriber has nothing to get, in words."""
    new = int(scored.new.sum())
    last = scored.subscriber.last_digest
    since = f" since {last:%Y-%m-%d}" if last else f" in the last {desk.config.ranking.max_age_days} days"
    if new == 0:
        return f"no new papers{since}"
    best, least = compose.best_score(scored), desk.config.ranking.min_score
    return f"none of {new} new papers{since} reached a score of {least:.2f}; the best had {best:.2f}"


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
