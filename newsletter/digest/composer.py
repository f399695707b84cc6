"""Compose digests: which papers, in which section and order, and why."""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import date
from functools import cache
from itertools import repeat

import numpy as np

from newsletter.digest.blocklist import BY, BlockedPapers
from newsletter.model import Digest, DigestItem, Paper, PaperUpdate, Preferences, Subscriber
from newsletter.ranking.diversify import MmrQueue
from newsletter.ranking.explain import Explanation, explain, interest_terms, reason
from newsletter.ranking.index import Index
from newsletter.ranking.profile import InterestFeedback, Profiles
from newsletter.ranking.scoring import FULL_MATCH, Candidates
from newsletter.ranking.sparse import row_of
from newsletter.ranking.trending import trending_reason

TRENDING = "Trending"
"""The section of papers that the community discusses."""

ALERTS = "Your alerts"
"""The section of papers that the subscriber must not miss, whatever their match."""

WITHOUT_MATCH = (ALERTS, TRENDING)
"""The sections of papers that were not chosen by their match."""

EARLIER = "from the last days"
"""What readers are told of a paper that was a candidate for an earlier digest."""

_AT_LEAST_WEIGHED = 30
_NO_CLAIM = -1.0


@dataclass(frozen=True, slots=True)
class DigestRules:
    """The rules for composing digests, see ``ranking`` and ``digest`` in ``config.yaml``.

    Attributes:
        min_score: the minimum match. ``variety``: λ of maximal marginal relevance; 1 considers the match alone.
        trending: the maximum number of papers in Trending. ``papers``: that of the whole digest.
        earlier: whether places left over go to good papers that were candidates for an earlier digest.
        trending_fills: whether places that are then still left over go to Trending, beyond ``trending``.
    """

    min_score: float
    variety: float
    trending: int
    papers: int
    earlier: bool = True
    trending_fills: bool = False


@dataclass(frozen=True, slots=True)
class AlertedPaper:
    """A paper that alerts of a subscriber found, and why, as each of them says it."""

    paper: Paper
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ScoredSubscriber:
    """The scores of one subscriber's new papers.

    Attributes:
        profiles: those of a batch of subscribers. ``first``: the index of this subscriber's first profile.
        matrix: the match of each candidate with each of the subscriber's interests (interests × papers).
        new: which candidates are new to the subscriber and not hidden (one truth value per paper).
        earlier: which were candidates for an earlier digest but not sent, and are not hidden (likewise).
        hidden: the new ones hidden by a never-word or never-author, with that, by index.
        known_feedback: the interests and feedback that the profiles were built from.
        sentence_model: the fingerprint of the sentence model, empty without one.
        in_library: the rows of the candidates that are in a library of the subscriber.
        alerted: what the subscriber's alerts found, in order; none of these is in ``new`` or ``earlier``.
        library_mark: a digest of the texts of the subscriber's libraries; empty without any.
        updates: what the digest tells of papers that the subscriber was sent or saved.
    """

    subscriber: Subscriber
    profiles: Profiles
    first: int
    matrix: np.ndarray
    new: np.ndarray
    earlier: np.ndarray
    hidden: Mapping[int, str]
    known_feedback: Sequence[InterestFeedback]
    sentence_model: str = ""
    in_library: Set[int] = frozenset()
    alerted: Sequence[AlertedPaper] = ()
    library_mark: str = ""
    updates: Sequence[PaperUpdate] = ()


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


def divide(
    subscriber: Subscriber, candidates: Candidates, known: set[int], hidden: BlockedPapers
) -> tuple[np.ndarray, np.ndarray, dict[int, str]]:
    """Return which candidates are new to a subscriber, which are not new but were not sent either, and which of the
    new ones a never-word or never-author hides.

    Args:
        known: rows of papers that the subscriber was sent, has rated or has in a library, which are none of these.
        hidden: the papers hidden by each never-word and never-author.

    Returns:
        Two truth values per paper, and the never-words of hidden papers by index, which do not count as new.
    """
    new = candidates.rows > subscriber.seen_row
    earlier = ~new & (candidates.rows > subscriber.unlogged_row)
    if known:
        unknown = ~np.isin(candidates.rows, np.fromiter(known, dtype=np.int64))
        new &= unknown
        earlier &= unknown
    words = {place: word for word in never_names(subscriber.preferences) for place in hidden[word]}
    by = {place: word for place, word in words.items() if new[place]}
    new[list(words)] = earlier[list(words)] = False
    return new, earlier, by


def never_names(preferences: Preferences) -> list[str]:
    """Return a subscriber's never-words and never-authors, as :class:`BlockedPapers` names them."""
    return [*preferences.never, *(f"{BY}{author}" for author in preferences.never_authors)]


