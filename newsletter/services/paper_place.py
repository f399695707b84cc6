"""Why a paper is, or is not, in a subscriber's digest of today.

Each step asks what the selection itself uses: the candidates of the snapshot, which of them are new, the matches, and
the composed digest. A paper that a rule leaves out which this module cannot name is still said to be left out.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, timedelta
from enum import StrEnum

import numpy as np

from newsletter.digest import composer
from newsletter.digest.blocklist import BY
from newsletter.digest.composer import Match, ScoredSubscriber
from newsletter.model import Digest, DigestItem, Paper, SendState, Subscriber
from newsletter.rendering.event_words import event_line
from newsletter.rendering.template_context import format_day, percent
from newsletter.services.context import AppContext
from newsletter.services.ranking_snapshot import RankingSnapshot, build_snapshot
from newsletter.services.recommend import compose_digest, digest_rules, score_today
from newsletter.store import papers, reading, send_log
from newsletter.store.send_log import LogFilter


class Reason(StrEnum):
    """Why a paper is in today's digest or not, in the order in which the rules apply."""

    NOT_STORED = "not_stored"
    RETRACTED = "retracted"
    WITHDRAWN = "withdrawn"
    TOO_OLD = "too_old"
    NOT_NEWS = "not_news"
    SENT = "sent"
    RATED = "rated"
    IN_LIBRARY = "in_library"
    HIDDEN = "hidden"
    CONSIDERED_BEFORE = "considered_before"
    LEFT_OUT = "left_out"
    NOT_DISCUSSED = "not_discussed"
    BELOW_MINIMUM = "below_minimum"
    CROWDED_OUT = "crowded_out"
    CHOSEN = "chosen"


@dataclass(frozen=True, slots=True)
class PaperPlace:
    """The place of a paper for a subscriber today, or the reason why it has none.

    Attributes:
        paper: None if the store does not have it. ``explanation``: the reason in a sentence.
        item: how the digest shows, or would show, the paper; None if it is not ranked. Its rank is the place in the
            digest, 0 if it is not in there.
        standing: the place among all papers that match, from 1; None if it is not among them.
        matches: the match with each interest, between 0 and 1, best first.
    """

    paper: Paper | None
    reason: Reason
    explanation: str
    item: DigestItem | None = None
    standing: int | None = None
    matches: tuple[tuple[str, float], ...] = ()


def find_place(context: AppContext, subscriber: Subscriber, named: str) -> PaperPlace:
    """Return the place of a paper in a subscriber's digest of today, as if that had not been sent yet, or why it has
    none.

    Args:
        named: the paper's id, arXiv id, DOI, URL or title.
    """
    with reading(context.engine) as connection:
        paper = papers.find(connection, named)
    if paper is None:
        return PaperPlace(None, Reason.NOT_STORED, f"“{named}” is not in the store.")
    snapshot = build_snapshot(context)
    rows = snapshot.candidates.rows if snapshot is not None else np.array([], dtype=np.int64)
    at = int(np.searchsorted(rows, paper.row))
    if snapshot is None:
        return _no_candidate(context, snapshot, paper)
    scored = score_today(context, snapshot, subscriber)
    digest = compose_digest(context, snapshot, scored)
    if at == len(rows) or rows[at] != paper.row:
        place = _no_candidate(context, snapshot, paper)
    else:
        place = _Seeker(context, snapshot, scored, digest, paper, at).place()
    updates = [event_line(one.event, most=0).words for one in digest.updates if one.paper.row == paper.row]
    if not updates:
        return place
    reports = "reports an update" if len(updates) == 1 else f"reports {len(updates)} updates"
    return replace(place, explanation=f"{place.explanation} Today’s digest {reports}: {'; '.join(updates)}.")


def _no_candidate(context: AppContext, snapshot: RankingSnapshot | None, paper: Paper) -> PaperPlace:
    if paper.status is not None:
        text = f"It was {paper.status}, and such papers are not sent."
        return PaperPlace(paper, Reason(paper.status.value), text)
    days = context.config.ranking.max_age_days
    if paper.first_seen is not None and paper.first_seen <= context.clock() - timedelta(days=days):
        seen = format_day(paper.first_seen.date())
        text = f"It was first seen on {seen}, more than {days} days ago (ranking.max_age_days)."
        return PaperPlace(paper, Reason.TOO_OLD, text)
    if snapshot is not None and paper.row in snapshot.not_news:
        most = context.config.ranking.max_publication_age_days
        text = f"It was published more than {most} days before it was first seen (ranking.max_publication_age_days)."
        return PaperPlace(paper, Reason.NOT_NEWS, text)
    return PaperPlace(paper, Reason.LEFT_OUT, "It is not among the papers that are ranked today.")


def _why_hidden(never: str) -> str:
    if never.startswith(BY):
        return f"It is by {never.removeprefix(BY)}, who is under never_authors."
    return f"It contains “{never}”, which is under never."


