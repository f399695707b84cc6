"""Recommend: rank the current candidates for subscribers."""

from collections.abc import Callable, Collection, Mapping, Sequence, Set
from dataclasses import asdict, dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any

import numpy as np
from sqlalchemy import Connection

from newsletter.audience import feedback
from newsletter.audience.next_due import local_day
from newsletter.digest import composer
from newsletter.digest.blocklist import blocked
from newsletter.errors import UserError
from newsletter.model import Digest, DigestItem, Paper, Send, Subscriber
from newsletter.ranking.explain import Explanation
from newsletter.ranking.index import Index, PaperMatrix, Segment
from newsletter.ranking.profile import InterestFeedback, RatedPapers, make_profiles
from newsletter.ranking.publication_age import is_news
from newsletter.ranking.scoring import FORMULA, Candidates, candidates_of, make_candidates, matches
from newsletter.ranking.tokens import written_term
from newsletter.rendering.template_context import percent
from newsletter.services.context import AppContext
from newsletter.services.index import current_index, load_version
from newsletter.services.library_examples import load_items, load_library_examples, with_examples, with_libraries
from newsletter.services.sentence_model import configured_encoder
from newsletter.store import papers, reading, send_log, subscribers
from newsletter.store.feedback import Verdict
from newsletter.store.plans import RankingInputs
from newsletter.support.text import shorten_middle, to_single_line

NO_PAPERS = "the store has no papers yet; run 'newsletter fetch'"
_WORDS_SHOWN = 3
_LONGEST_TITLE = 100
_EXPLANATIONS_SHOWN = 5
_EFFECT_WORDS_SHOWN = 8


@dataclass(frozen=True, slots=True)
class RankingSnapshot:
    """The index of the whole store, and the current candidates.

    Attributes:
        now: when it was taken (UTC); papers stored later become candidates next time.
        not_news: the rows of papers that are no candidates, since they were published too long ago; ascending.
    """

    index: Index
    candidates: Candidates
    now: datetime
    not_news: tuple[int, ...] = ()

    @property
    def oldest(self) -> datetime:
        """Return when the oldest candidate was first seen (UTC); ``now`` if there are none."""
        return min((paper.first_seen or self.now for paper in self.candidates.papers), default=self.now)


def build_snapshot(
    context: AppContext, index_of_now: Callable[[], Index | None] | None = None
) -> RankingSnapshot | None:
    """Bring the index up to date and take the papers within ``ranking.max_age_days`` that are news; None for an empty
    store.

    Args:
        index_of_now: returns the index; by default it is brought up to date.
    """
    now = context.clock()
    index = current_index(context) if index_of_now is None else index_of_now()
    return _snapshot_of(context, index, now) if index is not None else None


def _snapshot_of(context: AppContext, index: Index, now: datetime) -> RankingSnapshot:
    with reading(context.engine) as connection:
        found = papers.first_seen_since(connection, now - timedelta(days=context.config.ranking.max_age_days))
    # Papers that arrived after the index was made become candidates next time.
    held = [paper for paper, held in zip(found, index.holds([paper.row for paper in found]), strict=True) if held]
    most_days = context.config.ranking.max_publication_age_days
    news = [paper for paper in held if is_news(paper, most_days)]
    not_news = tuple(sorted({paper.row for paper in held} - {paper.row for paper in news}))
    half_life = context.config.digest.trending_half_life_days
    return RankingSnapshot(index, make_candidates(index, news, now.date(), half_life), now, not_news)


@dataclass(frozen=True, slots=True)
class SnapshotPayload:
    """A snapshot for other processes: plain data, and only the part of the index that the new papers need."""

    index: Index
    papers: tuple[Paper, ...]
    paper_matrix: PaperMatrix
    now: datetime
    not_news: tuple[int, ...]


def to_payload(field: RankingSnapshot) -> SnapshotPayload:
    """Convert a snapshot to a payload."""
    return SnapshotPayload(
        field.index.without_papers(), field.candidates.papers, field.candidates.paper_matrix, field.now, field.not_news
    )