def matches(scored: ScoredSubscriber, candidates: Candidates, min_score: float, among: np.ndarray) -> list[Match]:
    """Return the papers that reach the minimum match, best first; equal matches are in the order of Trending.

    Args:
        among: which candidates to return (one truth value per paper), such as the new ones.
    """
    found = _matching(scored, min_score, among)
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


def _matching(scored: ScoredSubscriber, min_score: float, among: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return for each interest the indices of the papers that reach the minimum match and fit it best (if a paper fits
    several equally, the first one), and their matches.
    """
    if not len(scored.matrix):
        return []
    best = scored.matrix.max(axis=0)
    left = among & reaches(best, min_score)
    found = []
    for row in scored.matrix:
        own = (left & (row == best)).nonzero()[0]
        left[own] = False
        found.append((own, row[own]))
    return found


def trending(scored: ScoredSubscriber, candidates: Candidates, most: int | None = None) -> list[Match]:
    """Return the new papers that the community discusses (all, or up to ``most``), best first.

    For a subscriber with interests, the score of each is multiplied by (1 + its best match) / 2: a paper that fits them
    fully counts twice as much as one that does not fit.
    """
    places = candidates.discussed[scored.new[candidates.discussed]]
    scores = candidates.trending[places]
    if len(scored.matrix) and len(places):
        scores = scores * (1 + scored.matrix[:, places].max(axis=0).astype(float)) / 2
        order = np.argsort(-scores, kind="stable")
        places, scores = places[order], scores[order]
    return [Match(*one) for one in zip(places[:most].tolist(), repeat(-1), scores[:most].tolist(), strict=False)]


def compose(
    index: Index, scored: ScoredSubscriber, candidates: Candidates, rules: DigestRules, edition: date
) -> Digest:
    """Compose a subscriber's digest.

    What alerts found comes first, in addition to the other papers. New papers by followed authors are always included.
    The other places are divided among the interests by their weights; places that an interest cannot fill go to the
    others. Trending has the last places, up to ``rules.trending``, and all of them if there are no interests. Places
    that are left over then go to papers that were considered for an earlier digest and not sent, and with
    ``rules.trending_fills`` to more of Trending.
    """
    places = rules.papers
    picked = _pick(scored, candidates, rules, scored.new, (), places)
    discussed = trending(scored, candidates, len(picked) + places)
    chosen, rest = _share(picked, discussed, places, min(rules.trending if len(scored.matrix) else places, places))
    left_over = places - len(chosen) - len(rest)
    if rules.earlier and left_over > 0:
        chosen += _pick(scored, candidates, rules, scored.earlier, chosen, left_over)[:left_over]
    if rules.trending_fills:
        rest += _without(discussed, [*chosen, *rest])[: places - len(chosen) - len(rest)]

    def standing(one: Match) -> tuple[object, ...]:
        place = one.candidate
        return one.interest, bool(scored.earlier[place]), -one.score, int(candidates.standing[place])

    in_order = sorted(chosen, key=standing) + rest
    alerted = alert_items(scored)
    newly_alerted = sum(one.paper.row > scored.subscriber.seen_row for one in scored.alerted)
    return Digest(
        edition=edition,
        choices=(*alerted, *to_items(index, scored, candidates, in_order, len(alerted) + 1)),
        considered=int(np.count_nonzero(scored.new)) + newly_alerted,
        since=scored.subscriber.last_digest,
        seen_row=max([scored.subscriber.seen_row, *candidates.rows[-1:].tolist()]),
        updates=tuple(scored.updates),
    )


def _share(
    picked: list[Match], discussed: Sequence[Match], places: int, most_trending: int
) -> tuple[list[Match], list[Match]]:
    """Divide the places between the papers picked for the interests, in the order of choice, and those of Trending."""
    followed = sum(one.by_author for one in picked)
    chosen = picked[: max(followed, places - min(len(discussed), most_trending))]
    rest = _without(discussed, chosen)[: min(most_trending, max(0, places - len(chosen)))]
    # Places that Trending cannot fill, since its papers were chosen already, go back to the interests.
    while len(wider := picked[: max(len(chosen), places - len(rest))]) > len(chosen):
        chosen, rest = wider, _without(rest, wider)
    return chosen, rest


def ranked(scored: ScoredSubscriber, candidates: Candidates, rules: DigestRules) -> list[Match]:
    """Return all papers that a digest may choose from: the new ones, then earlier ones, each best first.

    Those of Trending are among them only if the subscriber has no interests.
    """
    if not len(scored.matrix):
        return trending(scored, candidates)
    new = matches(scored, candidates, rules.min_score, scored.new)
    return new + (matches(scored, candidates, rules.min_score, scored.earlier) if rules.earlier else [])


def alert_items(scored: ScoredSubscriber) -> list[DigestItem]:
    """Return what alerts found as digest items, with ranks from 1."""
    found = enumerate(scored.alerted, 1)
    return [DigestItem(one.paper, rank, 1.0, ALERTS, "; ".join(one.reasons)) for rank, one in found]


def to_items(
    index: Index, scored: ScoredSubscriber, candidates: Candidates, found: Sequence[Match], first_rank: int = 1
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
        section, earlier = interest_name(scored, one), bool(scored.earlier[one.candidate])
        return DigestItem(paper, rank, one.score, section, because, earlier)

    return [chosen(one, rank) for rank, one in enumerate(found, first_rank)]


def interest_name(scored: ScoredSubscriber, one: Match) -> str:
    """Return the name of the interest that a match is for."""
    return scored.profiles.followed[scored.first + one.interest].interest.name


def explain_choice(
    index: Index, scored: ScoredSubscriber, candidates: Candidates, chosen: DigestItem, most: int
) -> Explanation:
    """Explain a chosen paper with up to ``most`` terms and liked papers; nothing for one without a match."""
    if chosen.section in WITHOUT_MATCH or not len(scored.matrix):
        return Explanation()
    place = int(np.searchsorted(candidates.rows, chosen.paper.row))
    row = scored.first + int(scored.matrix[:, place].argmax())
    vector, factor = row_of(candidates.paper_matrix.vectors, place), float(candidates.paper_matrix.factor[place])
    return explain(index.model, scored.profiles, row, vector, factor, _meaning(index, candidates, place), most)


def _meaning(index: Index, candidates: Candidates, place: int) -> np.ndarray:
    return np.asarray(index.meaning_of(candidates.paper_matrix.meaning[place : place + 1])[0])


def nearest(scored: ScoredSubscriber, rules: DigestRules) -> Match | None:
    """Return the best match among the papers that could have been chosen; None if none has a word of the interests."""
    places = np.flatnonzero(scored.new | scored.earlier if rules.earlier else scored.new)
    if not len(scored.matrix) or not len(places):
        return None
    interest, best = divmod(int(scored.matrix[:, places].argmax()), len(places))
    place, score = int(places[best]), float(scored.matrix[interest, places[best]])
    return Match(place, interest, score) if score > 0 else None


def _without(some: Sequence[Match], others: Sequence[Match]) -> list[Match]:
    taken = {one.candidate for one in others}
    return [one for one in some if one.candidate not in taken]


def _pick(
    scored: ScoredSubscriber,
    candidates: Candidates,
    rules: DigestRules,
    among: np.ndarray,
    before: Sequence[Match],
    places: int,
) -> list[Match]:
    """Return matches in the order of choice, enough for the places or for all followed authors.

    Followed authors come first; then each interest in turn adds the best paper in view of those chosen before.

    Args:
        among: which candidates to choose from (one truth value per paper).
        before: the papers chosen already, which count for the shares of the interests and for variety.
    """
    queues = _queues(scored, candidates, rules, among)
    followed = scored.profiles.followed[scored.first :][: len(queues)]
    held = [sum(one.interest == number for one in before) for number in range(len(queues))]
    authors = [number for number, queue in enumerate(queues) for _ in range(queue.values.count(FULL_MATCH))]
    varieties = _varieties(scored, rules)

    def claim(number: int) -> float:
        # Sainte-Laguë: the next place goes to the interest with the most weight for the places it has.
        return followed[number].interest.weight / (2 * held[number] + 1) if queues[number].places else _NO_CLAIM

    claims = [claim(number) for number in range(len(queues))]
    picked: list[Match] = []
    chosen = [candidates.alike(one.candidate) for one in before]
    for turn in range(max(len(authors), places)):
        most = max(claims, default=_NO_CLAIM)
        if most == _NO_CLAIM:
            break
        if turn < len(authors):
            winner = authors[turn]
            place, score = queues[winner].first()
        else:
            winner = claims.index(most)
            place, score = queues[winner].most_varied(chosen, varieties[winner])
        held[winner] += 1
        claims[winner] = claim(winner)
        picked.append(Match(place, winner, score))
        chosen.append(candidates.alike(place))
    return picked


def _varieties(scored: ScoredSubscriber, rules: DigestRules) -> list[float]:
    """Return λ for each interest: 1 for one without words, whose papers match equally, so that Trending orders them."""
    starts = scored.profiles.vectors.indptr[scored.first : scored.first + len(scored.matrix) + 1]
    return [rules.variety if terms else 1.0 for terms in np.diff(starts)]


def _queues(scored: ScoredSubscriber, candidates: Candidates, rules: DigestRules, among: np.ndarray) -> list[MmrQueue]:
    """Build each interest's queue: its best matches, as many as variety may choose from, and all followed authors."""
    most = max(_AT_LEAST_WEIGHED, 2 * rules.papers)
    ordered = []
    for places, scores in _matching(scored, rules.min_score, among):
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
