"""What subscribers have judged: the papers their interests name, and their feedback, which fades with time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection

from newsletter.model import Interest, Paper, Subscriber
from newsletter.store import feedback, papers
from newsletter.store.feedback import Feedback, Verdict

FROM_FEEDBACK = "From your feedback"
"""The interest that stands for feedback which belongs to no interest a subscriber names."""


@dataclass(frozen=True, slots=True)
class Followed:
    """An interest with the papers it was taught by, each with its weight (1 for what a file names, less for faded
    feedback).
    """

    interest: Interest
    liked: tuple[tuple[Paper, float], ...]
    disliked: tuple[tuple[Paper, float], ...]


def followed(
    connection: Connection, block: Sequence[Subscriber], now: datetime, half_life_days: float
) -> dict[int, list[Followed]]:
    """What each subscriber of a block follows, by row. Papers that the store does not know are left out.

    Args:
        half_life_days: after so many days feedback counts half.
    """
    named = _named(connection, block)
    given = feedback.of(connection, [subscriber.row for subscriber in block])
    return {
        subscriber.row: _followed(subscriber, named, given[subscriber.row], now, half_life_days) for subscriber in block
    }


def _named(connection: Connection, block: Sequence[Subscriber]) -> dict[str, Paper]:
    interests = [interest for subscriber in block for interest in subscriber.preferences.interests]
    names = {name for interest in interests for name in (*interest.liked, *interest.disliked)}
    found = {name: papers.find(connection, name) for name in sorted(names)}
    return {name: paper for name, paper in found.items() if paper is not None}


def _followed(
    subscriber: Subscriber,
    named: Mapping[str, Paper],
    given: Sequence[Feedback],
    now: datetime,
    half_life_days: float,
) -> list[Followed]:
    interests = list(subscriber.preferences.interests)
    names = {interest.name for interest in interests}
    if any(one.interest not in names for one in given):
        interests.append(Interest(name=FROM_FEEDBACK, liked=tuple(one.paper.id for one in given)))
    result = []
    for interest in interests:
        liked = {paper.row: (paper, 1.0) for name in interest.liked if (paper := named.get(name))}
        disliked = {paper.row: (paper, 1.0) for name in interest.disliked if (paper := named.get(name))}
        for one in given:
            belongs = one.interest if one.interest in names else FROM_FEEDBACK
            if belongs == interest.name:
                weight = 0.5 ** (max(now - one.given_at, timedelta(0)) / timedelta(days=half_life_days))
                (liked if one.verdict is Verdict.MORE else disliked)[one.paper.row] = (one.paper, weight)
        result.append(Followed(interest, tuple(liked.values()), tuple(disliked.values())))
    return result
