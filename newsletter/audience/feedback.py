"""Feedback of subscribers: liked and disliked papers of their interests, and ratings, which fade over time."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from newsletter.model import Interest, PaperRef, Subscriber
from newsletter.ranking.profile import InterestFeedback, Verdicts, WeightedInterest
from newsletter.store import feedback, libraries, papers
from newsletter.store.feedback import Feedback, Verdict
from newsletter.store.preferences import interest_from_json, interest_json

FROM_FEEDBACK = "From your feedback"
"""The interest of feedback that belongs to no named interest."""


def load_feedback(connection: Connection, batch: Sequence[Subscriber]) -> dict[int, list[InterestFeedback]]:
    """Load the interests and feedback of a batch of subscribers, by row. Unknown papers are left out."""
    interests = [interest for subscriber in batch for interest in subscriber.preferences.interests]
    named = papers.find_all(
        connection, (name for interest in interests for name in (*interest.liked, *interest.disliked))
    )
    given = feedback.of(connection, [subscriber.row for subscriber in batch])
    return {subscriber.row: _with_feedback(subscriber, named, given[subscriber.row]) for subscriber in batch}


def restrict_to(
    known: Mapping[int, Sequence[InterestFeedback]], papers: Collection[int]
) -> dict[int, list[InterestFeedback]]:
    """Keep only the feedback on the given papers (by row)."""

    def these(verdicts: Verdicts) -> Verdicts:
        return tuple((name, at) for name, at in verdicts if name.row in papers)

    return {
        row: [replace(one, liked=these(one.liked), disliked=these(one.disliked)) for one in own]
        for row, own in known.items()
    }


def given_before(
    known: Mapping[int, Sequence[InterestFeedback]], moment: datetime
) -> dict[int, list[InterestFeedback]]:
    """Keep only the feedback given before a moment (UTC), to see what later feedback changed."""

    def older(verdicts: Verdicts) -> Verdicts:
        return tuple((name, at) for name, at in verdicts if at is None or at < moment)

    def restricted(own: Sequence[InterestFeedback]) -> Iterator[InterestFeedback]:
        for one in own:
            kept = replace(one, liked=older(one.liked), disliked=older(one.disliked))
            # Without feedback, there is no interest that stands for it.
            if one.interest.name != FROM_FEEDBACK or kept.liked or kept.disliked:
                yield kept

    return {row: list(restricted(own)) for row, own in known.items()}


def _with_feedback(
    subscriber: Subscriber, named: Mapping[str, PaperRef], given: Sequence[Feedback]
) -> list[InterestFeedback]:
    interests = list(subscriber.preferences.interests)
    names = {interest.name for interest in interests}
    if any(one.interest not in names for one in given):
        interests.append(Interest(name=FROM_FEEDBACK, liked=tuple(one.paper.id for one in given)))
    result = []
    for interest in interests:
        liked: dict[int, tuple[PaperRef, datetime | None]] = _by_row(named, interest.liked)
        disliked = _by_row(named, interest.disliked)
        for one in given:
            belongs = one.interest if one.interest in names else FROM_FEEDBACK
            if belongs == interest.name:
                (liked if one.verdict is Verdict.MORE else disliked)[one.paper.row] = (one.paper, one.given_at)
        result.append(InterestFeedback(interest, tuple(liked.values()), tuple(disliked.values())))
    return result


def _by_row(named: Mapping[str, PaperRef], names: Iterable[str]) -> dict[int, tuple[PaperRef, datetime | None]]:
    return {paper.row: (paper, None) for name in names if (paper := named.get(name)) is not None}


def decay(known: Sequence[InterestFeedback], now: datetime, half_life_days: float) -> list[WeightedInterest]:
    """Return the current weights of verdicts: 1 for papers of the interest itself; feedback fades with a half-life."""

    def weight(given_at: datetime | None) -> float:
        return 1.0 if given_at is None else weight_of(given_at, now, half_life_days)

    return [
        WeightedInterest(
            one.interest,
            tuple((name, weight(at)) for name, at in one.liked),
            tuple((name, weight(at)) for name, at in one.disliked),
        )
        for one in known
    ]


def weight_of(given_at: datetime, now: datetime, half_life_days: float) -> float:
    """Return how much feedback still counts, between 0 and 1: half after each half-life."""
    return float(0.5 ** (max(now - given_at, timedelta(0)) / timedelta(days=half_life_days)))


def to_json(known: Sequence[InterestFeedback]) -> list[dict[str, Any]]:
    """Convert interests and their feedback (by paper rows) to JSON values."""
    return [
        {
            **interest_json(one.interest),
            "taught_liked": [[name.row, at.isoformat() if at else None] for name, at in one.liked],
            "taught_disliked": [[name.row, at.isoformat() if at else None] for name, at in one.disliked],
        }
        for one in known
    ]


def from_json(connection: Connection, content: Sequence[Mapping[str, Any]]) -> list[InterestFeedback]:
    """Read the result of :func:`to_json`; papers that are no longer in a library have no title."""
    verdicts = [pair for one in content for key in ("taught_liked", "taught_disliked") for pair in one[key]]
    names = papers.names(connection, [row for row, _ in verdicts if row > 0])
    items = libraries.items_by_rows(connection, [-row for row, _ in verdicts if row < 0])
    titles = {-row: item.paper.title for row, item in items.items()}
    names |= {row: PaperRef(row, "", titles.get(row, "")) for row, _ in verdicts if row < 0}

    def read(pairs: Sequence[tuple[int, str | None]]) -> Verdicts:
        return tuple((names[row], datetime.fromisoformat(at) if at else None) for row, at in pairs)

    return [
        InterestFeedback(interest_from_json(one), read(one["taught_liked"]), read(one["taught_disliked"]))
        for one in content
    ]
