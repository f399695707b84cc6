"""Recommend: rank the current candidates for subscribers."""

from collections.abc import Mapping, Sequence, Set
from dataclasses import asdict, dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any

from newsletter.audience import feedback
from newsletter.audience.next_due import local_day
from newsletter.digest import composer
from newsletter.digest.blocklist import blocked
from newsletter.model import Digest, DigestItem, Paper, Subscriber
from newsletter.ranking.explain import Explanation
from newsletter.ranking.index import Segment
from newsletter.ranking.profile import InterestFeedback, make_profiles
from newsletter.ranking.scoring import FORMULA, matches
from newsletter.rendering.template_context import percent
from newsletter.services.context import AppContext
from newsletter.services.library_examples import load_library_examples, with_examples, with_libraries
from newsletter.services.ranking_snapshot import RankingSnapshot, build_snapshot
from newsletter.store import reading, send_log
from newsletter.support.text import shorten_middle, to_single_line

NO_PAPERS = "the store has no papers yet; run 'newsletter fetch'"
_WORDS_SHOWN = 3
_LONGEST_TITLE = 100
_EXPLANATIONS_SHOWN = 5


def score_batch(
    context: AppContext,
    field: RankingSnapshot,
    batch: Sequence[Subscriber],
    leaving_out: date | None = None,
    rated: Segment | None = None,
    given_before: datetime | None = None,
) -> list[composer.ScoredSubscriber]:
    """Score the new papers of a batch of subscribers, all their interests in one matrix product.

    Args:
        leaving_out: an edition whose papers do not count as sent.
        rated: the papers they rated, for a snapshot without the full index.
        given_before: a moment (UTC); feedback given from then on does not count. None: all of it counts.
    """
    with reading(context.engine) as connection:
        rows = [subscriber.row for subscriber in batch]
        held = send_log.held_papers(connection, rows, field.oldest - timedelta(microseconds=1), leaving_out)
        known_feedback = feedback.load_feedback(connection, batch)
        examples = load_library_examples(connection, batch)
    if rated is not None:
        field = replace(field, index=field.index.with_segment(rated))
        # Feedback given after the snapshot counts from the next edition on.
        known_feedback = feedback.restrict_to(known_feedback, set(rated.rows.tolist()))
    if given_before is not None:
        known_feedback = feedback.given_before(known_feedback, given_before)
    field = replace(field, index=with_examples(context, field.index, examples))
    known_feedback = with_libraries(known_feedback, examples)
    half_life = context.config.ranking.feedback_half_life_days
    return score(field, batch, known_feedback, held, half_life, examples.held)


def score(
    field: RankingSnapshot,
    batch: Sequence[Subscriber],
    known_feedback: Mapping[int, Sequence[InterestFeedback]],
    held: Mapping[int, set[int]],
    half_life_days: float,
    in_libraries: Mapping[int, Set[int]],
) -> list[composer.ScoredSubscriber]:
    """Score the new papers of a batch of subscribers.

    Args:
        known_feedback: the interests and feedback of each, by row. ``held``: the rows of the papers each was sent.
        half_life_days: of feedback.
        in_libraries: the rows of the papers that each has in a library.
    """
    follows = {row: feedback.decay(known, field.now, half_life_days) for row, known in known_feedback.items()}
    profiles = make_profiles(field.index, [one for subscriber in batch for one in follows[subscriber.row]])
    matrix = matches(field.index, profiles, field.candidates)
    words = {word for subscriber in batch for word in subscriber.preferences.never}
    authors = {name for subscriber in batch for name in subscriber.preferences.never_authors}
    hidden = blocked(words, authors, field.candidates.papers, field.candidates.authors)
    candidate_rows = {paper.row for paper in field.candidates.papers}
    scored, start = [], 0
    for subscriber in batch:
        own = follows[subscriber.row]
        # Papers that a subscriber rated already are not new to them.
        rated = {name.row for one in own for name, _ in (*one.liked, *one.disliked)}
        library = in_libraries.get(subscriber.row, set()) & candidate_rows
        new, earlier, by = composer.divide(subscriber, field.candidates, held[subscriber.row] | rated | library, hidden)
        end = start + len(own)
        scored.append(
            composer.ScoredSubscriber(
                subscriber,
                profiles,
                start,
                matrix[start:end],
                new,
                earlier,
                by,
                known_feedback[subscriber.row],
                field.index.meaning.encoder.fingerprint if field.index.meaning is not None else "",
                library,
            )
        )
        start = end
    return scored


