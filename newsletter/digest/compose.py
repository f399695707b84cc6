"""Composing a digest: which papers, in which section, in which order, and why."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
from scipy.sparse import csr_matrix

from newsletter.digest.never import Hidden
from newsletter.model import Choice, Digest, Subscriber
from newsletter.ranking.calibration import deviation, match
from newsletter.ranking.diversify import cosines, marginal_relevance
from newsletter.ranking.explain import Weighed, reason, weighed
from newsletter.ranking.index import Index
from newsletter.ranking.profile import Profiles, Taught
from newsletter.ranking.rank import BY_AUTHOR, Candidates, scale
from newsletter.ranking.trending import trending_reason

TRENDING = "Trending"
_AT_LEAST_WEIGHED = 30


@dataclass(frozen=True, slots=True)
class Rules:
    """How digests are made up, see ``ranking`` and ``digest`` in ``config.yaml``.

    Attributes:
        min_score: the least match. ``variety``: λ of maximal marginal relevance; 1 heeds the match alone.
        trending: how many papers Trending has at most.
    """

    min_score: float
    variety: float
    trending: int


@dataclass(frozen=True, slots=True)
class Scored:
    """One subscriber's new papers, scored.

    Attributes:
        profiles: those of a block of subscribers; ``first``: which of them is this subscriber's first.
        matrix: how far each candidate stands out for each of the subscriber's interests (interests × papers).
        new: which candidates are new to the subscriber and not hidden (one truth value a paper).
        hidden: the new ones that a never-word hides, with the word, by place.
        taught: what the profiles were made from.
    """

    subscriber: Subscriber
    profiles: Profiles
    first: int
    matrix: np.ndarray
    new: np.ndarray
    hidden: Mapping[int, str]
    taught: Sequence[Taught]


@dataclass(frozen=True, slots=True)
class Match:
    """A candidate (by its place among them) with the interest (by its place among the subscriber's) that it fits best;
    -1 stands for Trending.

    Attributes:
        score: between 0 and 1. ``stands_out``: the same in deviations, for an interest; infinite for a followed author.
    """

    candidate: int
    interest: int
    score: float
    stands_out: float = 0.0

    @property
    def by_author(self) -> bool:
        """Whether an author of it is followed."""
        return self.stands_out == BY_AUTHOR


def is_new(
    subscriber: Subscriber, candidates: Candidates, known: set[int], hidden: Hidden
) -> tuple[np.ndarray, dict[int, str]]:
    """Which candidates are new to a subscriber: above what stood for choice last time and not known; and of these, by
    place, those that a never-word hides, which do not count as new.

    Args:
        known: rows of papers that the subscriber was sent or has judged.
        hidden: which papers each never-word hides.
    """
    new = candidates.rows > subscriber.seen_row
    if known:
        new &= ~np.isin(candidates.rows, np.fromiter(known, dtype=np.int64))
    by = {place: word for word in subscriber.preferences.never for place in hidden[word] if new[place]}
    new[list(by)] = False
    return new, by


def matches(scored: Scored, candidates: Candidates, min_score: float) -> list[Match]:
    """The new papers that reach the least match, best first; what matches alike stands as Trending has it."""
    if not len(scored.matrix):
        return []
    value = scored.matrix.max(axis=0)
    places = np.flatnonzero(scored.new & (value >= deviation(min_score)) & (value > -np.inf))
    order = np.lexsort((candidates.rows[places], -candidates.trending[places], -value[places]))
    places = places[order]
    interests = scored.matrix[:, places].argmax(axis=0)
    values = value[places].astype(float)
    return [
        Match(int(place), int(interest), float(score), float(stands_out))
        for place, interest, score, stands_out in zip(places, interests, match(values), values, strict=True)
    ]


def trending(scored: Scored, candidates: Candidates) -> list[Match]:
    """The new papers that the community talks about, most talked about first."""
    places = np.flatnonzero(scored.new & (candidates.trending > 0))
    order = np.lexsort((candidates.rows[places], -candidates.trending[places]))
    return [Match(int(place), -1, float(candidates.trending[place])) for place in places[order]]


def compose(index: Index, scored: Scored, candidates: Candidates, rules: Rules, edition: date) -> Digest:
    """Compose a subscriber's digest.

    Papers by followed authors are in it, however many there are. Of the other places every interest has its share,
    after its weight; places that an interest cannot fill go to the others. Trending has the last places,
    ``rules.trending`` at most, and all of them when no interest is named.
    """
    subscriber = scored.subscriber
    places = subscriber.preferences.papers
    picked = list(_pick(scored, candidates, matches(scored, candidates, rules.min_score), rules.variety))
    followed = sum(one.by_author for one in picked)
    talked_about = trending(scored, candidates)
    most_trending = min(rules.trending if len(scored.matrix) else places, places)
    chosen = picked[: max(followed, places - min(len(talked_about), most_trending))]
    rest = _without(talked_about, chosen)[: min(most_trending, max(0, places - len(chosen)))]
    # Places that Trending leaves empty, its papers being chosen already, go back to the interests.
    chosen = picked[: max(len(chosen), places - len(rest))]
    in_order = sorted(chosen, key=lambda one: (one.interest, -one.score)) + _without(rest, chosen)
    return Digest(
        edition=edition,
        choices=tuple(choice(index, scored, candidates, one, rank) for rank, one in enumerate(in_order, 1)),
        considered=int(scored.new.sum()),
        since=subscriber.last_digest,
        seen_row=int(candidates.rows.max(initial=subscriber.seen_row)),
    )


def choice(index: Index, scored: Scored, candidates: Candidates, one: Match, rank: int) -> Choice:
    """A match with its reason, at a place."""
    paper = candidates.papers[one.candidate]
    if one.interest < 0:
        return Choice(paper, rank, one.score, TRENDING, trending_reason(paper))
    row = scored.first + one.interest
    because = reason(index.space, scored.profiles, row, paper, _scaled(scored, candidates, one.candidate, row))
    return Choice(paper, rank, one.score, scored.profiles.followed[row].interest.name, because)


def weighed_for(index: Index, scored: Scored, candidates: Candidates, chosen: Choice, most: int) -> Weighed:
    """What speaks for a chosen paper, ``most`` terms and liked papers; nothing for one of Trending."""
    if chosen.section == TRENDING or not len(scored.matrix):
        return Weighed()
    place = int(np.searchsorted(candidates.rows, chosen.paper.row))
    row = scored.first + int(scored.matrix[:, place].argmax())
    return weighed(index.space, scored.profiles, row, _scaled(scored, candidates, place, row), most)


def _scaled(scored: Scored, candidates: Candidates, place: int, row: int) -> csr_matrix:
    """A candidate's vector times the scale of its score for a profile."""
    factor = scale(candidates.lineup.factor[place], scored.profiles.teachers[row])
    return candidates.lineup.vectors[place] * float(factor)


def best_score(scored: Scored) -> float:
    """The best match among the subscriber's new papers, 0 without any."""
    if not len(scored.matrix) or not scored.new.any():
        return 0.0
    return float(match(scored.matrix[:, scored.new].max().astype(float)))


def _without(some: Sequence[Match], others: Sequence[Match]) -> list[Match]:
    taken = {one.candidate for one in others}
    return [one for one in some if one.candidate not in taken]


def _pick(scored: Scored, candidates: Candidates, found: Sequence[Match], variety: float) -> Iterator[Match]:
    """The matches in the order in which they are given places: followed authors first, then turn by turn an interest's
    best beside what was picked before.
    """
    queues = _queues(found, len(scored.matrix), scored.subscriber.preferences.papers)
    weighed = [one for queue in queues for one in queue]
    if not weighed:
        return
    weights = [scored.profiles.followed[scored.first + number].interest.weight for number in range(len(queues))]
    alike = cosines(candidates.lineup.vectors[[one.candidate for one in weighed]])
    stands_out = np.array([one.stands_out for one in weighed])
    scores = stands_out / stands_out[np.isfinite(stands_out)].max(initial=1.0)
    queue_of = np.array([one.interest for one in weighed])
    left, closest = np.ones(len(weighed), dtype=bool), np.zeros(len(weighed))
    taken = [0] * len(queues)
    authors = [place for place, one in enumerate(weighed) if one.by_author]
    while left.any():
        if authors:
            place = authors.pop(0)
        else:
            # Sainte-Laguë: the next place goes to who has most weight for the places held already.
            still = np.unique(queue_of[left])
            winner = max(still, key=lambda number: weights[number] / (2 * taken[number] + 1))
            worth = marginal_relevance(scores, closest, variety)
            place = int(np.where(left & (queue_of == winner), worth, -np.inf).argmax())
        left[place] = False
        taken[weighed[place].interest] += 1
        closest = np.maximum(closest, alike[place])
        yield weighed[place]


def _queues(found: Sequence[Match], interests: int, places: int) -> list[list[Match]]:
    """Of each interest the best matches, as many as variety may choose from; followed authors all."""
    queues: list[list[Match]] = [[] for _ in range(interests)]
    for one in found:
        if one.by_author or len(queues[one.interest]) < max(_AT_LEAST_WEIGHED, 2 * places):
            queues[one.interest].append(one)
    return queues
