"""Ratings on the site: store verdicts on several papers, and show what they change in a digest."""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import datetime

from newsletter.digest.composer import ScoredSubscriber
from newsletter.model import DigestItem, Paper, Subscriber
from newsletter.services.context import AppContext
from newsletter.services.feedback_effect import best_interests
from newsletter.services.ranking_snapshot import build_snapshot
from newsletter.services.recommend import NO_PAPERS, compose_digest, digest_rules, empty_reason, score_today
from newsletter.store import feedback, papers, reading, writing
from newsletter.store.feedback import Verdict


def give_ratings(context: AppContext, subscriber: Subscriber, verdicts: Mapping[int, Verdict]) -> int:
    """Store a subscriber's verdicts on papers (by row), each for the interest that fits the paper best.

    Returns:
        How many were stored: unknown papers are left out.
    """
    with reading(context.engine) as connection:
        found: Mapping[int, Paper] = papers.by_rows(connection, verdicts)
    if not found:
        return 0
    interests = best_interests(context, subscriber, list(found.values()))
    now = context.clock()
    with writing(context.engine) as connection:
        for row in found:
            feedback.give(connection, subscriber.row, row, verdicts[row], interests[row], now)
    return len(found)


@dataclass(frozen=True, slots=True)
class RatedDigest:
    """A subscriber's digest as it would be composed now.

    Attributes:
        new: the rows of its papers that are in it because of recent ratings.
        nothing: why it is empty; empty if it is not.
    """

    choices: Sequence[DigestItem]
    new: Set[int]
    nothing: str


def digest_with_ratings(context: AppContext, subscriber: Subscriber, since: datetime) -> RatedDigest:
    """Compose a subscriber's digest of today, and compare it with the one without the feedback given from ``since``
    (UTC) on.
    """
    field = build_snapshot(context)
    if field is None:
        return RatedDigest((), set(), NO_PAPERS)

    def choices(scored: ScoredSubscriber) -> Sequence[DigestItem]:
        return compose_digest(context, field, scored).choices

    scored = score_today(context, field, subscriber)
    now, before = choices(scored), choices(score_today(context, field, subscriber, given_before=since))
    new = {one.paper.row for one in now} - {one.paper.row for one in before}
    nothing = "" if now else empty_reason(context, field, scored, digest_rules(context, subscriber))
    return RatedDigest(now, new, nothing)
