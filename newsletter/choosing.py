"""Choosing: the papers of the hour against what some subscribers follow."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from newsletter.audience.due import local_day
from newsletter.audience.judgements import followed
from newsletter.desk import Desk
from newsletter.digest import compose
from newsletter.digest.never import hidden_by
from newsletter.indexing import current_index
from newsletter.model import Choice, Digest, Paper, Subscriber
from newsletter.ranking.index import Index
from newsletter.ranking.profile import Followed, make_profiles
from newsletter.ranking.rank import Candidates, make_candidates, stand_out
from newsletter.store import papers, reading, sends

NO_PAPERS = "the store has no papers yet; 'newsletter fetch' brings some"
_WORDS_TOLD = 3


@dataclass(frozen=True, slots=True)
class Field:
    """The papers of the hour: the index of the whole store, and those that are new to somebody.

    Attributes:
        now: when it was made (UTC); what is stored later stands for choice next time.
    """

    index: Index
    candidates: Candidates
    now: datetime

    @property
    def oldest(self) -> datetime:
        """First seen of the oldest candidate (UTC), ``now`` without any."""
        return min((paper.first_seen or self.now for paper in self.candidates.papers), default=self.now)


def make_field(desk: Desk, refit: bool = False) -> Field | None:
    """Bring the index up to date and take the papers within ``ranking.max_age_days``; None for an empty store.

    Args:
        refit: fit the space again when its time has come, as editions do.
    """
    now = desk.clock()
    index = current_index(desk, refit)
    return _field_of(desk, index, now) if index is not None else None


def _field_of(desk: Desk, index: Index, now: datetime) -> Field:
    with reading(desk.engine) as connection:
        new = papers.first_seen_since(connection, now - timedelta(days=desk.config.ranking.max_age_days))
    half_life = desk.config.digest.trending_half_life_days
    return Field(index, make_candidates(index, new, now.date(), half_life), now)


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
        follows = followed(connection, block, field.now, desk.config.ranking.feedback_half_life_days)
    return score(field, block, follows, held)


def score(
    field: Field,
    block: Sequence[Subscriber],
    follows: dict[int, list[Followed]],
    held: dict[int, set[int]],
) -> list[compose.Scored]:
    """Score the new papers of a block of subscribers.

    Args:
        follows: what each follows, by row. ``held``: the rows of the papers each was sent.
    """
    profiles = make_profiles(field.index, [one for subscriber in block for one in follows[subscriber.row]])
    matrix = stand_out(field.index, profiles, field.candidates)
    words = {word for subscriber in block for word in subscriber.preferences.never}
    hidden = hidden_by(words, field.candidates.papers)
    scored, start = [], 0
    for subscriber in block:
        own = follows[subscriber.row]
        # What somebody has judged already is no news to them.
        judged = {name.row for one in own for name, _ in (*one.liked, *one.disliked)}
        new, by = compose.is_new(subscriber, field.candidates, held[subscriber.row] | judged, hidden)
        end = start + len(own)
        scored.append(compose.Scored(subscriber, profiles, start, matrix[start:end], new, by))
        start = end
    return scored


def compose_digest(desk: Desk, field: Field, scored: compose.Scored) -> Digest:
    """Compose the digest of a subscriber for the edition of the subscriber's today."""
    today = local_day(scored.subscriber.preferences.schedule, field.now)
    ranking, digest = desk.config.ranking, desk.config.digest
    rules = compose.Rules(ranking.min_score, ranking.variety_lambda, digest.trending)
    return compose.compose(field.index, scored, field.candidates, rules, today)


def why_nothing(desk: Desk, scored: compose.Scored) -> str:
    """Why a subscriber has nothing to get, in words."""
    new = int(scored.new.sum())
    last = scored.subscriber.last_digest
    since = f" since {last:%Y-%m-%d}" if last else f" in the last {desk.config.ranking.max_age_days} days"
    beside = f" ({hidden_in_words(scored)})" if scored.hidden else ""
    if new == 0:
        return f"no new papers{since}{beside}"
    best, least = compose.best_score(scored), desk.config.ranking.min_score
    return f"none of {new} new papers{since} reached a score of {least:.2f}; the best had {best:.2f}{beside}"


def hidden_in_words(scored: compose.Scored) -> str:
    """How many papers the subscriber's never-words hide, and which words."""
    words = sorted(set(scored.hidden.values()))
    shown = ", ".join(f"“{word}”" for word in words[:_WORDS_TOLD]) + (", …" if len(words) > _WORDS_TOLD else "")
    return f"{len(scored.hidden)} more hidden by never: {shown}"


@dataclass(frozen=True, slots=True)
class Ranked:
    """The papers new to a subscriber, best first, each with the interest it fits best and the reason.

    Attributes:
        nothing: why there are none, empty when there are. ``hidden``: what never-words hide, each with the word.
        considered: how many new papers there were.
    """

    choices: list[Choice]
    nothing: str
    hidden: list[tuple[Paper, str]]
    considered: int = 0


def rank_papers(desk: Desk, subscriber: Subscriber, top: int) -> Ranked:
    """Rank the papers new to a subscriber today."""
    field = make_field(desk)
    if field is None:
        return Ranked([], NO_PAPERS, [])
    return ranked(desk, field, _scored_today(desk, field, subscriber), top)


def ranked(desk: Desk, field: Field, scored: compose.Scored, top: int) -> Ranked:
    """The best of a subscriber's scored papers."""
    found = compose.matches(scored, field.candidates, desk.config.ranking.min_score)
    if not len(scored.matrix):
        found = compose.trending(scored, field.candidates)
    choices = [
        compose.choice(field.index, scored, field.candidates, one, number) for number, one in enumerate(found[:top], 1)
    ]
    hidden = [(field.candidates.papers[place], word) for place, word in scored.hidden.items()]
    return Ranked(choices, "" if choices else why_nothing(desk, scored), hidden, int(scored.new.sum()))


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
    index = current_index(desk)
    if index is None or not subscriber.preferences.interests:
        return None
    now = desk.clock()
    alone = Field(index, make_candidates(index, [paper], now.date(), 1.0), now)
    (scored,) = score_block(desk, alone, [subscriber])
    named = len(subscriber.preferences.interests)
    return scored.profiles.followed[int(scored.matrix[:named, 0].argmax())].interest.name
