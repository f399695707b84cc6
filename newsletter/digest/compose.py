"""Composing a digest: which papers, in which section, in which order, and why."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np

from newsletter.model import Choice, Digest, Subscriber
from newsletter.ranking.explain import reason
from newsletter.ranking.profile import Profile
from newsletter.ranking.rank import Candidates, scale
from newsletter.ranking.space import Space
from newsletter.ranking.trending import trending_reason

TRENDING = "Trending"


@dataclass(frozen=True, slots=True)
class Scored:
    """One subscriber's new papers, scored.

    Attributes:
        new: which candidates are new to the subscriber and not unwanted (one truth value a paper).
        matrix: interests × papers.
    """

    subscriber: Subscriber
    profiles: tuple[Profile, ...]
    new: np.ndarray
    matrix: np.ndarray


@dataclass(frozen=True, slots=True)
class Match:
    """A candidate (by its place among them) with the interest (likewise) that it fits best; -1 stands for Trending."""

    candidate: int
    interest: int
    score: float


def is_new(subscriber: Subscriber, candidates: Candidates, held: set[int]) -> np.ndarray:
    """Which candidates are new to a subscriber: above what stood for choice last time, neither held nor unwanted.

    Args:
        held: rows of papers that the subscriber was sent or knows.
    """
    never = [word.casefold() for word in subscriber.preferences.never]
    new = np.asarray(candidates.rows > subscriber.seen_row)
    for index in np.flatnonzero(new):
        unwanted = any(word in candidates.texts[index] for word in never)
        new[index] = not unwanted and int(candidates.rows[index]) not in held
    return new


def matches(scored: Scored, candidates: Candidates, min_score: float) -> list[Match]:
    """The new papers that reach the least score, best first; what scores alike stands as Trending has it."""
    if not scored.profiles:
        return []
    interest = scored.matrix.argmax(axis=0)
    value = scored.matrix.max(axis=0)
    passed = scored.new & (value >= min_score) & (value > 0)
    order = np.lexsort((candidates.rows, -candidates.trending, -value))
    return [Match(int(index), int(interest[index]), float(value[index])) for index in order if passed[index]]


def trending(scored: Scored, candidates: Candidates) -> list[Match]:
    """The new papers that the community talks about, most talked about first."""
    passed = scored.new & (candidates.trending > 0)
    order = np.lexsort((candidates.rows, -candidates.trending))
    return [Match(int(index), -1, float(candidates.trending[index])) for index in order if passed[index]]


def compose(
    space: Space, scored: Scored, candidates: Candidates, min_score: float, trending_papers: int, edition: date
) -> Digest:
    """Compose a subscriber's digest.

    Every interest has its share of the places, after its weight; places that an interest cannot fill go to the others.
    Trending has the last places, ``trending_papers`` at most, and all of them when no interest is named.
    """
    subscriber = scored.subscriber
    places = subscriber.preferences.papers
    found = matches(scored, candidates, min_score)
    talked_about = trending(scored, candidates)
    most_trending = min(trending_papers if scored.profiles else places, places)
    chosen = _share_out(scored.profiles, found, places - min(len(talked_about), most_trending))
    rest = _without(talked_about, chosen)[:most_trending]
    # Places that Trending leaves empty, its papers being chosen already, go back to the interests.
    chosen = _share_out(scored.profiles, found, places - len(rest))
    chosen += _without(rest, chosen)
    return Digest(
        edition=edition,
        choices=tuple(choice(space, scored, candidates, match, rank) for rank, match in enumerate(chosen, 1)),
        considered=int(scored.new.sum()),
        since=subscriber.last_digest,
        seen_row=int(candidates.rows.max(initial=subscriber.seen_row)),
    )


def choice(space: Space, scored: Scored, candidates: Candidates, match: Match, rank: int) -> Choice:
    """A match with its reason, at a place."""
    paper = candidates.papers[match.candidate]
    if match.interest < 0:
        return Choice(paper, rank, match.score, TRENDING, trending_reason(paper))
    profile = scored.profiles[match.interest]
    lineup = candidates.lineup
    factor = scale(lineup.factor[match.candidate], np.array(profile.teachers))
    scaled = lineup.vectors[match.candidate] * float(factor)
    return Choice(paper, rank, match.score, profile.interest.name, reason(space, profile, paper, scaled))


def best_score(scored: Scored) -> float:
    """The best score among the subscriber's new papers, 0 without any."""
    if not scored.profiles or not scored.new.any():
        return 0.0
    return float(scored.matrix[:, scored.new].max())


def _without(some: Sequence[Match], others: Sequence[Match]) -> list[Match]:
    taken = {match.candidate for match in others}
    return [match for match in some if match.candidate not in taken]


def _share_out(profiles: Sequence[Profile], found: Sequence[Match], places: int) -> list[Match]:
    queues = [[match for match in found if match.interest == number] for number in range(len(profiles))]
    taken = [0] * len(queues)
    for _ in range(min(places, len(found))):
        # Sainte-Laguë: the next place goes to who has most weight for the places held already.
        still = [number for number, queue in enumerate(queues) if taken[number] < len(queue)]
        winner = max(still, key=lambda number: profiles[number].interest.weight / (2 * taken[number] + 1))
        taken[winner] += 1
    return [match for number, queue in enumerate(queues) for match in queue[: taken[number]]]
