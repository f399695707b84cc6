"""Recommend: rank the current candidates for subscribers."""

from collections.abc import Mapping, Sequence, Set
from dataclasses import asdict, dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import Any

from newsletter.audience import feedback
from newsletter.audience.next_due import local_day
from newsletter.digest import composer
from newsletter.digest.blocklist import blocked
from newsletter.model import Digest, DigestItem, Paper, PaperUpdate, Subscriber
from newsletter.ranking.explain import Explanation
from newsletter.ranking.index import Segment
from newsletter.ranking.profile import InterestFeedback, make_profiles
from newsletter.ranking.scoring import FORMULA, matches
from newsletter.rendering.template_context import percent
from newsletter.services.alerted_papers import alerted_papers
from newsletter.services.context import AppContext
from newsletter.services.library_examples import library_mark, load_library_examples, with_examples, with_libraries
from newsletter.services.paper_updates import load_updates
from newsletter.services.ranking_snapshot import RankingSnapshot, build_snapshot
from newsletter.store import reading, send_log
from newsletter.support.text import shorten_middle, to_single_line

NO_PAPERS = "the store has no papers yet; run 'newsletter fetch'"
_WORDS_SHOWN = 3
_LONGEST_TITLE = 100
_EXPLANATIONS_SHOWN = 5