@dataclass(frozen=True, slots=True)
class _Seeker:
    """Looks for the place of one candidate, at the index ``at``, among a subscriber's scored papers."""

    context: AppContext
    snapshot: RankingSnapshot
    scored: ScoredSubscriber
    digest: Digest
    paper: Paper
    at: int

    def place(self) -> PaperPlace:
        """Return the place, or the first reason why there is none."""
        for choice in self.digest.choices:
            if choice.paper.row == self.paper.row:
                return self._chosen(choice)
        if not (self.scored.new[self.at] or self.scored.earlier[self.at]):
            reason, text = next(self._known())
            return PaperPlace(self.paper, reason, text, matches=self._matches())
        return self._not_chosen()

    def _known(self) -> Iterator[tuple[Reason, str]]:
        """Yield the reasons why the paper is not new to the subscriber."""
        subscriber, row = self.scored.subscriber, self.paper.row
        for edition, state in self._editions():
            outcome = "" if state is SendState.SENT else f", which is {state.value}"
            yield Reason.SENT, f"It was in the digest of {format_day(edition)}{outcome}."
        for one in self.scored.known_feedback:
            for verdict, rated in (("liked", one.liked), ("disliked", one.disliked)):
                for name, given_at in rated:
                    if name.row == row:
                        on = f" on {format_day(given_at.date())}" if given_at else ""
                        yield Reason.RATED, f"It was rated as {verdict} for “{one.interest.name}”{on}."
        if row in self.scored.in_library:
            yield Reason.IN_LIBRARY, "It is in a library of the subscriber."
        if self.at in self.scored.hidden:
            yield Reason.HIDDEN, _why_hidden(self.scored.hidden[self.at])
        if row <= subscriber.seen_row and subscriber.last_digest is not None:
            then = format_day(subscriber.last_digest.date())
            yield (
                Reason.CONSIDERED_BEFORE,
                f"It was already considered for a digest, on {then} or before, and other papers were chosen.",
            )
        yield Reason.LEFT_OUT, "A rule leaves it out."

    def _editions(self) -> list[tuple[date, SendState]]:
        """Return the editions before today's in which the subscriber was sent the paper, or may have been, the last
        first.
        """
        row, today = self.scored.subscriber.row, self.digest.edition
        before = self.snapshot.oldest - timedelta(microseconds=1)
        with reading(self.context.engine) as connection:
            if self.paper.row not in send_log.held_papers(connection, [row], before, today)[row]:
                return []
            log = [line.send for line in send_log.log(connection, LogFilter(subscriber=row, paper=self.paper.row))]
        released = (SendState.PLANNED, SendState.FAILED, SendState.SKIPPED)
        return [(one.edition, one.state) for one in reversed(log) if one.edition != today and one.state not in released]

    def _chosen(self, choice: DigestItem) -> PaperPlace:
        of = len(self.digest.choices)
        where = f"It is {_nth(choice.rank)} of {of} in today’s digest, in “{choice.section}”"
        standing = self._standing()
        if choice.section in composer.WITHOUT_MATCH:
            return PaperPlace(
                self.paper, Reason.CHOSEN, f"{where}: {choice.because}.", choice, standing, self._matches()
            )
        text = f"{where}, with a match of {percent(choice.score)}%: {choice.because}."
        return PaperPlace(self.paper, Reason.CHOSEN, text, choice, standing, self._matches())

    def _not_chosen(self) -> PaperPlace:
        standing, matches = self._standing(), self._matches()
        if not matches:
            if standing is None:
                text = "Nobody discusses it, and without interests only papers that are discussed are sent."
                return PaperPlace(self.paper, Reason.NOT_DISCUSSED, text)
            return PaperPlace(self.paper, Reason.CROWDED_OUT, self._crowded_out(standing), None, standing)
        item = self._item()
        if standing is not None:
            return PaperPlace(self.paper, Reason.CROWDED_OUT, self._crowded_out(standing), item, standing, matches)
        least = percent(self.context.config.ranking.min_score)
        if item.score == 0:
            also = ", and is not close in meaning to one" if self.snapshot.index.meaning is not None else ""
            text = f"It has no word, author or category in common with any interest{also}."
        else:
            because = f" ({item.because})" if item.because else ""
            text = (
                f"Its best match is {100 * item.score:.1f}%, with “{item.section}”{because}; the minimum is {least}% "
                "(ranking.min_score)."
            )
        return PaperPlace(self.paper, Reason.BELOW_MINIMUM, text, item, None, matches)

    def _crowded_out(self, standing: int) -> str:
        limit = self.scored.subscriber.preferences.papers
        by = "match" if len(self.scored.matrix) else "discussion"
        if standing > limit:
            return f"It is {_nth(standing)} by {by}, and the digest has at most {limit} papers."
        places = Counter(one.section for one in self.digest.choices)
        shares = ", ".join(f"{section} {count}" for section, count in places.items())
        return (
            f"It is {_nth(standing)} by {by}, but the places of the digest are shared ({shares}), and within an "
            "interest, papers that are less alike are preferred."
        )

    def _standing(self) -> int | None:
        """Return the place among all papers that reach the minimum match, or among those discussed."""
        candidates = self.snapshot.candidates
        found = composer.ranked(self.scored, candidates, digest_rules(self.context, self.scored.subscriber))
        return next((number for number, one in enumerate(found, 1) if one.candidate == self.at), None)

    def _item(self) -> DigestItem:
        """Return how the digest would show the paper, in the interest that it fits best."""
        own = self.scored.matrix[:, self.at].astype(float)
        best = int(own.argmax())
        one = Match(self.at, best, float(own[best]))
        (item,) = composer.to_items(self.snapshot.index, self.scored, self.snapshot.candidates, [one])
        return DigestItem(item.paper, 0, item.score, item.section, item.because)

    def _matches(self) -> tuple[tuple[str, float], ...]:
        first = self.scored.first
        followed = self.scored.profiles.followed[first : first + len(self.scored.matrix)]
        scores = self.scored.matrix[:, self.at].tolist() if followed else []
        pairs = [(one.interest.name, score) for one, score in zip(followed, scores, strict=True)]
        return tuple(sorted(pairs, key=lambda pair: -pair[1]))


def _nth(number: int) -> str:
    """Write an ordinal number: 1st, 2nd, 3rd, 11th."""
    ending = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"
