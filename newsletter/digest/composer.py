"""Compose digests: which papers, in which section and order, and why."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache

import numpy as np

from newsletter.digest.blocklist import BlockedPapers
from newsletter.model import Digest, DigestItem, Subscriber
from newsletter.ranking.diversify import MmrQueue
from newsletter.ranking.explain import Explanation, explain, interest_terms, reason
from newsletter.ranking.index import Index
from newsletter.ranking.profile import InterestFeedback, Profiles
from newsletter.ranking.scoring import FULL_MATCH, Candidates
from newsletter.ranking.sparse import row_of
from newsletter.ranking.trending import trending_reason

TRENDING = "Trending"
_AT_LEAST_WEIGHED = 30
_NO_CLAIM = -1.0


@dataclass(frozen=True, slots=True)
class DigestRules:
    """The rules for composing digests, see ``ranking`` and ``digest`` in ``config.yaml``.

    Attributes:
        min_score: the minimum match. ``variety``: λ of maximal marginal relevance; 1 considers the match alone.
        trending: the maximum number of papers in Trending.
    """

    min_score: float
    variety: float
    trending: int


@dataclass(frozen=True, slots=True)
class ScoredSubscriber:
    """The scores of one subscriber's new papers.

    Attributes:
        profiles: those of a batch of subscribers. ``first``: the index of this subscriber's first profile.
        matrix: the match of each candidate with each of the subscriber's interests (interests × papers).
        new: which candidates are new to the subscriber and not hidden (one truth value per paper).
        hidden: the new ones hidden by a never-word, with the word, by index.
        known_feedback: the interests and feedback that the profiles were built from.
        sentence_model: the fingerprint of the sentence model, empty without one.
    """

    subscriber: Subscriber
    profiles: Profiles
    first: int
    matrix: np.ndarray
    new: np.ndarray
    hidden: Mapping[int, str]
    known_feedback: Sequence[InterestFeedback]
    sentence_model: str = ""


@dataclass(frozen=True, slots=True)
class Match:
    """A candidate (by index) with the subscriber's interest (by index) that it fits best; -1 stands for Trending.

    Attributes:
        score: the match, or how much it is discussed, between 0 and 1.
    """

    candidate: int
    interest: int
    score: float

    @property
    def by_author(self) -> bool:
        """Whether one of its authors is followed."""
        return self.interest >= 0 and self.score == FULL_MATCH


def is_new(
    subscriber: Subscriber, candidates: Candidates, known: set[int], hidden: BlockedPapers
) -> tuple[np.ndarray, dict[int, str]]:
    """Return which candidates are new to a subscriber: newer than those considered last time, and not known.

    Also return, by index, those of them that a never-word hides, which do not count as new.

    Args:
        known: rows of papers that the subscriber was sent or has rated.
        hidden: the papers hidden by each never-word.
    """
    new = candidates.rows > subscriber.seen_row
    if known:
        new &= ~np.isin(candidates.rows, np.fromiter(known, dtype=np.int64))
    by = {place: word for word in subscriber.preferences.never for place in hidden[word] if new[place]}
    new[list(by)] = False
    return new, by


def matches(scored: ScoredSubscriber, candidates: Candidates, min_score: float) -> list[Match]:
    """Return the new papers that reach the minimum match, best first; equal matches are in the order of Trending."""
    found = _matching(scored, min_score)
    if not found:
        return []
    interests = np.repeat(np.arange(len(found)), [len(places) for places, _ in found])
    places, scores = (np.concatenate(columns) for columns in zip(*found, strict=True))
    order = np.lexsort((candidates.standing[places], -scores))
    columns = (places[order].tolist(), interests[order].tolist(), scores[order].tolist())
    return [Match(*one) for one in zip(*columns, strict=True)]


def reaches(matches: np.ndarray, min_score: float) -> np.ndarray:
    """Return which matches reach the minimum; that of a paper with no match at all never does."""
    return np.asarray((matches >= min_score) & (matches > 0))


def _matching(scored: ScoredSubscriber, min_score: float) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return for each interest the indices of the new papers that reach the minimum match and fit it best (if a paper
    fits several equally, the first one), and their matches.
    """
    if not len(scored.matrix):
        return []
    best = scored.matrix.max(axis=0)
    left = scored.new & reaches(best, min_score)
    found = []
    for row in scored.matrix:
        own = (left & (row == best)).nonzero()[0]
        left[own] = False
        found.append((own, row[own]))
    return found


def trending(scored: ScoredSubscriber, candidates: Candidates, most: int | None = None) -> list[Match]:
    """Return the new papers that the community discusses (all, or up to ``most``), the most discussed first."""
    places = candidates.discussed[scored.new[candidates.discussed]][:most]
    scores = candidates.trending[places].tolist()
    return [Match(place, -1, score) for place, score in zip(places.tolist(), scores, strict=True)]


