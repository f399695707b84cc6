"""Ranking snapshots: the index and the current candidates, as of one moment, and their form for other processes."""

from collections.abc import Callable, Collection, Mapping, Set
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cache

import numpy as np

from newsletter.alerts.matching import AlertPapers
from newsletter.audience import feedback
from newsletter.model import AlertKind, Paper
from newsletter.ranking.index import Index, PaperMatrix, Segment
from newsletter.ranking.publication_age import is_news
from newsletter.ranking.scoring import Candidates, candidates_of, make_candidates
from newsletter.services.alerts import alert_papers
from newsletter.services.context import AppContext
from newsletter.services.index import current_index
from newsletter.services.sentence_model import configured_encoder
from newsletter.store import papers, reading, subscribers
from newsletter.store.openalex import late_cited, late_described


@dataclass(frozen=True, slots=True)
class RankingSnapshot:
    """The index of the whole store, and the current candidates.

    Attributes:
        now: when it was taken (UTC); papers stored later become candidates next time.
        not_news: the rows of papers that are no candidates, since they were published too long ago; ascending.
        late: papers that are no candidates any more, but may be news to an alert, since a citation or an institution
            was found late. ``late_for``: the kinds of alerts to which they may be, by row.
        alert_papers: returns those of ``alertable`` prepared for alerts, on first use; None if alerts do not count.
    """

    index: Index
    candidates: Candidates
    now: datetime
    not_news: tuple[int, ...] = ()
    late: tuple[Paper, ...] = ()
    late_for: Mapping[int, Set[AlertKind]] = field(default_factory=dict)
    alert_papers: Callable[[], AlertPapers] | None = None

    @property
    def alertable(self) -> tuple[Paper, ...]:
        """The papers that alerts may find."""
        return (*self.candidates.papers, *self.late)

    @property
    def oldest(self) -> datetime:
        """Return when the oldest of these papers was first seen (UTC); ``now`` if there are none."""
        return min((paper.first_seen or self.now for paper in self.alertable), default=self.now)


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
    window = now - timedelta(days=context.config.ranking.max_age_days)
    with reading(context.engine) as connection:
        found = papers.first_seen_since(connection, window)
        late_for = _late_for(late_cited(connection, window), late_described(connection, window))
        late = papers.by_rows(connection, late_for.keys() - {paper.row for paper in found}).values()
    # Papers that arrived after the index was made become candidates next time.
    found = [paper for paper in found if paper.status is None]
    held = [paper for paper, held in zip(found, index.holds([paper.row for paper in found]), strict=True) if held]
    most_days = context.config.ranking.max_publication_age_days
    news = [paper for paper in held if is_news(paper, most_days)]
    not_news = tuple(sorted({paper.row for paper in held} - {paper.row for paper in news}))
    half_life = context.config.digest.trending_half_life_days
    candidates = make_candidates(index, news, now.date(), half_life)
    still_news = tuple(paper for paper in late if paper.status is None and is_news(paper, most_days))
    return _with_alerts(context, RankingSnapshot(index, candidates, now, not_news, still_news, late_for))


def _late_for(cited: Collection[int], described: Collection[int]) -> dict[int, set[AlertKind]]:
    """Return the kinds of alerts to which papers (by row) may be news, since a fact about them was found late."""
    late_for: dict[int, set[AlertKind]] = {row: {AlertKind.CITES} for row in cited}
    for row in described:
        late_for.setdefault(row, set()).update((AlertKind.INSTITUTION, AlertKind.AUTHOR))
    return late_for


def _with_alerts(context: AppContext, snapshot: RankingSnapshot) -> RankingSnapshot:
    """Return a snapshot that alerts can look at; their papers are prepared only if there are alerts."""
    return replace(snapshot, alert_papers=cache(lambda: alert_papers(context, snapshot.alertable, snapshot.late_for)))


@dataclass(frozen=True, slots=True)
class SnapshotPayload:
    """A snapshot for other processes: plain data, and only the part of the index that the new papers need."""

    index: Index
    papers: tuple[Paper, ...]
    paper_matrix: PaperMatrix
    now: datetime
    not_news: tuple[int, ...]
    late: tuple[Paper, ...]
    late_for: Mapping[int, Set[AlertKind]]


def to_payload(snapshot: RankingSnapshot) -> SnapshotPayload:
    """Convert a snapshot to a payload."""
    candidates = snapshot.candidates
    return SnapshotPayload(
        snapshot.index.without_papers(),
        candidates.papers,
        candidates.paper_matrix,
        snapshot.now,
        snapshot.not_news,
        snapshot.late,
        snapshot.late_for,
    )


def from_payload(context: AppContext, payload: SnapshotPayload) -> RankingSnapshot:
    """Restore a snapshot. It lacks the papers that subscribers rated: see :func:`rated_papers`."""
    today, half_life = payload.now.date(), context.config.digest.trending_half_life_days
    candidates = candidates_of(payload.index.model, payload.papers, payload.paper_matrix, today, half_life)
    index = payload.index
    if index.meaning is not None and (encoder := configured_encoder(context.config)) is not None:
        # The same model, which may be in another place on this host.
        index = replace(index, meaning=replace(index.meaning, encoder=encoder))
    late = payload.late, payload.late_for
    return _with_alerts(context, RankingSnapshot(index, candidates, payload.now, payload.not_news, *late))


def rated_papers(context: AppContext, index: Index, rows: Collection[int]) -> Segment:
    """Return the papers that some subscribers (by row) rated, for a process without the full index."""
    with reading(context.engine) as connection:
        people = subscribers.by_rows(connection, rows)
        known_feedback = feedback.load_feedback(connection, list(people.values()))
    rated = {name.row for own in known_feedback.values() for one in own for name, _ in (*one.liked, *one.disliked)}
    return index.segment_of(np.array(sorted(rated), dtype=np.int64))