def from_payload(context: AppContext, payload: SnapshotPayload) -> RankingSnapshot:
    """Restore a snapshot. It lacks the papers that subscribers rated: see :func:`rated_papers`."""
    today, half_life = payload.now.date(), context.config.digest.trending_half_life_days
    candidates = candidates_of(payload.index.model, payload.papers, payload.paper_matrix, today, half_life)
    index = payload.index
    if index.meaning is not None and (encoder := configured_encoder(context.config)) is not None:
        # The same model, which may be in another place on this host.
        index = replace(index, meaning=replace(index.meaning, encoder=encoder))
    return RankingSnapshot(index, candidates, payload.now, payload.not_news)


def rated_papers(context: AppContext, index: Index, rows: Collection[int]) -> Segment:
    """Return the papers that some subscribers (by row) rated, for a process without the full index."""
    with reading(context.engine) as connection:
        people = subscribers.by_rows(connection, rows)
        known_feedback = feedback.load_feedback(connection, list(people.values()))
    rated = {name.row for own in known_feedback.values() for one in own for name, _ in (*one.liked, *one.disliked)}
    return index.segment_of(np.array(sorted(rated), dtype=np.int64))


def score_batch(
    context: AppContext,
    field: RankingSnapshot,
    batch: Sequence[Subscriber],
    leaving_out: date | None = None,
    rated: Segment | None = None,
) -> list[composer.ScoredSubscriber]:
    """Score the new papers of a batch of subscribers, all their interests in one matrix product.

    Args:
        leaving_out: an edition whose papers do not count as sent.
        rated: the papers they rated, for a snapshot without the full index.
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
    return _rank(context, field, scored, digest_rules(context, subscriber), compose_digest(context, field, scored), top)


def _rank(
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


def replay_ranking(context: AppContext, subscriber: Subscriber, edition: date, top: int) -> RankingResult:
    """Rank what was new to a subscriber for an edition as it was ranked then.

    This uses the space, interests, feedback and rules of that time. Community counts are not kept for each day, so
    what depends on them is as in the log: the papers of Trending, and which of several equal matches come first.

    Raises:
        UserError: the log has no such digest, or lacks what it was ranked with.
    """
    with reading(context.engine) as connection:
        found = send_log.ranked_with(connection, subscriber.row, edition)
        if found is None:
            raise UserError(f"--edition: the log has no digest of {edition} for {subscriber.email}")
        send, then = found
        try:
            known_feedback = feedback.from_json(connection, then.content["interests"])
        except feedback.LibraryChangedError:
            raise UserError(
                f"--edition: the library that the digest of {edition} was ranked with has lost papers since; "
                f"'newsletter log {subscriber.email} --edition {edition} --json' shows what was sent"
            ) from None
        new = _papers_then(connection, send, then)
        rated = {name.row for one in known_feedback for name, _ in (*one.liked, *one.disliked)}
        known = papers.by_rows(connection, (row for row in rated if row > 0))
        examples = load_items(connection, [row for row in rated if row < 0])
        held = send_log.held_before(connection, send)
        digest = send_log.digests(connection, [send])[send.row]
    if not known_feedback:
        nothing = "" if digest.choices else send.no_papers or send.reason or ""
        return RankingResult(list(digest.choices[:top]), {choice.paper.row for choice in digest.choices}, nothing, [])
    # Digests of former versions do not say by which formula.
    if then.content.get("formula", 1) != FORMULA:
        raise UserError(
            f"--edition: the digest of {edition} was ranked by a version of the program that computed matches "
            f"differently; 'newsletter log {subscriber.email} --edition {edition} --json' shows what was sent"
        )
    index = load_version(
        context,
        then.model_version,
        [*{paper.row: paper for paper in (*new, *known.values())}.values()],
        then.content.get("meaning"),
    )
    if index is None:
        raise UserError(
            f"--edition: the index {then.model_version} it used is missing from {context.config.index_folder}"
        )
    candidates = make_candidates(index, new, edition, context.config.digest.trending_half_life_days)
    index = with_examples(context, index, examples)
    field = RankingSnapshot(index, _in_logged_order(candidates, digest), then.now)
    rules = composer.DigestRules(**{"papers": subscriber.preferences.papers, "earlier": False, **then.content["rules"]})
    # Digests of former versions had no never-authors.
    never_authors = tuple(then.content.get("never_authors", ()))
    preferences = replace(subscriber.preferences, never=tuple(then.content["never"]), never_authors=never_authors)
    # What was marked as sent after that digest did not count for it.
    unlogged_row = subscriber.unlogged_row if subscriber.unlogged_row <= then.after_row else 0
    person = replace(
        subscriber,
        preferences=preferences,
        seen_row=then.after_row,
        unlogged_row=unlogged_row,
        last_digest=send.since,
    )
    half_life = then.content["feedback_half_life_days"]
    in_library = set(then.content.get("in_library", ()))
    (scored,) = score(
        field, [person], {person.row: known_feedback}, {person.row: held}, half_life, {person.row: in_library}
    )
    return _rank(context, field, scored, rules, digest, top)


def _papers_then(connection: Connection, send: Send, then: RankingInputs) -> list[Paper]:
    """Return the papers that were candidates for a digest."""
    window = timedelta(days=then.content["max_age_days"])
    found = [one for one in papers.first_seen_since(connection, then.now - window) if one.row <= send.seen_row]
    # Digests of former versions were made whatever the age of the publications.
    most_days = then.content.get("max_publication_age_days")
    return [one for one in found if most_days is None or is_news(one, most_days)]


def _in_logged_order(candidates: Candidates, digest: Digest) -> Candidates:
    """Return the candidates with equal ones in the order of a digest, before those that it does not have."""
    ranks = {choice.paper.row: choice.rank for choice in digest.choices}
    logged = np.array([ranks.get(paper.row, len(ranks) + 1) for paper in candidates.papers])
    return replace(candidates, standing=np.lexsort((candidates.standing, logged)).argsort())


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


def score_today(context: AppContext, field: RankingSnapshot, subscriber: Subscriber) -> composer.ScoredSubscriber:
    """Score as if today's edition had not been sent yet, so that its effect can still be seen and changed."""
    today = local_day(subscriber.preferences.schedule, field.now)
    with reading(context.engine) as connection:
        last_digest, seen_row = send_log.last_sent_before(connection, subscriber.row, today)
    (scored,) = score_batch(context, field, [replace(subscriber, last_digest=last_digest, seen_row=seen_row)], today)
    return scored