def compose_digest(context: AppContext, field: RankingSnapshot, scored: composer.ScoredSubscriber) -> Digest:
    """Compose the digest of a subscriber for the edition of today in their time zone."""
    today = local_day(scored.subscriber.preferences.schedule, field.now)
    return composer.compose(field.index, scored, field.candidates, digest_rules(context, scored.subscriber), today)


def digest_rules(context: AppContext, subscriber: Subscriber) -> composer.DigestRules:
    """Return the rules for a subscriber's digests: the newsletter's, and the subscriber's numbers of papers.

    The newsletter's Trending takes at most half of the papers, so that a short digest is about the interests too.
    """
    ranking, own = context.config.ranking, subscriber.preferences
    trending = min(context.config.digest.trending, own.papers // 2) if own.trending is None else own.trending
    return composer.DigestRules(ranking.min_score, ranking.variety_lambda, trending, own.papers)


def ranking_inputs(context: AppContext, scored: composer.ScoredSubscriber) -> dict[str, Any]:
    """Return what a subscriber's papers were ranked with besides the space, as JSON values, to replay the ranking."""
    return {
        "interests": feedback.to_json(scored.known_feedback),
        "never": list(scored.subscriber.preferences.never),
        "never_authors": list(scored.subscriber.preferences.never_authors),
        "in_library": sorted(scored.in_library),
        "max_age_days": context.config.ranking.max_age_days,
        "max_publication_age_days": context.config.ranking.max_publication_age_days,
        "feedback_half_life_days": context.config.ranking.feedback_half_life_days,
        "rules": asdict(digest_rules(context, scored.subscriber)),
        "formula": FORMULA,
        **({"meaning": scored.sentence_model} if scored.sentence_model else {}),
    }


def empty_reason(
    context: AppContext, field: RankingSnapshot, scored: composer.ScoredSubscriber, rules: composer.DigestRules
) -> str:
    """Explain in words why a subscriber has no papers, and which paper came nearest."""
    new, last = int(scored.new.sum()), scored.subscriber.last_digest
    earlier = int(scored.earlier.sum()) if rules.earlier and len(scored.matrix) else 0
    since = f" since {last:%Y-%m-%d}" if last else f" in the last {context.config.ranking.max_age_days} days"
    found = f"of {_papers(new, 'new')}{since}" if new else f"no new papers{since}"
    notes = [describe_hidden(scored)] if scored.hidden else []
    if not_news := sum(row > scored.subscriber.seen_row for row in field.not_news):
        notes.append(f"{not_news} more published too long ago")
    note = f" ({'; '.join(notes)})" if notes else ""
    if not new and not earlier:
        return f"{found}{note}"
    if not len(scored.matrix):
        return f"{found}, none is discussed{note}"
    also = f"{' and' if new else '; of'} {_papers(earlier, 'earlier')}" if earlier else ""
    least, nearest = percent(rules.min_score), _nearest(field, scored, rules)
    return f"{found}{also}, none reached a match of {least}%; {nearest}{note}"


def _papers(number: int, kind: str) -> str:
    return f"{number} {kind} paper{'' if number == 1 else 's'}"


def _nearest(field: RankingSnapshot, scored: composer.ScoredSubscriber, rules: composer.DigestRules) -> str:
    one = composer.nearest(scored, rules)
    if one is None:
        also = " or is close to them in meaning" if field.index.meaning is not None else ""
        return f"none has a word of the interests{also}"
    title = shorten_middle(to_single_line(field.candidates.papers[one.candidate].title), _LONGEST_TITLE)
    shown = min(percent(one.score), max(0, percent(rules.min_score) - 1))  # Below the minimum after rounding too.
    return f"the nearest was “{title}” with {shown}% for “{composer.interest_name(scored, one)}”"


def describe_hidden(scored: composer.ScoredSubscriber) -> str:
    """Return how many papers the subscriber's never-words hide, and which words."""
    words = sorted(set(scored.hidden.values()))
    shown = ", ".join(f"“{word}”" for word in words[:_WORDS_SHOWN]) + (", …" if len(words) > _WORDS_SHOWN else "")
    return f"{len(scored.hidden)} more hidden by never: {shown}"


@dataclass(frozen=True, slots=True)
class RankingResult:
    """The papers that a subscriber's digest may choose from: the new ones, then earlier ones, each best first.

    Attributes:
        choices: each with the interest it fits best and the reason. ``in_digest``: the rows of those in the digest.
        nothing: why there are none, empty if there are. ``hidden``: papers hidden by never-words, each with the word.
    """

    choices: list[DigestItem]
    in_digest: Set[int]
    nothing: str
    hidden: list[tuple[Paper, str]]


def rank_papers(
    context: AppContext, subscriber: Subscriber, top: int, field: RankingSnapshot | None = None
) -> RankingResult:
    """Rank the papers that a subscriber may get today; return up to ``top`` of them.

    By default, ``field`` is built first.
    """
    field = field or build_snapshot(context)
    if field is None:
        return RankingResult([], set(), NO_PAPERS, [])
    scored = score_today(context, field, subscriber)
    return rank_scored(
        context, field, scored, digest_rules(context, subscriber), compose_digest(context, field, scored), top
    )


def rank_scored(
    context: AppContext,
    field: RankingSnapshot,
    scored: composer.ScoredSubscriber,
    rules: composer.DigestRules,
    digest: Digest,
    top: int,
) -> RankingResult:
    """Rank a subscriber's scored papers; ``digest`` is the one that was chosen from them."""
    found = composer.ranked(scored, field.candidates, rules)
    choices = composer.to_items(field.index, scored, field.candidates, found[:top])
    nothing = "" if choices else empty_reason(context, field, scored, rules)
    in_digest = {choice.paper.row for choice in digest.choices}
    return RankingResult(choices, in_digest, nothing, _hidden(field, scored, rules.min_score))


def _hidden(field: RankingSnapshot, scored: composer.ScoredSubscriber, min_score: float) -> list[tuple[Paper, str]]:
    return [
        (field.candidates.papers[place], word)
        for place, word in scored.hidden.items()
        if composer.reaches(scored.matrix[:, place], min_score).any()
    ]


@dataclass(frozen=True, slots=True)
class Preview:
    """A subscriber's digest of today, as it would be composed now.

    Attributes:
        digest: None if the store has no papers. ``nothing``: why the digest is empty, empty if it is not.
        is_sent: whether an email would be sent, with papers or to say that there are none.
        explanation: the explanation of each of its papers, by row. ``hidden``: as in :class:`RankingResult`.
    """

    digest: Digest | None
    nothing: str
    is_sent: bool
    explanation: Mapping[int, Explanation]
    hidden: list[tuple[Paper, str]]


def preview_digest(context: AppContext, subscriber: Subscriber) -> Preview:
    """Compose a subscriber's digest of today without planning it."""
    field = build_snapshot(context)
    if field is None:
        return Preview(None, NO_PAPERS, False, {}, [])
    scored = score_today(context, field, subscriber)
    digest = compose_digest(context, field, scored)
    explanation = {
        one.paper.row: composer.explain_choice(field.index, scored, field.candidates, one, _EXPLANATIONS_SHOWN)
        for one in digest.choices
    }
    rules = digest_rules(context, subscriber)
    nothing = "" if digest.choices else empty_reason(context, field, scored, rules)
    is_sent = bool(digest.choices) or context.config.digest.when_nothing == "send"
    return Preview(digest, nothing, is_sent, explanation, _hidden(field, scored, rules.min_score))


def score_today(
    context: AppContext, field: RankingSnapshot, subscriber: Subscriber, given_before: datetime | None = None
) -> composer.ScoredSubscriber:
    """Score as if today's edition had not been sent yet, so that its effect can still be seen and changed.

    ``given_before`` is as for :func:`score_batch`.
    """
    today = local_day(subscriber.preferences.schedule, field.now)
    with reading(context.engine) as connection:
        last_digest, seen_row = send_log.last_sent_before(connection, subscriber.row, today)
    person = replace(subscriber, last_digest=last_digest, seen_row=seen_row)
    (scored,) = score_batch(context, field, [person], today, given_before=given_before)
    return scored
