"""What subscribers have judged: the papers their interests name, and their feedback, which fades with time."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from sqlalchemy import Connection

from newsletter.model import Interest, PaperName, Subscriber
from newsletter.ranking.profile import Followed
from newsletter.store import feedback, papers
from newsletter.store.feedback import Feedback, Verdict

FROM_FEEDBACK = "From your feedback"
"""The interest that stands for feedback which belongs to no interest a subscriber names."""


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


def _named(connection: Connection, block: Sequence[Subscriber]) -> dict[str, PaperName]:
    interests = [interest for subscriber in block for interest in subscriber.preferences.interests]
    names = {name for interest in interests for name in (*interest.liked, *interest.disliked)}
    return papers.find_all(connection, names)


def _followed(
    subscriber: Subscriber,
    named: Mapping[str, PaperName],
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