def score_batch(
    context: AppContext,
    snapshot: RankingSnapshot,
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
        held = send_log.held_papers(connection, rows, snapshot.oldest - timedelta(microseconds=1), leaving_out)
        known_feedback = feedback.load_feedback(connection, batch)
        examples = load_library_examples(connection, batch)
        paper_updates = load_updates(connection, batch, snapshot.now, leaving_out)
    if rated is not None:
        snapshot = replace(snapshot, index=snapshot.index.with_segment(rated))
        # Feedback given after the snapshot counts from the next edition on.
        known_feedback = feedback.restrict_to(known_feedback, set(rated.rows.tolist()))
    if given_before is not None:
        known_feedback = feedback.given_before(known_feedback, given_before)
    snapshot = replace(snapshot, index=with_examples(context, snapshot.index, examples))
    known = SubscriberHistory(with_libraries(known_feedback, examples), held, examples.held)
    known = replace(
        known,
        alerted=alerted_papers(snapshot, batch, {row: known.papers(row) for row in rows}),
        updates=paper_updates,
        library_marks={row: library_mark(examples, known.papers(row)) for row in rows},
    )
    return score(snapshot, batch, known, context.config.ranking.feedback_half_life_days)


@dataclass(frozen=True, slots=True)
class SubscriberHistory:
    """What is known about some subscribers, each by row.

    Attributes:
        feedback: their interests, with the papers they rated and those of their libraries.
        sent: the rows of the papers each was sent. ``in_library``: of those that each has in a library.
        alerted: what the alerts of each found. ``library_marks``: digests of the texts of their libraries.
        updates: what became of papers that each was sent or saved.
    """

    feedback: Mapping[int, Sequence[InterestFeedback]]
    sent: Mapping[int, set[int]]
    in_library: Mapping[int, set[int]]
    alerted: Mapping[int, Sequence[composer.AlertedPaper]] = field(default_factory=dict)
    updates: Mapping[int, Sequence[PaperUpdate]] = field(default_factory=dict)
    library_marks: Mapping[int, str] = field(default_factory=dict)

    def papers(self, subscriber: int) -> set[int]:
        """Return the rows of the papers that are not new to a subscriber: sent, rated or in a library."""
        rated = {name.row for one in self.feedback[subscriber] for name, _ in (*one.liked, *one.disliked)}
        return self.sent[subscriber] | rated | self.in_library.get(subscriber, set())


def score(
    snapshot: RankingSnapshot, batch: Sequence[Subscriber], known: SubscriberHistory, half_life_days: float
) -> list[composer.ScoredSubscriber]:
    """Score the new papers of a batch of subscribers; ``half_life_days`` is that of feedback."""
    candidates, index = snapshot.candidates, snapshot.index
    follows = {row: feedback.decay(own, snapshot.now, half_life_days) for row, own in known.feedback.items()}
    profiles = make_profiles(index, [one for subscriber in batch for one in follows[subscriber.row]])
    matrix = matches(index, profiles, candidates)
    words = {word for subscriber in batch for word in subscriber.preferences.never}
    authors = {name for subscriber in batch for name in subscriber.preferences.never_authors}
    hidden = blocked(words, authors, candidates.papers, candidates.authors)
    candidate_rows = set(candidates.rows.tolist())
    scored, start = [], 0
    for subscriber in batch:
        alerted = known.alerted.get(subscriber.row, ())
        not_new = known.papers(subscriber.row) | {one.paper.row for one in alerted}
        new, earlier, by = composer.divide(subscriber, candidates, not_new, hidden)
        end = start + len(follows[subscriber.row])
        scored.append(
            composer.ScoredSubscriber(
                subscriber,
                profiles,
                start,
                matrix[start:end],
                new,
                earlier,
                by,
                known.feedback[subscriber.row],
                index.meaning.encoder.fingerprint if index.meaning is not None else "",
                known.in_library.get(subscriber.row, set()) & candidate_rows,
                alerted,
                known.library_marks.get(subscriber.row, ""),
                known.updates.get(subscriber.row, ()),
            )
        )
        start = end
    return scored


def compose_digest(context: AppContext, snapshot: RankingSnapshot, scored: composer.ScoredSubscriber) -> Digest:
    """Compose the digest of a subscriber for the edition of today in their time zone."""
    today = local_day(scored.subscriber.preferences.schedule, snapshot.now)
    return composer.compose(
        snapshot.index, scored, snapshot.candidates, digest_rules(context, scored.subscriber), today
    )


def digest_rules(context: AppContext, subscriber: Subscriber) -> composer.DigestRules:
    """Return the rules for a subscriber's digests: the newsletter's, and the subscriber's numbers of papers.

    The newsletter's Trending takes at most half of the papers, so that a short digest is about the interests too. For a
    subscriber who has only given feedback so far, it also takes the places that this cannot fill.
    """
    ranking, own = context.config.ranking, subscriber.preferences
    trending = min(context.config.digest.trending, own.papers // 2) if own.trending is None else own.trending
    fills = not own.interests and own.trending is None
    return composer.DigestRules(ranking.min_score, ranking.variety_lambda, trending, own.papers, trending_fills=fills)


def ranking_inputs(context: AppContext, scored: composer.ScoredSubscriber) -> dict[str, Any]:
    """Return what a subscriber's papers were ranked with besides the space, as JSON values, to replay the ranking."""
    return {
        "interests": feedback.to_json(scored.known_feedback),
        "never": list(scored.subscriber.preferences.never),
        "never_authors": list(scored.subscriber.preferences.never_authors),
        "in_library": sorted(scored.in_library),
        "library_mark": scored.library_mark,
        "max_age_days": context.config.ranking.max_age_days,
        "max_publication_age_days": context.config.ranking.max_publication_age_days,
        "feedback_half_life_days": context.config.ranking.feedback_half_life_days,
        "rules": asdict(digest_rules(context, scored.subscriber)),
        "formula": FORMULA,
        **({"meaning": scored.sentence_model} if scored.sentence_model else {}),
    }


def empty_reason(
    context: AppContext, snapshot: RankingSnapshot, scored: composer.ScoredSubscriber, rules: composer.DigestRules
) -> str:
    """Explain in words why a subscriber has no papers, and which paper came nearest."""
    new, last = int(scored.new.sum()), scored.subscriber.last_digest
    earlier = int(scored.earlier.sum()) if rules.earlier and len(scored.matrix) else 0
    since = f" since {last:%Y-%m-%d}" if last else f" in the last {context.config.ranking.max_age_days} days"
    found = f"of {_papers(new, 'new')}{since}" if new else f"no new papers{since}"
    notes = [describe_hidden(scored)] if scored.hidden else []
    if not_news := sum(row > scored.subscriber.seen_row for row in snapshot.not_news):
        notes.append(f"{not_news} more published too long ago")
    note = f" ({'; '.join(notes)})" if notes else ""
    if not new and not earlier:
        return f"{found}{note}"
    if not len(scored.matrix):
        return f"{found}, none is discussed{note}"
    also = f"{' and' if new else '; of'} {_papers(earlier, 'earlier')}" if earlier else ""
    least, nearest = percent(rules.min_score), _nearest(snapshot, scored, rules)
    return f"{found}{also}, none reached a match of {least}%; {nearest}{note}"


def _papers(number: int, kind: str) -> str:
    return f"{number} {kind} paper{'' if number == 1 else 's'}"


def _nearest(snapshot: RankingSnapshot, scored: composer.ScoredSubscriber, rules: composer.DigestRules) -> str:
    one = composer.nearest(scored, rules)
    if one is None:
        also = " or is close to them in meaning" if snapshot.index.meaning is not None else ""
        return f"none has a word of the interests{also}"
    title = shorten_middle(to_single_line(snapshot.candidates.papers[one.candidate].title), _LONGEST_TITLE)
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
    context: AppContext, subscriber: Subscriber, top: int, snapshot: RankingSnapshot | None = None
) -> RankingResult:
    """Rank the papers that a subscriber may get today; return up to ``top`` of them.

    By default, ``snapshot`` is built first.
    """
    snapshot = snapshot or build_snapshot(context)
    if snapshot is None:
        return RankingResult([], set(), NO_PAPERS, [])
    scored = score_today(context, snapshot, subscriber)
    return rank_scored(
        context, snapshot, scored, digest_rules(context, subscriber), compose_digest(context, snapshot, scored), top
    )


def rank_scored(
    context: AppContext,
    snapshot: RankingSnapshot,
    scored: composer.ScoredSubscriber,
    rules: composer.DigestRules,
    digest: Digest,
    top: int,
) -> RankingResult:
    """Rank a subscriber's scored papers; ``digest`` is the one that was chosen from them."""
    alerted = composer.alert_items(scored)[:top]
    found = composer.ranked(scored, snapshot.candidates, rules)[: top - len(alerted)]
    ranked = composer.to_items(snapshot.index, scored, snapshot.candidates, found, len(alerted) + 1)
    choices = [*alerted, *ranked]
    nothing = "" if choices else empty_reason(context, snapshot, scored, rules)
    in_digest = {choice.paper.row for choice in digest.choices}
    return RankingResult(choices, in_digest, nothing, _hidden(snapshot, scored, rules.min_score))


def _hidden(snapshot: RankingSnapshot, scored: composer.ScoredSubscriber, min_score: float) -> list[tuple[Paper, str]]:
    return [
        (snapshot.candidates.papers[place], word)
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
    snapshot = build_snapshot(context)
    if snapshot is None:
        return Preview(None, NO_PAPERS, False, {}, [])
    scored = score_today(context, snapshot, subscriber)
    digest = compose_digest(context, snapshot, scored)
    explanation = {
        one.paper.row: composer.explain_choice(snapshot.index, scored, snapshot.candidates, one, _EXPLANATIONS_SHOWN)
        for one in digest.choices
    }
    rules = digest_rules(context, subscriber)
    nothing = "" if digest.choices else empty_reason(context, snapshot, scored, rules)
    is_sent = bool(digest.choices or digest.updates) or context.config.digest.when_nothing == "send"
    return Preview(digest, nothing, is_sent, explanation, _hidden(snapshot, scored, rules.min_score))


def score_today(
    context: AppContext, snapshot: RankingSnapshot, subscriber: Subscriber, given_before: datetime | None = None
) -> composer.ScoredSubscriber:
    """Score as if today's edition had not been sent yet, so that its effect can still be seen and changed.

    ``given_before`` is as for :func:`score_batch`.
    """
    today = local_day(subscriber.preferences.schedule, snapshot.now)
    with reading(context.engine) as connection:
        last_digest, seen_row = send_log.last_sent_before(connection, subscriber.row, today)
    person = replace(subscriber, last_digest=last_digest, seen_row=seen_row)
    (scored,) = score_batch(context, snapshot, [person], today, given_before=given_before)
    return scored