def best_interest(context: AppContext, subscriber: Subscriber, paper: Paper) -> str | None:
    """Return the name of the interest that a paper fits best; None if the subscriber has none."""
    index = current_index(context)
    if index is None or not subscriber.preferences.interests:
        return None
    now = context.clock()
    alone = RankingSnapshot(index, make_candidates(index, [paper], now.date(), 1.0), now)
    (scored,) = score_batch(context, alone, [subscriber])
    named = len(subscriber.preferences.interests)
    return scored.profiles.followed[int(scored.matrix[:named, 0].argmax())].interest.name


def feedback_effect(
    context: AppContext, subscriber: Subscriber, interest: str | None, paper: int, verdict: Verdict
) -> list[str]:
    """Return the words whose weight in an interest's profile a subscriber's feedback on a paper (by row) changed most:
    those that gained, and those that lost.

    Args:
        interest: its name; None for the interest that stands for feedback.
    """
    index = current_index(context, meaning=False)
    if index is None:
        return []
    with reading(context.engine) as connection:
        examples = load_library_examples(connection, [subscriber])
        known = with_libraries(feedback.load_feedback(connection, [subscriber]), examples)[subscriber.row]
    index = with_examples(context, index, examples)
    names = {one.interest.name for one in known}
    name = interest if interest in names else feedback.FROM_FEEDBACK
    follows = feedback.decay(known, context.clock(), context.config.ranking.feedback_half_life_days)
    after = next((one for one in follows if one.interest.name == name), None)
    if after is None:
        return []
    before = replace(after, liked=_without(after.liked, paper), disliked=_without(after.disliked, paper))
    vectors = make_profiles(index, [before, after]).vectors
    change = np.asarray((vectors[1] - vectors[0]).todense()).ravel() * (1 if verdict is Verdict.MORE else -1)
    shown: list[str] = []
    for place in np.argsort(-change, kind="stable")[: _EFFECT_WORDS_SHOWN**2]:
        term = written_term(str(index.model.terms[place]))
        # Of terms that share a word, the first says enough.
        if change[place] > 0 and not {*term.split()} & {word for one in shown for word in one.split()}:
            shown.append(term)
    return shown[:_EFFECT_WORDS_SHOWN]


def _without(rated: RatedPapers, paper: int) -> RatedPapers:
    return tuple((name, weight) for name, weight in rated if name.row != paper)