def compose(
    index: Index, scored: ScoredSubscriber, candidates: Candidates, rules: DigestRules, edition: date
) -> Digest:
    """Compose a subscriber's digest.

    Papers by followed authors are always included. The other places are divided among the interests by their weights;
    places that an interest cannot fill go to the others. Trending has the last places, up to ``rules.trending``, and
    all of them if there are no interests.
    """
    subscriber = scored.subscriber
    places = subscriber.preferences.papers
    picked = _pick(scored, candidates, rules)
    followed = sum(one.by_author for one in picked)
    discussed = trending(scored, candidates, len(picked) + places)
    most_trending = min(rules.trending if len(scored.matrix) else places, places)
    chosen = picked[: max(followed, places - min(len(discussed), most_trending))]
    rest = _without(discussed, chosen)[: min(most_trending, max(0, places - len(chosen)))]
    # Places that Trending cannot fill, since its papers were chosen already, go back to the interests.
    chosen = picked[: max(len(chosen), places - len(rest))]
    in_order = sorted(chosen, key=lambda one: (one.interest, -one.score)) + _without(rest, chosen)
    return Digest(
        edition=edition,
        choices=tuple(to_items(index, scored, candidates, in_order)),
        considered=int(np.count_nonzero(scored.new)),
        since=subscriber.last_digest,
        seen_row=max([subscriber.seen_row, *candidates.rows[-1:].tolist()]),
    )


def to_items(
    index: Index, scored: ScoredSubscriber, candidates: Candidates, found: Sequence[Match]
) -> list[DigestItem]:
    """Convert matches to digest items with reasons and ranks."""
    sought = cache(lambda interest: interest_terms(scored.profiles, scored.first + interest))

    def chosen(one: Match, rank: int) -> DigestItem:
        paper = candidates.papers[one.candidate]
        if one.interest < 0:
            return DigestItem(paper, rank, one.score, TRENDING, trending_reason(paper))
        phrases, factor = candidates.phrases(one.candidate), float(candidates.paper_matrix.factor[one.candidate])
        meaning = _meaning(index, candidates, one.candidate)
        because = reason(index.model, scored.profiles, sought(one.interest), paper, phrases, factor, meaning)
        section = scored.profiles.followed[scored.first + one.interest].interest.name
        return DigestItem(paper, rank, one.score, section, because)

    return [chosen(one, rank) for rank, one in enumerate(found, 1)]


def explain_choice(
    index: Index, scored: ScoredSubscriber, candidates: Candidates, chosen: DigestItem, most: int
) -> Explanation:
    """Explain a chosen paper with up to ``most`` terms and liked papers; nothing for one of Trending."""
    if chosen.section == TRENDING or not len(scored.matrix):
        return Explanation()
    place = int(np.searchsorted(candidates.rows, chosen.paper.row))
    row = scored.first + int(scored.matrix[:, place].argmax())
    vector, factor = row_of(candidates.paper_matrix.vectors, place), float(candidates.paper_matrix.factor[place])
    return explain(index.model, scored.profiles, row, vector, factor, _meaning(index, candidates, place), most)


def _meaning(index: Index, candidates: Candidates, place: int) -> np.ndarray:
    return np.asarray(index.meaning_of(candidates.paper_matrix.meaning[place : place + 1])[0])


def best_score(scored: ScoredSubscriber) -> float:
    """Return the best match among the subscriber's new papers, 0 if there are none."""
    if not len(scored.matrix) or not scored.new.any():
        return 0.0
    return float(scored.matrix[:, scored.new].max())


def _without(some: Sequence[Match], others: Sequence[Match]) -> list[Match]:
    taken = {one.candidate for one in others}
    return [one for one in some if one.candidate not in taken]


def _pick(scored: ScoredSubscriber, candidates: Candidates, rules: DigestRules) -> list[Match]:
    """Return matches in the order of choice, enough for the places or for all followed authors.

    Followed authors come first; then each interest in turn adds the best paper in view of those chosen before.
    """
    queues = _queues(scored, candidates, rules.min_score)
    weights = [one.interest.weight for one in scored.profiles.followed[scored.first :][: len(queues)]]
    authors = [number for number, queue in enumerate(queues) for _ in range(queue.values.count(FULL_MATCH))]
    # Sainte-Laguë: the next place goes to the interest with the most weight for the places it has.
    claims = [weight if queue.places else _NO_CLAIM for weight, queue in zip(weights, queues, strict=True)]
    held = [0] * len(queues)
    picked: list[Match] = []
    chosen: list[np.ndarray] = []
    for turn in range(max(len(authors), scored.subscriber.preferences.papers)):
        most = max(claims, default=_NO_CLAIM)
        if most == _NO_CLAIM:
            break
        if turn < len(authors):
            winner = authors[turn]
            place, score = queues[winner].first()
        else:
            winner = claims.index(most)
            place, score = queues[winner].most_varied(chosen, rules.variety)
        held[winner] += 1
        claims[winner] = weights[winner] / (2 * held[winner] + 1) if queues[winner].places else _NO_CLAIM
        picked.append(Match(place, winner, score))
        chosen.append(candidates.alike(place))
    return picked


def _queues(scored: ScoredSubscriber, candidates: Candidates, min_score: float) -> list[MmrQueue]:
    """Build each interest's queue: its best matches, as many as variety may choose from, and all followed authors."""
    most = max(_AT_LEAST_WEIGHED, 2 * scored.subscriber.preferences.papers)
    ordered = []
    for places, scores in _matching(scored, min_score):
        if len(places) > most:
            # Drop what comes too late before sorting the rest.
            kept = scores >= np.partition(scores, -most)[-most]
            places, scores = places[kept], scores[kept]
        order = np.lexsort((candidates.standing[places], -scores))
        values = scores[order].tolist()
        upto = max(most, values.count(FULL_MATCH))
        ordered.append((places[order].tolist()[:upto], values[:upto]))
    best = max((value for _, values in ordered for value in values if value < FULL_MATCH), default=0.5)
    return [MmrQueue(places, values, best) for places, values in ordered]
