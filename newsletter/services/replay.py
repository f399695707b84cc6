"""Replays: rank again as for a past edition, by what its digest was ranked with."""

from dataclasses import replace
from datetime import date, timedelta

import numpy as np
from sqlalchemy import Connection

from newsletter.audience import feedback
from newsletter.digest import composer
from newsletter.errors import UserError
from newsletter.model import Digest, Paper, Send, Subscriber
from newsletter.ranking.publication_age import is_news
from newsletter.ranking.scoring import FORMULA, Candidates, make_candidates
from newsletter.services.context import AppContext
from newsletter.services.index import load_version
from newsletter.services.library_examples import library_mark, load_items, with_examples
from newsletter.services.ranking_snapshot import RankingSnapshot
from newsletter.services.recommend import RankingResult, SubscriberHistory, rank_scored, score
from newsletter.store import papers, reading, send_log
from newsletter.store.plans import RankingInputs


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
        known_feedback = feedback.from_json(connection, then.content["interests"])
        new = _papers_then(connection, send, then)
        rated = {name.row for one in known_feedback for name, _ in (*one.liked, *one.disliked)}
        known = papers.by_rows(connection, (row for row in rated if row > 0))
        examples = load_items(connection, [row for row in rated if row < 0])
        held = send_log.held_before(connection, send)
        digest = send_log.digests(connection, [send])[send.row]
    if not known_feedback:
        nothing = "" if digest.choices else send.no_papers or send.reason or ""
        return RankingResult(list(digest.choices[:top]), {choice.paper.row for choice in digest.choices}, nothing, [])
    shown_by = f"'newsletter log {subscriber.email} --edition {edition} --json' shows what was sent"
    if library_mark(examples, rated) != then.content.get("library_mark", ""):
        raise UserError(f"--edition: the library that the digest of {edition} was ranked with has changed; {shown_by}")
    # Digests of former versions do not say by which formula.
    if then.content.get("formula", 1) != FORMULA:
        raise UserError(
            f"--edition: the digest of {edition} was ranked by a version of the program that computed matches "
            f"differently; {shown_by}"
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
    snapshot = RankingSnapshot(index, _in_logged_order(candidates, digest), then.now)
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
    # What alerts found is as in the log.
    alerted = [
        composer.AlertedPaper(choice.paper, (choice.because,))
        for choice in digest.choices
        if choice.section == composer.ALERTS
    ]
    history = SubscriberHistory(
        feedback={person.row: known_feedback},
        sent={person.row: held},
        in_library={person.row: set(then.content.get("in_library", ()))},
        alerted={person.row: alerted},
    )
    (scored,) = score(snapshot, [person], history, half_life)
    return rank_scored(context, snapshot, scored, rules, digest, top)


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
